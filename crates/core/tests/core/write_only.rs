//! A server that takes imports and can't be read.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use directory_sync_core::directory::Email;
use directory_sync_core::organization::model::Organization;
use directory_sync_core::organization::role::AccessRole;
use directory_sync_core::problem::ProblemReason;
use directory_sync_core::sync::guard::{Approval, GuardedPlan, HeldBecause, guard};
use directory_sync_core::sync::ledger::Ledger;
use directory_sync_core::sync::memberships::{FailedChanges, MembershipCache};
use directory_sync_core::sync::plan::{GroupAction, draft};
use directory_sync_core::sync::policy::{
    CollectionRule, Glob, Limit, OffboardingAction, Policy, Restore, RoleRule,
};
use directory_sync_core::sync::resolve::resolve;
use directory_sync_core_testing::{TestDirectory, directory, failed, id, policy};
use jiff::Timestamp;

use crate::{changes, problems};

/// What the server holds by what was sent, and the rules.
struct Server {
    memory: MembershipCache,
    ledger: Ledger,
    policy: Policy,
}

impl Server {
    fn new() -> Self {
        let mut policy = policy();
        policy.offboarding.limit = Limit::Percent(100.0);
        Self {
            memory: MembershipCache::default(),
            ledger: Ledger::default(),
            policy,
        }
    }

    fn plan(&self, directory: &TestDirectory, approval: Option<&Approval>) -> GuardedPlan {
        let roster = resolve(directory.read(), &self.policy).unwrap();
        let draft = draft(
            &roster,
            &Organization::WriteOnly,
            &self.policy,
            &self.ledger,
            Timestamp::UNIX_EPOCH,
        );
        assert!(self.memory.to_read(&draft, true).is_empty());
        let mut plan = draft.complete(&self.memory, &HashMap::new());
        plan.keep_manual_revocations(&self.policy, &self.ledger);
        guard(
            plan,
            &self.policy,
            &self.ledger,
            Timestamp::UNIX_EPOCH,
            approval,
        )
    }

    fn sync(&mut self, directory: &TestDirectory) -> GuardedPlan {
        let guarded = self.plan(directory, None);
        let failed = FailedChanges::default();
        self.memory.record(&guarded, &failed);
        if guarded.approved.changes.is_empty() {
            self.ledger.observe(&guarded);
        } else {
            self.ledger.before(&guarded, Timestamp::UNIX_EPOCH);
            self.ledger.after(&guarded, &failed);
        }
        guarded
    }

    /// A sync for which what this one held was approved.
    fn approve(&mut self, directory: &TestDirectory, held: &GuardedPlan) -> GuardedPlan {
        let approval = Approval {
            digest: held.digest.clone(),
        };
        let guarded = self.plan(directory, Some(&approval));
        self.memory.record(&guarded, &FailedChanges::default());
        guarded
    }

    /// A sync in which the server refuses the rows of these people and groups.
    fn sync_refusing(&mut self, directory: &TestDirectory, ids: &[&str]) -> GuardedPlan {
        let guarded = self.plan(directory, None);
        let failed = failed(&guarded, true, |change| {
            ids.contains(&change.external_id().as_str())
        });
        self.memory.record(&guarded, &failed);
        guarded
    }

    /// Everything that was known is gone, with the resource.
    fn made_anew(self) -> Self {
        let now = Timestamp::UNIX_EPOCH;
        let mut ledger = Ledger::begin(now);
        ledger.adopt(0, 0, now);
        Self {
            memory: MembershipCache::default(),
            ledger,
            ..self
        }
    }

    /// What another process knows that has a copy of all that is kept.
    fn copy(&self) -> Self {
        Self {
            memory: MembershipCache::from_bytes(&self.memory.to_bytes()).unwrap(),
            ledger: self.ledger.clone(),
            policy: self.policy.clone(),
        }
    }

    fn never_sends(mut self, emails: &[&str]) -> Self {
        let emails = emails.iter().map(|email| Email::parse(email).unwrap());
        self.policy.never_send = Some(emails.collect::<BTreeSet<_>>());
        self
    }
}

fn company() -> TestDirectory {
    (0..8).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    })
}

fn held(guarded: &GuardedPlan) -> Vec<String> {
    let held = guarded.held.iter().flat_map(|held| &held.changes);
    held.map(|change| format!("{} {}", change.kind().name(), change.subject.label()))
        .collect()
}

fn messages(guarded: &GuardedPlan) -> String {
    let problems = guarded.approved.problems.iter();
    problems
        .map(|problem| format!("{}\n", problem.message))
        .collect()
}

/// Whom `group` is sent with, where it is.
fn row(guarded: &GuardedPlan, group: &str) -> Option<Vec<String>> {
    let mut changes = guarded.approved.changes.iter();
    let change = changes.find(|change| change.external_id().as_str() == group)?;
    let ids = match change.group()? {
        GroupAction::Create { add } => add.clone(),
        GroupAction::Update(update) => [&update.keep[..], &update.add[..]].concat(),
        _ => return None,
    };
    let mut ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    ids.sort();
    Some(ids)
}

#[test]
fn only_what_changed_is_sent() {
    let mut server = Server::new();
    let small = directory()
        .person("ann", "ann@example.com")
        .group("g", "Group", &["ann"])
        .group("h", "Other", &["ann"]);
    assert_eq!(
        changes(&server.sync(&small)),
        ["Invite ann", "CreateGroup g", "CreateGroup h"]
    );
    assert_eq!(changes(&server.sync(&small)), [""; 0]);
    assert_eq!(changes(&server.sync(&small.clone().reversed())), [""; 0]);

    let more = directory()
        .person("ann", "ann@example.com")
        .person("cid", "cid@example.com")
        .group("g", "Group", &["ann", "cid"])
        .group("h", "Other", &["ann"]);
    let run = server.sync(&more);
    assert_eq!(changes(&run), ["Invite cid", "UpdateGroup g"]);
    assert_eq!(row(&run, "g").unwrap(), ["ann", "cid"]);

    // Everything compared anew: groups may have been changed by hand, accounts are left alone,
    // because a row would give the access back that somebody revoked by hand.
    server.memory.invalidate();
    assert_eq!(
        changes(&server.sync(&more)),
        ["UpdateGroup g", "UpdateGroup h"]
    );
    assert_eq!(changes(&server.sync(&more)), [""; 0]);
}

