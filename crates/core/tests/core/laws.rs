//! What holds for every directory, organization and policy.

use std::collections::{BTreeMap, BTreeSet};

use directory_sync_core::directory::ExternalId;
use directory_sync_core::organization::model::{MemberRole, MemberStatus};
use directory_sync_core::problem::ProblemReason;
use directory_sync_core::sync::guard::{Approval, FingerprintSet, GuardedPlan};
use directory_sync_core::sync::plan::{Change, GroupAction, Kind, MemberAction};
use directory_sync_core::sync::policy::{Limit, Policy};
use directory_sync_core::sync::resolve::resolve;
use directory_sync_core::sync::roster::Eligibility;
use directory_sync_core_testing::{ModelOrganization, Run, TestDirectory, id};
use proptest::prelude::*;

use crate::world::{histories, limits, worlds};

fn plan(
    directory: &TestDirectory,
    organization: &ModelOrganization,
    policy: &Policy,
) -> GuardedPlan {
    Run::default().plan(directory, organization, policy)
}

/// The policy with everything approved beforehand.
fn approving(directory: &TestDirectory, organization: &ModelOrganization, policy: &Policy) -> Run {
    let digest = plan(directory, organization, policy).digest;
    Run {
        approval: Some(Approval { digest }),
        ..Run::default()
    }
}

/// Whether an id is one of those that this policy manages.
fn is_ours(id: Option<&ExternalId>, policy: &Policy) -> bool {
    id.is_some_and(|id| id.as_str().starts_with(&policy.external_id_prefix))
}

