use jiff::{SignedDuration, Timestamp};

use super::holds::Holds;
use super::*;
use crate::sync::fingerprint::FingerprintSet;
use crate::sync::history::Record;

const NOON: Timestamp = Timestamp::constant(1_800_000_000, 0);

fn id(text: &str) -> ExternalId {
    ExternalId::parse(text).expect("an id")
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn access(person: &str, at: Timestamp) -> Loss {
    Loss {
        at: at.as_second(),
        ahead: 0,
        what: What::Access {
            person: key(&id(person)),
        },
        kind: EvidenceKind::Absent,
        done: true,
        outside_base: false,
    }
}

/// A ledger of two losses, one revocation and an approval in progress, an hour old.
fn ledger() -> Ledger {
    let mut ledger = Ledger::begin(NOON - hours(1));
    ledger.adopt(0, 0, NOON - hours(1));
    ledger.losses = vec![
        access("ann", NOON - hours(1)),
        access("bob", NOON - hours(1)),
    ];
    ledger.revoked = vec![Revoked {
        at: ledger.latest,
        person: key(&id("ann")),
        member: NO_MEMBER,
        kind: EvidenceKind::Absent,
        rule: RuleId::UNKNOWN,
        state: RevocationState::Revoked,
        settled: false,
    }];
    let hold = ledger.hold(FingerprintSet::from_sorted(vec![[1; 16], [2; 16]]));
    ledger.use_approval(&hold);
    ledger
}

fn lost(ledger: &Ledger, at: Timestamp) -> usize {
    ledger
        .at(at)
        .recent()
        .people(EvidenceKind::Absent, |_| false)
}

#[test]
fn comes_back_from_bytes() {
    let (ledger, bytes) = (ledger(), ledger().to_bytes());
    let digest = ledger.digest();
    let loaded = Ledger::load(Some(&bytes), Some(&*digest), NOON);
    assert_eq!(loaded.at(NOON), ledger.at(NOON));
    assert_eq!(loaded.digest(), digest);
    assert!(!Ledger::load(Some(&bytes), Some(&*digest), NOON).is_careful());
    assert!(ledger.has_revoked(&id("ann")) && !ledger.has_revoked(&id("bob")));
}

#[test]
fn a_ledger_that_is_lost_or_damaged_makes_the_operator_careful() {
    let (bytes, digest) = (ledger().to_bytes(), ledger().digest());
    let mut damaged = bytes.clone();
    damaged[20] ^= 1;
    for kept in [None, Some(&damaged[..]), Some(&bytes[..30]), Some(b"")] {
        let ledger = Ledger::load(kept, Some(&*digest), NOON);
        assert!(ledger.is_careful());
        assert!(!ledger.has_revoked(&id("ann")), "nobody is restored");
        assert!(ledger.at(NOON + hours(23)).is_careful());
        assert!(
            !ledger.at(NOON + hours(24)).is_careful(),
            "a day later all is known"
        );
    }
    assert!(
        !Ledger::load(None, None, NOON).is_careful(),
        "a new installation"
    );
}

#[test]
fn a_ledger_from_a_backup_counts_what_it_knows_and_is_careful() {
    let before = ledger();
    let mut last = before.clone();
    last.losses.push(access("dea", NOON));

    let restored = Ledger::load(Some(&before.to_bytes()), Some(&*last.digest()), NOON);
    assert!(restored.is_careful() && !restored.has_revoked(&id("ann")));
    assert_eq!(lost(&restored, NOON), 2);
    assert!(
        restored.in_progress().is_empty(),
        "approvals of before are void"
    );
    // Status is gone, the ledger isn't: which one is right can't be told.
    assert!(Ledger::load(Some(&last.to_bytes()), None, NOON).is_careful());
    // The process ended between the two writes.
    let digests = [before.digest(), last.digest()];
    let digests = || digests.iter().map(String::as_str);
    for one in [before, last] {
        let found = Ledger::load(Some(&one.to_bytes()), digests(), NOON);
        assert_eq!(found.at(NOON), one.at(NOON));
    }
    assert!(Ledger::load(None, digests(), NOON).is_careful());
}

/// Whoever knows the format can write anything.
#[test]
fn a_ledger_that_was_made_up_makes_nothing_bolder_also_not_a_day_later() {
    let mut forged = Ledger::begin(NOON);
    forged.keep_for("another organization", NOON);
    // Ever so many lost access, as disabled, when the day of care ends: limits would be a share of them, too.
    let ahead = (NOON + hours(23)).as_second();
    for number in 0..1_000 {
        let Loss { what, .. } = access(&format!("made up {number}"), NOON);
        forged.losses.push(Loss {
            at: ahead,
            ahead: 0,
            what,
            kind: EvidenceKind::Disabled,
            done: true,
            outside_base: false,
        });
    }
    forged.losses.push(Loss {
        at: ahead,
        ..access("absent", NOON)
    });
    // And whom another run may have invited, it didn't.
    forged.invited.push(Invited {
        at: NOON.as_second(),
        ahead: 0,
        people: 0,
        done: false,
        pending: (0..100).map(|n| key(&id(&format!("new{n}")))).collect(),
        asked: Asked::Nobody,
    });
    // And of nobody's disabled account may anybody be revoked.
    forged.note_floors(&[(Limited::Disabled, 0), (Limited::Absent, 3)]);
    let mut ledger = Ledger::load(Some(&forged.to_bytes()), Some("another"), NOON);
    ledger.keep_for("organization", NOON);
    ledger.adopt(10, 0, NOON);
    assert_eq!(ledger.at_most(Limited::Disabled, 40), 40);
    assert_eq!(ledger.at_most(Limited::Absent, 40), 3);
    assert!(ledger.is_careful() && !ledger.is_adopted());
    assert!(ledger.had_members);
    let later = ledger.at(NOON + hours(24));
    assert!(!later.is_careful());
    assert_eq!(later.recent().without_access(|_| false), 0);
    let disabled = later.recent().people(EvidenceKind::Disabled, |_| false);
    assert_eq!(disabled, 0, "a dismissal waits for nothing");
    let absent = later.recent().people(EvidenceKind::Absent, |_| false);
    assert_eq!(absent, 1);
    let newcomers: Vec<ExternalId> = (0..100).map(|n| id(&format!("new{n}"))).collect();
    assert_eq!(ledger.at(NOON).recent().pending(newcomers.iter()), 0);
}

#[test]
fn what_was_lost_counts_for_a_day() {
    let ledger = ledger();
    assert_eq!(lost(&ledger, NOON), 2);
    assert_eq!(lost(&ledger, NOON + hours(22)), 2);
    assert_eq!(lost(&ledger, NOON + hours(23)), 0);
}

#[test]
fn a_clock_that_is_set_back_gives_no_fresh_budget() {
    let ledger = ledger();
    for back in [2, 30, 24 * 400] {
        let earlier = NOON - hours(back);
        assert_eq!(lost(&ledger, earlier), 2, "{back} hours back");
        let set_back = ledger.at(earlier);
        assert_eq!(lost(&set_back, earlier + hours(23)), 2);
        assert_eq!(lost(&set_back, NOON), 2, "it was wrong for one run");
        assert_eq!(lost(&set_back, NOON + hours(23)), 0);
        let much = back > 24 * 7;
        let stays_so = lost(&set_back, earlier + hours(24));
        assert!(!much || stays_so == 0, "and doesn't count for ever");
    }
    // It was ahead for one run.
    for ahead in [48, 24 * 8, 24 * 400] {
        let ahead = ledger.at(NOON + hours(ahead));
        assert_eq!(lost(&ahead, NOON), 2);
    }
    let careful = Ledger::begin_careful(NOON).at(NOON - hours(1_000));
    assert!(careful.at(NOON - hours(1_000 - 23)).is_careful());
    assert!(!careful.at(NOON - hours(1_000 - 24)).is_careful());
}

#[test]
fn another_organization_has_another_ledger() {
    let mut ledger = ledger();
    ledger.keep_for("one", NOON);
    assert_eq!(lost(&ledger, NOON), 2);
    ledger.keep_for("one", NOON);
    assert_eq!(lost(&ledger, NOON), 2);
    ledger.keep_for("other", NOON);
    assert_eq!(lost(&ledger, NOON), 0);
    assert!(!ledger.has_revoked(&id("ann")));
}

#[test]
fn its_size_is_bounded_and_what_does_not_fit_still_counts() {
    let mut ledger = Ledger::begin(NOON);
    for run in 0..10 {
        ledger = ledger.at(NOON + SignedDuration::from_mins(run));
        let of = |n: u32| {
            let id = id(&format!("{run}-{n}"));
            let (person, group) = (key(&id), key(&id));
            (What::Membership { person, group }, EvidenceKind::Absent)
        };
        ledger.add_losses((0..5_000).map(of).collect());
        let revoked = |n: u32| Revoked {
            at: ledger.latest,
            person: key(&id(&format!("{run}-{n}"))),
            member: [u8::MAX; 2],
            kind: EvidenceKind::Absent,
            rule: RuleId::of("any"),
            state: RevocationState::Revoked,
            settled: false,
        };
        let revoked = (0..5_000).map(revoked).collect();
        ledger.add_revoked(revoked);
        let hold: Vec<[u8; 16]> = (0..2_900u128).map(u128::to_be_bytes).collect();
        let hold = ledger.hold(FingerprintSet::from_sorted(hold));
        ledger.use_approval(&hold);
    }
    assert!(
        ledger.to_bytes().len() < 200 * 1024,
        "{}",
        ledger.to_bytes().len()
    );
    assert_eq!(lost(&ledger, NOON + hours(1)), 50_000);
    let anywhere = ledger.recent().left(&id("g"), |_| false);
    assert_eq!(
        anywhere,
        50_000 - LOSSES_MAX,
        "they may have been in this group"
    );
    assert!(ledger.has_revoked(&id("9-4999")), "the latest are known");
    assert!(!ledger.has_revoked(&id("0-0")), "and nobody is who isn't");
    assert_eq!(lost(&ledger, NOON + hours(25)), 0);
}

#[test]
fn the_same_changes_held_again_are_another_hold() {
    let changes = || FingerprintSet::from_sorted(vec![[1; 16]]);
    let mut ledger = Ledger::begin(NOON);
    let first = ledger.hold(changes());
    ledger.set_open(Some(&first));
    assert_eq!(ledger.hold(changes()).id, first.id, "while it is open");
    assert_eq!(ledger.at(NOON + hours(719)).hold(changes()).id, first.id);
    assert_ne!(
        ledger.at(NOON + hours(720)).hold(changes()).id,
        first.id,
        "a month later"
    );

    let mut closed = ledger.clone();
    closed.set_open(None);
    assert_ne!(closed.hold(changes()).id, first.id, "after there was none");
    ledger.use_approval(&first);
    assert_ne!(ledger.hold(changes()).id, first.id, "after it was approved");
    assert!(ledger.has_used(&first.id));
    let other = Ledger::begin(NOON + hours(1));
    assert_ne!(other.hold(changes()).id, first.id, "in another ledger");
}

#[test]
fn a_second_approval_does_not_lengthen_the_day_of_the_first() {
    let mut ledger = ledger();
    ledger.latest += 20 * 3600;
    let second = ledger.hold(FingerprintSet::from_sorted(vec![[2; 16], [3; 16]]));
    ledger.use_approval(&second);
    let left = |hour: i64| {
        ledger
            .at(NOON + hours(hour))
            .in_progress()
            .as_slice()
            .to_vec()
    };
    assert_eq!(left(19), [[1; 16], [2; 16], [3; 16]]);
    assert_eq!(left(23), [[2; 16], [3; 16]]);
    assert!(left(43).is_empty());
}

#[test]
fn approved_changes_may_be_finished_for_a_day() {
    let ledger = ledger();
    assert_eq!(ledger.at(NOON).in_progress().len(), 2);
    assert!(ledger.at(NOON + hours(23)).in_progress().is_empty());
    let mut done = ledger.clone();
    done.finish_approved(false);
    assert!(done.in_progress().is_empty());
    assert_eq!(Holds::default().at(0), Holds::default());
}

/// Fills every list of a ledger to what it may hold, at times for which numbers are longest.
#[test]
fn a_ledger_is_bounded_whatever_happened() {
    let now = Timestamp::constant(16_000_000_000, 0);
    let mut ledger = Ledger::begin(now);
    ledger.keep_for("one", now);
    for run in 0..3 {
        for hour in 0..500 {
            ledger.latest = now.as_second() - hour * 3600 + run;
            let loss = |number: usize| {
                let person = (number as u64).to_be_bytes();
                (
                    What::Membership {
                        person,
                        group: [run as u8; 8],
                    },
                    EvidenceKind::Absent,
                )
            };
            let start = (run * 500 + hour) as usize * 20;
            ledger.add_losses((start..start + 20).map(loss).collect());
            ledger.elsewhere.push(Uncounted {
                at: ledger.latest,
                ahead: 15_000_000_000,
                kind: EvidenceKind::Absent,
                losses: u32::MAX,
            });
            hourly::merge_losses(&mut ledger.elsewhere);
            ledger.invited.push(Invited {
                at: ledger.latest,
                ahead: 15_000_000_000,
                people: u32::MAX,
                done: true,
                pending: vec![],
                asked: match hour % 3 {
                    0 => Asked::FirstSync,
                    1 => Asked::Approved,
                    _ => Asked::Nobody,
                },
            });
            hourly::merge_invited(&mut ledger.invited);
        }
    }
    for loss in &mut ledger.losses {
        loss.ahead = 15_000_000_000;
    }
    for uncounted in &mut ledger.uncounted {
        (uncounted.ahead, uncounted.losses) = (15_000_000_000, u32::MAX);
    }
    let revoked = |number: u64| Revoked {
        at: ledger.latest,
        person: number.to_be_bytes(),
        member: [u8::MAX; 2],
        rule: RuleId::of("any"),
        kind: EvidenceKind::Disabled,
        state: RevocationState::Revoked,
        settled: false,
    };
    let revoked: Vec<Revoked> = (0..5_000).map(revoked).collect();
    ledger.add_revoked(revoked);
    for number in 0..60_u128 {
        let changes = (0..APPROVED_MAX as u128).map(|change| (change << 64 | number).to_be_bytes());
        let hold = ledger.hold(FingerprintSet::from_sorted(changes.collect()));
        ledger.finish_approved(false);
        ledger.use_approval(&hold);
        ledger.set_open(Some(&hold));
    }
    for asked in [Asked::Approved, Asked::Nobody] {
        ledger.invited.push(Invited {
            pending: vec![[7; 8]; PENDING_MAX],
            done: false,
            asked,
            ..ledger.invited[0].clone()
        });
    }
    assert_eq!(ledger.invited.len(), hourly::HOURS_MAX + 2);
    ledger.expected = Some(elsewhere::Expected::of_a_million());
    ledger.invitations = Invitations::of_80_000();
    ledger.active_had = Some(ActiveHad {
        rule: RuleId::of("any"),
        at: ledger.latest,
    });
    let held: Vec<(Limited, usize)> = (0..400_u64)
        .map(|group| (Limited::Group(group.to_be_bytes()), usize::MAX))
        .collect();
    ledger.note_floors(&held);
    ledger.fill_given();
    ledger.fill_given_access();
    ledger.fill_gained_access();
    assert_eq!(ledger.given_count(), GIVEN_MAX);
    assert_eq!(ledger.floors.len(), FLOORS_MAX);
    assert_eq!(ledger.losses.len(), LOSSES_MAX);
    assert_eq!(ledger.revoked.len(), REVOKED_MAX);
    assert_eq!(ledger.in_progress().len(), APPROVED_MAX);
    assert_eq!(ledger.uncounted.len(), hourly::HOURS_MAX);
    assert_eq!(ledger.elsewhere.len(), hourly::HOURS_MAX);
    let bytes = ledger.to_bytes().len();
    assert!(bytes <= BYTES_MAX, "{bytes}");
    assert!(bytes > BYTES_MAX * 3 / 4, "{bytes}: the test fills it");
}

/// A record of the run `u`, which takes back the run `r`, or of another one.
fn record(run: &str, number: u32, action: &str, more: serde_json::Value) -> Record {
    let mut record = serde_json::json!({
        "time": "2026-11-29T12:00:00Z", "run": run, "number": number, "trigger": "Command",
        "action": action, "reason": "GoneFromDirectory", "result": "Done",
    });
    let all = record.as_object_mut().unwrap();
    all.extend(more.as_object().unwrap().clone());
    if run == "u" {
        all.insert("undoes".into(), "r".into());
        all.insert("time".into(), "2026-11-29T13:00:00Z".into());
    }
    serde_json::from_value(record).unwrap()
}

fn of_person(id: &str, kind: &str) -> serde_json::Value {
    let evidence = serde_json::json!({"kind": kind, "detail": ""});
    serde_json::json!({"person": {"externalId": id}, "evidence": evidence})
}

/// Ann and Bob lost access, as disabled and as absent, and Cid his group; all of it was taken back.
fn taken_back() -> Vec<Record> {
    let team = serde_json::json!({"name": "team", "externalId": "team"});
    let with = |field: &str| serde_json::json!({"group": team, field: [{"externalId": "cid"}]});
    vec![
        record("r", 0, "Revoke", of_person("ann", "Disabled")),
        record("r", 1, "Revoke", of_person("bob", "Absent")),
        record("r", 2, "UpdateGroup", with("removed")),
        record("u", 0, "Restore", of_person("ann", "Undone")),
        record("u", 1, "Restore", of_person("bob", "Undone")),
        record("u", 2, "UpdateGroup", with("added")),
    ]
}

#[test]
fn where_the_record_is_lost_what_was_taken_back_is_held_by_the_history_and_longer_than_a_day() {
    let lost = || Ledger::begin_careful(NOON);
    let mut ledger = lost();
    ledger.recall_undone(&taken_back(), true, 3);
    assert_eq!(ledger.undone_count(), 3);
    let later = ledger.at(NOON + hours(30));
    assert!(!later.is_careful());
    let undone = later.undone();
    let (ann, bob, cid, team) = (id("ann"), id("bob"), id("cid"), id("team"));
    let disabled = crate::directory::AccountEvidence {
        entry: "".into(),
        changed: None,
        attribute: "".into(),
        value: "".into(),
    };
    let disabled = Evidence::Disabled(disabled.into());
    let (is_disabled, is_absent) = (Some(&disabled), Some(&Evidence::Absent));
    assert!(undone.has(Repeat::Access(&ann), is_disabled));
    assert!(undone.has(Repeat::Access(&bob), is_absent));
    assert!(
        !undone.has(Repeat::Access(&bob), is_disabled),
        "dismissed since"
    );
    assert!(undone.has(Repeat::Leave(&team, &cid), None));
    assert!(!undone.has(Repeat::Access(&cid), is_absent));

    // Somebody approved that Bob goes, or it was undone in its turn.
    let mut records = taken_back();
    let mut again = record("x", 0, "Revoke", of_person("bob", "Absent"));
    again.time = "2026-11-29T14:00:00Z".parse().unwrap();
    records.push(again);
    let mut ledger = lost();
    ledger.recall_undone(&records, true, 2);
    assert!(!ledger.undone().has(Repeat::Access(&bob), is_absent));
    assert!(ledger.undone().has(Repeat::Access(&ann), is_absent));

    // The history is lost, too, or lacks something, or names not everybody: everything is held.
    let mut bulk = taken_back();
    bulk[3].more = 7;
    for (records, is_whole) in [(vec![], true), (taken_back(), false), (bulk, true)] {
        let mut ledger = lost();
        ledger.recall_undone(&records, is_whole, 3);
        assert_eq!(ledger.undone_count(), UNDONE_MAX + 1);
        assert!(ledger.undone().has(Repeat::Access(&cid), is_absent));
        assert!(!ledger.undone().has(Repeat::Access(&cid), is_disabled));
    }
    // Nothing was: then nothing is.
    let mut ledger = lost();
    ledger.recall_undone(&[], false, 0);
    assert_eq!(ledger.undone_count(), 0);
    // The record is the one that was written last: it knows.
    let mut ledger = self::ledger();
    ledger.recall_undone(&taken_back(), true, 3);
    assert_eq!(ledger.undone_count(), 0);
}

#[test]
fn the_larger_of_two_accounts_is_no_smaller_than_either_at_any_time() {
    let at = |minute: i64, disabled: u32, manage: u32| Used {
        at: NOON.as_second() + 60 * minute,
        disabled,
        manage,
        ..Used::default()
    };
    let older = [at(-1500, 3, 0), at(10, 1, 2)];
    let newer = [at(-1500, 3, 0), at(50, 5, 1), at(70, 4, 0)];
    let expected = [at(-1500, 3, 0), at(50, 5, 2), at(70, 4, 0)];
    assert_eq!(larger(&older, &newer), expected);
    assert_eq!(larger(&newer, &older), expected);
    // Two numbers of one hour count together.
    assert_eq!(larger(&[], &[at(10, 1, 0), at(20, 1, 0)]), [at(20, 2, 0)]);
}

#[test]
fn of_many_groups_that_grew_the_latest_are_known() {
    let mut ledger = Ledger::begin(NOON);
    let group = |n: u64| Limited::Group(n.to_be_bytes());
    for hour in 0..100_u64 {
        ledger.latest = NOON.as_second() + hour as i64 * 900;
        let grew: Vec<(Limited, usize)> = (0..4).map(|n| (group(4 * hour + n), 10)).collect();
        ledger.note_raised(&grew);
    }
    let known: Vec<u64> = (0..400)
        .filter(|n| ledger.at_most(group(*n), 1_000) == 10)
        .collect();
    assert_eq!(known.first(), Some(&(400 - FLOORS_MAX as u64)));
    assert_eq!(known.len(), FLOORS_MAX);
}