#[test]
fn only_whom_an_import_brought_in_is_ever_revoked() {
    let mut server = Server::new();
    let first = company()
        .disabled("owner", "second-owner@example.com")
        .disabled("guest", "guest@example.com");
    let run = server.sync(&first);
    assert!(
        !changes(&run)
            .iter()
            .any(|change| change.starts_with("Revoke"))
    );

    let leaver = directory()
        .disabled("owner", "second-owner@example.com")
        .disabled("guest", "guest@example.com")
        .disabled("p0", "p0@example.com");
    let leaver = (1..8).fold(leaver, |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    assert_eq!(changes(&server.sync(&leaver)), ["Revoke p0"]);
    assert_eq!(changes(&server.sync(&leaver)), [""; 0], "once");
    // Active again: the server restores whom it is sent.
    assert_eq!(changes(&server.sync(&first)), ["Restore p0"]);
    assert_eq!(changes(&server.sync(&first)), [""; 0]);
}

#[test]
fn an_address_that_is_never_sent_is_never_sent() {
    let mut server = Server::new().never_sends(&["p0@example.com"]);
    let everyone = company().group("g", "Group", &["p0", "p1"]);
    let run = server.sync(&everyone);
    assert!(!changes(&run).contains(&"Invite p0".to_owned()));
    assert_eq!(row(&run, "g").unwrap(), ["p1"]);
    let disabled = directory().disabled("p0", "p0@example.com");
    assert_eq!(changes(&server.sync(&disabled)), [""; 0]);

    // Named after it was sent: forgotten, and not revoked.
    let mut server = Server::new();
    server.sync(&company());
    let mut server = Server { ..server }.never_sends(&["p0@example.com"]);
    let disabled = (1..8).fold(disabled, |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    assert_eq!(changes(&server.sync(&disabled)), [""; 0]);
}

#[test]
fn nobody_is_revoked_while_the_owners_are_not_named() {
    let mut server = Server::new();
    server.policy.never_send = None;
    server.sync(&directory().person("ann", "ann@example.com"));
    let run = server.sync(&directory().disabled("ann", "ann@example.com"));
    assert_eq!(changes(&run), [""; 0]);
    assert!(
        messages(&run).contains("vaultwarden.neverSend"),
        "{}",
        messages(&run)
    );
    // Once they are, the leaver is still known.
    server.policy.never_send = Some(BTreeSet::new());
    let run = server.sync(&directory().disabled("ann", "ann@example.com"));
    assert_eq!(changes(&run), ["Revoke ann"]);
}

#[test]
fn a_changed_address_revokes_the_account_at_the_old_one_before_the_new_one_is_invited() {
    let mut server = Server::new();
    server.sync(&company().group("g", "Group", &["p0", "p1"]));
    let moved = |at: &str| {
        let rest = directory().person("p0", at);
        (1..8)
            .fold(rest, |directory, n| {
                directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
            })
            .group("g", "Group", &["p0", "p1"])
    };
    let married = moved("married@example.com");

    // Past the limit both wait: nobody has two accounts.
    server.policy.offboarding.limit = Limit::Count(0);
    let run = server.plan(&married, None);
    assert_eq!(held(&run), ["Revoke p0@example.com"]);
    assert!(!changes(&run).contains(&"Invite p0".to_owned()));

    server.policy.offboarding.limit = Limit::Count(1);
    let run = server.sync(&married);
    assert_eq!(
        changes(&run),
        ["Revoke former:p0@example.com", "Invite p0", "UpdateGroup g"],
        "the group is filled again, for it held the old account"
    );
    assert_eq!(changes(&server.sync(&married)), [""; 0]);

    // Disabled, and the address gone at once: the account that was sent is revoked.
    let gone = (1..8).fold(directory().disabled("p0", ""), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let run = server.sync(&gone);
    let revoked = &run.approved.changes[0];
    assert_eq!(revoked.subject.label(), "married@example.com");
    assert_eq!(revoked.kind().name(), "Revoke");
}

#[test]
fn an_account_is_never_given_to_somebody_else_with_its_address() {
    let mut server = Server::new();
    server.sync(&company());
    // p0 is disabled, and p1 gets the address.
    let reused = directory()
        .disabled("p0", "p0@example.com")
        .person("p1", "p0@example.com");
    let reused = (2..8).fold(reused, |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    for _ in 0..3 {
        let run = server.sync(&reused);
        assert!(
            !run.approved.changes.iter().any(|change| {
                change.subject.label() == "p0@example.com" && change.kind().name() != "Revoke"
            }),
            "{:?}",
            changes(&run)
        );
        assert!(messages(&run).contains("p0@example.com"));
    }
    // The way out: the account was removed by hand, the address named for one sync.
    let mut server = server.never_sends(&["p0@example.com"]);
    server.sync(&reused);
    let mut server = server.never_sends(&[]);
    assert!(changes(&server.sync(&reused)).contains(&"Invite p1".to_owned()));
}

#[test]
fn new_ids_re_link_people_and_go_on_with_the_groups_that_are_there() {
    let mut server = Server::new();
    server.sync(&company().group("g", "Group", &["p0", "p1"]));
    server.policy.external_id_prefix = "berlin:".into();
    server.policy.offboarding.limit = Limit::Count(0);
    let directory = company().group("g", "Group", &["p0", "p1"]);
    let waits = server.sync(&directory);
    assert_eq!(changes(&waits), [""; 0]);
    let run = server.approve(&directory, &waits);
    assert!(
        held(&run).is_empty(),
        "nobody leaves the group: {:?}",
        held(&run)
    );
    let all = changes(&run);
    assert_eq!(
        all.iter()
            .filter(|change| change.starts_with("Relink"))
            .count(),
        8
    );
    assert!(all.contains(&"UpdateGroup berlin:g".to_owned()), "{all:?}");
    let sent = run.approved.sent.as_ref().unwrap();
    assert_eq!(sent.server_ids[&id("berlin:g")], id("g"), "no second group");
    server.policy.offboarding.limit = Limit::Percent(100.0);
    let next = company().group("g", "Group", &["p0"]);
    let run = server.sync(&next);
    assert_eq!(changes(&run), ["UpdateGroup berlin:g"]);
    assert_eq!(
        run.approved.sent.as_ref().unwrap().server_ids[&id("berlin:g")],
        id("g")
    );
}

#[test]
fn a_group_that_is_renamed_or_gone_is_told_once() {
    let mut server = Server::new();
    let two = company()
        .group("g", "Old", &["p0"])
        .group("h", "Gone", &["p1"]);
    server.sync(&two);
    let renamed = company().group("g", "New", &["p0"]);
    let run = server.sync(&renamed);
    assert_eq!(changes(&run), [""; 0]);
    let told = messages(&run);
    assert!(
        told.contains("Old is called New") && told.contains("the group Gone"),
        "{told}"
    );
    assert_eq!(messages(&server.sync(&renamed)), "");
}

#[test]
fn what_was_refused_is_not_sent_again_before_it_changes() {
    let mut server = Server::new();
    let team = company().group("g", "Group", &["p0", "p1"]);
    server.sync_refusing(&team, &["p0"]);
    let run = server.sync(&team);
    assert_eq!(changes(&run), [""; 0], "neither the person nor the group");
    assert_eq!(problems(&run).len(), 1);
    assert_eq!(problems(&run)[0].0, ProblemReason::Refused);

    server.memory.invalidate();
    let run = server.sync(&team);
    assert_eq!(changes(&run), ["Invite p0", "UpdateGroup g"]);
    assert_eq!(row(&run, "g").unwrap(), ["p0", "p1"]);
}

#[test]
fn who_may_have_been_invited_by_a_run_that_was_killed_is_revoked_all_the_same() {
    let mut server = Server::new();
    let guarded = server.plan(&company(), None);
    let killed = failed(&guarded, false, |_| true);
    server.memory.record(&guarded, &killed);
    let leaver = (1..8).fold(
        directory().disabled("p0", "p0@example.com"),
        |directory, n| directory.person(&format!("p{n}"), &format!("p{n}@example.com")),
    );
    let run = server.sync(&leaver);
    assert_eq!(changes(&run)[0], "Revoke p0");
    assert_eq!(changes(&run).len(), 8, "the others are sent again");
}

#[test]
fn nobody_is_revoked_whose_address_an_entry_that_is_not_disabled_has() {
    let mut server = Server::new();
    server.sync(&company());
    let twins = (1..8).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let twins = twins
        .disabled("p0", "p0@example.com")
        .person("twin", "p0@example.com");
    let run = server.sync(&twins);
    assert_eq!(changes(&run), [""; 0]);
    assert!(
        messages(&run).contains("isn't disabled"),
        "{}",
        messages(&run)
    );
}

#[test]
fn revocations_are_a_share_of_those_who_have_access() {
    let mut server = Server::new();
    server.policy.offboarding.limit = Limit::Count(1);
    server.sync(&company());
    let leavers = |n: usize| {
        (0..8).fold(directory(), |directory, at| {
            let (id, email) = (format!("p{at}"), format!("p{at}@example.com"));
            if at < n {
                directory.disabled(&id, &email)
            } else {
                directory.person(&id, &email)
            }
        })
    };
    assert!(server.sync(&leavers(1)).held.is_none());
    let run = server.sync(&leavers(3));
    assert_eq!(held(&run).len(), 2);
    assert_eq!(
        run.approved.counts.managed_members, 7,
        "one is revoked already"
    );
    let again = server.sync(&leavers(3));
    assert_eq!(again.digest, run.digest, "held until approved");
}

/// The server tells nobody who is gone: what a limit counts are the runs of one record alone.
#[test]
fn what_somebody_else_took_away_is_not_seen_there_and_its_own_runs_count() {
    // Eight in a group, and four others.
    let company = |outside: Range<usize>, disabled: Range<usize>| {
        let inside = (0..8).filter(|n| !outside.contains(n));
        let inside: Vec<String> = inside.map(|n| format!("p{n}")).collect();
        let inside: Vec<&str> = inside.iter().map(String::as_str).collect();
        let people = (0..12).fold(directory(), |people, n| {
            let (id, email) = (format!("p{n}"), format!("p{n}@example.com"));
            match disabled.contains(&n) {
                true => people.disabled(&id, &email),
                false => people.person(&id, &email),
            }
        });
        people.group("g", "Group", &inside)
    };
    let all = company(0..0, 0..0);
    let mut server = Server::new();
    server.policy.offboarding.limit = Limit::Count(2);
    server.policy.offboarding.disabled_limit = Limit::Count(2);
    server.sync(&all);
    assert_eq!(changes(&server.sync(&all)), [""; 0]);
    let (mut copy, by_hand) = (server.copy(), server.copy());

    let two = ["Revoke p8", "Revoke p9", "UpdateGroup g"];
    let run = server.sync(&company(0..2, 8..10));
    assert!(run.held.is_none());
    assert_eq!(changes(&run), two);
    // Of the same people another two: the copy takes as many again, and delays no dismissal for the first.
    let run = copy.sync(&company(2..4, 10..12));
    assert!(run.held.is_none(), "so give both one state folder");
    assert_eq!(changes(&run), ["Revoke p10", "Revoke p11", "UpdateGroup g"]);
    assert_eq!(
        row(&run, "g").unwrap(),
        ["p0", "p1", "p4", "p5", "p6", "p7"]
    );
    let run = server.sync(&company(0..4, 8..12));
    let why = run.held.expect("two more are too many").why;
    assert!(
        matches!(
            why[..],
            [
                HeldBecause::Absent {
                    members: 2,
                    earlier: 2,
                    limit: 2
                },
                HeldBecause::Disabled {
                    members: 2,
                    earlier: 2,
                    limit: 2
                },
            ]
        ),
        "{why:?}"
    );

    // Whom somebody took over by hand isn't known any more, and that is nobody's loss either.
    let mut server = by_hand.never_sends(&["p10@example.com", "p11@example.com"]);
    for _ in 0..2 {
        assert_eq!(changes(&server.sync(&all)), [""; 0]);
    }
    let run = server.sync(&company(0..2, 8..10));
    assert!(run.held.is_none(), "{:?}", run.held);
    assert_eq!(changes(&run), two);
}

#[test]
fn what_was_sent_survives_a_restart() {
    let mut server = Server::new();
    let team = company().group("g", "Group", &["p0", "p1"]);
    server.sync(&team);
    server.memory = MembershipCache::from_bytes(&server.memory.to_bytes()).unwrap();
    assert_eq!(changes(&server.sync(&team)), [""; 0]);
}

#[test]
fn where_it_is_lost_everything_waits_for_a_person() {
    let mut server = Server::new();
    server.memory = MembershipCache::lost();
    let team = company().group("g", "Group", &["p0", "p1"]);
    let run = server.sync(&team);
    assert_eq!(
        changes(&run),
        [""; 0],
        "a group could lose members, a leaver come back"
    );
    assert_eq!(held(&run).len(), 9);
    let why = &run.held.as_ref().unwrap().why;
    assert_eq!(why[0], HeldBecause::MembersUnknown { changes: 9 });

    // A process that starts anew doesn't take it for the first.
    server.memory = MembershipCache::from_bytes(&server.memory.to_bytes()).unwrap();
    assert_eq!(held(&server.sync(&team)).len(), 9);

    let approval = Approval { digest: run.digest };
    let approved = server.plan(&team, Some(&approval));
    assert_eq!(changes(&approved).len(), 9);
    server.memory.record(&approved, &FailedChanges::default());
    assert_eq!(changes(&server.sync(&team)), [""; 0]);
}

#[test]
fn an_approval_of_what_is_overwritten_is_for_these_addresses_and_members() {
    let mut server = Server::new();
    server.memory = MembershipCache::lost();
    let team = company().group("g", "Group", &["p0", "p1"]);
    let approval = Approval {
        digest: server.sync(&team).digest,
    };
    assert_eq!(changes(&server.plan(&team, Some(&approval))).len(), 9);

    let fewer = company().group("g", "Group", &["p0"]);
    let other_address = (1..8)
        .fold(directory().person("p0", "new@example.com"), |all, n| {
            all.person(&format!("p{n}"), &format!("p{n}@example.com"))
        })
        .group("g", "Group", &["p0", "p1"]);
    for changed in [fewer, other_address] {
        let plan = server.plan(&changed, Some(&approval));
        assert_eq!(changes(&plan), [""; 0]);
        assert_eq!(held(&plan).len(), 9);
    }
}

#[test]
fn what_the_server_cannot_do_is_told_and_left() {
    let mut server = Server::new();
    server.policy.offboarding.absent = OffboardingAction::Remove;
    server.policy.offboarding.disabled = OffboardingAction::Remove;
    server.policy.groups.prune = true;
    server.policy.onboarding.invite = false;
    server.policy.access.roles.push(RoleRule {
        group: Glob::new("Group"),
        role: AccessRole::Admin,
    });
    server.policy.access.collections.push(CollectionRule {
        group: Glob::new("Group"),
        collections: vec![],
        exclusive: true,
    });
    let directory = company()
        .deleted("gone", "gone@example.com")
        .group("g", "Group", &["p1"]);
    let run = server.sync(&directory);
    assert_eq!(changes(&run), ["CreateGroup g"]);
    assert_eq!(
        problems(&run),
        vec![(ProblemReason::Unsupported, vec![]); 6]
    );
}

#[test]
fn a_directory_that_names_no_one_empties_no_group() {
    let mut server = Server::new();
    server.sync(&company().group("g", "Group", &["p0"]));
    let run = server.sync(&directory().group("g", "Group", &[]));
    assert_eq!(changes(&run), [""; 0]);
    assert_eq!(problems(&run), [(ProblemReason::EmptyDirectory, vec![])]);
}

#[test]
fn a_group_list_that_shrinks_past_the_limit_waits_although_nobody_can_look_into_the_group() {
    let mut server = Server::new();
    server.policy.offboarding.limit = Limit::Count(2);
    let everyone = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"];
    server.sync(&company().group("g", "Group", &everyone));

    // A process that starts anew knows it still.
    server.memory = MembershipCache::from_bytes(&server.memory.to_bytes()).unwrap();
    let shrunken =
        company()
            .person("p8", "p8@example.com")
            .group("g", "Group", &["p0", "p1", "p8"]);
    let run = server.sync(&shrunken);
    let why = &run.held.as_ref().expect("six people would leave").why[0];
    assert!(
        matches!(why, HeldBecause::Absent { members: 6, .. }),
        "{why:?}"
    );
    let all = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"];
    assert_eq!(
        row(&run, "g").unwrap(),
        all,
        "who is new comes in, nobody goes"
    );

    // It goes on waiting, without being sent again, until exactly this is approved.
    let again = server.sync(&shrunken);
    assert_eq!((changes(&again), &again.digest), (vec![], &run.digest));
    let approval = Approval {
        digest: again.digest,
    };
    let approved = server.plan(&shrunken, Some(&approval));
    assert_eq!(row(&approved, "g").unwrap(), ["p0", "p1", "p8"]);
    server.memory.record(&approved, &FailedChanges::default());
    let last = server.sync(&shrunken);
    assert!(last.held.is_none() && last.approved.changes.is_empty());
}

#[test]
fn a_group_that_may_not_have_come_through_is_doubted() {
    let mut server = Server::new();
    server.policy.offboarding.limit = Limit::Count(2);
    server.sync(&company().group("g", "Group", &["p0", "p1", "p2", "p3"]));
    let smaller = company().group("g", "Group", &["p0", "p1"]);
    let two = server.plan(&smaller, None);
    assert!(two.held.is_none());
    assert_eq!(row(&two, "g").unwrap(), ["p0", "p1"]);
    let failed = failed(&two, false, |change| *change.external_id() == id("g"));
    server.memory.record(&two, &failed);
    let next = server.plan(&company().group("g", "Group", &["p0"]), None);
    assert!(next.held.is_some(), "p1, p2 and p3 may still be in it");
}

#[test]
fn whoever_was_not_read_is_sent_with_a_group_that_names_members_nobody_knows() {
    let mut server = Server::new();
    let before = company().group("g", "Group", &["p0", "p1", "p2"]);
    server.sync(&before);
    // p1 was moved to where the source doesn't look, p2 left the group, a newcomer has it sent.
    let people = (0..8)
        .filter(|n| *n != 1)
        .fold(directory(), |directory, n| {
            directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
        });
    let after = people.group("g", "Group", &["p0", "p3", "uid=p1,ou=moved"]);
    let run = server.sync(&after);
    assert_eq!(row(&run, "g").unwrap(), ["p0", "p1", "p3"]);
    assert_eq!(changes(&server.sync(&after)), [""; 0]);
}

#[test]
fn people_in_conflict_keep_their_groups_and_come_into_no_others() {
    let mut server = Server::new().never_sends(&[]);
    let directory = |ann: &str, others: &[&str]| {
        directory()
            .person("ann", ann)
            .person("bob", "bob@example.com")
            .group("team", "Team", &["ann", "bob"])
            .group("others", "Others", others)
    };
    server.sync(&directory("ann@example.com", &["bob"]));
    // Bob's old address is Ann's now, and Bob has none that can be used.
    let swapped = directory_sync_core_testing::directory()
        .person("ann", "bob@example.com")
        .person("bob", "")
        .group("team", "Team", &["ann"])
        .group("others", "Others", &["bob", "ann"]);
    let run = server.sync(&swapped);
    assert!(
        problems(&run)
            .iter()
            .any(|(reason, _)| *reason == ProblemReason::IdentityConflict),
        "{:?}",
        problems(&run)
    );
    assert_eq!(
        row(&run, "team"),
        None,
        "it isn't sent without either of them"
    );
    assert_eq!(row(&run, "others"), None, "nor with somebody new");
}

#[test]
fn who_is_listed_as_deleted_goes_as_the_policy_for_deleted_ones_says() {
    let mut server = Server::new();
    server.policy.offboarding.disabled_limit = Limit::Percent(100.0);
    server.sync(&company());
    let gone = (1..8).fold(
        directory().deleted("p0", "p0@example.com"),
        |directory, n| directory.person(&format!("p{n}"), &format!("p{n}@example.com")),
    );
    server.policy.offboarding.absent = OffboardingAction::Revoke;
    server.policy.offboarding.deleted = OffboardingAction::Retain;
    assert_eq!(changes(&server.plan(&gone, None)), Vec::<String>::new());
    server.policy.offboarding.absent = OffboardingAction::Retain;
    server.policy.offboarding.deleted = OffboardingAction::Revoke;
    assert_eq!(changes(&server.plan(&gone, None)), ["Revoke p0"]);
}

#[test]
fn a_doubled_organization_is_held_there_too_and_new_addresses_are_no_growth() {
    let mut server = Server::new();
    server.policy.offboarding.disabled_limit = Limit::Percent(100.0);
    server.sync(&company());
    let larger = (8..16).fold(company(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let guarded = server.plan(&larger, None);
    assert_eq!(changes(&guarded), Vec::<String>::new());
    let why = &guarded.held.as_ref().unwrap().why;
    let expected = HeldBecause::Invited {
        people: 8,
        earlier: 0,
        limit: 5,
    };
    assert_eq!(*why, [expected]);
    let moved = (0..8).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.org"))
    });
    let guarded = server.plan(&moved, None);
    assert!(guarded.held.is_none(), "{:?}", held(&guarded));
    assert_eq!(guarded.approved.changes.len(), 16);
}

/// The company without the person p0.
fn others() -> TestDirectory {
    (1..8).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    })
}

#[test]
fn a_hidden_state_attribute_restores_nobody_there_either() {
    let mut server = Server::new().never_sends(&[]);
    server.sync(&company());
    let fired = others().disabled("p0", "p0@example.com");
    assert_eq!(changes(&server.sync(&fired)), ["Revoke p0"]);
    // The operator's account may not read the attribute any more: everybody looks active.
    let hidden = others()
        .person("p0", "p0@example.com")
        .without_attribute("pwdAccountLockedTime");
    for _ in 0..2 {
        let run = server.sync(&hidden);
        assert_eq!(changes(&run), [""; 0]);
        assert_eq!(problems(&run), [(ProblemReason::NotRestored, vec!["p0"])]);
    }
    let back = others().person("p0", "p0@example.com");
    assert_eq!(changes(&server.sync(&back)), ["Restore p0"]);
}

#[test]
fn somebody_with_an_account_does_not_get_the_one_of_a_leaver_whose_address_they_have() {
    let mut server = Server::new().never_sends(&[]);
    server.sync(&company().group("g", "Group", &["p0", "p1"]));
    // p0 left for good, and p1 has the address now.
    let reused = (2..8).fold(
        directory().person("p1", "p0@example.com"),
        |directory, n| directory.person(&format!("p{n}"), &format!("p{n}@example.com")),
    );
    let reused = reused.group("g", "Group", &["p1"]);
    for _ in 0..2 {
        let run = server.sync(&reused);
        assert_eq!(changes(&run), [""; 0], "nobody is re-linked or revoked");
        assert!(messages(&run).contains("belongs to p0, so it isn't given to p1"));
    }
}

#[test]
fn a_group_is_protected_by_the_name_that_the_server_keeps() {
    let mut server = Server::new();
    server.policy.groups.protected = vec![Glob::new("admins")];
    server.policy.offboarding.limit = Limit::Percent(100.0);
    let with = |name: &str, members: &[&str]| {
        let people = (0..4).fold(directory(), |directory, n| {
            directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
        });
        people.group("g", name, members)
    };
    server.sync(&with("Admins", &["p0", "p1"]));
    // This server can't rename groups.
    for name in ["Admins", "Operators"] {
        let run = server.sync(&with(name, &["p0"]));
        let why = run.held.map(|held| held.describe()).unwrap_or_default();
        assert!(
            why.contains("is protected, and 1 member would leave it"),
            "{name}: {why}"
        );
    }
}

#[test]
fn a_spec_that_reads_something_else_restores_nobody_there_either() {
    type Edit = fn(TestDirectory) -> TestDirectory;
    let edits: [Edit; 2] = [TestDirectory::without_account_rule, |directory| {
        directory.other_account_rule("state is retired")
    }];
    for (edit, record_is_lost) in edits.into_iter().zip([false, true]) {
        let mut server = Server::new().never_sends(&[]);
        server.sync(&company());
        let fired = others().disabled("p0", "p0@example.com");
        assert_eq!(changes(&server.sync(&fired)), ["Revoke p0"]);
        if record_is_lost {
            // A run that reads them as disabled notes them again.
            server.ledger = Ledger::default();
            assert_eq!(changes(&server.sync(&fired)), [""; 0]);
        }
        let back = || others().person("p0", "p0@example.com");
        let run = server.sync(&edit(back()));
        assert_eq!(changes(&run), [""; 0]);
        assert_eq!(problems(&run), [(ProblemReason::NotRestored, vec!["p0"])]);
        assert_eq!(changes(&server.sync(&back())), ["Restore p0"]);
    }
}

#[test]
fn whoever_has_a_new_id_waits_for_an_approval_and_nobody_else_does() {
    let mut server = Server::new().never_sends(&[]);
    let groups = |directory: TestDirectory, p1: &str| {
        let directory = directory.group("g", "Group", &["p0", p1]);
        directory.group("other", "Other", &["p2", "p3"])
    };
    server.sync(&groups(company(), "p1"));
    // p1 has a new id, p2 is dismissed, p3 leaves a group; by hand, p1 was revoked.
    let directory = (0..8).filter(|n| ![1, 2].contains(n)).fold(
        directory()
            .person("new1", "p1@example.com")
            .disabled("p2", "p2@example.com"),
        |directory, n| directory.person(&format!("p{n}"), &format!("p{n}@example.com")),
    );
    let directory = directory
        .group("g", "Group", &["p0", "new1", "p4"])
        .group("fresh", "Fresh", &["new1"])
        .group("other", "Other", &["p2"]);
    for _ in 0..2 {
        let waits = server.plan(&directory, None);
        assert_eq!(changes(&waits), ["Revoke p2", "UpdateGroup other"]);
        assert_eq!(row(&waits, "other").unwrap(), ["p2"]);
        assert_eq!(
            held(&waits),
            [
                "Relink p1@example.com",
                "CreateGroup Fresh",
                "UpdateGroup Group"
            ]
        );
        let why = &waits.held.as_ref().unwrap().why;
        assert_eq!(why[..], [HeldBecause::RelinksUnseen { people: 1 }]);
    }
    server.sync(&directory);
    let waits = server.plan(&directory, None);
    assert_eq!(changes(&waits), [""; 0]);
    let run = server.approve(&directory, &waits);
    assert_eq!(
        changes(&run),
        ["Relink new1", "CreateGroup fresh", "UpdateGroup g"]
    );
    assert_eq!(row(&run, "g").unwrap(), ["new1", "p0", "p4"]);
    assert_eq!(changes(&server.sync(&directory)), [""; 0]);
}

#[test]
fn while_a_changed_address_waits_its_groups_are_not_sent_again() {
    let mut server = Server::new().never_sends(&[]);
    let groups = |directory: TestDirectory| directory.group("g", "Group", &["p0", "p1"]);
    server.sync(&groups(company()));
    server.policy.offboarding.limit = Limit::Count(0);
    let moved = (0..8).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@new.example.com"))
    });
    for _ in 0..2 {
        let waits = server.sync(&groups(moved.clone()));
        assert_eq!(held(&waits).len(), 8);
        assert_eq!(changes(&waits), [""; 0], "nothing changed there");
    }
    // Another change of the group is sent, with who is in it.
    let filled = moved.clone().group("g", "Group", &["p0", "p1", "p2"]);
    let waits = server.sync(&filled);
    assert_eq!(changes(&waits), ["UpdateGroup g"]);
    assert_eq!(row(&waits, "g").unwrap(), ["p0", "p1", "p2"]);
    assert_eq!(changes(&server.sync(&filled)), [""; 0]);
    // Once they have their new accounts, it is filled with them.
    let waits = server.plan(&filled, None);
    let run = server.approve(&filled, &waits);
    assert_eq!(row(&run, "g").unwrap(), ["p0", "p1", "p2"]);
    assert_eq!(changes(&server.sync(&filled)), [""; 0]);
}

