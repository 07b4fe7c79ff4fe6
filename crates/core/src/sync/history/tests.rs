#![allow(clippy::unwrap_used, reason = "a test may fail")]

use super::*;

fn record(run: &str, number: u32, rest: &str) -> Record {
    let json = format!(
        r#"{{"time":"2026-11-29T12:00:{number:02}Z","run":"{run}","number":{number},
        "trigger":"Scheduled","result":"Done",{rest}}}"#
    );
    serde_json::from_str(&json).unwrap()
}

fn everything() -> Vec<Record> {
    let person =
        |email: &str| format!(r#""person":{{"email":"{email}","externalId":"id-{email}"}}"#);
    let (ann, bob) = (person("ann@example.com"), person("bob@example.com"));
    let long = person("somebody.with.a.rather.long.name@subsidiary.of.a.company.example.com");
    let approved =
        r#""approval":{"hold":"3f1c9a0b62d47e5588a1f0c4d9e27b16","by":"kubectl-directorysync"}"#;
    let in_group = |name: &str| format!(r#""group":{{"name":"{name}","externalId":"g-{name}"}}"#);
    let disabled = r#""evidence":{"kind":"Disabled","detail":"nsAccountLock of uid=ann,ou=people,dc=example,dc=com is TRUE"}"#;
    let absent = r#""evidence":{"kind":"Absent","detail":"not in the directory's complete list"}"#;
    let rows = [
        format!(r#""action":"Invite","reason":"NewInDirectory",{long}"#),
        format!(r#""action":"Invite","reason":"NewInDirectory",{bob},"from":"b@example.com""#),
        r#""action":"Invite","reason":"NewInDirectory","more":9500"#.to_owned(),
        format!(r#""action":"Revoke","reason":"DisabledInDirectory",{ann},{disabled},{approved}"#),
        format!(
            r#""action":"Remove","reason":"GoneFromDirectory",{bob},{absent},"groups":[{{"name":"eng","externalId":"g"}}]"#
        ),
        format!(
            r#""action":"UpdateGroup","reason":"MembersChanged",{},"added":[{{"email":"ann@example.com"}}],
            "removed":[{{"email":"bob@example.com","evidence":{{"kind":"Absent","detail":"gone"}}}}],"more":3"#,
            in_group("eng")
        ),
        format!(
            r#""action":"DeleteGroup","reason":"GoneFromDirectory",{},{absent},
            "removed":[{{"email":"ann@example.com"}},{{"email":"bob@example.com"}}]"#,
            in_group("ops")
        ),
        format!(
            r#""action":"RenameGroup","reason":"NameChanged",{},"from":"dev""#,
            in_group("eng")
        ),
    ];
    let rows = rows.iter().zip(0..);
    let mut records: Vec<Record> = rows.map(|(row, n)| record("aaaaaaaaaa", n, row)).collect();
    let outcomes = [
        Outcome::Refused,
        Outcome::Unknown,
        Outcome::NotApplied,
        Outcome::Pending,
        Outcome::Partly,
    ];
    for (outcome, number) in outcomes.into_iter().zip(0..) {
        let row = format!(r#""action":"Restore","reason":"ActiveAgain",{ann}"#);
        records.push(Record {
            result: outcome,
            answer: Some("the words of the server".into()),
            ..record("bbbbbbbbbb", number, &row)
        });
    }
    records
}

#[test]
fn what_the_whole_run_was_approved_by_is_told_once_and_people_are_in_order() {
    let row = |who: &str, hold: &str| {
        format!(
            r#""action":"Remove","reason":"GoneFromDirectory","person":{{"email":"{who}@example.com"}},
            "approval":{{"hold":"{hold}","by":"ann@example.com (their own word), with kubectl-directorysync"}}"#
        )
    };
    let hold = "3f1c9a0b62d47e5588a1f0c4d9e27b16";
    let [bob, ann] =
        [("bob", 0), ("ann", 1)].map(|(who, n)| record("aaaaaaaaaa", n, &row(who, hold)));
    let expected = "\
2026-11-29 12:00:00Z  run aaaaaaaaaa  scheduled
  approved: 3f1c9a0b62d47e5588a1f0c4d9e27b16 by ann@example.com (their own
    word), with kubectl-directorysync
  removed       ann@example.com: gone from the directory
  removed       bob@example.com: gone from the directory
";
    assert_eq!(table(&[bob.clone(), ann], &[].into(), true), expected);
    let other = record(
        "aaaaaaaaaa",
        2,
        &row("cid", "00000000000000000000000000000000"),
    );
    let text = table(&[bob, other], &[].into(), true);
    assert_eq!(
        text.matches("                approved: ").count(),
        2,
        "{text}"
    );
}

#[test]
fn every_kind_of_record_is_shown_in_eighty_columns_and_losses_come_first() {
    let text = table(&everything(), &[].into(), true);
    let expected = "\
2026-11-29 12:00:00Z  run aaaaaaaaaa  scheduled
  revoked       ann@example.com: nsAccountLock of
                uid=ann,ou=people,dc=example,dc=com is TRUE
                approved: 3f1c9a0b62d47e5588a1f0c4d9e27b16 by
                kubectl-directorysync
  removed       bob@example.com: not in the directory's complete list
                was in eng
  group         eng
                −bob@example.com: gone
                +ann@example.com, +3 more (see the log)
  group deleted ops: not in the directory's complete list
                members: ann@example.com, bob@example.com
  invited       bob@example.com (was b@example.com): new in the directory
  invited       somebody.with.a.rather.long.name@subsidiary.of.a.company.example.com:
                new in the directory
  invited       9500 more people: new in the directory
  renamed       eng (was dev): has a new name

2026-11-29 12:00:00Z  run bbbbbbbbbb  scheduled
  restored      ann@example.com: active again
                refused: the words of the server
  restored      ann@example.com: active again
                unknown whether it was made: the words of the server
  restored      ann@example.com: active again
                accepted, and not seen afterwards
  restored      ann@example.com: active again
                not known yet: the next run looks what came of it
  restored      ann@example.com: active again
                the invitation before was withdrawn, the new one wasn't sent
";
    assert_eq!(text, expected);
    let too_long = |line: &&str| line.chars().count() > WIDTH && !line.contains("subsidiary");
    assert_eq!(text.lines().find(too_long), None);
}

#[test]
fn what_a_directory_calls_itself_commands_no_terminal() {
    let mut hostile = everything().remove(5);
    hostile.group.as_mut().unwrap().name = "e\u{1b}[2Jng\n\u{202e}".into();
    hostile.removed[0].person.email = Some("\u{7}bob\r\n".into());
    let text = table(&[hostile], &[].into(), false);
    assert!(
        !text.contains(['\u{1b}', '\u{7}', '\r', '\u{202e}']),
        "{text:?}"
    );
    assert_eq!(text.lines().count(), 4, "{text}");
}

#[test]
fn records_are_found_by_person_group_run_and_time() {
    let of = |selection: Selection| -> Vec<(String, u32)> {
        let found = selection.of(everything()).into_iter();
        found.map(|one| (one.run.to_string(), one.number)).collect()
    };
    let text = |text: &str| Some(text.to_owned());
    let run_a = |numbers: &[u32]| -> Vec<(String, u32)> {
        numbers.iter().map(|n| ("aaaaaaaaaa".into(), *n)).collect()
    };
    let bob = Selection {
        person: text("BOB"),
        ..Selection::default()
    };
    assert_eq!(of(bob), run_a(&[1, 4, 5, 6]));
    let by_id = Selection {
        person: text("id-bob@example.com"),
        ..Selection::default()
    };
    assert_eq!(of(by_id), run_a(&[1, 4]));
    let eng = Selection {
        group: text("eng"),
        ..Selection::default()
    };
    assert_eq!(of(eng), run_a(&[4, 5, 7]));
    let late = Selection {
        since: Some("2026-11-29T12:00:06Z".parse().unwrap()),
        ..Selection::default()
    };
    assert_eq!(of(late), run_a(&[6, 7]));
    let run = Selection {
        run: text("bbbb"),
        ..Selection::default()
    };
    assert_eq!(of(run).len(), 5);
    let nobody = Selection {
        directory_sync: text("identity/other"),
        ..Selection::default()
    };
    assert_eq!(of(nobody).len(), 13, "these name no resource");
    // Of a group's members only those who are asked for are shown.
    let ann = Selection {
        person: text("ann@"),
        group: text("eng"),
        ..Selection::default()
    };
    let found = ann.of(everything());
    assert_eq!((found[0].added.len(), found[0].removed.len()), (1, 0));
}

#[test]
fn a_record_with_many_people_is_told_in_parts_that_lose_nobody() {
    let mut record = everything().remove(5);
    record.added = (0..250)
        .map(|n| person(&format!("{n}@example.com")))
        .collect();
    let parts = record.in_parts(100);
    let sizes: Vec<_> = parts
        .iter()
        .map(|one| (one.removed.len(), one.added.len()))
        .collect();
    assert_eq!(sizes, [(1, 0), (0, 100), (0, 100), (0, 50)]);
    assert_eq!(parts.iter().map(|one| one.more).sum::<u32>(), record.more);
    assert!(parts.iter().all(|part| part.is_same(&record)));
    assert_eq!(record.in_parts(1_000), [record]);
}

fn person(email: &str) -> Person {
    Person {
        email: Some(email.into()),
        external_id: None,
        member_id: None,
    }
}

#[test]
fn a_record_reads_as_it_was_written_and_leaves_out_what_does_not_apply() {
    for record in everything() {
        let json = serde_json::to_string(&record).unwrap();
        assert!(!json.contains("null") && !json.contains("[]"), "{json}");
        assert_eq!(serde_json::from_str::<Record>(&json).unwrap(), record);
    }
}

#[test]
fn runs_have_ids_of_their_own() {
    let at = |nanosecond| RunId::at(Timestamp::from_nanosecond(nanosecond).unwrap());
    assert_ne!(at(1), at(2));
    assert_eq!(at(1).as_str().len(), 10);
}
