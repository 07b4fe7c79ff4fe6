//! Takes back that members and groups were given other external ids, over all runs: whoever goes on with the
//! program that filled the organization before needs the ids that it knows.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::draft::Draft;
use super::present::find_group;
use super::select::LaterChanges;
use super::{Left, NoSuchRun, Scope, Selected};
use crate::directory::ExternalId;
use crate::organization::model::Member;
use crate::sync::history::{Outcome, Person, Record};
use crate::sync::plan::Kind;

/// A member or group, by the id in Bitwarden.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Whose {
    Member(Uuid),
    Group(Uuid),
}

/// The external ids that somebody had, one after another; `None` where there was none. One alone: it has been
/// given back.
struct Chain<'a> {
    ids: Vec<Option<&'a str>>,
    /// The first record that gave another id, and the last.
    first: &'a Record,
    last: &'a Record,
}

/// For each member and group the way back to the id from before the first sync, in one record.
///
/// Nothing is selected where all of them went it already.
///
/// # Errors
/// Where nobody was ever given another id, or none of those who are asked for.
pub(super) fn select(records: &[&Record], scope: &Scope) -> Result<Selected, NoSuchRun> {
    let mut records = records.to_vec();
    records.sort_by_key(|record| (record.time, record.number));
    let mut chains: HashMap<Whose, Chain<'_>> = HashMap::new();
    let mut open = vec![];
    // The ids that people came with who were invited by a sync: no other program has given them.
    let mut invited: HashSet<&str> = HashSet::new();
    for &record in &records {
        let person = record.person.as_ref();
        if record.action == Kind::Invite
            && record.result == Outcome::Done
            && record.undoes.is_none()
            && record.from.is_none()
        {
            invited.extend(person.and_then(|one| one.external_id.as_deref()));
        }
        let Some((whose, to)) = given(record) else {
            continue;
        };
        let from = record.from.as_deref().filter(|id| !invited.contains(id));
        match record.result {
            Outcome::Done if record.undoes.is_some() => go_back(&mut chains, whose, record, to),
            Outcome::Done => go_on(&mut chains, whose, record, (from, to)),
            // The history may have dropped the record that says what is to be given back, because an undo of as
            // many wrote its own.
            _ if record.undoes.is_some() => go_back_later(&mut chains, whose, record),
            Outcome::Refused | Outcome::NotMade => {}
            // Named: what came of it isn't known.
            _ => open.push(record),
        }
    }
    chains.retain(|_, chain| chain.ids.len() > 1);
    let first = chains.values().map(|chain| chain.first);
    let first = first.chain(open.iter().copied());
    let first = first.min_by_key(|record| (record.time, record.number));
    // Where everything has been given back, that is no error: whoever repeats it until it succeeds comes to an
    // end.
    let gave = || records.iter().copied().filter(|record| gave_id(record));
    let first = first.or_else(|| gave().next());
    let first = first.ok_or(NoSuchRun::NotAdopted)?;
    let now: HashSet<Option<&str>> = chains
        .values()
        .filter_map(|c| c.ids.last().copied())
        .collect();
    let came = records.iter().copied().filter(|record| {
        let more_links = record.action == Kind::Link && record.person.is_none();
        // Whoever was given the id once more is told of by that.
        let is_new = |person: &Person| !now.contains(&person.external_id.as_deref());
        (matches!(record.action, Kind::Invite | Kind::CreateGroup) || more_links)
            && record.person.as_ref().is_none_or(is_new)
            && record.undoes.is_none()
            && record.result == Outcome::Done
    });
    let mut chained: Vec<(Whose, Record)> = chains.iter().map(|(w, c)| (*w, c.record())).collect();
    chained.sort_by_key(|(whose, _)| *whose);
    let all = chained.into_iter().map(|(_, record)| record);
    let all = all.chain(open.iter().copied().cloned());
    let all = all.chain(came.cloned());
    let found: Vec<Record> = all.filter_map(|record| scope.of(&record)).collect();
    let of_people = |record: &&&Record| {
        matches!(
            record.action,
            Kind::Relink | Kind::Link | Kind::Invite | Kind::Unlink
        )
    };
    let people = records.iter().filter(of_people);
    let given_ids = people.filter_map(|record| {
        let id = record.person.as_ref()?.external_id.clone();
        // What an undo is to take away a sync gave.
        let taken = record.from.clone().filter(|_| record.undoes.is_some());
        Some([id, taken])
    });
    let given_ids = given_ids.flatten().flatten();
    if found.is_empty() && !gave().any(|record| scope.of(record).is_some()) {
        let whom = scope.person.iter().chain(&scope.group);
        let whom: Vec<&str> = whom.map(String::as_str).collect();
        return Err(NoSuchRun::NotAmongAdopted(whom.join(" and ")));
    }
    Ok(Selected {
        run: first.run.clone(),
        began: first.time,
        records: found,
        later: LaterChanges::default(),
        of_person: scope.person.is_some(),
        adoption: true,
        is_part: *scope != Scope::default(),
        given: given_ids.collect(),
    })
}