#[test]
fn whom_a_run_that_was_killed_may_have_revoked_is_revoked_again_or_given_access_back() {
    let with = |p0: fn(TestDirectory) -> TestDirectory| {
        (1..8).fold(p0(directory()), |directory, n| {
            directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
        })
    };
    let disabled = with(|directory| directory.disabled("p0", "p0@example.com"));
    let active = with(|directory| directory.person("p0", "p0@example.com"));
    let killed = || {
        let mut server = Server::new().never_sends(&[]);
        server.sync(&company());
        let guarded = server.plan(&disabled, None);
        assert_eq!(changes(&guarded), ["Revoke p0"]);
        let nothing_is_known = failed(&guarded, false, |_| true);
        server.memory.record(&guarded, &nothing_is_known);
        server.ledger.before(&guarded, Timestamp::UNIX_EPOCH);
        server
    };
    let mut server = killed();
    assert_eq!(changes(&server.sync(&disabled)), ["Revoke p0"]);
    assert_eq!(changes(&server.sync(&disabled)), [""; 0]);
    let mut server = killed();
    assert_eq!(changes(&server.sync(&active)), ["Restore p0"]);
    assert_eq!(changes(&server.sync(&active)), [""; 0]);
    // Somebody else with the address doesn't get what may have been taken.
    let mut server = killed();
    let other = with(|directory| directory.person("new", "p0@example.com"));
    let after = server.sync(&other);
    assert_eq!(changes(&after), [""; 0]);
    assert_eq!(problems(&after)[0].0, ProblemReason::IdentityConflict);
}

