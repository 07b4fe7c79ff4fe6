//! A plan for people and programs.

use std::io::{Read as _, Write as _};

use directory_sync_core::sync::guard::GuardedPlan;
use directory_sync_core::sync::plan::Kind;
use directory_sync_core::sync::policy::{Glob, Limit, OffboardingAction};
use directory_sync_core::sync::render::{
    self, MarkdownOptions, Order, PlanDocument, Selection, Sides, TableOptions, action,
};
use directory_sync_core_testing::{directory, organization, policy, sync};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use html5ever::tendril::TendrilSink as _;
use markup5ever_rcdom::{Handle, NodeData, RcDom};
use serde_json::{Value, json as value};

const SIDES: Sides<'static> = Sides {
    source: "ldaps://ldap",
    organization: "Example",
};

/// As in a pipe.
pub(crate) const PIPE: TableOptions = TableOptions {
    width: None,
    rows: usize::MAX,
    order: Order::Action,
    all_by: "--all",
};

fn document(plan: &GuardedPlan) -> PlanDocument<'_> {
    PlanDocument::of(plan, &SIDES)
}

fn json(plan: &GuardedPlan) -> Value {
    serde_json::from_str(&render::json(&document(plan))).unwrap()
}

fn table(plan: &GuardedPlan, options: TableOptions) -> String {
    render::table(&document(plan), &options)
}

fn markdown(plan: &GuardedPlan, max_bytes: usize) -> String {
    let options = MarkdownOptions {
        max_bytes,
        ..MarkdownOptions::WHOLE
    };
    render::markdown(&document(plan), options)
}

fn plan() -> GuardedPlan {
    let mut policy = policy();
    policy.offboarding.absent = OffboardingAction::Remove;
    policy.offboarding.limit = Limit::Count(0);
    let directory = directory()
        .person("new", "new@example.com")
        .person("ann2", "ann@example.com")
        .person("none", "")
        .group("g1", "Fresh", &["new"])
        .group("g2", "Renamed", &["ann2"])
        .group("g4", "Moved", &[]);
    let mut organization = organization()
        .member("ann1", "ann@example.com")
        .member("gone", "gone@example.com")
        .group("g2", "Before", &["gone@example.com"])
        .group("g3", "Moved", &[]);
    sync(&directory, &mut organization, &policy)
}

#[test]
fn json_says_who_is_concerned_what_is_done_what_waits_and_what_is_wrong() {
    let plan = plan();
    let absent = value!({"kind": "Absent", "detail": "not in the directory's complete list"});
    let left = value!({"kind": "Absent", "detail": "not in the directory's group"});
    assert_eq!(
        json(&plan),
        value!({
            "digest": plan.digest.0,
            "source": "ldaps://ldap",
            "organization": "Example",
            "sizes": {
                "active": 2, "disabled": 0, "directoryGroups": 3,
                "members": 2, "managedMembers": 2, "groups": 2, "managedGroups": 2,
                "recognized": {"byId": 0, "byFormerId": 0, "byEmail": 1, "not": 1},
            },
            "heldBecause": ["1 member would lose something, being absent, out of scope or out of a \
                             group; offboarding.limit allows 0 in 24 hours (of 2 managed members)"],
            "held": [
                {"action": "Remove", "externalId": "gone", "email": "gone@example.com",
                 "reason": "GoneFromDirectory", "evidence": absent, "heldBy": "offboarding.limit"},
                {"action": "UpdateGroup", "externalId": "g2", "name": "Renamed", "heldBy": "offboarding.limit",
                 "reason": "MembersChanged", "add": [], "remove": [
                    {"externalId": "gone", "email": "gone@example.com", "evidence": left},
                 ]},
            ],
            "changes": [
                {"action": "UpdateGroup", "externalId": "g2", "name": "Renamed",
                 "reason": "MembersChanged",
                 "add": [{"externalId": "ann2", "email": "ann@example.com"}], "remove": []},
                {"action": "RenameGroup", "externalId": "g2", "name": "Renamed",
                 "reason": "NameChanged", "from": "Before"},
                {"action": "Relink", "externalId": "ann2", "email": "ann@example.com",
                 "reason": "NewExternalId", "from": "ann1"},
                {"action": "Invite", "externalId": "new", "email": "new@example.com",
                 "reason": "NewInDirectory"},
                {"action": "RelinkGroup", "externalId": "g4", "name": "Moved",
                 "reason": "NewExternalId", "from": "g3"},
                {"action": "CreateGroup", "externalId": "g1", "name": "Fresh",
                 "reason": "NewInDirectory",
                 "add": [{"externalId": "new", "email": "new@example.com"}]},
            ],
            "problems": [
                {"reason": "NoEmail", "message": "none: there is no email", "externalIds": ["none"]},
            ],
        })
    );
}

