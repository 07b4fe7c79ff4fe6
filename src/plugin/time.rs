//! Times as people read them: an age in a table, an exact time in details.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// `12m ago`; `-` where there is no time.
pub fn ago(time: Option<&Time>, now: Timestamp) -> String {
    match time {
        None => "-".into(),
        Some(time) => format!("{} ago", length(now.duration_since(time.0))),
    }
}

/// `in 3m`; `due` once it is past.
pub fn ahead(time: &Time, now: Timestamp) -> String {
    let left = time.0.duration_since(now);
    if left <= SignedDuration::ZERO {
        "due".into()
    } else {
        format!("in {}", length(left))
    }
}

/// `45s`, `12m`, `3h20m`, `5d`: as much as one wants to know.
pub fn length(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{minutes}m"),
        7_200..36_000 if minutes % 60 > 0 => format!("{hours}h{}m", minutes % 60),
        7_200..172_800 => format!("{hours}h"),
        _ => format!("{days}d"),
    }
}

/// A time in UTC, to the second: `2026-05-04 12:00:00Z`.
pub fn exact(time: &Time) -> String {
    time.0.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_has_as_much_detail_as_it_is_long() {
        for (seconds, shown) in [
            (-3, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_199, "119m"),
            (7_200, "2h"),
            (12_000, "3h20m"),
            (90_000, "25h"),
            (500_000, "5d"),
        ] {
            assert_eq!(length(SignedDuration::from_secs(seconds)), shown);
        }
    }

    #[test]
    fn what_is_past_is_ago_and_what_is_overdue_is_due() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |seconds| Time(now + SignedDuration::from_secs(seconds));
        assert_eq!(ago(Some(&at(-300)), now), "5m ago");
        assert_eq!(ago(None, now), "-");
        assert_eq!(ahead(&at(300), now), "in 5m");
        assert_eq!(ahead(&at(-1), now), "due");
    }
}