/// The company, of which the first three have other ids than before; p0 is as `first` says.
fn with_new_ids(first: fn(TestDirectory, &str, &str) -> TestDirectory) -> TestDirectory {
    (0..8).fold(directory(), |directory, n| {
        let email = format!("p{n}@example.com");
        match n {
            0 => first(directory, "new0", &email),
            1 | 2 => directory.person(&format!("new{n}"), &email),
            _ => directory.person(&format!("p{n}"), &email),
        }
    })
}

#[test]
fn whoever_is_disabled_under_a_new_id_is_revoked_at_once_by_the_id_the_server_has() {
    let active = || with_new_ids(TestDirectory::person);
    let disabled = || with_new_ids(TestDirectory::disabled);
    let group = |directory: TestDirectory, members: &[&str]| directory.group("g", "Group", members);
    for waits_first in [true, false] {
        for departure in [OffboardingAction::Revoke, OffboardingAction::Remove] {
            let mut server = Server::new().never_sends(&[]);
            server.policy.offboarding.disabled = departure;
            server.sync(&group(company(), &["p0", "p1", "p3"]));
            if waits_first {
                let waits = server.sync(&group(active(), &["new0", "new1", "p3"]));
                assert_eq!(changes(&waits), [""; 0]);
                assert_eq!(held(&waits).len(), 4, "{:?}", held(&waits));
            }
            let now = group(disabled(), &["new0", "new1", "p3"]);
            let run = server.sync(&now);
            assert_eq!(changes(&run), ["Revoke p0"], "no approval is asked for");
            let waits = server.sync(&now);
            assert_eq!(changes(&waits), [""; 0]);
            assert_eq!(held(&waits).len(), 3, "{:?}", held(&waits));
            let run = server.approve(&now, &waits);
            assert_eq!(
                changes(&run),
                ["Relink new1", "Relink new2", "UpdateGroup g"]
            );
            assert_eq!(
                row(&run, "g").unwrap(),
                ["new1", "p0", "p3"],
                "p0 stays in it, revoked"
            );
            assert_eq!(changes(&server.sync(&now)), [""; 0]);

            // Active again: the address may be another person's by now.
            let back = group(active(), &["new0", "new1", "p3"]);
            for _ in 0..2 {
                let run = server.sync(&back);
                assert_eq!(changes(&run), [""; 0]);
                assert_eq!(problems(&run)[0].0, ProblemReason::IdentityConflict);
                assert!(messages(&run).contains("p0@example.com was revoked and belongs to p0"));
            }
        }
    }
}

