//! The laws of every source behind HTTP that tells who leaves: where any request fails by which one person is read
//! alone, nobody is certain to have left; and whoever leaves while the watch is lost is named once it is back.

use std::time::Duration;

use directory_sync::directory::ExternalId;
use directory_sync::source::{LeaverCheck, Source, WatchEnd};
use jiff::Timestamp;
use simulators::fault::{Fault, Faults, Way};
use tokio::time::timeout;

use crate::Told;

/// Longer than a watch takes to notice that it is lost.
const LOST: Duration = Duration::from_secs(20);

/// Every way in which a server fails, and refusals: of a client, of an account, of a path that a proxy hides.
fn ways() -> impl Iterator<Item = Way> {
    let failures = Way::ALL.into_iter().map(|way| match way {
        Way::TooManyRequests { .. } => Way::TooManyRequests { retry_after: 0 },
        way => way,
    });
    failures.chain([Way::Refused, Way::Status(403), Way::Status(404)])
}

/// Fails each request of a check of `id`, who certainly left, in each way. From that request on, so that trying again
/// doesn't help.
///
/// # Panics
/// Where somebody is certain to have left although a request failed, and where they aren't without that.
pub async fn sweep_leaver_check(source: &dyn Source, id: &ExternalId, faults: &Faults) {
    for way in ways() {
        for k in 1.. {
            faults.clear();
            faults.inject(Fault::new(way).on_request(k).from_then_on());
            let checked = source.check_leaver(id).await;
            let is_certain = matches!(checked, Ok(LeaverCheck::Left(_)));
            if faults.fired() == 0 {
                assert!(is_certain, "without a fault: {checked:?}");
                assert!(k > 2, "the entry and its address are asked for");
                break;
            }
            assert!(!is_certain, "{way:?} at {k}: {checked:?}");
        }
    }
    faults.clear();
}

/// Loses the watch in each way. Meanwhile somebody leaves: `leave` disables the account with this number, and gives its
/// id.
///
/// # Panics
/// Where the watch goes on, or the next one doesn't name them.
pub async fn sweep_watch(source: &dyn Source, faults: &Faults, leave: impl Fn(usize) -> String) {
    for (number, way) in ways().enumerate() {
        let since = Timestamp::now();
        let told = Told::default();
        let watching = source.watch(since, &told);
        let lose = async {
            told.watching().await;
            faults.inject(Fault::new(way).from_then_on());
            std::future::pending::<()>().await;
        };
        let end = timeout(LOST, async {
            tokio::select! {
                end = watching => end,
                () = lose => unreachable!("it waits for the end"),
            }
        });
        let end = end.await.expect("the watch ends");
        assert!(matches!(end, WatchEnd::Lost(_)), "{way:?}: {end:?}");
        let left = Some(leave(number));
        faults.clear();
        let told = Told::default();
        tokio::select! {
            end = source.watch(since, &told) => panic!("{way:?}: the watch ended: {end:?}"),
            () = told.until("named", |told| told.leavers().contains(&left)) => {}
        }
    }
}
