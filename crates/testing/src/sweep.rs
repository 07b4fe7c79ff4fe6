//! The law of every source behind HTTP: a read in which one request fails once is whole, or it is
//! an error.

use std::fmt::Debug;

use directory_sync::source::SourceError;
use simulators::fault::{Fault, Faults, Way};

/// Lets each of the read's requests fail once in each way, which is asked for again and gives the
/// `whole`; but for garbage, which is an error, since the same would come again.
pub async fn sweep<T: Debug + PartialEq>(
    faults: &Faults,
    requests: usize,
    whole: &T,
    read: impl AsyncFn() -> Result<T, SourceError>,
) {
    for way in Way::ALL {
        let way = match way {
            Way::TooManyRequests { .. } => Way::TooManyRequests { retry_after: 0 },
            way => way,
        };
        for k in 1..=requests as u64 {
            faults.clear();
            faults.inject(Fault::new(way).on_request(k));
            match read().await {
                Ok(seen) => {
                    assert_ne!(way, Way::Garbage, "at {k} is taken for {seen:?}");
                    assert_eq!(seen, *whole, "{way:?} at {k}");
                }
                Err(error) => assert_eq!(way, Way::Garbage, "at {k}: {error}"),
            }
            assert_eq!(faults.fired(), 1, "{way:?} at {k}");
        }
    }
    faults.clear();
}