/// (group, member) for every membership, by the ids in Bitwarden.
fn memberships(organization: &ModelOrganization) -> BTreeSet<(uuid::Uuid, uuid::Uuid)> {
    let inside = organization.inside.iter();
    inside
        .flat_map(|(group, members)| members.iter().map(|member| (*group, *member)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        // More with PROPTEST_CASES.
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn what_was_applied_is_not_wanted_again_and_costs_no_read((directory, before, policy) in worlds()) {
        let mut organization = before.clone();
        let mut run = approving(&directory, &before, &policy);
        let first = run.sync(&directory, &mut organization, &policy);
        let conflicts = |guarded: &GuardedPlan| {
            guarded.approved.problems.iter().any(|p| p.reason == ProblemReason::IdentityConflict)
        };
        let linked = |guarded: &GuardedPlan| {
            let mut changes = guarded.approved.changes.iter();
            changes.any(|change| matches!(change.kind(), Kind::Link | Kind::Relink))
        };
        if conflicts(&first) || linked(&first) {
            // Whoever was in somebody's way may be gone now; and nobody is restored in the run that
            // links them.
            let digest = run.plan(&directory, &organization, &policy).digest;
            run.approval = Some(Approval { digest });
            run.sync(&directory, &mut organization, &policy);
        }
        run.approval = None;
        let remembered = run.plan(&directory, &organization, &policy);
        prop_assert!(remembered.approved.changes.is_empty(), "{:#?}", remembered.approved.changes);
        prop_assert!(remembered.held.is_none());
        // While somebody stays only because a group names members nobody knows, it has to be known
        // whether they are in a protected one.
        let roster = resolve(directory.read(), &policy).unwrap();
        let in_part = policy.groups.only_their_members
            && !policy.groups.protected.is_empty()
            && roster.groups.iter().any(|group| group.has_unknown);
        prop_assert!(in_part || run.read.is_empty());
        let read = plan(&directory, &organization, &policy);
        prop_assert!(read.approved.changes.is_empty(), "{:#?}", read.approved.changes);
        prop_assert!(read.held.is_none());
    }

    #[test]
    fn remembering_leads_where_reading_everything_leads((directories, before, policy) in histories()) {
        let (mut remembering, mut reading) = (before.clone(), before);
        let (mut run, mut forgetful) = (Run::default(), Run::default());
        for directory in &directories {
            run.sync(directory, &mut remembering, &policy);
            forgetful.memory = Default::default();
            forgetful.sync(directory, &mut reading, &policy);
            prop_assert_eq!(remembering.show(), reading.show());
        }
    }

    #[test]
    fn somebody_who_left_by_hand_is_no_surprise_to_the_memory(
        (directories, before, policy) in histories(),
        leaves in 0usize..8,
    ) {
        let (mut remembering, mut reading) = (before.clone(), before);
        let (mut run, mut forgetful) = (Run::default(), Run::default());
        for directory in &directories {
            run.sync(directory, &mut remembering, &policy);
            forgetful.memory = Default::default();
            forgetful.sync(directory, &mut reading, &policy);
            let email = crate::world::email(leaves);
            if remembering.content.members.iter().any(|m| m.email.as_str() == email) {
                remembering.drop_member(&email);
                reading.drop_member(&email);
            }
        }
        let last = &directories[directories.len() - 1];
        run.sync(last, &mut remembering, &policy);
        forgetful.memory = Default::default();
        forgetful.sync(last, &mut reading, &policy);
        prop_assert_eq!(remembering.show(), reading.show());
    }

    #[test]
    fn a_restart_between_two_runs_changes_nothing((directories, before, policy) in histories()) {
        let (mut living, mut restarted) = (before.clone(), before);
        let (mut run, mut other) = (Run::default(), Run::default());
        for directory in &directories {
            run.sync(directory, &mut living, &policy);
            other.sync(directory, &mut restarted, &policy);
            other.memory = directory_sync_core::sync::memberships::MembershipCache::from_bytes(
                &other.memory.to_bytes(),
            ).unwrap();
            prop_assert_eq!(living.show(), restarted.show());
        }
    }

    #[test]
    fn owners_and_everyone_not_ours_keep_what_they_have((directory, before, policy) in worlds()) {
        let mut after = before.clone();
        approving(&directory, &before, &policy).sync(&directory, &mut after, &policy);
        for member in &before.content.members {
            let ours = is_ours(member.external_id.as_ref(), &policy);
            let now = after.content.members.iter().find(|now| now.id == member.id);
            if member.role == MemberRole::Owner || !ours {
                let now = now.expect("still a member");
                prop_assert!(
                    now.status == member.status
                        || (member.status == MemberStatus::Revoked && member.external_id.is_none()),
                    "status of {member:?}"
                );
                if member.external_id.is_some() {
                    prop_assert_eq!(&now.external_id, &member.external_id);
                }
            }
            if member.role == MemberRole::Owner {
                prop_assert_eq!(now.unwrap().status, member.status);
            }
            // Linked ones become ours; strangers who stay strangers keep their groups.
            if !ours && now.unwrap().external_id == member.external_id {
                let groups = |organization: &ModelOrganization| -> BTreeSet<_> {
                    memberships(organization).into_iter().filter(|(_, m)| *m == member.id).collect()
                };
                let kept = groups(&before)
                    .into_iter()
                    .filter(|(group, _)| after.inside.contains_key(group))
                    .collect::<BTreeSet<_>>();
                prop_assert_eq!(groups(&after), kept);
            }
        }
    }

    #[test]
    fn a_refusal_takes_nobody_out_of_a_group_who_would_stay_without_it(
        (directory, before, policy) in worlds(),
        refused in prop::collection::btree_set(0usize..8, 0..4),
    ) {
        let ids = refused.iter().map(|n| id(&format!("{}p{n}", policy.external_id_prefix)));
        let (mut without, mut with) = (before.clone(), before.clone());
        with.refused = ids.collect();
        let mut first = approving(&directory, &before, &policy);
        let mut second = approving(&directory, &before, &policy);
        for _ in 0..2 {
            first.sync(&directory, &mut without, &policy);
            second.sync(&directory, &mut with, &policy);
        }
        let kept = &memberships(&before) & &memberships(&without);
        let lost: BTreeSet<_> = &kept - &memberships(&with);
        prop_assert!(lost.is_empty(), "{lost:?}");
    }

    #[test]
    fn groups_not_ours_stay_as_they_are((directory, before, policy) in worlds()) {
        let mut after = before.clone();
        approving(&directory, &before, &policy).sync(&directory, &mut after, &policy);
        for group in &before.content.groups {
            let ours = is_ours(group.external_id.as_ref(), &policy);
            // What is adopted is ours from then on.
            let adopted = policy.groups.adopt
                && group.external_id.is_none()
                && !after.content.groups.contains(group);
            if !ours && !adopted {
                prop_assert!(after.content.groups.contains(group));
                let removed: BTreeSet<_> = before.inside[&group.id]
                    .iter()
                    .filter(|m| !after.content.members.iter().any(|member| member.id == **m))
                    .copied()
                    .collect();
                let kept: BTreeSet<_> = &before.inside[&group.id] - &removed;
                prop_assert_eq!(&after.inside[&group.id], &kept);
            }
        }
    }

    #[test]
    fn only_active_people_in_scope_come_in((directory, before, policy) in worlds()) {
        let roster = resolve(directory.read(), &policy).unwrap();
        let run = plan(&directory, &before, &policy);
        let mut invited = BTreeSet::new();
        for change in &run.approved.changes {
            let external_id = change.external_id();
            match change.member() {
                Some(MemberAction::Invite { .. }) => {
                    let email = change.subject.email().unwrap();
                    prop_assert!(invited.insert(email.clone()), "{email} twice");
                    let person = &roster.people[roster.by_id[external_id] as usize];
                    prop_assert_eq!(person.eligibility, Eligibility::Active);
                    prop_assert!(before.content.members.iter().all(|m| m.email != *email));
                }
                Some(
                    MemberAction::Restore | MemberAction::Link | MemberAction::Relink { .. },
                ) => {
                    let person = &roster.people[roster.by_id[external_id] as usize];
                    prop_assert_eq!(person.eligibility, Eligibility::Active);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn whoever_has_a_broken_entry_loses_nothing((directory, before, policy) in worlds()) {
        let roster = resolve(directory.read(), &policy).unwrap();
        let mut after = before.clone();
        approving(&directory, &before, &policy).sync(&directory, &mut after, &policy);
        for person in roster.people.iter().filter(|p| p.eligibility == Eligibility::Unusable) {
            for member in before.content.members.iter().filter(|m| m.external_id.as_ref() == Some(&person.id)) {
                let now = after.content.members.iter().find(|now| now.id == member.id);
                prop_assert_eq!(now, Some(member));
            }
            // Nor does whoever has their email under an id that nobody has any more.
            for member in before.content.members.iter().filter(|m| Some(&m.email) == person.email.as_ref()) {
                let known = member.external_id.as_ref().is_some_and(|id| roster.by_id.contains_key(id));
                if !known {
                    let now = after.content.members.iter().find(|now| now.id == member.id);
                    prop_assert_eq!(now, Some(member));
                }
            }
        }
    }

    #[test]
    fn whoever_may_be_one_of_two_entries_neither_joins_nor_leaves_a_group((directory, before, policy) in worlds()) {
        let roster = resolve(directory.read(), &policy).unwrap();
        let broken = roster.people.iter().filter(|p| p.eligibility == Eligibility::Unusable);
        let broken: BTreeSet<_> = broken.filter_map(|person| person.email.as_ref()).collect();
        let active = roster.people.iter().filter(|p| p.eligibility == Eligibility::Active);
        let active: BTreeSet<_> = active.map(|person| &person.id).collect();
        let broken_ids = roster.people.iter().filter(|p| p.eligibility == Eligibility::Unusable);
        let broken_ids: BTreeSet<_> = broken_ids.map(|person| &person.id).collect();
        let mut after = before.clone();
        let run = approving(&directory, &before, &policy).sync(&directory, &mut after, &policy);
        for member in before.content.members.iter().filter(|m| broken.contains(&m.email)) {
            let Some(id) = &member.external_id else { continue };
            let shared = before.content.members.iter().filter(|m| m.external_id == member.external_id).count() > 1;
            let ours = id.as_str().starts_with(&policy.external_id_prefix);
            if !ours || shared || active.contains(id) || broken_ids.contains(id) {
                continue;
            }
            let mut groups = after.content.groups.iter().filter(|group| before.inside.contains_key(&group.id));
            prop_assert!(groups.all(|group| {
                before.inside[&group.id].contains(&member.id) == after.inside[&group.id].contains(&member.id)
            }), "{id}");
            let mut created = after.content.groups.iter().filter(|group| !before.inside.contains_key(&group.id));
            prop_assert!(created.all(|group| !after.inside[&group.id].contains(&member.id)), "{id}");
            let mut problems = run.approved.problems.iter();
            let listed = roster.by_id.contains_key(id);
            prop_assert!(!listed || problems.any(|problem| problem.external_ids.contains(id)), "{id}");
        }
    }

    #[test]
    fn nobody_with_an_active_entry_in_scope_loses_access((directory, before, policy) in worlds()) {
        let roster = resolve(directory.read(), &policy).unwrap();
        let mut after = before.clone();
        approving(&directory, &before, &policy).sync(&directory, &mut after, &policy);
        let active = roster.people.iter().filter(|p| p.eligibility == Eligibility::Active);
        let emails: BTreeSet<_> = active.filter_map(|person| person.email.as_ref()).collect();
        for member in before.content.members.iter().filter(|m| emails.contains(&m.email)) {
            // Whose own entry is disabled may be somebody else under a changed email; who has the
            // email alone is the person.
            let alone = before.content.members.iter().filter(|m| m.email == member.email).count() == 1;
            let now = after.content.members.iter().find(|now| now.id == member.id);
            if alone {
                let now = now.expect("still a member");
                prop_assert!(now.status == member.status || member.status == MemberStatus::Revoked);
            }
        }
    }

    #[test]
    fn every_group_in_scope_has_exactly_its_people_of_ours((directory, before, policy) in worlds()) {
        let roster = resolve(directory.read(), &policy).unwrap();
        let mut after = before.clone();
        let run = approving(&directory, &before, &policy).sync(&directory, &mut after, &policy);
        let named: BTreeSet<&ExternalId> =
            run.approved.problems.iter().flat_map(|problem| &problem.external_ids).collect();
        let mut by_id: BTreeMap<&ExternalId, Vec<_>> = BTreeMap::new();
        for member in &after.content.members {
            if let Some(id) = &member.external_id {
                by_id.entry(id).or_default().push(member);
            }
        }
        for group in &roster.groups {
            let found: Vec<_> = after
                .content
                .groups
                .iter()
                .filter(|g| g.external_id.as_ref() == Some(&group.id))
                .collect();
            let [found] = found[..] else { continue };
            prop_assert_eq!(&found.name, &group.name);
            let wanted: BTreeSet<&ExternalId> = group
                .people
                .iter()
                // A deleted person's account may be somebody else's by now.
                .map(|person| &roster.people[person as usize])
                .filter(|person| person.eligibility != Eligibility::Deleted)
                .map(|person| &person.id)
                .filter(|id| !named.contains(id))
                .filter(|id| by_id.get(id).is_some_and(|members| members.len() == 1))
                .collect();
            let inside: BTreeSet<&ExternalId> = after.inside[&found.id]
                .iter()
                .filter_map(|member| {
                    let member = after.content.members.iter().find(|m| m.id == *member)?;
                    member.external_id.as_ref()
                })
                .collect();
            prop_assert!(wanted.is_subset(&inside), "{wanted:?} in {inside:?}");
        }
    }

    #[test]
    fn what_is_held_is_not_done_and_nothing_is_lost_between_both((directory, before, policy) in worlds()) {
        let guarded = plan(&directory, &before, &policy);
        let Some(held) = &guarded.held else { return Ok(()) };
        let is_rename = |change: &Change| matches!(change.group(), Some(GroupAction::Rename { .. }));
        prop_assert!(held.changes.iter().all(|change| change.takes_away() || is_rename(change)));
        prop_assert_eq!(FingerprintSet::of(&held.changes), held.hold.changes.clone());
        // With an approval of it the whole plan goes ahead, whatever holds it.
        let mut run = approving(&directory, &before, &policy);
        let whole = run.plan(&directory, &before, &policy);
        prop_assert!(whole.held.is_none());
        prop_assert_eq!(whole.used.map(|hold| hold.id), Some(held.hold.id.clone()));
        let renamed: BTreeSet<&ExternalId> =
            held.changes.iter().filter(|change| is_rename(change)).map(Change::external_id).collect();
        // Together they are the plan.
        let mut parts: BTreeMap<(u8, &ExternalId), usize> = BTreeMap::new();
        let mut adds: BTreeSet<(&ExternalId, &ExternalId)> = BTreeSet::new();
        let mut keeps: BTreeMap<&ExternalId, BTreeSet<&ExternalId>> = BTreeMap::new();
        for change in guarded.approved.changes.iter().chain(&held.changes) {
            parts.insert((change.kind() as u8, change.external_id()), 1);
            let external_id = change.external_id();
            if let Some(GroupAction::Update(update)) = change.group() {
                adds.extend(update.add.iter().map(|id| (external_id, id)));
                keeps.entry(external_id).or_default().extend(&update.keep);
            }
        }
        let mut expected = BTreeMap::new();
        for change in &whole.approved.changes {
            expected.insert((change.kind() as u8, change.external_id()), 1);
            let external_id = change.external_id();
            if let Some(GroupAction::Update(update)) = change.group() {
                // Nobody comes into a group whose rename is held.
                let waits = renamed.contains(external_id);
                prop_assert!(update.add.iter().all(|id| adds.remove(&(external_id, id)) != waits));
                let kept = |id| waits || keeps[external_id].contains(id);
                prop_assert!(update.keep.iter().all(kept));
                if waits && update.remove.is_empty() {
                    expected.remove(&(change.kind() as u8, external_id));
                }
            }
        }
        prop_assert!(adds.is_empty());
        prop_assert_eq!(parts, expected);
        // Applied, nobody has lost what is held.
        let mut after = before.clone();
        after.apply(&guarded.approved);
        let of = |organization: &ModelOrganization, id: &ExternalId| {
            let member = organization.content.members.iter();
            member.filter(|m| m.external_id.as_ref() == Some(id)).map(|m| (m.id, m.status)).collect::<Vec<_>>()
        };
        for change in &held.changes {
            let id = change.external_id();
            match (change.member(), change.group()) {
                (Some(_), _) => prop_assert_eq!(of(&before, id), of(&after, id)),
                (_, Some(GroupAction::Update(update))) => {
                    let group = change.subject.id.unwrap();
                    for leaving in &update.remove {
                        for (member, _) in of(&before, &leaving.external_id) {
                            let there = before.inside[&group].contains(&member);
                            // Whoever is removed, within a limit of its own, is in no group.
                            let removed = !after.content.members.iter().any(|one| one.id == member);
                            let stays = removed || after.inside[&group].contains(&member);
                            prop_assert!(!there || stays);
                        }
                    }
                }
                _ => prop_assert!(after.inside.contains_key(&change.subject.id.unwrap())),
            }
        }
        // Nobody leaves a protected group, and it keeps its name.
        for group in &before.content.groups {
            let name = group.name.to_lowercase();
            if !is_ours(group.external_id.as_ref(), &policy)
                || !policy.groups.protected.iter().any(|glob| glob.matches(&name))
            {
                continue;
            }
            let same = after.content.groups.iter().find(|now| now.id == group.id);
            let keeps_name = same.is_some_and(|now| {
                let now = now.name.to_lowercase();
                policy.groups.protected.iter().any(|glob| glob.matches(&now))
            });
            prop_assert!(keeps_name, "{name}");
            let lost = before.inside[&group.id].difference(&after.inside[&group.id]).next();
            prop_assert!(lost.is_none(), "{lost:?} left {name}");
        }
    }

    #[test]
    fn the_order_of_reading_is_irrelevant((directory, before, policy) in worlds()) {
        let mut turned = before.clone();
        turned.content.members.reverse();
        turned.content.groups.reverse();
        let one = plan(&directory, &before, &policy);
        let other = plan(&directory.clone().reversed(), &turned, &policy);
        prop_assert_eq!(&one.approved.changes, &other.approved.changes);
        prop_assert_eq!(&one.approved.problems, &other.approved.problems);
        prop_assert_eq!(one.digest, other.digest);
        prop_assert_eq!(one.held.map(|h| h.changes), other.held.map(|h| h.changes));
    }

    #[test]
    fn a_higher_limit_never_holds_more(
        (directory, before, policy) in worlds(),
        low in limits(),
        more in 0usize..5,
    ) {
        let high = match low {
            Limit::Count(count) => Limit::Count(count + more),
            Limit::Percent(percent) => Limit::Percent((percent + more as f64 * 20.0).min(100.0)),
        };
        let held = |limit| {
            let mut policy = policy.clone();
            policy.offboarding.limit = limit;
            policy.offboarding.disabled_limit = limit;
            plan(&directory, &before, &policy).held.is_some()
        };
        prop_assert!(held(low) || !held(high));
    }

    #[test]
    fn different_removals_have_different_digests_and_a_part_is_no_superset(
        (directory, before, policy) in worlds(),
        (other, ..) in worlds(),
    ) {
        let one = plan(&directory, &before, &policy).removals;
        let two = plan(&other, &before, &policy).removals;
        prop_assert_eq!(one == two, one.digest() == two.digest());
        prop_assert_eq!(one.is_subset(&two) && two.is_subset(&one), one == two);
    }
}
