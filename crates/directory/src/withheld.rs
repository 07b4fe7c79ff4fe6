//! Sets entries aside in which a value of a Secret stands.
//!
//! What a directory lists is shown: in status, plans and logs, and names people in invitations. A server that
//! lists what it was sent would so publish the resource's own credentials. Such an entry is one that can't
//! be identified: it is counted and told, not shown, and nobody's absence is believed because of it.

use std::sync::Arc;

use crate::complete::Complete;
use crate::problem::{Problem, ProblemReason};
use crate::{
    AccountEvidence, Directory, ExternalId, Group, InPart, Incremental, InvalidEmail,
    UnidentifiedGroup, UnidentifiedUser, UnknownMembers, UnusableEmail, User,
};

/// Stands where such a text was.
pub(crate) const WITHHELD: &str = "(withheld)";

impl User {
    /// Whether no text of it holds a secret.
    pub fn can_be_shown(&self, is_secret: impl Fn(&str) -> bool) -> bool {
        let email = self.email.as_ref().ok().map(|email| email.as_str());
        let evidence = self.evidence.as_deref();
        let evidence = evidence
            .into_iter()
            .flat_map(|says| [&*says.value, &*says.entry]);
        let mut texts = [self.id.as_str()].into_iter().chain(email).chain(evidence);
        !texts.any(is_secret)
    }
}

impl Complete<Directory> {
    /// The same directory without people and groups whose id or name holds a secret: they are among those
    /// that can't be identified. Of other texts that hold one, emails among them, nothing stays.
    pub fn without_secrets(self, mut is_secret: impl FnMut(&str) -> bool) -> Self {
        let mut directory = self.into_inner();
        directory.withhold(&mut is_secret);
        Self::after_last_page(directory)
    }
}

impl Incremental<Directory> {
    /// The same of a directory that was brought up to date.
    #[must_use]
    pub fn without_secrets(self, mut is_secret: impl FnMut(&str) -> bool) -> Self {
        self.map(|mut directory| {
            directory.withhold(&mut is_secret);
            directory
        })
    }
}

impl Directory {
    fn withhold(&mut self, is_secret: &mut dyn FnMut(&str) -> bool) {
        self.problems.replace_texts(is_secret, WITHHELD);
        withhold_sample(&mut self.unknown_members, is_secret);
        let mut set_aside = SetAside::default();
        for user in &mut self.unidentified_users {
            withhold_unidentified(user, is_secret, &mut set_aside.problems);
        }
        for group in &mut self.unidentified_groups {
            let id_is_secret = group.id.as_ref().is_some_and(|id| is_secret(id.as_str()));
            let name_is_secret = is_secret(&group.name);
            if id_is_secret || name_is_secret {
                set_aside.problems.push(problem("a group", None));
                group.id = group.id.take().filter(|_| !id_is_secret);
                if name_is_secret {
                    group.name = "".into();
                }
            }
        }
        for user in &mut self.users {
            let whole = set_aside.user(user, is_secret);
            set_aside.users.push(whole);
        }
        for group in &mut self.groups {
            if let Some(unknown) = &mut group.unknown {
                withhold_sample(unknown, is_secret);
            }
            let whole = set_aside.group(group, is_secret);
            set_aside.groups.push(whole);
        }
        set_aside.take_out_of(self);
    }
}

/// Who can't stay, and what is told of it.
#[derive(Default)]
struct SetAside {
    /// By index: whether the person stays.
    users: Vec<bool>,
    /// By index: whether the group stays.
    groups: Vec<bool>,
    unidentified_users: Vec<UnidentifiedUser>,
    unidentified_groups: Vec<UnidentifiedGroup>,
    problems: Vec<Problem>,
}

impl SetAside {
    /// Whether this person may be shown.
    fn user(&mut self, user: &mut User, is_secret: &mut dyn FnMut(&str) -> bool) -> bool {
        let mut tell = false;
        if let Some(evidence) = &mut user.evidence
            && (is_secret(&evidence.value) || is_secret(&evidence.entry))
        {
            *evidence = Arc::new(AccountEvidence {
                // The settings name it.
                attribute: Arc::clone(&evidence.attribute),
                value: WITHHELD.into(),
                entry: WITHHELD.into(),
                changed: evidence.changed,
            });
            tell = true;
        }
        let id_is_secret = is_secret(user.id.as_str());
        let email_is_secret = match &mut user.email {
            Ok(email) => is_secret(email.as_str()),
            Err(unusable) => {
                tell |= withhold_unusable(unusable, is_secret);
                false
            }
        };
        if email_is_secret {
            // By their id they are who they are: a disabled account is disabled whatever its email is.
            user.email = Err(UnusableEmail {
                why: InvalidEmail::Malformed {
                    why: "it holds a value of a Secret",
                    shown: WITHHELD.into(),
                },
                entry: WITHHELD.into(),
            });
        }
        let id = (!id_is_secret).then(|| user.id.clone());
        if tell || id_is_secret || email_is_secret {
            self.problems.push(problem("a person", id.as_ref()));
        }
        if id_is_secret {
            self.unidentified_users.push(UnidentifiedUser {
                undecided: false,
                id: None,
                email: user.email.as_ref().ok().cloned(),
                entry: WITHHELD.into(),
            });
        }
        !id_is_secret
    }