#[test]
fn whoever_is_listed_as_deleted_under_a_new_id_goes_as_the_policy_for_deleted_ones_says() {
    let deleted = with_new_ids(TestDirectory::deleted);
    for (departure, expected) in [
        (OffboardingAction::Retain, vec![]),
        (OffboardingAction::Revoke, vec!["Revoke p0"]),
    ] {
        let mut server = Server::new().never_sends(&[]);
        server.policy.offboarding.deleted = departure;
        server.sync(&company());
        assert_eq!(changes(&server.sync(&deleted)), expected);
    }
}

#[test]
fn whom_a_killed_run_may_have_revoked_under_a_new_id_is_revoked_again() {
    let disabled = with_new_ids(TestDirectory::disabled);
    let mut server = Server::new().never_sends(&[]);
    server.sync(&company());
    let killed = server.plan(&disabled, None);
    let nothing_is_known = failed(&killed, false, |_| true);
    server.memory.record(&killed, &nothing_is_known);
    server.ledger.before(&killed, Timestamp::UNIX_EPOCH);
    assert_eq!(changes(&server.sync(&disabled)), ["Revoke p0"]);
    assert_eq!(changes(&server.sync(&disabled)), [""; 0]);
}

#[test]
fn whoever_is_disabled_under_a_new_id_counts_against_the_limit() {
    let mut server = Server::new().never_sends(&[]);
    server.policy.offboarding.disabled_limit = Limit::Count(1);
    server.sync(&company());
    let two = (2..8).fold(
        directory()
            .disabled("new0", "p0@example.com")
            .disabled("new1", "p1@example.com"),
        |directory, n| directory.person(&format!("p{n}"), &format!("p{n}@example.com")),
    );
    let run = server.sync(&two);
    assert_eq!(changes(&run), [""; 0]);
    assert_eq!(
        held(&run),
        ["Revoke p0@example.com", "Revoke p1@example.com"]
    );
}