/// Whether a run gave somebody another id, or an undo a former one.
fn gave_id(record: &Record) -> bool {
    // Of many, only how many it were is kept.
    let more_links = record.action == Kind::Link && record.person.is_none();
    record.result == Outcome::Done && (more_links || given(record).is_some())
}

/// Who is given which id; `None`: theirs was taken out.
fn given(record: &Record) -> Option<(Whose, Option<&str>)> {
    let member = || {
        let person = record.person.as_ref()?;
        let id = person.external_id.as_deref()?;
        Some((Whose::Member(person.member_id?), id))
    };
    let group = || {
        let group = record.group.as_ref()?;
        Some((Whose::Group(group.group_id?), &*group.external_id))
    };
    match record.action {
        Kind::Relink | Kind::Link => member().map(|(whose, id)| (whose, Some(id))),
        Kind::Unlink => member().map(|(whose, _)| (whose, None)),
        Kind::RelinkGroup => group().map(|(whose, id)| (whose, Some(id))),
        Kind::UnlinkGroup => group().map(|(whose, _)| (whose, None)),
        _ => None,
    }
}

fn go_on<'a>(
    chains: &mut HashMap<Whose, Chain<'a>>,
    whose: Whose,
    record: &'a Record,
    (from, to): (Option<&'a str>, Option<&'a str>),
) {
    let start = || Chain {
        ids: vec![from],
        first: record,
        last: record,
    };
    let chain = chains.entry(whose).or_insert_with(start);
    if chain.ids.len() == 1 {
        *chain = start();
    }
    // Somebody may have changed it by hand in between.
    if chain.ids.last() != Some(&from) {
        chain.ids.push(from);
    }
    chain.ids.push(to);
    chain.last = record;
}

/// An undo gave a former id back, or, where it took an undo back, the one after that again.
fn go_back<'a>(
    chains: &mut HashMap<Whose, Chain<'a>>,
    whose: Whose,
    record: &'a Record,
    to: Option<&'a str>,
) {
    let Some(chain) = chains.get_mut(&whose) else {
        return;
    };
    match chain.ids.iter().position(|id| *id == to) {
        Some(at) => chain.ids.truncate(at + 1),
        None => {
            chain.ids.push(to);
            chain.last = record;
        }
    }
}

/// An undo was to give a former id back, and didn't.
fn go_back_later<'a>(chains: &mut HashMap<Whose, Chain<'a>>, whose: Whose, record: &'a Record) {
    let (former, now) = match record.action {
        Kind::Unlink | Kind::UnlinkGroup => (None, given_back(record)),
        _ => (given_back(record), record.from.as_deref()),
    };
    chains.entry(whose).or_insert_with(|| Chain {
        ids: vec![former, now],
        first: record,
        last: record,
    });
}

/// The id that a record names.
fn given_back(record: &Record) -> Option<&str> {
    match (&record.person, &record.group) {
        (Some(person), _) => person.external_id.as_deref(),
        (None, group) => group.as_ref().map(|group| &*group.external_id),
    }
}