    /// Whether this group may be shown.
    fn group(&mut self, group: &Group, is_secret: &mut dyn FnMut(&str) -> bool) -> bool {
        let id_is_secret = is_secret(group.id.as_str());
        let name_is_secret = is_secret(&group.name);
        if !id_is_secret && !name_is_secret {
            return true;
        }
        let id = (!id_is_secret).then(|| group.id.clone());
        self.problems.push(problem("a group", id.as_ref()));
        self.unidentified_groups.push(UnidentifiedGroup {
            id,
            name: match name_is_secret {
                true => "".into(),
                false => group.name.clone(),
            },
        });
        false
    }

    fn take_out_of(self, directory: &mut Directory) {
        let stay = |stays: &[bool]| stays.iter().all(|stays| *stays);
        if !stay(&self.users) || !stay(&self.groups) {
            let users = new_places(&self.users);
            let groups = new_places(&self.groups);
            keep(&mut directory.users, &self.users);
            keep(&mut directory.groups, &self.groups);
            if let Some(former) = &mut directory.former_ids {
                former.renumber(&users, &groups);
            }
            for group in &mut directory.groups {
                let all = (group.users.len(), group.groups.len());
                group.users = moved(&group.users, &users);
                group.groups = moved(&group.groups, &groups);
                group.has_unidentified |= group.users.len() < all.0;
                if group.groups.len() < all.1 {
                    group.in_part.get_or_insert(InPart::UnidentifiedGroup);
                }
            }
        }
        directory.unidentified_users.extend(self.unidentified_users);
        directory
            .unidentified_groups
            .extend(self.unidentified_groups);
        for problem in self.problems {
            directory.problems.add(problem);
        }
    }
}

fn withhold_unidentified(
    user: &mut UnidentifiedUser,
    is_secret: &mut dyn FnMut(&str) -> bool,
    problems: &mut Vec<Problem>,
) {
    let id_is_secret = user.id.as_ref().is_some_and(|id| is_secret(id.as_str()));
    let email = user.email.as_ref();
    let email_is_secret = email.is_some_and(|email| is_secret(email.as_str()));
    let entry_is_secret = is_secret(&user.entry);
    if !id_is_secret && !email_is_secret && !entry_is_secret {
        return;
    }
    if id_is_secret {
        user.id = None;
        // Without the id they may be anybody.
        user.undecided = false;
    }
    if email_is_secret {
        user.email = None;
    }
    if entry_is_secret {
        user.entry = WITHHELD.into();
    }
    problems.push(problem("a person", user.id.as_ref()));
}

/// Whether something of it was withheld.
fn withhold_unusable(
    unusable: &mut UnusableEmail,
    is_secret: &mut dyn FnMut(&str) -> bool,
) -> bool {
    let entry = is_secret(&unusable.entry);
    if entry {
        unusable.entry = WITHHELD.into();
    }
    let email = match &mut unusable.why {
        InvalidEmail::Malformed { shown, .. } | InvalidEmail::Invisible { shown } => {
            let is_secret = is_secret(shown);
            if is_secret {
                *shown = WITHHELD.into();
            }
            is_secret
        }
        InvalidEmail::Empty | InvalidEmail::TooLong(_) => false,
    };
    entry || email
}

fn withhold_sample(members: &mut UnknownMembers, is_secret: &mut dyn FnMut(&str) -> bool) {
    for name in &mut members.sample {
        if is_secret(name) {
            *name = WITHHELD.to_owned();
        }
    }
}

fn problem(what: &str, id: Option<&ExternalId>) -> Problem {
    let which = match id {
        Some(id) => format!("{what} with the id {id}"),
        None => what.to_owned(),
    };
    Problem::new(
        ProblemReason::SecretInEntry,
        format!(
            "the directory lists {which} with a value of one of the resource's Secrets as id, name, \
             address or entry; it isn't shown, nobody is invited by it, and nothing is taken from whom it may \
             be; change it in the directory, and give the Secret a new value"
        ),
        id.cloned().into_iter().collect::<Vec<_>>(),
    )
}

/// Where each of those that stay goes.
fn new_places(stays: &[bool]) -> Vec<Option<u32>> {
    let mut next = 0;
    let place = |stays: &bool| {
        stays.then(|| {
            next += 1;
            next - 1
        })
    };
    stays.iter().map(place).collect()
}

fn moved(all: &[u32], places: &[Option<u32>]) -> Box<[u32]> {
    let moved = all.iter().filter_map(|&at| places[at as usize]);
    moved.collect()
}

