//! Changes in the directory that make a run come early.

use std::time::{Duration, Instant};

use directory_sync::api::DirectorySync;
use directory_sync::api::annotations::SYNC_REQUESTED_AT;
use directory_sync::api::conditions::{ConditionType, find};
use directory_sync::api::status::WatchMethod;
use directory_sync::controller::Timing;
use directory_sync::sync::history::RunTrigger;
use directory_sync::sync::plan::Kind;
use serde_json::{Value, json};
use simulators::fault::{Fault, Way};
use simulators::organization::Status;

use directory_sync_testing::world::*;

fn is_watched(object: &DirectorySync) -> bool {
    let status = object.status.as_ref();
    status.is_some_and(|status| status.signals.is_some()) && is_current(object)
}

fn has_lost_signals(object: &DirectorySync) -> bool {
    let status = object.status.as_ref();
    let conditions = status.map(|status| &status.conditions[..]);
    find(conditions.unwrap_or_default(), ConditionType::SignalsLost).is_some()
}

/// People are disabled by their `employeeType`.
fn source(url: &str) -> Value {
    json!({"ldap": {
        "url": url,
        "baseDn": SUFFIX,
        "users": {"disabled": {"attribute": "employeeType", "values": ["left"]}},
    }})
}

fn disable(number: u32) -> String {
    let dn = dn(number);
    format!("dn: {dn}\nchangetype: modify\nreplace: employeeType\nemployeeType: left\n\n")
}