#[test]
fn an_account_of_somebody_else_in_the_directory_is_not_revoked_for_its_address_and_that_is_told() {
    // An older entry of somebody active, with the address and another id.
    let mut server = Server::new().never_sends(&[]);
    server.sync(&company());
    let twin = company().disabled("old0", "p0@example.com");
    let run = server.sync(&twin);
    assert_eq!(changes(&run), [""; 0]);
    assert_eq!(problems(&run), [], "the active entry decides");

    // Two people have each other's id, and one of them is disabled: nobody can tell which.
    let swapped = (2..8).fold(
        directory()
            .disabled("p1", "p0@example.com")
            .person("p0", "p1@example.com"),
        |directory, n| directory.person(&format!("p{n}"), &format!("p{n}@example.com")),
    );
    let run = server.sync(&swapped);
    assert_eq!(changes(&run), [""; 0]);
    let told = messages(&run);
    assert!(
        told.contains("p1 has the address p0@example.com in the directory and is disabled"),
        "{told}"
    );
}

#[test]
fn where_what_was_sent_is_lost_disabled_people_are_named_until_it_is_known_again() {
    let mut server = Server::new().never_sends(&["hand@example.com"]);
    server.sync(&company());
    server.memory = MembershipCache::lost();
    let now = others()
        .disabled("p0", "p0@example.com")
        .disabled("hand", "hand@example.com");
    let run = server.sync(&now);
    let named = "revoke whoever has access there: p0@example.com";
    assert!(messages(&run).contains(named), "{}", messages(&run));
    let run = server.approve(&now, &run);
    assert!(messages(&run).contains(named), "{}", messages(&run));
    assert_eq!(problems(&server.sync(&now)), []);
}

