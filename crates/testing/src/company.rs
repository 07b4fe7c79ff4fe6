//! A directory in memory, as a source.

use std::collections::BTreeSet;

use directory_sync::directory::{Account, AccountState, DirectoryBuilder, ExternalId};
use directory_sync::source::{
    LeaverCheck, ReadProgress, Reading, Source, SourceError, Step, Version,
};
use futures::FutureExt as _;
use futures::future::BoxFuture;

/// A directory that changes between runs.
#[derive(Default, Clone)]
pub struct Company {
    /// Id, email, whether disabled.
    pub people: Vec<(String, String, bool)>,
    /// Id, name, ids of members.
    pub groups: Vec<(String, String, BTreeSet<String>)>,
}

impl Source for Company {
    fn read<'a>(
        &'a self,
        _: Option<&'a Version>,
        _: &'a ReadProgress,
    ) -> BoxFuture<'a, Result<Reading, SourceError>> {
        async move { Ok(self.reading(DirectoryBuilder::new())) }.boxed()
    }

    fn check_leaver<'a>(
        &'a self,
        id: &'a ExternalId,
    ) -> BoxFuture<'a, Result<LeaverCheck, SourceError>> {
        async move {
            let of_id: Vec<_> = self
                .people
                .iter()
                .filter(|one| one.0 == id.as_str())
                .collect();
            let [(_, email, true)] = &*of_id else {
                return Ok(LeaverCheck::Uncertain("not one disabled entry".to_owned()));
            };
            let mut others = self.people.iter().filter(|one| one.0 != id.as_str());
            if others.any(|(_, other, _)| other.eq_ignore_ascii_case(email)) {
                return Ok(LeaverCheck::Uncertain("another entry".to_owned()));
            }
            let mut builder = DirectoryBuilder::new();
            let key = builder.key(id.as_str());
            let account = Account::new(AccountState::Disabled, "state", "off");
            builder.user(&[key], id.as_str(), email, account, id.as_str());
            let user = builder.finish().into_inner().users.remove(0);
            Ok(LeaverCheck::Left(Box::new(user)))
        }
        .boxed()
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Vec<Step>> {
        async { vec![] }.boxed()
    }

    fn describe(&self) -> String {
        "a company".into()
    }
}

/// Numbers of one sequence, the same for the same seed.
pub type Random = fastrand::Rng;

/// Whether what happens in so many of a hundred cases does.
pub fn chance(random: &mut Random, percent: u32) -> bool {
    random.u32(0..100) < percent
}

/// What stays the same of an address that changes.
pub fn stem(email: &str) -> &str {
    email.split(['.', '@']).next().unwrap()
}

impl Company {
    /// Everybody, beside what `builder` has.
    pub fn reading(&self, mut builder: DirectoryBuilder) -> Reading {
        for (id, email, disabled) in &self.people {
            let key = builder.key(id);
            let account = match disabled {
                true => Account::new(AccountState::Disabled, "state", "off"),
                false => Account::ACTIVE,
            };
            builder.user(&[key], id, email, account, id);
        }
        for (id, name, members) in &self.groups {
            let key = builder.key(id);
            let members = members.iter().map(|member| builder.key(member)).collect();
            builder.group(&[key], id, name, members);
        }
        Reading::Full {
            directory: builder.finish(),
            version: None,
        }
    }

    /// People come, go, are disabled and get other addresses and IDs; groups likewise. `next` numbers what is new.
    pub fn change(&mut self, random: &mut Random, next: &mut u32) {
        for (id, email, disabled) in &mut self.people {
            if chance(random, 12) {
                *disabled = !*disabled;
            }
            if chance(random, 6) {
                *next += 1;
                *email = format!("{}.{next}@example.com", stem(email));
            }
            if chance(random, 4) {
                // The same person under a new id.
                *next += 1;
                let new = format!("p{next}");
                for (.., members) in &mut self.groups {
                    if members.remove(id) {
                        members.insert(new.clone());
                    }
                }
                *id = new;
            }
        }
        self.people.retain(|_| !chance(random, 8));
        for _ in 0..random.u32(0..4) {
            *next += 1;
            let id = format!("p{next}");
            self.people
                .push((id.clone(), format!("{id}@example.com"), chance(random, 15)));
        }
        self.groups.retain(|_| !chance(random, 8));
        for (id, name, _) in &mut self.groups {
            if chance(random, 8) {
                *next += 1;
                *name = format!("team {next}");
            }
            if chance(random, 4) {
                *next += 1;
                *id = format!("g{next}");
            }
        }
        if self.groups.len() < 4 && chance(random, 60) {
            *next += 1;
            self.groups
                .push((format!("g{next}"), format!("team {next}"), BTreeSet::new()));
        }
        let ids: Vec<String> = self.people.iter().map(|(id, ..)| id.clone()).collect();
        for (.., members) in &mut self.groups {
            members.retain(|id| ids.contains(id));
            for id in &ids {
                if chance(random, 15) && !members.remove(id) {
                    members.insert(id.clone());
                }
            }
        }
    }
}
