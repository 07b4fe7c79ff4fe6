//! What status says of certificates and other credentials that end soon.

use jiff::Timestamp;

use super::state::Connected;
use crate::api::DirectorySyncStatus;
use crate::api::conditions::set_credential_expiring;
use crate::http::Expiry;

impl Connected {
    /// When certificates and other credentials of both sides end, as far as that is known.
    pub fn expiries(&self) -> Vec<Expiry> {
        let directory = self.source.expiries();
        let organization = self.organization.expiries();
        directory.into_iter().chain(organization).collect()
    }
}

/// Puts into `status` what ends soon. A run that `failed` may have seen less than the one before, so it takes nothing
/// away.
pub fn put(status: &mut DirectorySyncStatus, expiries: &[Expiry], failed: bool, now: Timestamp) {
    let mut near: Vec<_> = expiries.iter().filter(|one| one.is_near(now)).collect();
    near.sort_by_key(|one| one.validity.ends);
    if near.is_empty() && failed {
        return;
    }
    let messages: Vec<_> = near.into_iter().map(Expiry::describe).collect();
    let message = (!messages.is_empty()).then(|| messages.join("; "));
    let generation = status.observed_generation.unwrap_or_default();
    set_credential_expiring(&mut status.conditions, message.as_deref(), generation, now);
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::api::conditions::{ConditionType, find};
    use crate::http::{Credential, Validity};

    const DAY: SignedDuration = SignedDuration::from_hours(24);

    fn now() -> Timestamp {
        "2026-12-01T00:00:00Z".parse().unwrap()
    }

    fn in_days(credential: Credential, days: i32) -> Expiry {
        Expiry {
            credential,
            validity: Validity {
                begins: now() - DAY * 700,
                ends: now() + DAY * days,
            },
        }
    }

    fn message(status: &DirectorySyncStatus) -> Option<&str> {
        let found = find(&status.conditions, ConditionType::CredentialExpiring);
        found.map(|condition| condition.message.as_str())
    }

    #[test]
    fn what_ends_within_thirty_days_is_named_the_first_one_first() {
        let mut status = DirectorySyncStatus::default();
        let expiries = [
            in_days(Credential::DirectoryCa, 29),
            in_days(Credential::DirectoryServer, 3),
            in_days(Credential::OrganizationServer, 31),
        ];
        put(&mut status, &expiries, false, now());
        let said = message(&status).unwrap();
        let server = said
            .find("directory's server expires on 2026-12-04")
            .unwrap();
        let ca = said.find("expires on 2026-12-30").unwrap();
        assert!(server < ca && !said.contains("organization"), "{said}");
    }

    #[test]
    fn a_renewed_one_is_seen_by_a_run_that_succeeds_and_a_failed_one_takes_nothing_away() {
        let mut status = DirectorySyncStatus::default();
        put(
            &mut status,
            &[in_days(Credential::DirectoryServer, 3)],
            true,
            now(),
        );
        assert!(message(&status).is_some());
        put(&mut status, &[], true, now());
        assert!(message(&status).is_some());
        put(
            &mut status,
            &[in_days(Credential::DirectoryServer, 300)],
            false,
            now(),
        );
        assert_eq!(message(&status), None);
    }
}