#[test]
fn whom_a_killed_run_may_have_given_access_back_waits_for_an_approval() {
    let disabled = others().disabled("p0", "p0@example.com");
    let killed = || {
        let mut server = Server::new().never_sends(&[]);
        server.sync(&company());
        assert_eq!(changes(&server.sync(&disabled)), ["Revoke p0"]);
        let guarded = server.plan(&company(), None);
        assert_eq!(changes(&guarded), ["Restore p0"]);
        let nothing_is_known = failed(&guarded, false, |_| true);
        server.memory.record(&guarded, &nothing_is_known);
        server.ledger.before(&guarded, Timestamp::UNIX_EPOCH);
        server
    };
    // By now somebody may have revoked them by hand.
    let mut server = killed();
    for _ in 0..2 {
        let run = server.sync(&company());
        assert_eq!(changes(&run), [""; 0]);
        let why = &run.held.as_ref().unwrap().why;
        assert_eq!(why[..], [HeldBecause::RestoresUnseen { people: 1 }]);
    }
    let waits = server.plan(&company(), None);
    assert_eq!(changes(&server.approve(&company(), &waits)), ["Restore p0"]);
    assert_eq!(changes(&server.sync(&company())), [""; 0]);

    assert_eq!(
        changes(&killed().sync(&disabled)),
        ["Revoke p0"],
        "they may have access"
    );
    let mut server = killed();
    server.policy.onboarding.restore = Restore::All;
    assert_eq!(
        changes(&server.sync(&company())),
        ["Restore p0"],
        "an explicit choice"
    );
    let mut server = killed();
    server.policy.onboarding.restore = Restore::Nobody;
    assert_eq!(changes(&server.sync(&company())), [""; 0]);
}

