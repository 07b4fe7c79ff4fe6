//! What holds for every connection and answer of this process, whatever a resource says.

use std::fmt;
use std::marker::PhantomData;
use std::sync::OnceLock;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::egress::EgressPolicy;

/// Limits of the whole process, which its flags set.
#[derive(Debug, Clone)]
pub struct ProcessLimits {
    /// Which servers may be connected to.
    pub egress: EgressPolicy,
    /// The largest answer, in bytes after decompression.
    pub max_response_bytes: u64,
    /// The longest list in one answer, in items.
    pub max_list_items: usize,
}

impl Default for ProcessLimits {
    /// As for the command line: every server, and answers as large as a million people's.
    fn default() -> Self {
        Self {
            egress: EgressPolicy::unrestricted(),
            max_response_bytes: 1 << 30,
            max_list_items: 2_000_000,
        }
    }
}

static LIMITS: OnceLock<ProcessLimits> = OnceLock::new();

/// Sets the limits, once, before the first connection.
///
/// # Errors
/// When they were set or used before.
pub fn set_process_limits(limits: ProcessLimits) -> Result<(), LimitsInUse> {
    LIMITS.set(limits).map_err(|_| LimitsInUse)
}

/// The limits were set or used before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the limits of this process are in use already")]
pub struct LimitsInUse;

/// The limits that hold.
pub fn process_limits() -> &'static ProcessLimits {
    LIMITS.get_or_init(ProcessLimits::default)
}

/// How an error about a list that is too long begins.
pub(crate) const TOO_MANY: &str = "the list is longer than";

/// Reads a list of at most [`ProcessLimits::max_list_items`] items: what is kept of an answer is
/// bounded, however small its items are. For `#[serde(deserialize_with = "…")]`.
///
/// # Errors
/// When there are more.
pub fn bounded_list<'de, T, D>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    struct Bounded<T>(usize, PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Bounded<T> {
        type Value = Vec<T>;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list")
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Vec<T>, A::Error> {
            let mut list = Vec::new();
            while let Some(item) = items.next_element()? {
                if list.len() == self.0 {
                    return Err(A::Error::custom(format_args!(
                        "{TOO_MANY} {} items; raise --max-list-items if it is right",
                        self.0
                    )));
                }
                list.push(item);
            }
            Ok(list)
        }
    }
    let most = process_limits().max_list_items;
    deserializer.deserialize_seq(Bounded(most, PhantomData))
}
