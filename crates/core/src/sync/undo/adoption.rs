//! Takes back that members and groups were given other external ids, over all runs: whoever goes on with the
//! program that filled the organization before needs the ids that it knows.

use std::collections::HashMap;

use uuid::Uuid;

use super::draft::Draft;
use super::present::find_group;
use super::{Left, NoSuchRun, Scope, Selected};
use crate::sync::history::{Outcome, Record};
use crate::sync::plan::Kind;

/// A member or group, by the id in Bitwarden.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Whose {
    Member(Uuid),
    Group(Uuid),
}

/// The external ids that somebody had, one after another; `None` of a group without one.
struct Chain<'a> {
    ids: Vec<Option<&'a str>>,
    /// The first record that gave another id, and the last.
    first: &'a Record,
    last: &'a Record,
}

/// For each member and group the way back to the id from before the first sync, in one record.
///
/// # Errors
/// Where nobody was given another id, or none of those who are asked for.
pub(super) fn select(records: &[&Record], scope: &Scope) -> Result<Selected, NoSuchRun> {
    let mut records = records.to_vec();
    records.sort_by_key(|record| (record.time, record.number));
    let mut chains: HashMap<Whose, Chain<'_>> = HashMap::new();
    let mut open = vec![];
    for &record in &records {
        let Some((whose, to)) = given(record) else {
            continue;
        };
        match record.result {
            Outcome::Done if record.undoes.is_some() => go_back(&mut chains, whose, to),
            Outcome::Done => go_on(&mut chains, whose, record, to),
            Outcome::Refused | Outcome::NotMade => {}
            _ if record.undoes.is_some() => {}
            // Named: what came of it isn't known.
            _ => open.push(record),
        }
    }
    let first = chains.values().map(|chain| chain.first);
    let first = first.chain(open.iter().copied());
    let first = first.min_by_key(|record| (record.time, record.number));
    let first = first.ok_or(NoSuchRun::NotAdopted)?;
    let came = records.iter().copied().filter(|record| {
        matches!(record.action, Kind::Invite | Kind::Link | Kind::CreateGroup)
            && record.undoes.is_none()
            && record.result == Outcome::Done
    });
    let mut chained: Vec<(Whose, Record)> = chains.iter().map(|(w, c)| (*w, c.record())).collect();
    chained.sort_by_key(|(whose, _)| *whose);
    let all = chained.into_iter().map(|(_, record)| record);
    let all = all.chain(open.iter().copied().cloned());
    let all = all.chain(came.cloned());
    let found: Vec<Record> = all.filter_map(|record| scope.of(&record)).collect();
    let gave =
        |record: &&&Record| matches!(record.action, Kind::Relink | Kind::Link | Kind::Invite);
    let people = records.iter().filter(gave);
    let people = people.filter_map(|record| record.person.as_ref());
    let given_ids = people.filter_map(|person| person.external_id.clone());
    if found.is_empty() {
        let whom = scope.person.iter().chain(&scope.group);
        let whom: Vec<&str> = whom.map(String::as_str).collect();
        return Err(NoSuchRun::NotAmongAdopted(whom.join(" and ")));
    }
    Ok(Selected {
        run: first.run.clone(),
        began: first.time,
        records: found,
        later: HashMap::new(),
        of_person: scope.person.is_some(),
        adoption: true,
        is_part: *scope != Scope::default(),
        given: given_ids.collect(),
    })
}

/// Who is given which id.
fn given(record: &Record) -> Option<(Whose, &str)> {
    match record.action {
        Kind::Relink => {
            let person = record.person.as_ref()?;
            let id = person.external_id.as_deref()?;
            Some((Whose::Member(person.member_id?), id))
        }
        Kind::RelinkGroup => {
            let group = record.group.as_ref()?;
            Some((Whose::Group(group.group_id?), &group.external_id))
        }
        _ => None,
    }
}

fn go_on<'a>(
    chains: &mut HashMap<Whose, Chain<'a>>,
    whose: Whose,
    record: &'a Record,
    to: &'a str,
) {
    let from = record.from.as_deref();
    let chain = chains.entry(whose).or_insert_with(|| Chain {
        ids: vec![from],
        first: record,
        last: record,
    });
    // Somebody may have changed it by hand in between.
    if chain.ids.last() != Some(&from) {
        chain.ids.push(from);
    }
    chain.ids.push(Some(to));
    chain.last = record;
}

/// An undo gave a former id back.
fn go_back(chains: &mut HashMap<Whose, Chain<'_>>, whose: Whose, to: &str) {
    let Some(chain) = chains.get_mut(&whose) else {
        return;
    };
    match chain.ids.iter().position(|id| *id == Some(to)) {
        Some(at) if at > 0 => chain.ids.truncate(at + 1),
        _ => {
            chains.remove(&whose);
        }
    }
}

impl Chain<'_> {
    /// From the first id to the last in one step.
    fn record(&self) -> Record {
        let mut record = self.last.clone();
        record.from = self.ids.first().copied().flatten().map(Into::into);
        if let Some(last) = self.ids.last().copied().flatten() {
            if let Some(person) = &mut record.person {
                person.external_id = Some(last.into());
            }
            if let Some(group) = &mut record.group {
                group.external_id = last.into();
            }
        }
        record
    }
}