#[test]
fn whoever_leaves_a_group_is_named_although_nothing_else_is_done_with_them() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("g", "Engineering", &["ann"]);
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("bob", "bob@example.com")
        .owner("root@example.com")
        .group("g", "Engineering", &["bob@example.com"])
        .group("old", "Old", &["bob@example.com", "root@example.com"]);
    let mut policy = crate::unlimited();
    policy.groups.prune = true;
    let plan = sync(&directory, &mut organization, &policy);
    let json = json(&plan);
    let changes = json["changes"].as_array().unwrap();
    let names = |at: usize, list: &str| {
        let members = changes[at][list].as_array().unwrap();
        let emails = members
            .iter()
            .map(|member| member["email"].as_str().unwrap());
        emails.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(changes[0]["action"], "DeleteGroup");
    assert_eq!(names(0, "remove"), "bob@example.com root@example.com");
    assert_eq!(changes[1]["action"], "UpdateGroup");
    assert_eq!(names(1, "remove"), "bob@example.com");
    assert_eq!(names(1, "add"), "ann@example.com");
    let table = table(&plan, PIPE);
    assert!(
        table.contains(
            "  Engineering  has other members; +1 −1\n    − bob@example.com: not in the directory's group\n    \
             + ann@example.com\n"
        ),
        "{table}"
    );
    assert!(table.contains("    − root@example.com\n"), "{table}");
}

fn large() -> GuardedPlan {
    let ids: Vec<String> = (0..500).map(|n| format!("person-{n}")).collect();
    let mut directory = ids.iter().fold(directory(), |directory, id| {
        directory.person(id, &format!("{id}@example.com"))
    });
    for n in 0..50 {
        directory = directory.person(&format!("none-{n}"), "");
    }
    let members: Vec<&str> = ids.iter().map(String::as_str).collect();
    sync(
        &directory.group("g", "Everyone", &members),
        &mut organization(),
        &policy(),
    )
}

#[test]
fn a_published_plan_comes_back_whole() {
    for plan in [plan(), large()] {
        let document = document(&plan);
        let published = render::publish(&document, usize::MAX);
        assert_eq!(published.omitted, 0);
        let read = render::read(&published.bytes).unwrap();
        assert_eq!(read.held_digest, published.held_digest);
        let read = read.document;
        assert_eq!(render::json(&read), render::json(&document));
        assert_eq!(render::table(&read, &PIPE), render::table(&document, &PIPE));
        assert!(read.shows_all_held());
    }
}

#[test]
fn what_has_no_room_is_counted_and_held_changes_stand_before_others() {
    let email = |at: u32| format!("{}@example.com", random(at));
    let everybody = (0..3_000).fold(directory(), |all, at| {
        all.person(&format!("new-{at}"), &email(at))
    });
    let everybody = everybody.person("old-0", "old-0@example.com");
    let mut before = organization().member("old-0", "old-0@example.com");
    for at in 3_000..6_000 {
        before = before.member(&format!("old-{at}"), &email(at));
    }
    let mut policy = policy();
    policy.offboarding.absent = OffboardingAction::Revoke;
    policy.onboarding.limit = Limit::Percent(100.0);
    let plan = sync(&everybody, &mut before, &policy);
    let held = plan.held.as_ref().unwrap().changes.len();
    let document = document(&plan);
    let whole = render::publish(&document, usize::MAX).bytes.len();
    for max in [0, 100_000, 150_000] {
        let published = render::publish(&document, max);
        assert!(max == 0 || published.bytes.len() <= max, "{max}");
        assert!(published.omitted > 0, "{max} of {whole}");
        let read = render::read(&published.bytes).unwrap();
        assert_eq!(read.held_digest, published.held_digest, "{max}");
        let read = read.document;
        assert_eq!((read.held(), read.changes()), (held, document.changes()));
        let shown = render::table(&read, &PIPE);
        assert!(
            shown.contains("more changes, for which the published plan had no room"),
            "{max}"
        );
        assert_eq!(read.shows_all_held(), max == 150_000, "{max} of {whole}");
    }
}