impl Chain<'_> {
    /// From the first id to the last in one step.
    fn record(&self) -> Record {
        let mut record = self.last.clone();
        record.result = Outcome::Done;
        record.undoes = None;
        record.from = self.ids.first().copied().flatten().map(Into::into);
        record.action = match (&record.group, &record.from) {
            (Some(_), _) => Kind::RelinkGroup,
            (None, Some(_)) => Kind::Relink,
            (None, None) => Kind::Link,
        };
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
    /// Names those who keep the external id that they have because the history doesn't know another one.
    pub(super) fn name_rest(&mut self) {
        if self.selected.is_part {
            return;
        }
        let given = &self.selected.given;
        let prefix = &self.sides.policy.external_id_prefix;
        let kept = self.sides.content.members.iter().filter(|member| {
            let id = member.external_id.as_ref().map(ExternalId::as_str);
            id.is_some_and(|id| id.starts_with(prefix.as_str()) && !given.contains(id))
        });
        let mut kept: Vec<&str> = kept.map(|member| member.email.as_str()).collect();
        kept.sort_unstable();
        self.left.extend(kept.into_iter().map(|email| {
            Left {
                action: Kind::Relink,
                what: email.to_owned(),
                why:
                    "the history doesn't say that a sync gave them their external ID: they keep it"
                        .into(),
            }
        }));
    }

    /// Who came by a sync has the directory's id, which the former program doesn't know: it finds a member
    /// without one by the email. A group it doesn't find.
    pub(super) fn newcomer(&mut self, record: &Record) {
        let Some(person) = &record.person else {
            let group = record.group.as_ref();
            if group.is_some_and(|name| find_group(self.sides.content, name).is_some()) {
                let why = "a sync made it, and the former program makes another one beside it: delete one of \
                           them";
                self.leave(record, why);
            }
            return;
        };
        let member = self.members.find(person);
        let has_id = |member: &Member| {
            let id = member.external_id.as_ref().map(|id| id.as_str());
            id.is_some() && id == person.external_id.as_deref()
        };
        // An invitation that was sent to another address in place of one keeps the id of that.
        let is_new = record.from.is_none();
        let Some(member) = member.filter(|one| is_new && has_id(one)) else {
            return;
        };
        // Whoever was invited twice under one id is one member.
        if !self.relinked.contains_key(&member.id) && self.newcomers.insert(member.id) {
            self.unlink(record);
        }
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

    /// A member who had none gets an id, or somebody is invited with one.
    fn first(second: u32, action: &str, to: &str) -> Record {
        let mut record = relink(second, "", to);
        record.from = None;
        record.action = serde_json::from_value(json!(action)).unwrap();
        if record.action == Kind::Invite {
            record.person.as_mut().unwrap().member_id = None;
        }
        record
    }

    #[test]
    fn who_had_none_or_came_by_a_sync_has_none_again() {
        let none = |now: &str| Ok(vec![(now.to_owned(), None)]);
        assert_eq!(way_back(&[first(1, "Link", "uuid1")]), none("uuid1"));
        let runs = [first(1, "Link", "uuid1"), relink(2, "uuid1", "uuid2")];
        assert_eq!(way_back(&runs), none("uuid2"));
        // Invited by a sync, with an id that no other program knows; and another one since.
        let mut runs = vec![first(1, "Invite", "uuid1"), relink(2, "uuid1", "uuid2")];
        let found = way_back(&runs).unwrap();
        assert!(found.contains(&("uuid2".to_owned(), None)), "{found:?}");
        runs[0].result = Outcome::Refused;
        assert_eq!(way_back(&runs), one("uuid2", "uuid1"));
        // Invited, taken out, and linked by the same id since: once.
        let mut out = undo(2, "uuid1", "uuid1");
        out.action = Kind::Unlink;
        let runs = [first(1, "Invite", "uuid1"), out, first(3, "Link", "uuid1")];
        assert_eq!(way_back(&runs), none("uuid1"));
        // Taken out, and given again.
        let unlink = {
            let mut record = undo(3, "uuid1", "uuid1");
            record.action = Kind::Unlink;
            record
        };
        let mut runs = vec![first(1, "Link", "uuid1"), unlink.clone()];
        assert_eq!(way_back(&runs), Ok(vec![]));
        runs.push(first(4, "Link", "uuid1"));
        assert_eq!(way_back(&runs), none("uuid1"));
        let again = {
            let mut record = first(4, "Link", "uuid1");
            record.undoes = Some(RunId::at(unlink.time));
            record
        };
        let runs = [first(1, "Link", "uuid1"), unlink, again];
        assert_eq!(way_back(&runs), none("uuid1"));
    }

    #[test]
    fn an_undo_that_was_stopped_says_what_is_left_though_the_history_dropped_the_rest() {
        let mut relinked = undo(2, "uuid1", "dn");
        let mut unlinked = undo(2, "uuid1", "uuid1");
        unlinked.action = Kind::Unlink;
        for result in [
            Outcome::Pending,
            Outcome::NotMade,
            Outcome::Refused,
            Outcome::Unknown,
        ] {
            (relinked.result, unlinked.result) = (result, result);
            assert_eq!(way_back(&[relinked.clone()]), one("uuid1", "dn"));
            // It is given back by the next one.
            let done = undo(3, "uuid1", "dn");
            assert_eq!(way_back(&[relinked.clone(), done]), Ok(vec![]));
            let none = Ok(vec![("uuid1".to_owned(), None)]);
            assert_eq!(way_back(&[unlinked.clone()]), none);
            let both = [relink(1, "dn0", "uuid1"), relinked.clone()];
            assert_eq!(way_back(&both), one("uuid1", "dn0"));
        }
    }

    #[test]
    fn an_undo_that_was_taken_back_counts_no_more() {
        let runs = [
            relink(1, "dn", "uuid1"),
            undo(2, "uuid1", "dn"),
            undo(3, "dn", "uuid1"),
        ];
        assert_eq!(way_back(&runs), one("uuid1", "dn"));
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
        assert_eq!(
            way_back(&[adopted.clone(), undone.clone()]),
            Ok(vec![]),
            "complete, which is no error"
        );
        // The history has dropped what the syncs did.
        assert_eq!(way_back(std::slice::from_ref(&undone)), Ok(vec![]));
        assert_eq!(way_back(&[]), Err(NoSuchRun::NotAdopted));
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
        let of = |person: &str, records: &[Record]| {
            let scope = Scope {
                person: Some(person.to_owned()),
                group: None,
            };
            any(records, &RunChoice::Adoption, &scope, None).map(|selected| selected.records.len())
        };
        let mut records = vec![relink(1, "dn", "uuid1")];
        assert_eq!(of("Ann@example.com", &records), Ok(1));
        let nobody = Err(NoSuchRun::NotAmongAdopted("bob@example.com".to_owned()));
        assert_eq!(of("bob@example.com", &records), nobody);
        records.push(undo(2, "uuid1", "dn"));
        assert_eq!(of("ann@example.com", &records), Ok(0), "went already");
        assert_eq!(of("bob@example.com", &records), nobody);
    }
}