impl Draft<'_> {
    /// Says how many keep the external id that they have because the history doesn't know another one.
    pub(super) fn name_rest(&mut self) {
        if self.selected.is_part {
            return;
        }
        let given = &self.selected.given;
        let prefix = &self.sides.policy.external_id_prefix;
        let members = self.sides.content.members.iter();
        let ids = members.filter_map(|member| member.external_id.as_ref());
        let ids = ids
            .map(|id| id.as_str())
            .filter(|id| id.starts_with(prefix.as_str()));
        let kept = ids.filter(|id| !given.contains(*id)).count();
        if kept == 0 {
            return;
        }
        let members = if kept == 1 { "member" } else { "members" };
        self.left.push(Left {
            action: Kind::Relink,
            what: format!("{kept} other {members}"),
            why: "the history doesn't say that a sync gave them their external ID: they keep it"
                .into(),
        });
    }

    /// Somebody who came by a sync has the directory's id, and never had one that the former program knows.
    pub(super) fn name_newcomer(&mut self, record: &Record) {
        let why = match record.action {
            Kind::CreateGroup => {
                let name = record.group.as_ref();
                let group = name.and_then(|name| find_group(self.sides.content, name));
                if group.is_none() {
                    return;
                }
                "a sync made it, and the former program makes another one beside it: delete one of them"
            }
            kind => {
                let person = record.person.as_ref();
                let member = person.and_then(|person| self.members.find(person));
                let has_id = member.zip(person).is_some_and(|(member, person)| {
                    let id = member.external_id.as_ref().map(|id| id.as_str());
                    id.is_some() && id == person.external_id.as_deref()
                });
                if !has_id {
                    return;
                }
                match kind {
                    Kind::Invite => {
                        "a sync invited them, and the former program doesn't know their external ID: take it \
                         out in Bitwarden before that runs with overwriteExisting, which removes them"
                    }
                    _ => {
                        "they had no external ID, and the former program doesn't know the one that they got: \
                         take it out in Bitwarden before that runs with overwriteExisting, which removes them"
                    }
                }
            }
        };
        self.leave(record, why);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sync::history::RunId;
    use crate::sync::undo::{RunChoice, select as any};

    const MEMBER: &str = "00000000-0000-4000-8000-000000000001";

    /// A member gets another id at this second.
    fn relink(second: u32, from: &str, to: &str) -> Record {
        let json = json!({
            "time": format!("2026-11-29T12:00:{second:02}Z"), "run": format!("run{second}"), "number": 0,
            "trigger": "Scheduled", "action": "Relink", "reason": "NewExternalId", "from": from,
            "person": {"email": "ann@example.com", "externalId": to, "memberId": MEMBER},
            "result": "Done",
        });
        serde_json::from_value(json).unwrap()
    }

    fn undo(second: u32, from: &str, to: &str) -> Record {
        let mut record = relink(second, from, to);
        record.undoes = Some(RunId::at(record.time));
        record
    }

    /// What is to be given back in place of what, and of which run that is.
    fn way_back(records: &[Record]) -> Result<Vec<(String, Option<String>)>, NoSuchRun> {
        let selected = any(records, &RunChoice::Adoption, &Scope::default(), None)?;
        let ids = selected.records.iter().map(|record| {
            let id = record
                .person
                .as_ref()
                .and_then(|one| one.external_id.as_deref());
            (
                id.unwrap().to_owned(),
                record.from.as_deref().map(str::to_owned),
            )
        });
        Ok(ids.collect())
    }

    fn one(now: &str, before: &str) -> Result<Vec<(String, Option<String>)>, NoSuchRun> {
        Ok(vec![(now.to_owned(), Some(before.to_owned()))])
    }

    #[test]
    fn over_several_runs_the_id_from_before_the_first_comes_back() {
        let runs = [relink(2, "uuid1", "uuid2"), relink(1, "dn", "uuid1")];
        assert_eq!(way_back(&runs), one("uuid2", "dn"));
        // Somebody gave another id by hand between them.
        let runs = [relink(1, "dn", "uuid1"), relink(2, "by-hand", "uuid2")];
        assert_eq!(way_back(&runs), one("uuid2", "dn"));
    }

    #[test]
    fn what_an_undo_gave_back_already_counts_no_more() {
        let adopted = relink(1, "dn", "uuid1");
        let undone = undo(2, "uuid1", "dn");
        let none = Err(NoSuchRun::NotAdopted);
        assert_eq!(way_back(&[adopted.clone(), undone.clone()]), none);
        assert_eq!(way_back(&[]), none);
        // Renamed while the former program went on, and adopted again.
        let again = relink(3, "dn2", "uuid1");
        assert_eq!(
            way_back(&[adopted.clone(), undone, again]),
            one("uuid1", "dn2")
        );
        // Only the last of two was taken back.
        let runs = [
            adopted,
            relink(2, "uuid1", "uuid2"),
            undo(3, "uuid2", "uuid1"),
        ];
        assert_eq!(way_back(&runs), one("uuid1", "dn"));
    }

    #[test]
    fn what_was_refused_changed_nothing_and_what_is_open_is_told() {
        let mut refused = relink(1, "dn", "uuid1");
        refused.result = Outcome::Refused;
        assert_eq!(way_back(&[refused]), Err(NoSuchRun::NotAdopted));
        let mut open = relink(1, "dn", "uuid1");
        open.result = Outcome::Unknown;
        let selected = any(&[open], &RunChoice::Adoption, &Scope::default(), None);
        assert_eq!(selected.unwrap().records[0].result, Outcome::Unknown);
    }

    #[test]
    fn one_person_alone_can_go_back() {
        let of = |person: &str| {
            let scope = Scope {
                person: Some(person.to_owned()),
                group: None,
            };
            let records = [relink(1, "dn", "uuid1")];
            any(&records, &RunChoice::Adoption, &scope, None).map(|selected| selected.records.len())
        };
        assert_eq!(of("Ann@example.com"), Ok(1));
        let nobody = NoSuchRun::NotAmongAdopted("bob@example.com".to_owned());
        assert_eq!(of("bob@example.com"), Err(nobody));
    }
}
