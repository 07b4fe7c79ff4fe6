//! People of the directory who share an email: nobody can tell to whom it belongs. An email that a
//! member of the organization has already is found in `plan/people.rs`.

use std::collections::BTreeMap;

use super::{Eligibility, Person, Unusable};
use crate::directory::hash::FastMap;
use crate::directory::{Email, ExternalId, UnidentifiedUser};
use crate::problem::{Problem, ProblemReason};
use crate::text::sanitize;

/// Two active people with one email can't both be members, and which one it belongs to isn't ours
/// to guess. Neither is it where one of the two can't be identified.
pub(super) fn set_shared_emails_aside(
    people: &mut [Person],
    unidentified: &[UnidentifiedUser],
    problems: &mut Vec<Problem>,
) {
    let mut first: FastMap<&Email, usize> = FastMap::default();
    first.reserve(people.len());
    let mut shared: BTreeMap<&Email, Vec<usize>> = BTreeMap::new();
    for (index, person) in people.iter().enumerate() {
        let (Eligibility::Active, Some(email)) = (person.eligibility, &person.email) else {
            continue;
        };
        match first.get(email) {
            Some(&other) => shared
                .entry(email)
                .or_insert_with(|| vec![other])
                .push(index),
            None => {
                first.insert(email, index);
            }
        }
    }
    let mut aside = vec![];
    for user in unidentified {
        let Some(email) = &user.email else { continue };
        if let Some(&index) = first.get(email)
            && !shared.contains_key(email)
        {
            let id = people[index].id.clone();
            let message = format!(
                "{} and {}, which can't be identified, have the email {}; give each an email of \
                 their own, or filter one out",
                sanitize(id.as_str()),
                sanitize(&user.entry),
                sanitize(email.as_str()),
            );
            problems.push(Problem::new(ProblemReason::DuplicateEmail, message, [id]));
            aside.push(index);
        }
    }
    for (email, indexes) in shared {
        let mut ids: Vec<ExternalId> = indexes.iter().map(|&i| people[i].id.clone()).collect();
        ids.sort();
        let names: Vec<String> = ids.iter().take(5).map(|id| sanitize(id.as_str())).collect();
        let message = format!(
            "{} active people have the email {}: {}; give each an email of their own, or filter \
             all but one out",
            ids.len(),
            sanitize(email.as_str()),
            names.join(", "),
        );
        problems.push(Problem::new(ProblemReason::DuplicateEmail, message, ids));
        aside.extend(indexes);
    }
    for index in aside {
        people[index].eligibility = Eligibility::Unusable;
        people[index].unusable = Some(Unusable::Problem(ProblemReason::DuplicateEmail));
    }
}
