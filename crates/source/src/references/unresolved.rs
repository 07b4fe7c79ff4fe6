//! What is missing or can't be used of what a spec refers to.

use std::fmt;

use super::{KeyOf, Kind, Referent};
use crate::api::conditions::Blocker;

/// Everything that keeps a spec from being followed although it is valid itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Unresolved(
    /// The reasons, at least one.
    pub Vec<UnresolvedReason>,
);

/// One thing that keeps a spec from being followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnresolvedReason {
    /// A Secret or ConfigMap isn't there, or lacks a key.
    Missing {
        /// The object that was looked for.
        referent: Referent,
        /// Where it should be.
        namespace: String,
        /// The keys it should have and hasn't.
        keys: Vec<String>,
        /// Whether only the keys are missing.
        object_is_there: bool,
    },
    /// What is there can't be used.
    Unusable {
        /// The object that was looked for.
        referent: Referent,
        /// The key whose value is wrong.
        key: String,
        /// What is wrong, without the value.
        why: String,
    },
}

impl UnresolvedReason {
    /// What `key` holds can't be used; `why` doesn't quote it.
    pub fn unusable(key: &KeyOf, why: &str) -> Self {
        Self::Unusable {
            referent: key.referent.clone(),
            key: key.key.clone(),
            why: why.to_owned(),
        }
    }

    fn blocker(&self) -> Blocker {
        match self {
            Self::Missing { .. } => Blocker::ReferenceNotFound,
            Self::Unusable { .. } => Blocker::InvalidReference,
        }
    }
}

impl From<UnresolvedReason> for Unresolved {
    fn from(reason: UnresolvedReason) -> Self {
        Self(vec![reason])
    }
}

/// Both values, or everything that keeps them away.
///
/// # Errors
/// When either value is missing or can't be used.
pub fn both<A, B>(
    a: Result<A, impl Into<Unresolved>>,
    b: Result<B, impl Into<Unresolved>>,
) -> Result<(A, B), Unresolved> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => {
            let a = a.err().map(Into::into);
            let b = b.err().map(Into::into);
            let reasons = [a, b].into_iter().flatten().flat_map(|Unresolved(all)| all);
            Err(Unresolved(merged(reasons.collect())))
        }
    }
}

impl Unresolved {
    /// Whether Secrets or ConfigMaps are at fault.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        self.0.iter().map(|reason| match reason {
            UnresolvedReason::Missing { referent, .. }
            | UnresolvedReason::Unusable { referent, .. } => referent.kind,
        })
    }

    /// The reason that conditions and events give: what is missing comes before what can't be used.
    pub fn blocker(&self) -> Blocker {
        let mut reasons = self.0.iter().map(UnresolvedReason::blocker);
        reasons
            .find(|reason| *reason == Blocker::ReferenceNotFound)
            .unwrap_or(Blocker::InvalidReference)
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, reason) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for UnresolvedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing {
                referent,
                namespace,
                keys,
                object_is_there: false,
            } => {
                let command = match referent.kind {
                    Kind::Secret => "secret generic",
                    Kind::ConfigMap => "configmap",
                };
                write!(
                    f,
                    "{referent} isn't in namespace {namespace:?}; create it: \
                     kubectl -n {namespace} create {command} {}",
                    referent.name
                )?;
                keys.iter()
                    .try_for_each(|key| write!(f, " --from-file={key}=FILE"))
            }
            Self::Missing { referent, keys, .. } => write!(
                f,
                "{referent} has no key {}; add it, or name another key in the spec",
                keys.iter()
                    .map(|key| format!("{key:?}"))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            Self::Unusable { referent, key, why } => {
                write!(f, "{referent}, key {key:?}: {why}")
            }
        }
    }
}

/// An object that lacks several keys is one problem, not several.
fn merged(problems: Vec<UnresolvedReason>) -> Vec<UnresolvedReason> {
    let mut once: Vec<UnresolvedReason> = vec![];
    for problem in problems {
        if let UnresolvedReason::Missing { referent, keys, .. } = &problem {
            let earlier = once.iter_mut().find_map(|earlier| match earlier {
                UnresolvedReason::Missing {
                    referent: of, keys, ..
                } if of == referent => Some(keys),
                _ => None,
            });
            if let Some(earlier) = earlier {
                earlier.extend(keys.iter().cloned());
                continue;
            }
        }
        once.push(problem);
    }
    once
}