fn keep<T>(all: &mut Vec<T>, stays: &[bool]) {
    let mut stays = stays.iter();
    all.retain(|_| stays.next().is_some_and(|stays| *stays));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Account, AccountState, DirectoryBuilder};

    const SECRET: &str = "Tr0ub4dor";

    fn without(directory: Complete<Directory>) -> Complete<Directory> {
        let directory = directory.without_secrets(|text| text.to_lowercase().contains("tr0ub4dor"));
        let shown = format!("{:?}", *directory).to_lowercase();
        assert!(!shown.contains("tr0ub4dor"), "{shown}");
        directory
    }

    fn secret_problems(directory: &Directory) -> usize {
        let reasons = directory.problems.by_reason();
        reasons
            .filter(|(reason, ..)| *reason == ProblemReason::SecretInEntry)
            .map(|(_, count, _)| count)
            .sum()
    }

    #[test]
    fn people_and_groups_named_after_a_secret_are_told_and_not_shown() {
        let mut builder = DirectoryBuilder::new();
        let keys = ["ann", "ben", "cid", "staff", "all"].map(|name| builder.key(name));
        let [ann, ben, cid, staff, all] = keys;
        builder.user(&[ann], "1", "ann@example.com", Account::ACTIVE, "ann");
        builder.user(&[ben], "2", "Tr0ub4dor@example.com", Account::ACTIVE, "ben");
        builder.user(&[cid], SECRET, "cid@example.com", Account::ACTIVE, "cid");
        builder.group(&[staff], "s", "x Tr0ub4dor", vec![ann]);
        builder.group(&[all], "a", "all", vec![cid, ann, ben, staff]);
        let directory = without(builder.finish());

        let ids: Vec<&str> = directory
            .users
            .iter()
            .map(|user| user.id.as_str())
            .collect();
        assert_eq!(ids, ["1", "2"]);
        assert!(directory.users[1].email.is_err());
        let [all] = &directory.groups[..] else {
            panic!("{:?}", directory.groups);
        };
        assert_eq!((all.users.len(), all.groups.len()), (2, 0));
        assert!(all.has_unidentified);
        assert_eq!(all.in_part, Some(InPart::UnidentifiedGroup));
        let [cid] = &directory.unidentified_users[..] else {
            panic!("{:?}", directory.unidentified_users);
        };
        assert_eq!((&cid.id, cid.undecided), (&None, false));
        assert_eq!(cid.email.as_ref().unwrap().as_str(), "cid@example.com");
        let staff = &directory.unidentified_groups[0];
        assert_eq!(
            (staff.id.as_ref().unwrap().as_str(), &*staff.name),
            ("s", "")
        );
        assert_eq!(secret_problems(&directory), 3);
    }

    #[test]
    fn other_texts_with_a_secret_are_told_and_not_shown_and_the_person_stays() {
        let mut builder = DirectoryBuilder::new();
        let ann = builder.key("ann");
        let disabled = Account::new(AccountState::Disabled, "state", SECRET);
        builder.user(&[ann], "1", "ann@example.com", disabled, SECRET);
        builder.user(&[], "2", "no Tr0ub4dor", Account::ACTIVE, "uid=Tr0ub4dor");
        builder.unidentified_user(&[], "Tr0ub4dor@example.com", SECRET, "it has no id");
        builder.unidentified_group(&[], SECRET, "it has no id");
        builder.undecided_user(&[], SECRET, "", "ed", "nobody can tell");
        let member = builder.key("cn=Tr0ub4dor");
        let group = builder.key("g");
        builder.group(&[group], "g", "g", vec![member, ann]);
        let directory = without(builder.finish());

        assert_eq!(directory.users.len(), 2);
        assert_eq!(directory.groups[0].users.len(), 1);
        assert_eq!(directory.unknown_members.sample, [WITHHELD]);
        assert_eq!(secret_problems(&directory), 5);
    }

    #[test]
    fn whoever_is_disabled_is_so_though_their_address_holds_a_secret() {
        let mut builder = DirectoryBuilder::new();
        let disabled = Account::new(AccountState::Disabled, "state", "off");
        builder.user(&[], "1", "Tr0ub4dor@example.com", disabled, "ann");
        let directory = without(builder.finish());
        assert_eq!(directory.users[0].state, AccountState::Disabled);
        assert!(directory.unidentified_users.is_empty());
        assert_eq!(secret_problems(&directory), 1);
    }

    #[test]
    fn a_directory_without_secrets_stays_as_it_is() {
        let mut builder = DirectoryBuilder::new();
        let (ann, group) = (builder.key("ann"), builder.key("g"));
        builder.user(&[ann], "1", "ann@example.com", Account::ACTIVE, "ann");
        builder.group(&[group], "g", "g", vec![ann]);
        let directory = builder.finish();
        let before = format!("{:?}", *directory);
        assert_eq!(format!("{:?}", *without(directory)), before);
    }
}