#[test]
fn a_re_link_that_a_killed_run_may_have_made_is_held_again() {
    let renamed = with_new_ids(TestDirectory::person);
    let mut server = Server::new().never_sends(&[]);
    server.sync(&company());
    let waits = server.sync(&renamed);
    let approval = Approval {
        digest: waits.digest.clone(),
    };
    let killed = server.plan(&renamed, Some(&approval));
    assert_eq!(changes(&killed).len(), 3);
    let nothing_is_known = failed(&killed, false, |_| true);
    server.memory.record(&killed, &nothing_is_known);
    let again = server.sync(&renamed);
    assert_eq!(changes(&again), [""; 0]);
    assert_eq!(held(&again).len(), 3);
    // Whoever is disabled meanwhile is revoked all the same.
    let disabled = with_new_ids(TestDirectory::disabled);
    assert_eq!(changes(&server.sync(&disabled)), ["Revoke p0"]);
}

#[test]
fn a_resource_that_is_made_anew_invites_as_in_a_first_sync_there_and_revokes_nobody() {
    let company = |people: usize, disabled: usize| {
        (0..people).fold(directory(), |all, n| {
            let (own, email) = (format!("p{n}"), format!("p{n}@example.com"));
            match n < disabled {
                true => all.disabled(&own, &email),
                false => all.person(&own, &email),
            }
        })
    };
    let mut server = Server::new().never_sends(&["owner@example.com"]);
    server.policy.onboarding.limit = Limit::Percent(50.0);
    server.sync(&company(20, 0));
    let held = server.plan(&company(60, 0), None);
    assert_eq!(
        held.held.unwrap().changes.len(),
        40,
        "ten may come in a day"
    );
    let mut server = server.made_anew();
    let again = server.sync(&company(60, 3));
    assert!(again.held.is_none());
    let made = changes(&again);
    assert_eq!(made.len(), 57);
    assert!(made.iter().all(|one| one.starts_with("Invite")), "{made:?}");
}

#[test]
fn what_the_server_refused_of_a_person_is_not_sent_again_though_it_took_the_group_with_the_same_id()
{
    let company = directory()
        .person("1000", "ann@example.com")
        .person("p1", "bob@example.com")
        .group("1000", "ann", &["p1"]);
    let mut server = Server::new();
    let first = server.plan(&company, None);
    assert_eq!(changes(&first).len(), 3);
    let refused = failed(&first, true, |change| {
        change.member().is_some() && *change.external_id() == id("1000")
    });
    server.memory.record(&first, &refused);
    let bytes = server.memory.to_bytes();
    server.memory = MembershipCache::from_bytes(&bytes).unwrap();
    let next = server.plan(&company, None);
    assert_eq!(changes(&next), [""; 0]);
    assert_eq!(problems(&next), [(ProblemReason::Refused, vec!["1000"])]);
}