/// As random as an ID.
fn random(at: u32) -> String {
    let digest = <sha2::Sha256 as sha2::Digest>::digest(at.to_be_bytes());
    data_encoding::HEXLOWER.encode(&digest[..16])
}

#[test]
fn a_published_plan_that_was_cut_or_changed_is_refused() {
    let plan = plan();
    let bytes = render::publish(&document(&plan), usize::MAX).bytes;
    for length in 0..bytes.len() {
        assert!(render::read(&bytes[..length]).is_err(), "cut at {length}");
    }
    assert!(render::read(b"{}").is_err());
}

/// The lines of a published plan, changed.
fn altered(bytes: &[u8], change: impl FnOnce(&mut Vec<String>)) -> Vec<u8> {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    let mut lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
    change(&mut lines);
    let mut gzip = GzEncoder::new(vec![], Compression::fast());
    gzip.write_all(lines.concat().as_bytes()).unwrap();
    gzip.finish().unwrap()
}

#[test]
fn whatever_is_listed_as_held_has_a_digest_of_its_own() {
    let plan = plan();
    let published = render::publish(&document(&plan), usize::MAX);
    let digest = |change: &dyn Fn(&mut Vec<String>)| {
        let read = render::read(&altered(&published.bytes, change)).unwrap();
        (read.held_digest, render::held_table(&read.document, &PIPE))
    };
    let replace = |from: &'static str, to: &'static str| {
        move |lines: &mut Vec<String>| {
            let line = lines.iter_mut().find(|line| line.contains(from));
            let line = line.expect("there is such a line");
            *line = line.replacen(from, to, 1);
        }
    };
    let (same, shown) = digest(&|_| {});
    assert_eq!(same, published.held_digest);
    let person = replace(
        r#"["gone","gone@example.com"]"#,
        r#"["gone","other@example.com"]"#,
    );
    type Edit<'a> = &'a dyn Fn(&mut Vec<String>);
    let changes: [(&str, Edit<'_>); 6] = [
        (
            "a name",
            &replace(r#""email":"gone@"#, r#""email":"other@"#),
        ),
        ("somebody in a group", &person),
        (
            "a reason",
            &replace("1 member would lose", "nobody would lose"),
        ),
        ("evidence", &replace("complete list", "list")),
        ("a row less", &|lines| {
            lines.retain(|line| !line.starts_with(r#"{"held":[{"action":"Remove""#));
        }),
        ("a row more", &|lines| {
            let held = lines.iter().find(|line| line.starts_with(r#"{"held""#));
            let held = held.cloned().unwrap();
            lines.insert(lines.len() - 1, held);
        }),
    ];
    for (what, change) in changes {
        let (other, shown_now) = digest(change);
        assert_ne!(shown_now, shown, "{what} is seen");
        assert_ne!(other, same, "{what}");
    }
    // What isn't held may change from run to run.
    let (other, _) = digest(&replace("new@example.com", "else@example.com"));
    assert_eq!(other, same);
    // A second head would be shown in place of the one that was digested.
    let two = altered(&published.bytes, |lines| lines.insert(1, lines[0].clone()));
    assert!(render::read(&two).is_err());
}

#[test]
fn a_hundred_thousand_changes_take_a_few_objects() {
    let people = 2_000u32;
    let mut directory = directory();
    let ids: Vec<String> = (0..people).map(random).collect();
    for (at, id) in ids.iter().enumerate() {
        let digest = &ids[ids.len() - 1 - at][..8];
        directory = directory.person(id, &format!("first{digest}.last@example.com"));
    }
    for group in 0..200 {
        let members: Vec<&str> = (0..50)
            .map(|n| &*ids[(group * 37 + n * 61) % ids.len()])
            .collect();
        directory = directory.group(&format!("g{group}"), &format!("Group {group}"), &members);
    }
    let plan = sync(&directory, &mut organization(), &policy());
    let bytes = render::publish(&document(&plan), usize::MAX).bytes.len();
    // 100,000 people in 10,000 groups of 50 are fifty times that: seven objects of 1,000 KiB.
    assert!(bytes * 50 < 7 * 1000 * 1024, "{bytes}");
}

#[test]
fn markdown_is_cut_at_a_line_with_a_note() {
    let plan = large();
    let whole = markdown(&plan, 1 << 20);
    assert!(whole.contains("### Invite (500)"), "{whole}");
    assert!(!whole.contains("Cut here"));
    let cut = markdown(&plan, 4_000);
    assert!(cut.len() <= 4_000);
    let note = cut.lines().last().unwrap();
    let missing: usize = note
        .strip_prefix("_Cut here: ")
        .and_then(|rest| rest.strip_suffix(" more lines._"))
        .unwrap()
        .parse()
        .unwrap();
    let shown = cut.lines().count() - 2;
    assert_eq!(shown + missing, whole.lines().count());
}

#[test]
fn markdown_names_as_many_members_as_it_is_told_to_and_counts_the_others() {
    let plan = large();
    let options = MarkdownOptions {
        members: 3,
        ..MarkdownOptions::WHOLE
    };
    let text = render::markdown(&document(&plan), options);
    assert!(
        text.contains("500 members<br>+ person-0@example.com, person-100@example.com, person-101@example.com, … and 497 more |"),
        "{text}"
    );
}

#[test]
fn a_name_cannot_break_out_of_markdown_nor_mention_anybody() {
    let directory = directory().person("ann", "ann@example.com").group(
        "g",
        "a|b `c` <script>\n# d [x](javascript:y) @admins https://evil.example www.evil.example $x$",
        &["ann"],
    );
    let run = sync(&directory, &mut organization(), &policy());
    let text = markdown(&run, 1 << 20);
    let line = text.lines().find(|line| line.contains("a\\|b")).unwrap();
    assert_eq!(
        line,
        "| a\\|b \\`c\\` &lt;script&gt; \\# d \\[x\\](javascript:y) @<!-- -->admins https&#58;//evil.example \
         www&#46;evil.example &#36;x&#36; | g | new in the directory; 1 member<br>+ ann@example.com |"
    );
}

#[test]
fn a_table_counts_first_and_in_a_pipe_leaves_nothing_out() {
    let text = table(&plan(), PIPE);
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "ldaps://ldap → Example",
            "directory: 2 active, 0 disabled, 3 groups",
            "organization: 2 members (2 ours), 2 groups (2 ours)",
            "members recognized: 0 by ID, 0 by former ID (DN), 1 by email, 1 not at all",
            "",
            "plan: 1 UpdateGroup, 1 RenameGroup, 1 Relink, 1 Invite, 1 RelinkGroup, 1 CreateGroup",
            "1 member gets a new ID, which changes nobody's access",
            "",
            "Update group (1)",
            "  Renamed  has other members; +1 −0",
            "    + ann@example.com",
            "",
            "Rename group (1)",
            "  Renamed  has a new name; was Before",
            "",
            "Re-link (1)",
            "  ann@example.com  has a new id in the directory; was ann1",
            "",
            "Invite (1)",
            "  new@example.com  new in the directory",
            "",
            "Re-link group (1)",
            "  Moved  has a new id in the directory; was g3",
            "",
            "Create group (1)",
            "  Fresh  new in the directory; 1 member",
            "    + new@example.com",
            "",
            "held, waiting for approval:",
            "  1 member would lose something, being absent, out of scope or out of a group; \
             offboarding.limit allows 0 in 24 hours (of 2 managed members)",
            &format!("approve with digest {}", plan().digest),
            "",
            "held: Remove (1)",
            "  an account without a master password (SSO, trusted devices) can become unrecoverable by \
             this; Revoke is the safe choice",
            "  gone@example.com  gone from the directory; not in the directory's complete list; held by \
             offboarding.limit",
            "",
            "held: Update group (1)",
            "  Renamed  has other members; +0 −1; held by offboarding.limit",
            "    − gone@example.com: not in the directory's group",
            "",
            "entries that need manual action:",
            "",
            "NoEmail (1)",
            "  none: there is no email",
        ]
    );
    assert_eq!(table(&large(), PIPE).matches("\n  person-").count(), 500);
}

#[test]
fn on_a_terminal_a_table_fits_and_says_what_it_leaves_out() {
    let terminal = TableOptions {
        width: Some(80),
        rows: 3,
        ..PIPE
    };
    let text = table(&large(), terminal);
    assert!(
        text.contains("Invite (500)\n  person-0@example.com"),
        "{text}"
    );
    assert!(
        text.contains("  … and 497 more (--all shows them)\n"),
        "{text}"
    );
    assert!(text.contains("NoEmail (50)"), "{text}");
    assert!(
        text.contains("  … and 47 more (--all shows them)\n"),
        "{text}"
    );
    for width in [40, 80] {
        for order in [Order::Action, Order::Person, Order::Group] {
            for plan in [plan(), large(), hostile()] {
                let text = table(
                    &plan,
                    TableOptions {
                        width: Some(width),
                        rows: usize::MAX,
                        order,
                        ..PIPE
                    },
                );
                for line in text.lines() {
                    let columns = unicode_width::UnicodeWidthStr::width(line);
                    assert!(columns <= width, "{columns}: {line}\n{text}");
                    assert_eq!(line, line.trim_end(), "{text}");
                }
                // Wrapped, not cut.
                let words = |text: &str| text.split_whitespace().collect::<String>();
                let unwrapped = table(&plan, TableOptions { order, ..PIPE });
                assert_eq!(words(&text), words(&unwrapped));
            }
        }
    }
}

#[test]
fn a_plan_is_arranged_by_person_and_by_group() {
    let plan = plan();
    let text = table(
        &plan,
        TableOptions {
            order: Order::Person,
            ..PIPE
        },
    );
    assert!(
        text.contains(
            "\nann@example.com\n  comes into group Renamed\n  Re-link: has a new id in the directory; was \
             ann1\nnew@example.com\n  Invite: new in the directory\n  comes into group Fresh\n"
        ),
        "{text}"
    );
    assert!(text.contains("\nRename group (1)\n  Renamed"), "{text}");
    assert!(
        text.contains(
            "\nheld: gone@example.com\n  Remove: gone from the directory; not in the directory's complete \
             list; held by offboarding.limit\n  leaves group Renamed; not in the directory's group; held by \
             offboarding.limit\n"
        ),
        "{text}"
    );
    let text = table(
        &plan,
        TableOptions {
            order: Order::Group,
            ..PIPE
        },
    );
    assert!(
        text.contains(
            "\ngroup Renamed\n  Update group: has other members; +1 −0\n    + ann@example.com\n  Rename group: \
             has a new name; was Before\n"
        ),
        "{text}"
    );
}

#[test]
fn a_part_of_a_plan_is_what_was_asked_for_and_nothing_else() {
    let plan = plan();
    let select = |people: &[&str], groups: &[&str], actions: &[&str]| {
        let selection = Selection {
            people: people.iter().map(|one| one.parse().unwrap()).collect(),
            groups: groups.iter().map(|one| one.parse().unwrap()).collect(),
            actions: actions.iter().map(|one| action(one).unwrap()).collect(),
        };
        let part = render::json(&document(&plan).select(&selection));
        let part: Value = serde_json::from_str(&part).unwrap();
        let rows = ["held", "changes"].map(|list| {
            let rows = part[list].as_array().unwrap().iter();
            rows.map(|row| row["action"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
                .join(" ")
        });
        rows.join(" / ")
    };
    assert_eq!(
        select(&["ANN@example.com"], &[], &[]),
        " / UpdateGroup Relink"
    );
    assert_eq!(select(&["gone"], &[], &[]), "Remove UpdateGroup / ");
    assert_eq!(select(&["g*"], &[], &["remove"]), "Remove / ");
    assert_eq!(
        select(&[], &["re*"], &[]),
        "UpdateGroup / UpdateGroup RenameGroup"
    );
    assert_eq!(
        select(&[], &[], &["rename-group", "Invite"]),
        " / RenameGroup Invite"
    );
    assert_eq!(select(&["nobody"], &[], &[]), " / ");
    let summary = |asked: &str| {
        let selection = Selection {
            people: vec![asked.parse().unwrap()],
            ..Selection::default()
        };
        document(&plan).select(&selection).summary()
    };
    assert_eq!(summary("nobody"), "no change is about what you asked for");
    assert_eq!(summary("gone"), "nothing of what you asked for goes ahead");
    assert_eq!(action("REVOKE"), Ok(Kind::Revoke));
    assert!(action("revoked").unwrap_err().contains("UpdateGroup"));
}

#[test]
fn what_takes_access_away_stands_above_all_invitations() {
    let people = (0..60).fold(directory().disabled("bob", "bob@example.com"), |all, at| {
        all.person(&format!("new{at}"), &format!("new{at}@example.com"))
    });
    let mut organization = organization()
        .member("bob", "bob@example.com")
        .member("new0", "new0@example.com");
    let plan = sync(&people, &mut organization, &crate::unlimited());
    for text in [table(&plan, PIPE), markdown(&plan, usize::MAX), html(&plan)] {
        let at = |heading: &str| {
            text.find(heading)
                .unwrap_or_else(|| panic!("{heading}: {text}"))
        };
        assert!(at("Revoke (1)") < at("Invite (59)"), "{text}");
    }
}

fn html(plan: &GuardedPlan) -> String {
    render::html(&document(plan), "identity/staff")
}

/// Names that would be something else than text.
const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "</table></bdi><h1>x",
    "{{7*7}} ${7*7} <!-- ]]>",
    "evil\u{202e}txt.exe ' onmouseover='alert(1)",
    "日本語の名前がとても長い場合でも幅は二倍になる",
];

fn hostile() -> GuardedPlan {
    let mut names: Vec<String> = HOSTILE.map(str::to_owned).into();
    names.push("long-".repeat(19));
    let mut directory = directory()
        .person("<b>id</b>", "ann@example.com")
        .person("a|\"'><i>", "x@example.com");
    for (at, name) in names.iter().enumerate() {
        directory = directory.group(&format!("g{at}<u>"), name, &["<b>id</b>"]);
    }
    sync(&directory, &mut organization(), &policy())
}

/// The name of an element, and its attributes.
type Element = (String, Vec<(String, String)>);

/// Every element of a page, and all its text.
fn parsed(page: &str) -> (Vec<Element>, String) {
    fn walk(node: &Handle, elements: &mut Vec<Element>, text: &mut String) {
        match &node.data {
            NodeData::Element { name, attrs, .. } => {
                let attributes = attrs.borrow();
                let attributes = attributes
                    .iter()
                    .map(|one| (one.name.local.to_string(), one.value.to_string()));
                elements.push((name.local.to_string(), attributes.collect()));
            }
            NodeData::Text { contents } => text.push_str(&contents.borrow()),
            _ => {}
        }
        let children = node.children.borrow();
        children
            .iter()
            .for_each(|child| walk(child, elements, text));
    }
    let dom =
        html5ever::parse_document(RcDom::default(), html5ever::ParseOpts::default()).one(page);
    assert!(dom.errors.borrow().is_empty(), "{:?}", dom.errors.borrow());
    let (mut elements, mut text) = (vec![], String::new());
    walk(&dom.document, &mut elements, &mut text);
    (elements, text)
}

#[test]
fn in_html_whatever_a_directory_holds_stays_text() {
    let usual = {
        let directory = directory()
            .person("1", "ann@example.com")
            .person("2", "x@example.com");
        let directory = (0..7).fold(directory, |all, at| {
            all.group(&format!("g{at}"), &format!("Group {at}"), &["1"])
        });
        html(&sync(&directory, &mut organization(), &policy()))
    };
    let page = html(&hostile());
    let names = |page: &str| {
        let (elements, _) = parsed(page);
        elements
            .into_iter()
            .map(|(name, attributes)| {
                let names = attributes.into_iter().map(|(name, _)| name);
                (name, names.collect::<Vec<_>>())
            })
            .collect::<Vec<_>>()
    };
    // The same elements with the same attributes, whatever the names are.
    assert_eq!(names(&page), names(&usual));
    let (_, text) = parsed(&page);
    for name in HOSTILE {
        let shown: String = name.chars().filter(|c| *c != '\u{202e}').collect();
        assert!(text.contains(&shown), "{shown}");
    }
    assert!(!page.contains('\u{202e}'));
}

#[test]
fn html_needs_nothing_from_elsewhere_and_allows_nothing_else() {
    let page = html(&plan());
    let (elements, _) = parsed(&page);
    let policy = elements.iter().find_map(|(name, attributes)| {
        let is_policy = attributes
            .iter()
            .any(|(_, value)| value == "Content-Security-Policy");
        let content = attributes.iter().find(|(name, _)| name == "content");
        (name == "meta" && is_policy).then(|| content.unwrap().1.clone())
    });
    let policy = policy.unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(
        !policy.contains("unsafe") && !policy.contains("http"),
        "{policy}"
    );
    let hash = |element: &str| {
        let (_, rest) = page.split_once(&format!("<{element}>")).unwrap();
        let (content, _) = rest.split_once(&format!("</{element}>")).unwrap();
        let digest = <sha2::Sha256 as sha2::Digest>::digest(content);
        format!("'sha256-{}'", data_encoding::BASE64.encode(&digest))
    };
    for element in ["style", "script"] {
        assert!(policy.contains(&hash(element)), "{element}: {policy}");
    }
    for (name, attributes) in &elements {
        for (attribute, value) in attributes {
            assert!(
                !["src", "style", "action"].contains(&attribute.as_str()),
                "{name} {attribute}"
            );
            assert!(!attribute.starts_with("on"), "{name} {attribute}");
            assert!(
                attribute != "href" || value.starts_with('#'),
                "{name} {value}"
            );
        }
    }
    // Each anchor leads somewhere.
    let ids: Vec<&str> = elements
        .iter()
        .flat_map(|(_, attributes)| attributes)
        .filter(|(name, _)| name == "id")
        .map(|(_, value)| &**value)
        .collect();
    let links = elements.iter().flat_map(|(_, attributes)| attributes);
    let links: Vec<&str> = links
        .filter(|(name, _)| name == "href")
        .map(|(_, value)| &value[1..])
        .collect();
    assert_eq!(links.len(), 9, "{links:?}");
    assert!(
        links.iter().all(|link| ids.contains(link)),
        "{links:?} {ids:?}"
    );
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), ids.len(), "{ids:?}");
}

#[test]
fn html_has_every_row_without_a_script() {
    let plan = large();
    let (elements, text) = parsed(&html(&plan));
    let rows = elements.iter().filter(|(name, attributes)| {
        let hidden = attributes.iter().any(|(name, _)| name == "hidden");
        name == "tr" && attributes.iter().any(|(name, _)| name == "data-kind") && !hidden
    });
    assert_eq!(rows.count(), 501);
    assert!(text.contains("person-499@example.com"));
    let tables = elements.iter().filter(|(name, _)| name == "table").count();
    let captions = elements
        .iter()
        .filter(|(name, _)| name == "caption")
        .count();
    assert_eq!((tables, captions), (2, 2));
    let heads = elements.iter().filter(|(name, _)| name == "th");
    assert!(heads.clone().all(|(_, attributes)| {
        attributes
            .iter()
            .any(|(name, value)| name == "scope" && ["col", "row"].contains(&&**value))
    }));
    assert_eq!(heads.count(), 501 + 2 * 4);
}

#[test]
fn whoever_comes_into_a_group_once_its_name_is_approved_stands_with_the_name() {
    let mut policy = crate::unlimited();
    policy.groups.protected = vec![Glob::new("Admins")];
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("g1", "Former admins", &["ann"])
        .group("g2", "Admins", &["ann", "bob"]);
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("bob", "bob@example.com")
        .group("g1", "Admins", &["ann@example.com"])
        .group("g2", "Guests", &["ann@example.com"]);
    let plan = sync(&directory, &mut organization, &policy);
    let table = table(&plan, PIPE);
    assert!(
        table.contains("was Guests; 1 member stays out until then; held by groups.protected\n    + bob@example.com\n"),
        "{table}"
    );
    assert!(!table.contains("+ ann@example.com"), "{table}");
}