/// Runs of a resource so far, once no more of them follow.
async fn settled(operator: &Operator) -> u64 {
    let mut runs = operator.runs("staff");
    loop {
        tokio::time::sleep(Duration::from_secs(3)).await;
        match operator.runs("staff") {
            same if same == runs => return runs,
            more => runs = more,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_disabled_loses_access_within_seconds() {
    let world = World::with_signals("signals").await;
    let operator = world.operator();
    world.resource("staff", json!({"source": source(&world.slapd.url())}));
    let staff = world.until("staff", "watched", is_watched).await;
    let signals = staff.status.unwrap().signals.unwrap();
    assert_eq!(signals.method, WatchMethod::Stream);
    settled(&operator).await;

    let disabled = Instant::now();
    world.slapd.modify(&disable(3)).unwrap();
    eventually("a revocation", || world.revoked() == 1).await;
    let took = disabled.elapsed();
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    settled(&operator).await;
    // It is counted from the change of the entry, by the directory's own clock, which knows seconds.
    let exposed = |since: &str| {
        let of = format!(
            "namespace=\"{}\",name=\"staff\",since=\"{since}\"",
            world.namespace
        );
        let shown = operator.exposition();
        let value = |what: &str| {
            let series = format!("directory_sync_exposure_seconds_{what}{{{of}}} ");
            let line = shown.lines().find_map(|line| line.strip_prefix(&series));
            line.map(|value| value.parse::<f64>().unwrap())
        };
        (value("count").unwrap(), value("sum").unwrap())
    };
    eventually("an exposure", || exposed("entry").0 == 1.0).await;
    let (_, lasted) = exposed("entry");
    assert!(lasted < 6.0, "{lasted} s");
    assert_eq!(exposed("seen").0, 0.0);
    // Whoever is gone is seen to be gone by the same run.
    let runs = settled(&operator).await;
    world.leave(5..6);
    eventually("another revocation", || world.revoked() == 2).await;
    assert_eq!(settled(&operator).await, runs + 1, "one change, one run");
    assert_eq!((exposed("entry").0, exposed("seen").0), (1.0, 1.0));
    let history = world.kubectl(&["get", "configmap", "staff-history", "-o", "name"]);
    assert!(history.contains("staff-history"));
    operator.stop().await.unwrap();
}

/// Waits until a run has seen what the watch has to compare with, so that no other signal is on its way.
async fn watched(world: &World, operator: &Operator) -> u64 {
    world.resource("staff", json!({"source": source(&world.slapd.url())}));
    world.until("staff", "watched", is_watched).await;
    settled(operator).await
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_certainly_left_is_revoked_without_a_run_and_the_next_one_agrees() {
    let world = World::with_signals("fast-lane").await;
    let operator = world.operator();
    let runs = watched(&world, &operator).await;
    let before = world.requests().len();
    let status = world.get("staff").await.status.unwrap();

    let disabled = Instant::now();
    world.slapd.modify(&disable(3)).unwrap();
    eventually("a revocation", || world.revoked() == 1).await;
    let took = disabled.elapsed();
    assert!(took < Duration::from_secs(3), "it took {took:?}");
    assert_eq!(settled(&operator).await, runs, "no run was needed");
    let requests = world.requests().split_off(before);
    let without_id = |request: &String| {
        let parts = request.split('/').filter(|part| part.len() != 36);
        parts.collect::<Vec<_>>().join("/")
    };
    let requests: Vec<_> = requests.iter().map(without_id).collect();
    let get = "GET /api/public/members";
    let revoke = "POST /api/public/members/revoke";
    assert_eq!(requests, [get, revoke, get], "each of them of one member");
    let lists = world.requests().split_off(before);
    assert!(!lists.iter().any(|request| request == get), "{lists:?}");
    let after = world.get("staff").await.status.unwrap();
    assert_eq!(after.conditions, status.conditions, "nothing to wait for");
    assert_ne!(
        after.ledger_digest, status.ledger_digest,
        "it is in the record"
    );
    let records = world.kubectl(&["get", "configmap", "staff-history", "-o", "yaml"]);
    assert!(records.contains("binaryData"), "{records}");

    // The record is the one that status names: nothing is held, and nobody is taken for somebody else's.
    world.annotate("staff", SYNC_REQUESTED_AT, "now").await;
    eventually("a run", || operator.runs("staff") > runs).await;
    let runs = settled(&operator).await;
    assert_eq!(reason_of(&world.get("staff").await), "Succeeded");
    assert_eq!(world.revoked(), 1);
    // Whom the fast lane revoked, a run restores.
    let back = disable(3).replace("left", "staff");
    world.slapd.modify(&back).unwrap();
    eventually("a restoration", || world.revoked() == 0).await;
    assert!(settled(&operator).await > runs);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_is_disabled_while_a_run_reads_does_not_wait_for_its_end() {
    let world = World::with_signals("fast-lane-beside").await;
    let operator = world.operator();
    let runs = watched(&world, &operator).await;
    // The list of members never comes.
    let hang = Fault::new(Way::Hang).path("/api/public/members");
    world.organization.faults().inject(hang);
    world.annotate("staff", SYNC_REQUESTED_AT, "now").await;
    eventually("a run", || world.organization.faults().fired() == 1).await;

    let disabled = Instant::now();
    world.slapd.modify(&disable(3)).unwrap();
    eventually("a revocation", || world.revoked() == 1).await;
    let took = disabled.elapsed();
    assert!(took < Duration::from_secs(4), "it took {took:?}");
    assert_eq!(operator.runs("staff"), runs, "that run goes on");
    let status = world.get("staff").await.status.unwrap();
    assert!(status.ledger_digest.is_some());
    // A process that takes over finds the record that status names, and nothing left to do.
    operator.kill().await;
    let operator = world.operator();
    eventually("a run", || operator.runs("staff") > 0).await;
    settled(&operator).await;
    assert_eq!(reason_of(&world.get("staff").await), "Succeeded");
    assert_eq!(world.revoked(), 1);
    let told = world.events("staff");
    assert!(!told.contains(&"RecordChanged".to_owned()), "{told:?}");
    let back = disable(3).replace("left", "staff");
    world.slapd.modify(&back).unwrap();
    eventually("a restoration", || world.revoked() == 0).await;
    operator.stop().await.unwrap();
}

/// Thirty people more, of whom these are disabled at once while a run reads that doesn't come to its end. The runs
/// before.
async fn leaving_beside_run(world: &World, operator: &Operator, offboarding: Value) -> u64 {
    let newcomers: String = (10..40).map(newcomer).collect();
    world.slapd.modify(&newcomers).unwrap();
    let spec = json!({"source": source(&world.slapd.url()), "offboarding": offboarding});
    world.resource("staff", spec);
    world.until("staff", "watched", is_watched).await;
    let runs = settled(operator).await;
    // The list of members never comes.
    let hang = Fault::new(Way::Hang).path("/api/public/members");
    world.organization.faults().inject(hang);
    world.annotate("staff", SYNC_REQUESTED_AT, "now").await;
    eventually("a run", || world.organization.faults().fired() == 1).await;
    let many: String = (10..38).map(disable).collect();
    world.slapd.modify(&many).unwrap();
    runs
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_are_disabled_while_a_run_reads_do_not_wait_for_its_end() {
    let world = World::with_signals("fast-lane-many").await;
    let operator = world.operator();
    let offboarding = json!({"disabledLimit": "100%"});
    let runs = leaving_beside_run(&world, &operator, offboarding).await;
    let disabled = Instant::now();
    eventually("the first", || world.revoked() > 0).await;
    let first = disabled.elapsed();
    eventually("all of them", || world.revoked() == 28).await;
    eprintln!(
        "the first after {first:?}, 28 after {:?}",
        disabled.elapsed()
    );
    assert!(first < Duration::from_secs(4), "it took {first:?}");
    assert_eq!(operator.runs("staff"), runs, "that run goes on");
    operator.kill().await;
    let operator = world.operator();
    eventually("a run", || operator.runs("staff") > 0).await;
    settled(&operator).await;
    assert_eq!(reason_of(&world.get("staff").await), "Succeeded");
    assert_eq!(world.revoked(), 28);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_leavers_at_once_than_the_limit_allows_wait_for_a_run_all_of_them() {
    let world = World::with_signals("fast-lane-accident").await;
    let operator = world.operator();
    leaving_beside_run(&world, &operator, json!({"disabledLimit": "50%"})).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.revoked(), 0, "28 of 40, all of them or none");
    operator.kill().await;
    let operator = world.operator();
    let is_held = |object: &DirectorySync| {
        let status = object.status.as_ref();
        status.is_some_and(|status| status.held_removals.is_some())
    };
    world.until("staff", "held", is_held).await;
    assert_eq!(world.revoked(), 0);
    operator.stop().await.unwrap();
}

/// A run that takes its time to revoke 24 people who are gone from the directory, and has begun to.
async fn leaving(world: &World, operator: &Operator) {
    let newcomers: String = (10..40).map(newcomer).collect();
    world.slapd.modify(&newcomers).unwrap();
    let mut spec = json!({"source": source(&world.slapd.url())});
    spec["offboarding"] = json!({"limit": "100%", "absent": "Revoke"});
    world.resource("staff", spec);
    world.until("staff", "watched", is_watched).await;
    settled(operator).await;
    world.organization.set_latency(Duration::from_millis(700));
    let delete = |number| format!("dn: {}\nchangetype: delete\n\n", dn(number));
    let many: String = (10..34).map(delete).collect();
    world.slapd.modify(&many).unwrap();
    eventually("the first of many", || world.revoked() > 1).await;
}

fn is_revoked(world: &World, number: u32) -> bool {
    let members = world.organization.snapshot().members;
    members[&format!("p{number:02}@example.com")].status == Status::Revoked
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_makes_way_for_somebody_who_is_disabled_while_it_makes_its_changes() {
    let world = World::with_signals("fast-lane-between").await;
    let operator = world.operator();
    // Each revocation takes its time: whoever leaves then doesn't wait for all of them.
    leaving(&world, &operator).await;
    let before = world.revoked();
    let disabled = Instant::now();
    world.slapd.modify(&disable(3)).unwrap();
    eventually("a revocation", || is_revoked(&world, 3)).await;
    let (took, meanwhile) = (disabled.elapsed(), world.revoked() - before);
    assert!(meanwhile < 12, "{meanwhile} others came first, in {took:?}");
    world.organization.set_latency(Duration::ZERO);
    eventually("all of them", || world.revoked() == 25).await;
    settled(&operator).await;
    assert_eq!(world.revoked(), 25);
    assert_eq!(reason_of(&world.get("staff").await), "Succeeded");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_makes_way_and_cannot_read_again_tells_what_it_had_changed() {
    let mut world = World::with_signals("fast-lane-unread").await;
    let operator = world.operator();
    leaving(&world, &operator).await;
    world.slapd.modify(&disable(3)).unwrap();
    eventually("a revocation", || is_revoked(&world, 3)).await;
    world.slapd.kill();
    let told = "; changes made before that: ";
    let tells =
        move |object: &DirectorySync| message_of(object, ConditionType::Ready).contains(told);
    let staff = world.until("staff", "told", tells).await;
    let message = message_of(&staff, ConditionType::Ready);
    let revoked = world.revoked();
    assert!((3..25).contains(&revoked), "{revoked}");
    // One of them by the fast lane.
    let by_run = format!("{told}{} Revoke", revoked - 1);
    assert!(message.ends_with(&by_run), "{message}, of {revoked}");
    assert_eq!(reason_of(&staff), "SourceUnavailable");
    let events = world.events("staff");
    assert!(events.contains(&"Changed".to_owned()), "{events:?}");
    let counted = |text: String| {
        let is_counted = |line: &&str| {
            line.starts_with("directory_sync_changes_total") && line.contains("\"Revoke\"")
        };
        let line = text.lines().find(is_counted).map(str::to_owned);
        line.and_then(|line| line.rsplit(' ').next()?.parse::<usize>().ok())
    };
    assert_eq!(counted(operator.exposition()), Some(revoked));
    world.organization.set_latency(Duration::ZERO);
    world.slapd.restart().unwrap();
    eventually("all of them", || world.revoked() == 25).await;
    settled(&operator).await;
    assert_eq!(reason_of(&world.get("staff").await), "Succeeded");
    assert_eq!(counted(operator.exposition()), Some(25));
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_enabled_again_right_after_the_fast_lane_gets_access_back_before_long() {
    let world = World::with_signals("fast-lane-back").await;
    let operator = world.operator();
    let runs = watched(&world, &operator).await;
    world.slapd.modify(&disable(3)).unwrap();
    eventually("a revocation", || world.revoked() == 1).await;
    // As the last run saw it: the watch sees no change.
    let back = disable(3).replace("left", "staff");
    world.slapd.modify(&back).unwrap();
    eventually("a restoration", || world.revoked() == 0).await;
    eventually("the end of that run", || operator.runs("staff") > runs).await;
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_new_account_elsewhere_keeps_access_when_the_old_one_is_disabled() {
    let world = World::with_signals("fast-lane-twin").await;
    let operator = world.operator();
    let runs = watched(&world, &operator).await;
    // The new account is outside of what the last run read, the signal of it may be lost or late.
    let twin = "dn: uid=new,ou=people,dc=example,dc=com\nchangetype: add\nobjectClass: inetOrgPerson\n\
                cn: n\nsn: n\nmail: P03@example.com\n\n";
    world
        .slapd
        .modify(&format!("{twin}{}", disable(3)))
        .unwrap();
    eventually("a run", || operator.runs("staff") > runs).await;
    settled(&operator).await;
    assert_eq!(world.revoked(), 0);
    let revocations = world
        .requests()
        .iter()
        .filter(|one| one.ends_with("/revoke"))
        .count();
    assert_eq!(revocations, 0, "not for a moment");
    operator.stop().await.unwrap();
}

/// They stay revoked: the address may be another person's by now. Somebody has to hear of it, though all went well.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_gets_a_new_account_after_the_old_one_was_disabled_is_named_and_an_event_tells() {
    let world = World::with_signals("fast-lane-after").await;
    let operator = world.operator();
    watched(&world, &operator).await;
    world.slapd.modify(&disable(3)).unwrap();
    eventually("a revocation", || world.revoked() == 1).await;
    let new = newcomer(30).replace("p30@example.com", "p03@example.com");
    world.slapd.modify(&new).unwrap();
    let is_named = |staff: &DirectorySync| {
        let problems = staff.status.iter().flat_map(|status| &status.problems);
        let mut named = problems.filter(|one| one.reason == "NotRestored");
        named.any(|one| one.sample.iter().any(|of| of.contains("p03@example.com")))
    };
    world.until("staff", "the problem", is_named).await;
    let told = || {
        let events = world.events("staff");
        events.iter().filter(|one| *one == "NotRestored").count()
    };
    eventually("an event", || told() == 1).await;
    settled(&operator).await;
    assert_eq!(told(), 1, "once");
    assert_eq!(world.revoked(), 1);
    operator.stop().await.unwrap();
}

/// What made the runs come that revoked somebody, the earliest first.
async fn revoked_by(world: &World) -> Vec<RunTrigger> {
    let records = crate::history::records(world).await;
    let revocations = records
        .iter()
        .rev()
        .filter(|one| one.action == Kind::Revoke);
    revocations.map(|one| one.trigger).collect()
}

/// The tokens of an old key stay good for a while: the client from before could go on.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_changed_secret_or_config_map_nobody_is_revoked_before_a_run_with_the_new_ones() {
    let world = World::with_signals("fast-lane-secret").await;
    let authority = world.slapd.authority().pem();
    let trust = |pem: &str| {
        let authorities = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "corp-ca", "namespace": world.namespace},
            "data": {"ca.crt": pem},
        });
        world.apply(&authorities);
    };
    trust(&authority);
    // Nothing but a signal makes the operator look.
    let timing = Timing {
        reference_poll: Duration::from_secs(10 * 60),
        ..quick()
    };
    let operator = world.operator_with(timing, None);
    let mut source = source(&world.slapd.ldaps_url());
    source["ldap"]["tls"] = json!({"caBundleRef": {"name": "corp-ca"}});
    let limit = json!({"disabledLimit": "100%"});
    world.resource("staff", json!({"source": source, "offboarding": limit}));
    world.until("staff", "watched", is_watched).await;
    settled(&operator).await;

    world.organization.rotate_secret("the-second-key");
    world.secret("org", "the-second-key");
    world.slapd.modify(&disable(1)).unwrap();
    eventually("a revocation", || world.revoked() == 1).await;
    settled(&operator).await;
    assert_eq!(revoked_by(&world).await, [RunTrigger::ReferenceChanged]);
    trust(&format!("The same as before.\n{authority}"));
    world.slapd.modify(&disable(2)).unwrap();
    eventually("another revocation", || world.revoked() == 2).await;
    let runs = settled(&operator).await;
    let by_runs = [RunTrigger::ReferenceChanged; 2];
    assert_eq!(revoked_by(&world).await, by_runs);

    // A key that isn't good yet, or somebody else's: the run fails, and nobody goes by the good one from before.
    world.secret("org", "the-third-key");
    world.slapd.modify(&disable(3)).unwrap();
    eventually("a run", || operator.runs("staff") > runs).await;
    let runs = settled(&operator).await;
    world.slapd.modify(&disable(4)).unwrap();
    assert_eq!(settled(&operator).await, runs);
    assert_eq!(reason_of(&world.get("staff").await), "OrganizationRefused");
    assert_eq!(world.revoked(), 2);
    world.organization.rotate_secret("the-third-key");
    world.annotate("staff", SYNC_REQUESTED_AT, "now").await;
    eventually("both revocations", || world.revoked() == 4).await;
    let runs = settled(&operator).await;
    let by_runs = [&by_runs[..], &[RunTrigger::Requested; 2]].concat();
    assert_eq!(revoked_by(&world).await, by_runs);

    // Once a run was made with all of them, nobody waits for another.
    world.slapd.modify(&disable(5)).unwrap();
    eventually("a revocation", || world.revoked() == 5).await;
    eventually("the run that confirms it", || operator.runs("staff") > runs).await;
    assert_eq!(revoked_by(&world).await.last(), Some(&RunTrigger::FastLane));
    operator.stop().await.unwrap();
}

/// A person beyond the ten of the company.
fn newcomer(number: u32) -> String {
    format!(
        "dn: {}\nchangetype: add\nobjectClass: inetOrgPerson\ncn: n\nsn: n\nuid: p{number}\n\
         mail: p{number}@example.com\n\n",
        dn(number)
    )
}

/// A change that doesn't matter, and one that does.
fn traffic(number: u32) -> String {
    let other = |attribute: &str, value: String| {
        let dn = dn(number);
        format!("dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n\n")
    };
    let renamed = other("cn", format!("name {}", fastrand::u32(..)));
    match fastrand::u32(..5) {
        0 => renamed + &other("employeeType", "staff".to_owned()),
        _ => renamed,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leavers_among_other_traffic_lose_access_within_seconds_and_a_cut_signal_loses_nobody() {
    let mut world = World::with_signals("fast-lane-traffic").await;
    let all: String = (100..300).map(newcomer).collect();
    world.slapd.modify(&all).unwrap();
    let operator = world.operator();
    let mut spec = json!({"source": source(&world.slapd.url())});
    spec["offboarding"] = json!({"disabledLimit": "100%", "absent": "Revoke"});
    world.resource("staff", spec);
    world.until("staff", "watched", is_watched).await;
    settled(&operator).await;

    let mut leavers: Vec<u32> = (100..300).collect();
    fastrand::shuffle(&mut leavers);
    let (leavers, staying) = leavers.split_at(30);
    let is_revoked = |world: &World, number: u32| {
        let members = world.organization.snapshot().members;
        let member = &members[&format!("p{number}@example.com")];
        member.status == Status::Revoked
    };
    let mut took = vec![];
    for (at, &number) in leavers.iter().enumerate() {
        let begun = Instant::now();
        let changes = traffic(staying[at]) + &disable(number) + &traffic(staying[at + 30]);
        world.slapd.modify(&changes).unwrap();
        if at == 20 {
            // The signals are cut: what changes until they are back is noticed then.
            world.slapd.kill();
            world.slapd.restart().unwrap();
        }
        while !is_revoked(&world, number) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(begun.elapsed() < Duration::from_secs(90), "{number}");
        }
        if at != 20 {
            took.push(begun.elapsed());
        }
    }
    took.sort_unstable();
    let (median, longest) = (took[took.len() / 2], took[took.len() - 1]);
    eprintln!(
        "exposure: median {median:?}, longest {longest:?} of {}",
        took.len()
    );
    assert!(median < Duration::from_secs(2), "{took:?}");
    assert!(longest < Duration::from_secs(10), "{took:?}");
    settled(&operator).await;
    assert_eq!(world.revoked(), leavers.len(), "nobody else");
    // Runs that read what has changed find some of them first, and leave them to it. One follows the cut.
    let by = revoked_by(&world).await;
    let by_runs = by.iter().filter(|by| **by != RunTrigger::FastLane);
    assert!(by_runs.count() <= 1, "{by:?}");
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_leavers_than_the_limit_allows_are_left_to_a_run_which_holds_them() {
    let world = World::with_signals("fast-lane-limit").await;
    let operator = world.operator();
    let runs = watched(&world, &operator).await;
    let all: String = (0..8).map(disable).collect();
    world.slapd.modify(&all).unwrap();
    eventually("a run", || operator.runs("staff") > runs).await;
    settled(&operator).await;
    let status = world.get("staff").await.status.unwrap();
    assert!(status.held_removals.is_some(), "{status:?}");
    let revoked = world.revoked();
    assert!(
        revoked <= 2,
        "a quarter of ten may leave in a day: {revoked}"
    );
    // While something is held, nobody is revoked by the fast lane.
    let runs = operator.runs("staff");
    world.slapd.modify(&disable(9)).unwrap();
    eventually("another run", || operator.runs("staff") > runs).await;
    settled(&operator).await;
    assert_eq!(world.revoked(), revoked);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_watch_is_a_condition_and_takes_nothing_from_anybody() {
    let mut world = World::with_signals("signals-lost").await;
    let operator = world.operator();
    world.resource("staff", json!({"source": source(&world.slapd.url())}));
    world.until("staff", "watched", is_watched).await;
    let runs = settled(&operator).await;

    world.slapd.kill();
    let lost = world.until("staff", "lost signals", has_lost_signals).await;
    assert_eq!(reason_of(&lost), "Succeeded", "a lost watch is no failure");
    assert!(lost.status.as_ref().unwrap().signals.is_none());
    let message = message_of(&lost, ConditionType::SignalsLost);
    assert!(message.contains("scheduled runs alone"), "{message}");
    assert_eq!(world.revoked(), 0);
    assert_eq!(
        operator.runs("staff"),
        runs,
        "nothing is read because of it"
    );

    // What changed meanwhile is noticed when the directory is watched again.
    world.slapd.restart().unwrap();
    world.slapd.modify(&disable(4)).unwrap();
    world
        .until("staff", "watched again", |object| {
            is_watched(object) && !has_lost_signals(object)
        })
        .await;
    eventually("a revocation", || world.revoked() == 1).await;
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hint_without_a_change_takes_nothing_from_anybody_and_off_means_off() {
    let world = World::with_signals("signals-off").await;
    let operator = world.operator();
    world.resource("staff", json!({"source": source(&world.slapd.url())}));
    world.until("staff", "watched", is_watched).await;
    let runs = settled(&operator).await;
    // A notice that an entry left, doubled, of an entry that is there again when the run looks.
    let dn = "uid=marker,ou=people,dc=example,dc=com";
    for _ in 0..2 {
        let add =
            format!("dn: {dn}\nchangetype: add\nobjectClass: inetOrgPerson\ncn: m\nsn: m\n\n");
        world
            .slapd
            .modify(&format!("{add}dn: {dn}\nchangetype: delete\n\n"))
            .unwrap();
    }
    eventually("a run", || operator.runs("staff") > runs).await;
    let runs = settled(&operator).await;
    assert_eq!(
        (world.revoked(), world.organization.snapshot().members.len()),
        (0, 11)
    );

    world
        .patch("staff", json!({"spec": {"signals": "Off"}}))
        .await;
    world
        .until("staff", "not watched", |object| {
            !is_watched(object) && is_current(object)
        })
        .await;
    eventually("the run of the new spec", || operator.runs("staff") > runs).await;
    let runs = settled(&operator).await;
    world.slapd.modify(&disable(2)).unwrap();
    assert_eq!(settled(&operator).await, runs);
    assert_eq!(world.revoked(), 0);
    operator.stop().await.unwrap();
}
