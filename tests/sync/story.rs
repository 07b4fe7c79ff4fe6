//! What an organization holds after a sync, as stories.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use directory_sync::problem::ProblemReason;
use directory_sync::source::ldap::LdapSource;
use directory_sync::source::{ReadProgress, Reading, Source, SourceError, Step, Version};
use directory_sync::sync::guard::{Approval, HeldBecause};
use directory_sync::sync::plan::Kind;
use directory_sync::sync::policy::{Limit, OffboardingAction, Restore};
use directory_sync::sync::report::{Mode, Report};
use directory_sync::sync::run::State;
use futures::FutureExt;
use futures::future::BoxFuture;
use simulators::fault::{Fault, Way};
use simulators::lab::{Ldif, Slapd};
use simulators::organization::{CollectionAccess, Config, GroupSeed, MemberSeed, Seats, Status};

use crate::world::{
    NO_RETRY, SUFFIX, Sync, address, client, directory, email, newcomer, organization, slapd,
    source, uuid,
};

fn member_of(snapshot: &simulators::organization::Snapshot, group: &str) -> Vec<String> {
    let group = snapshot.groups.iter().find(|found| found.name == group);
    group.map(|group| group.members.clone()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_ends_up_where_the_directory_says() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let report = Sync::new(&source, &client).run().await.unwrap();
    let after = organization.snapshot();
    assert!(!report.changed_meanwhile, "{:?}", report.problems);

    // New people are invited once; who is disabled and was never a member isn't.
    assert_eq!(report.applied.get(Kind::Invite), 26);
    assert_eq!(organization.invitations().len(), 26);
    assert!(!after.members.contains_key(&email("p22")));
    // Members found by email are linked, with their access; so are those known by an old id.
    for number in [13, 14, 15, 16, 17] {
        let member = &after.members[&email(&format!("p{number}"))];
        assert_eq!(member.external_id.as_deref(), Some(&*uuid(number)));
        assert_eq!(
            member.collections.len(),
            1,
            "p{number} kept their collections"
        );
    }
    // Active again: back in. Disabled: out, but kept.
    assert_eq!(after.members[&email("p18")].status, Status::Confirmed);
    assert_eq!(after.members[&email("p20")].status, Status::Revoked);
    // Gone from the directory: removed, unless an owner.
    assert!(!after.members.contains_key("leaver1@example.com"));
    assert!(after.members.contains_key("old.owner@example.com"));
    assert!(after.members.contains_key("contractor@elsewhere.test"));
    // Groups: nested ones are flattened, a renamed one keeps its members and access, one that was
    // known by an old id is the same group, one that is gone is deleted, a manual one stays.
    assert_eq!(member_of(&after, "engineering").len(), 20);
    assert_eq!(member_of(&after, "operations").len(), 3);
    let moved = after
        .groups
        .iter()
        .find(|group| group.name == "moved")
        .unwrap();
    assert_eq!(moved.external_id.as_deref(), Some(&*uuid(907)));
    assert_eq!((moved.members.len(), moved.collections.len()), (6, 1));
    assert!(!after.groups.iter().any(|group| group.name == "closed"));
    assert!(after.groups.iter().any(|group| group.name == "By hand"));
    // A member who isn't ours stays in a group of ours, and the group is brought into step.
    let shared = member_of(&after, "shared");
    assert!(shared.contains(&"contractor@elsewhere.test".to_owned()));
    assert!(!shared.contains(&email("p05")));
    assert_eq!(shared.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn whom_an_earlier_run_revoked_is_removed_and_whoever_was_revoked_by_hand_stays() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let by_hand = MemberSeed::new(&email("p22"))
        .external_id(&uuid(22))
        .status(Status::Revoked);
    organization.seed_member(by_hand);
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    sync.run().await.unwrap();
    let revoked = organization.snapshot().members[&email("p20")].status;
    assert_eq!(revoked, Status::Revoked);

    sync.policy.offboarding.remove_after = Some(jiff::SignedDuration::ZERO);
    let report = sync.run().await.unwrap();

    let after = organization.snapshot();
    assert!(!after.members.contains_key(&email("p20")));
    assert_eq!(after.members[&email("p22")].status, Status::Revoked);
    assert_eq!(report.applied.get(Kind::Revoke), 0);
    assert_eq!(sync.run().await.unwrap().applied.total(), 0);
}

/// A source that can tell that nothing moved, and counts how often it was read nevertheless.
struct Unchanging {
    inner: LdapSource,
    reads: AtomicUsize,
}

impl Source for Unchanging {
    fn read<'a>(
        &'a self,
        known: Option<&'a Version>,
        progress: &'a ReadProgress,
    ) -> BoxFuture<'a, Result<Reading, SourceError>> {
        async move {
            if known.is_some() {
                return Ok(Reading::Unchanged);
            }
            self.reads.fetch_add(1, Ordering::Relaxed);
            match self.inner.read(None, progress).await? {
                Reading::Full { directory, .. } => Ok(Reading::Full {
                    directory,
                    version: Some(Version("1".into())),
                }),
                Reading::Unchanged => Ok(Reading::Unchanged),
            }
        }
        .boxed()
    }

    fn check<'a>(&'a self) -> BoxFuture<'a, Vec<Step>> {
        self.inner.check()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_due_for_removal_and_kept_costs_no_read_at_every_run() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let source = Unchanging {
        inner: source(address(&slapd)),
        reads: AtomicUsize::new(0),
    };
    let client = client(&organization, NO_RETRY);
    let mut sync = Sync::new(&source, &client);
    sync.run().await.unwrap();
    // They were revoked, and what the directory says of them doesn't ask for that any more.
    sync.policy.offboarding.disabled = OffboardingAction::Retain;
    sync.policy.offboarding.remove_after = Some(jiff::SignedDuration::from_secs(2));
    sync.run().await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    // They have become due.
    assert!(sync.run().await.unwrap().in_sync());
    let reads = || source.reads.load(Ordering::Relaxed);
    let once = reads();
    for _ in 0..3 {
        assert!(sync.run().await.unwrap().in_sync());
    }
    assert_eq!(reads(), once);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_made_by_hand_is_taken_over_with_its_access_where_that_is_asked_for() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let vault = CollectionAccess::to("9c1f5f0e-3a3c-4a55-8f52-0f1f4a6c7e10");
    let by_hand = GroupSeed::new("engineering")
        .members(["contractor@elsewhere.test"])
        .collection(vault);
    organization.seed_group(by_hand);
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    sync.policy.groups.adopt = true;

    let report = sync.run().await.unwrap();

    let after = organization.snapshot();
    let found = after
        .groups
        .iter()
        .filter(|group| group.name == "engineering");
    let [adopted] = found.collect::<Vec<_>>()[..] else {
        panic!("{after}");
    };
    assert!(adopted.external_id.is_some());
    assert_eq!(adopted.collections.len(), 1);
    assert_eq!(
        adopted.members.len(),
        21,
        "20 of the directory, and the contractor"
    );
    assert_eq!(report.applied.get(Kind::RelinkGroup), 2);
    assert_eq!(sync.run().await.unwrap().applied.total(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_company_costs_two_reads_and_no_write_and_a_new_process_asks_no_more() {
    let slapd = slapd();
    let organization = organization(Config::self_hosted()).await;
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    sync.run().await.unwrap();
    let kept = sync.state.memberships.to_bytes();

    organization.clear_requests();
    let report = sync.run().await.unwrap();
    assert!(report.in_sync());
    let paths: Vec<_> = organization
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(paths.len(), 2, "members and groups: {paths:?}");

    let memberships =
        directory_sync::sync::memberships::MembershipCache::from_bytes(&kept).unwrap();
    sync.state = State::restored(memberships, directory_sync::sync::ledger::Ledger::default());
    organization.clear_requests();
    assert!(sync.run().await.unwrap().in_sync());
    assert_eq!(organization.requests().len(), 2);

    // Without anything kept, the groups are read to see who is in them; nothing is written.
    sync.state = State::default();
    organization.clear_requests();
    assert!(sync.run().await.unwrap().in_sync());
    let requests = organization.requests();
    assert_eq!(requests.len(), 2 + 8);
    assert!(requests.iter().all(|request| request.method == "GET"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_changes_nothing_and_reports_everything() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let before = organization.snapshot();
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    let preview = sync.go(Mode::Preview, None).await.unwrap();
    assert_eq!(organization.snapshot(), before);
    assert!(
        !organization
            .requests()
            .iter()
            .any(simulators::organization::Request::is_write)
    );
    let applied = Sync::new(&source, &client).run().await.unwrap();
    assert_eq!(preview.planned(), applied.planned());
    assert_eq!(preview.digest, applied.digest);
    // What the preview remembered of the groups is no longer so: it says what was there.
    let wanted = organization.snapshot();
    sync.full_resync = true;
    assert!(sync.run().await.unwrap().in_sync());
    assert_eq!(organization.snapshot(), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_after_a_preview_goes_by_what_the_preview_saw() {
    let slapd = slapd();
    let (one, other) = (
        organization(Config::cloud()).await,
        organization(Config::cloud()).await,
    );
    let source = source(address(&slapd));
    let (first, second) = (client(&one, NO_RETRY), client(&other, NO_RETRY));
    Sync::new(&source, &first).run().await.unwrap();
    let mut sync = Sync::new(&source, &second);
    sync.go(Mode::Preview, None).await.unwrap();
    sync.run().await.unwrap();
    assert_eq!(other.snapshot(), one.snapshot());
    assert!(sync.run().await.unwrap().in_sync());
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_past_the_limit_wait_together_until_exactly_they_are_approved() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    sync.policy.offboarding.limit = Limit::Count(2);
    sync.policy.offboarding.disabled_limit = Limit::Count(0);

    let held = sync.run().await.unwrap();
    let waiting = held.held().expect("removals wait");
    assert!(matches!(
        waiting.why[0],
        HeldBecause::Absent { limit: 2, .. }
    ));
    assert_eq!(organization.losses(), [], "nobody lost anything");
    assert_eq!(
        held.applied.get(Kind::Invite),
        26,
        "everything else went ahead"
    );
    let between = organization.snapshot();
    assert!(member_of(&between, "shared").contains(&email("p05")));
    assert!(
        member_of(&between, "shared").contains(&email("p37")),
        "additions weren't held up"
    );

    // While it waits it costs nothing, and stays the same.
    organization.clear_requests();
    let again = sync.run().await.unwrap();
    assert_eq!(again.digest, held.digest);
    let requests = organization.requests();
    let seen: Vec<_> = requests
        .iter()
        .map(|request| request.path.as_str())
        .collect();
    assert_eq!(
        requests.len(),
        3,
        "both lists and the members of the group that would be deleted: {seen:?}"
    );

    let mut wrong = Approval {
        digest: held.digest.clone(),
    };
    wrong.digest.0.replace_range(
        ..1,
        if wrong.digest.0.starts_with('0') {
            "1"
        } else {
            "0"
        },
    );
    assert!(
        sync.go(Mode::Apply, Some(&wrong))
            .await
            .unwrap()
            .held()
            .is_some()
    );
    assert_eq!(organization.losses(), []);

    let approval = Approval {
        digest: held.digest,
    };
    let approved = sync.go(Mode::Apply, Some(&approval)).await.unwrap();
    assert!(approved.held().is_none());
    assert_eq!(approved.applied.get(Kind::Remove), 3);
    assert_eq!(approved.applied.get(Kind::Revoke), 2);
    assert!(sync.run().await.unwrap().in_sync());
    assert!(!member_of(&organization.snapshot(), "shared").contains(&email("p05")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_directory_is_not_believed_at_any_limit() {
    let mut empty = Ldif::new(SUFFIX);
    empty.unit("", "people");
    let slapd = Slapd::options().ldif(empty.text()).start().unwrap();
    let organization = organization(Config::cloud()).await;
    let before = organization.snapshot();
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let report = Sync::new(&source, &client).run().await.unwrap();
    assert!(matches!(
        report.held().unwrap().why[0],
        HeldBecause::EmptyDirectory { .. }
    ));
    assert_eq!(organization.snapshot(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_entry_is_the_same_person() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    sync.run().await.unwrap();
    let before = organization.snapshot();
    let change = format!(
        "dn: uid=p30,ou=people,{SUFFIX}\nchangetype: modrdn\nnewrdn: uid=renamed\ndeleteoldrdn: 1\n\n\
         dn: cn=frontend,ou=groups,{SUFFIX}\nchangetype: modify\ndelete: member\n\
         member: uid=p30,ou=people,{SUFFIX}\n-\nadd: member\nmember: uid=renamed,ou=people,{SUFFIX}\n"
    );
    slapd.modify(&change).unwrap();
    assert!(sync.run().await.unwrap().in_sync());
    assert_eq!(organization.snapshot(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_without_a_seat_wait_and_come_in_once_there_is_one() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    // 23 members have access; 3 are removed and 2 revoked, 2 restored; 26 people are new.
    let used = organization.seats_in_use();
    organization.set_seats(Seats::fixed(used + 10));
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    let report = sync.run().await.unwrap();
    assert_eq!(report.applied.get(Kind::Restore), 2);
    assert_eq!(
        report.applied.get(Kind::Invite),
        13,
        "freed seats are used at once"
    );
    let no_seats = report
        .problems
        .iter()
        .find(|p| p.reason == ProblemReason::NoSeats)
        .unwrap();
    assert_eq!(no_seats.external_ids.len(), 13);
    organization.clear_requests();
    sync.run().await.unwrap();
    assert!(
        !organization
            .requests()
            .iter()
            .any(simulators::organization::Request::is_write)
    );

    organization.set_seats(Seats::fixed(used + 100));
    let report = sync.run().await.unwrap();
    assert_eq!(report.applied.get(Kind::Invite), 13);
    assert!(sync.run().await.unwrap().in_sync());
    let engineering = member_of(&organization.snapshot(), "engineering");
    assert_eq!(engineering.len(), 20, "who came late is in the groups, too");
    assert!(organization.invitations().values().all(|mails| *mails == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_made_by_hand_heals_when_everything_is_compared() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    sync.run().await.unwrap();
    let wanted = organization.snapshot();
    // Somebody empties a group in Bitwarden.
    let admin = client.clone();
    let group = organization.group_id(&uuid(902)).unwrap();
    admin
        .set_members(group.to_string().parse().unwrap(), &[])
        .await
        .unwrap();
    assert!(
        sync.run().await.unwrap().in_sync(),
        "not looked at on an ordinary run"
    );
    sync.full_resync = true;
    let report = sync.run().await.unwrap();
    assert!(report.memberships_verified);
    assert_eq!(report.applied.get(Kind::UpdateGroup), 1);
    assert_eq!(organization.snapshot(), wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_entry_is_named_and_holds_nobody_up() {
    let mut ldif = directory();
    let mut twin = newcomer("twin", 700);
    twin.mail = Some(email("p30"));
    ldif.person("ou=people", &twin);
    let mut nameless = newcomer("nameless", 701);
    nameless.mail = None;
    ldif.person("ou=people", &nameless);
    let mut odd = newcomer("odd", 702);
    odd.mail = Some("not an address".into());
    ldif.person("ou=people", &odd);
    let slapd = Slapd::options().ldif(ldif.text()).start().unwrap();
    let organization = organization(Config::cloud()).await;
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let report = Sync::new(&source, &client).run().await.unwrap();
    assert_eq!(report.applied.get(Kind::Invite), 25, "all but the twins");
    let of = |reason| {
        let problem = report
            .problems
            .iter()
            .find(|problem| problem.reason == reason);
        problem.unwrap_or_else(|| panic!("{reason} is reported"))
    };
    let twins = of(ProblemReason::DuplicateEmail);
    assert!(twins.external_ids.iter().any(|id| id.as_str() == uuid(700)));
    assert!(twins.external_ids.iter().any(|id| id.as_str() == uuid(30)));
    assert!(of(ProblemReason::NoEmail).message.contains("nameless"));
    assert!(of(ProblemReason::InvalidEmail).message.contains("odd"));
}

#[tokio::test(flavor = "multi_thread")]
async fn vaultwarden_gets_what_changed_and_only_whom_we_sent_is_revoked() {
    let slapd = slapd();
    let organization = organization(Config::vaultwarden()).await;
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    sync.policy.offboarding.absent = OffboardingAction::Retain;
    sync.policy.groups.prune = false;
    let first = sync.run().await.unwrap();
    let after = organization.snapshot();
    // What is counted is what was sent, at each run the same.
    let imported = first.imported.unwrap();
    assert_eq!(imported.accounts, first.applied.get(Kind::Invite));
    assert_eq!(imported.groups, first.applied.get(Kind::CreateGroup));
    assert_eq!(
        after.members[&email("p20")].status,
        Status::Confirmed,
        "disabled, but no import of ours brought them in"
    );
    assert!(
        !after.members.contains_key(&email("p22")),
        "a blocked account is never invited"
    );
    assert_eq!(member_of(&after, "engineering").len(), 20);
    assert!(after.members.contains_key("leaver1@example.com"));

    organization.clear_requests();
    assert_eq!(sync.run().await.unwrap().imported, Some(imported));
    assert!(
        !organization
            .requests()
            .iter()
            .any(simulators::organization::Request::is_write)
    );

    slapd
        .modify(&format!(
            "dn: uid=p40,ou=people,{SUFFIX}\nchangetype: modify\nreplace: employeeType\nemployeeType: blocked\n"
        ))
        .unwrap();
    let revoked = sync.run().await.unwrap().imported.unwrap();
    assert_eq!(
        organization.snapshot().members[&email("p40")].status,
        Status::Revoked
    );
    assert_eq!(revoked.accounts, imported.accounts - 1);
    assert_eq!(sync.run().await.unwrap().imported, Some(revoked));

    // Three people leave a group: past the limit they wait, and leave it once that is approved.
    sync.policy.offboarding.limit = Limit::Count(2);
    let leaving =
        ["p34", "p35", "p36"].map(|uid| format!("member: uid={uid},ou=people,{SUFFIX}\n"));
    let change = leaving.concat();
    slapd
        .modify(&format!(
            "dn: cn=sales,ou=groups,{SUFFIX}\nchangetype: modify\ndelete: member\n{change}"
        ))
        .unwrap();
    let held = sync.run().await.unwrap();
    assert!(held.held().is_some());
    assert_eq!(member_of(&organization.snapshot(), "sales").len(), 5);
    let approval = Approval {
        digest: held.digest,
    };
    sync.go(Mode::Apply, Some(&approval)).await.unwrap();
    assert_eq!(member_of(&organization.snapshot(), "sales").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_vaultwarden_owners_and_whoever_was_invited_by_hand_stay_although_they_are_disabled() {
    let slapd = slapd();
    let organization = organization(Config::vaultwarden()).await;
    organization.seed_member(MemberSeed::new(&email("p22")).owner());
    slapd
        .modify(&format!(
            "dn: uid=p13,ou=people,{SUFFIX}\nchangetype: modify\nreplace: employeeType\nemployeeType: blocked\n"
        ))
        .unwrap();
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    for never_send in [Some(Default::default()), None] {
        let mut sync = Sync::new(&source, &client);
        sync.policy.never_send = never_send;
        for _ in 0..2 {
            sync.run().await.unwrap();
            let after = organization.snapshot();
            for uid in ["p13", "p22"] {
                let member = &after.members[&email(uid)];
                let found = (member.status, member.external_id.as_deref());
                assert_eq!(found, (Status::Confirmed, None), "{uid}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_confirmed_is_what_is_applied_although_the_directory_has_changed_since() {
    let planned_from = slapd();
    let organization = organization(Config::cloud()).await;
    let (first, client) = (
        source(address(&planned_from)),
        client(&organization, NO_RETRY),
    );
    let mut sync = Sync::new(&first, &client);
    let planned = sync.plan(None).await.unwrap();
    let confirmed = planned.changes().to_vec();

    // Somebody empties the directory while the question waits for its answer.
    let mut nobody = Ldif::new(SUFFIX);
    nobody.unit("", "people");
    let emptied = Slapd::options().ldif(nobody.text()).start().unwrap();
    let second = source(address(&emptied));
    sync.source = &second;

    let report = sync.apply(planned).await.unwrap();
    assert_eq!(report.planned(), confirmed);
    assert_eq!(report.applied.total(), confirmed.len());
    assert_eq!(organization.invitations().len(), 26);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_the_same_until_either_side_asks_for_something_else() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let (source_, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source_, &client);
    let shown = sync.plan(None).await.unwrap();
    let again = sync.plan(None).await.unwrap();
    assert!(again.makes_same_changes_as(&shown));

    organization.seed_member(MemberSeed::new("p23@example.com"));
    let seeded = sync.plan(None).await.unwrap();
    assert!(!seeded.makes_same_changes_as(&shown));

    let mut nobody = Ldif::new(SUFFIX);
    nobody.unit("", "people");
    let emptied = Slapd::options().ldif(nobody.text()).start().unwrap();
    let second = source(address(&emptied));
    sync.source = &second;
    let emptied = sync.plan(None).await.unwrap();
    assert!(!emptied.makes_same_changes_as(&seeded));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_invited_by_a_server_that_cannot_stage() {
    for can_stage in [false, true] {
        let slapd = slapd();
        let config = Config {
            can_stage,
            ..Config::cloud()
        };
        let organization = organization(config).await;
        let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
        let mut sync = Sync::new(&source, &client);
        sync.policy.onboarding.invite = false;
        let report = sync.run().await.unwrap();
        assert_eq!(organization.invitations().len(), 0, "not one mail");
        let members = organization.snapshot().members;
        let staged = members.values().filter(|m| m.status == Status::Staged);
        assert_eq!(staged.count() > 0, can_stage);
        let reported = report
            .problems
            .iter()
            .any(|problem| problem.message.contains("pm-34423-staged-status"));
        assert_eq!(reported, !can_stage);
    }
}

/// The member ids of the group that an organization calls so.
async fn group_named(
    client: &directory_sync::organization::OrganizationClient,
    name: &str,
) -> (uuid::Uuid, Vec<uuid::Uuid>) {
    use directory_sync::organization::model::Organization;
    let Organization::Read(content) = client.read().await.unwrap() else {
        panic!("it can be read")
    };
    let group = content.groups.iter().find(|group| *group.name == *name);
    let group = group.unwrap().id;
    (group, client.member_ids(group).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_did_by_hand_between_plan_and_apply_stays_and_the_next_run_sees_it() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    let planned = sync.plan(None).await.unwrap();

    // A contractor, whom we don't manage, and somebody of the directory who isn't in the group's list.
    for (group, added) in [
        ("backend", "contractor@elsewhere.test"),
        ("sales", "p05@example.com"),
    ] {
        let (id, mut members) = group_named(&client, group).await;
        members.push(member_id(&client, added).await);
        client.set_members(id, &members).await.unwrap();
    }
    sync.apply(planned).await.unwrap();
    let after = organization.snapshot();
    assert!(member_of(&after, "backend").contains(&"contractor@elsewhere.test".to_owned()));
    assert!(member_of(&after, "sales").contains(&email("p05")));

    sync.run().await.unwrap();
    let after = organization.snapshot();
    assert!(member_of(&after, "backend").contains(&"contractor@elsewhere.test".to_owned()));
    assert!(!member_of(&after, "sales").contains(&email("p05")));
}

/// The groups that a report tells were changed by somebody else.
fn told_as_changed(report: &Report) -> Vec<String> {
    let problems = report.problems.iter();
    let told = problems.filter(|problem| {
        problem.reason == ProblemReason::NotApplied
            && problem.message.contains("was changed by somebody else")
    });
    let mut ids: Vec<String> = told.map(|one| one.external_ids[0].to_string()).collect();
    ids.sort();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_somebody_changed_before_it_was_written_is_planned_again() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    let planned = sync.plan(None).await.unwrap();

    // Written by an import, by a request of its own, not at all; and one that is to be deleted.
    let (p10, p11, leaver) = ("p10@example.com", "p11@example.com", "leaver1@example.com");
    organization.set_group_members("sales", &[p10, p11, leaver, "p05@example.com"]);
    organization.set_group_members("backend", &["contractor@elsewhere.test", "p02@example.com"]);
    organization.delete_group("shared");
    let closed = ["p01@example.com", "p02@example.com", "p03@example.com"];
    organization.set_group_members("closed", &closed);
    let report = sync.apply(planned).await.unwrap();

    // Nothing is taken away that the plan didn't hold.
    let after = organization.snapshot();
    assert!(member_of(&after, "sales").contains(&email("p05")));
    assert!(!member_of(&after, "backend").contains(&email("p01")));
    assert!(after.group("shared").is_none());
    assert_eq!(member_of(&after, "closed"), closed);
    assert!(report.changed_meanwhile);
    let changed = [901, 905, 906, 990].map(uuid);
    assert_eq!(told_as_changed(&report), changed);

    // What the command line and the operator do then.
    let again = sync.run().await.unwrap();

    assert!(!again.changed_meanwhile);
    assert_eq!(told_as_changed(&again), [""; 0]);
    let after = organization.snapshot();
    assert!(!member_of(&after, "sales").contains(&email("p05")));
    let backend = member_of(&after, "backend");
    assert!(backend.contains(&email("p01")));
    assert!(backend.contains(&"contractor@elsewhere.test".to_owned()));
    assert_eq!(member_of(&after, "shared").len(), 5);
    assert!(after.group("closed").is_none());
    let both = again.after(report);
    assert_eq!(both.applied.get(Kind::DeleteGroup), 1);
    assert_eq!(both.applied.get(Kind::Invite), 26);
    assert!(sync.run().await.unwrap().in_sync());
}

#[tokio::test(flavor = "multi_thread")]
async fn so_is_one_that_was_not_read_for_the_plan() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    // Some of each of these groups wait for a seat, and then come into it.
    let used = organization.seats_in_use();
    organization.set_seats(Seats::fixed(used + 10));
    sync.run().await.unwrap();
    organization.set_seats(Seats::fixed(used + 100));
    organization.clear_requests();
    let planned = sync.plan(None).await.unwrap();
    let requests = organization.requests();
    let read = requests.iter().map(|request| &*request.path);
    let read: Vec<&str> = read.filter(|path| path.ends_with("/member-ids")).collect();
    assert_eq!(read, [""; 0]);
    assert!(
        planned
            .changes()
            .iter()
            .any(|change| change.external_id().as_str() == uuid(906))
    );

    let others = |group: &str| member_of(&organization.snapshot(), group);
    let mut sales = others("sales");
    sales.retain(|member| *member != email("p10"));
    let mut moved = others("moved");
    moved.push(email("p05"));
    for (group, members) in [("sales", &sales), ("moved", &moved)] {
        let members: Vec<&str> = members.iter().map(String::as_str).collect();
        organization.set_group_members(group, &members);
    }
    let report = sync.apply(planned).await.unwrap();
    // Nobody has touched the one with a member who isn't ours.
    assert_eq!(told_as_changed(&report), [905, 907].map(uuid));
    assert!(report.changed_meanwhile);

    let again = sync.run().await.unwrap();
    assert!(!again.changed_meanwhile);
    assert_eq!(others("sales").len(), 5);
    assert_eq!(others("moved").len(), 6);
}

async fn member_id(
    client: &directory_sync::organization::OrganizationClient,
    email: &str,
) -> uuid::Uuid {
    use directory_sync::organization::model::Organization;
    let Organization::Read(content) = client.read().await.unwrap() else {
        panic!("it can be read")
    };
    let mut members = content.members.iter();
    members
        .find(|member| member.email.as_str() == email)
        .unwrap()
        .id
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_whose_new_id_is_refused_keeps_their_groups_at_every_run() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let p16 = member_id(&client, &email("p16")).await;
    let refuse = Fault::new(Way::Refused)
        .method("PUT")
        .path(&format!("/api/public/members/{p16}"))
        .from_then_on();
    organization.faults().inject(refuse);
    let mut sync = Sync::new(&source, &client);
    for _ in 0..2 {
        let report = sync.run().await.unwrap();
        let after = organization.snapshot();
        assert!(member_of(&after, "moved").contains(&email("p16")));
        // The others came in all the same.
        assert_eq!(member_of(&after, "moved").len(), 6);
        // It names the person, not only an id.
        assert!(
            report
                .problems
                .iter()
                .any(|problem| problem.reason == ProblemReason::Refused
                    && problem.message.contains(&email("p16"))),
            "{:?}",
            report.problems
        );
    }
    assert!(organization.faults().fired() >= 2);
    assert_eq!(
        organization
            .losses()
            .iter()
            .filter(|loss| format!("{loss:?}").contains("p16"))
            .count(),
        0
    );
}

/// The 30th person of the directory, who was invited at an address that changed since.
fn invited_elsewhere() -> MemberSeed {
    MemberSeed::new("p30.mistyped@example.com")
        .external_id(&uuid(30))
        .status(Status::Invited)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_ends_between_withdrawing_and_sending_an_invitation_loses_nothing() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    organization.seed_member(invited_elsewhere());
    organization.set_group_members("sales", &["p10@example.com", "p30.mistyped@example.com"]);
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let killed = Fault::new(Way::CutConnection)
        .method("POST")
        .path("/api/public/members");
    organization.faults().inject(killed);
    let policy = {
        let mut sync = Sync::new(&source, &client);
        // So that the POST is that of the invitation.
        sync.policy.offboarding.disabled = OffboardingAction::Retain;
        sync.policy.onboarding.restore = Restore::Nobody;
        sync.policy
    };
    let mut sync = Sync::new(&source, &client);
    sync.policy = policy.clone();
    sync.run().await.unwrap_err();
    assert_eq!(organization.faults().fired(), 1);
    let between = organization.snapshot();
    assert!(between.member("p30.mistyped@example.com").is_none());
    assert!(between.member(&email("p30")).is_none());

    // The process that comes after it knows nothing of it.
    let mut sync = Sync::new(&source, &client);
    sync.policy = policy;
    sync.run().await.unwrap();
    let after = organization.snapshot();
    let member = after.member(&email("p30")).unwrap();
    assert_eq!(member.external_id.as_deref(), Some(&*uuid(30)));
    assert_eq!(member.status, Status::Invited);
    assert!(member_of(&after, "frontend").contains(&email("p30")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_with_access_that_was_given_by_hand_is_left_to_a_person() {
    let slapd = slapd();
    let organization = organization(Config::cloud()).await;
    let collection = CollectionAccess::to("9c1f5f0e-3a3c-4a55-8f52-0f1f4a6c7e10");
    organization.seed_member(invited_elsewhere().collection(collection));
    let (source, client) = (source(address(&slapd)), client(&organization, NO_RETRY));
    let mut sync = Sync::new(&source, &client);
    for _ in 0..2 {
        let report = sync.run().await.unwrap();
        let told = report.problems.iter().any(|problem| {
            problem.message.contains("p30.mistyped@example.com")
                && problem.message.contains("withdraw it in Bitwarden")
        });
        assert!(told, "{:?}", report.problems);
        let member = organization.snapshot();
        let member = member.member("p30.mistyped@example.com").unwrap();
        assert_eq!(member.collections.len(), 1);
    }
    let everyone = organization.snapshot().members;
    let gone = organization.losses();
    let of_p30 = gone
        .iter()
        .filter(|loss| format!("{loss:?}").contains("p30"));
    assert_eq!(of_p30.count(), 0);
    assert!(!everyone.contains_key(&email("p30")));
}
