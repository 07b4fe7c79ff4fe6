//! Limits are kept; on paused time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use directory_sync::http::{Pace, PathLimiter, RateLimit, RateLimiter, Window};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use tokio::time::Instant;

const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

fn pace() -> Arc<RateLimiter> {
    let write = [Window::new(60, MINUTE), Window::new(5, SECOND)];
    let pace = RateLimiter::unlimited()
        .with(Method::POST, write)
        .with(Method::GET, [Window::new(200, MINUTE)]);
    Arc::new(pace)
}

/// When each of so many requests that are all asked for at once is permitted.
async fn permitted(pace: &Arc<RateLimiter>, method: Method, requests: usize) -> Vec<Duration> {
    permitted_to(pace, method, (0..requests).map(|_| "/".to_owned())).await
}

/// The same of requests to these paths.
async fn permitted_to<L: RateLimit + 'static>(
    pace: &Arc<L>,
    method: Method,
    paths: impl IntoIterator<Item = String>,
) -> Vec<Duration> {
    let start = Instant::now();
    let times = Arc::new(Mutex::new(Vec::new()));
    let tasks = paths.into_iter().map(|path| {
        let (pace, method, times) = (pace.clone(), method.clone(), times.clone());
        tokio::spawn(async move {
            pace.permit(&method, &path).await;
            times.lock().unwrap().push(start.elapsed());
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    Arc::into_inner(times).unwrap().into_inner().unwrap()
}

fn most_within(times: &[Duration], window: Duration) -> usize {
    let within = |from: &Duration| {
        times
            .iter()
            .filter(|time| *time >= from && **time < *from + window)
            .count()
    };
    times.iter().map(within).max().unwrap_or(0)
}

#[tokio::test(start_paused = true)]
async fn no_stretch_of_time_sees_more_requests_than_its_limit() {
    let times = permitted(&pace(), Method::POST, 200).await;
    assert_eq!(most_within(&times, MINUTE), 60);
    assert_eq!(most_within(&times, SECOND), 5);
    let last = times.iter().max().unwrap().as_secs();
    assert!(
        (180..195).contains(&last),
        "and the limit is used to the full: the last went after {last} s"
    );
}

#[tokio::test(start_paused = true)]
async fn methods_are_counted_apart() {
    let pace = pace();
    let reads = permitted(&pace, Method::GET, 200).await;
    assert!(reads.iter().all(Duration::is_zero));
    let writes = permitted(&pace, Method::POST, 5).await;
    assert!(writes.iter().all(Duration::is_zero));
    let others = permitted(&pace, Method::PUT, 1_000).await;
    assert!(others.iter().all(Duration::is_zero), "no limit is known");
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_of_a_429_pauses_everyone_with_this_method() {
    let pace = pace();
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, "30".parse().unwrap());
    pace.answered(&Method::GET, "/", StatusCode::TOO_MANY_REQUESTS, &headers);

    let reads = permitted(&pace, Method::GET, 10).await;
    assert!(reads.iter().all(|at| at.as_secs() == 30), "{reads:?}");
    let start = Instant::now();
    pace.permit(&Method::POST, "/").await;
    assert!(start.elapsed().is_zero(), "others go on");
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_takes_no_place() {
    let pace = pace();
    permitted(&pace, Method::POST, 5).await;
    let gave_up = tokio::time::timeout(SECOND / 2, pace.permit(&Method::POST, "/")).await;
    assert!(gave_up.is_err());
    let times = permitted(&pace, Method::POST, 5).await;
    assert!(times.iter().all(|at| *at <= SECOND / 2), "{times:?}");
}

/// A vendor whose headers say how many seconds all requests should wait.
fn hint(_: StatusCode, headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("x-wait")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

#[tokio::test(start_paused = true)]
async fn a_success_whose_headers_say_that_the_limit_is_near_delays_all_requests() {
    let pace = Arc::new(RateLimiter::unlimited().with_throttle_hint(hint));
    let mut headers = HeaderMap::new();
    pace.answered(&Method::GET, "/", StatusCode::OK, &headers);
    assert_eq!(
        permitted(&pace, Method::GET, 2).await,
        [Duration::ZERO, Duration::ZERO]
    );
    headers.insert("x-wait", "7".parse().unwrap());
    pace.answered(&Method::GET, "/", StatusCode::OK, &headers);
    let late = Duration::from_secs(7);
    assert_eq!(permitted(&pace, Method::GET, 2).await, [late, late]);

    // Of two that are given, the longer wait counts.
    headers.insert(RETRY_AFTER, "9".parse().unwrap());
    pace.answered(&Method::GET, "/", StatusCode::TOO_MANY_REQUESTS, &headers);
    let late = Duration::from_secs(9);
    assert_eq!(permitted(&pace, Method::GET, 1).await, [late]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_holds_all_requests_of_its_method_and_says_until_when() {
    let pace = pace();
    assert_eq!(pace.waits_until(&Method::GET), None);
    pace.pause(&Method::GET, 10 * SECOND);
    pace.pause(&Method::GET, 3 * SECOND);
    assert_eq!(permitted(&pace, Method::POST, 1).await, [Duration::ZERO]);
    let start = Instant::now();
    let waiting = tokio::spawn({
        let pace = pace.clone();
        async move { permitted(&pace, Method::GET, 3).await }
    });
    tokio::time::sleep(SECOND).await;
    assert_eq!(pace.waits_until(&Method::GET), Some(start + 10 * SECOND));
    assert_eq!(pace.waits_until(&Method::POST), None);
    assert_eq!(waiting.await.unwrap(), [10 * SECOND; 3]);
    assert_eq!(pace.waits_until(&Method::GET), None);

    // However long is asked for, no more than two minutes.
    pace.pause(&Method::GET, 3_600 * SECOND);
    assert_eq!(permitted(&pace, Method::GET, 1).await, [120 * SECOND]);
}

/// As Bitwarden's cloud counts, with a pace that begins at 10 a second.
fn by_path() -> Arc<PathLimiter> {
    let pace = Pace {
        first: 10.0,
        slowest: 1.0,
        fastest: 20.0,
    };
    let write = [Window::new(60, MINUTE), Window::new(5, SECOND)];
    let pace = PathLimiter::new(pace, "x-rate-limit-limit").with(Method::POST, write);
    Arc::new(pace)
}

/// How many of `requests`, each to a path of its own, go in a second from now on.
async fn in_a_second(pace: &Arc<PathLimiter>) -> usize {
    // So that none before them delays the first.
    tokio::time::sleep(2 * SECOND).await;
    let paths = (0..100).map(|n| format!("/{n}"));
    let all = permitted_to(pace, Method::DELETE, paths);
    let times = all.await;
    // The clock of timers counts milliseconds.
    let second = SECOND - Duration::from_millis(5);
    times.iter().filter(|at| **at < second).count()
}

#[tokio::test(start_paused = true)]
async fn requests_to_different_paths_do_not_add_up_and_those_to_one_path_do() {
    let pace = by_path();
    let revocations = (0..600).map(|n| format!("/members/{n}/revoke"));
    let times = permitted_to(&pace, Method::POST, revocations).await;
    let last = times.iter().max().unwrap().as_secs();
    assert!((59..61).contains(&last), "at the common pace: {last} s");

    let pace = by_path();
    let imports = (0..200).map(|_| "/import".to_owned());
    let times = permitted_to(&pace, Method::POST, imports).await;
    assert_eq!(most_within(&times, MINUTE), 60);
    assert_eq!(most_within(&times, SECOND), 5);
}

#[tokio::test(start_paused = true)]
async fn the_pace_grows_while_nothing_is_refused_and_is_halved_by_a_refusal() {
    let pace = by_path();
    let none = HeaderMap::new();
    assert_eq!(in_a_second(&pace).await, 10);
    let mut answers = 0;
    while in_a_second(&pace).await < 20 && answers < 1_000 {
        for _ in 0..10 {
            pace.answered(&Method::DELETE, "/1", StatusCode::OK, &none);
            answers += 1;
        }
    }
    assert!(
        (100..200).contains(&answers),
        "one more a second: {answers}"
    );
    for _ in 0..200 {
        pace.answered(&Method::DELETE, "/1", StatusCode::OK, &none);
    }
    assert_eq!(in_a_second(&pace).await, 20, "the fastest");

    // Several at once are of requests that were under way together: one refusal.
    for _ in 0..8 {
        pace.answered(&Method::DELETE, "/1", StatusCode::TOO_MANY_REQUESTS, &none);
    }
    assert_eq!(in_a_second(&pace).await, 10);
    for _ in 0..10 {
        pace.answered(&Method::DELETE, "/1", StatusCode::TOO_MANY_REQUESTS, &none);
        tokio::time::sleep(2 * SECOND).await;
    }
    assert_eq!(in_a_second(&pace).await, 1, "the slowest");
}

#[tokio::test(start_paused = true)]
async fn a_429_that_names_the_limit_pauses_its_path_and_any_other_pauses_all() {
    let mut headers = HeaderMap::new();
    headers.insert(RETRY_AFTER, "30".parse().unwrap());
    headers.insert("x-rate-limit-limit", "1m".parse().unwrap());
    let first = async |pace: &Arc<PathLimiter>, path: &str| {
        permitted_to(pace, Method::POST, [path.to_owned()]).await[0].as_secs()
    };
    let pace = by_path();
    pace.answered(&Method::POST, "/a", StatusCode::TOO_MANY_REQUESTS, &headers);
    assert_eq!(first(&pace, "/b").await, 0);
    assert_eq!(first(&pace, "/a").await, 30);

    headers.remove("x-rate-limit-limit");
    let pace = by_path();
    // One is about to go when the refusal comes.
    let waiting = tokio::spawn({
        let pace = pace.clone();
        async move { permitted_to(&pace, Method::POST, ["/c", "/c"].map(str::to_owned)).await }
    });
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    pace.answered(&Method::POST, "/a", StatusCode::TOO_MANY_REQUESTS, &headers);
    assert_eq!(first(&pace, "/b").await, 30);
    let last = waiting.await.unwrap().into_iter().max().unwrap();
    assert_eq!(last.as_secs(), 30);
}
