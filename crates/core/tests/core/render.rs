//! A plan for people and programs.

use directory_sync_core::sync::guard::GuardedPlan;
use directory_sync_core::sync::policy::{Limit, OffboardingAction};
use directory_sync_core::sync::render::{Sides, json, markdown, table};
use directory_sync_core_testing::{directory, organization, policy, sync};
use serde_json::{Value, json as value};

const SIDES: Sides<'static> = Sides {
    source: "ldaps://ldap",
    organization: "Example",
};

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
fn json_says_what_is_done_what_waits_and_what_is_wrong() {
    let plan = plan();
    let parsed: Value = serde_json::from_str(&json(&plan, &SIDES, None)).unwrap();
    assert_eq!(
        parsed,
        value!({
            "digest": plan.digest.0,
            "source": "ldaps://ldap",
            "organization": "Example",
            "heldBecause": "1 member would lose something, being absent, out of scope or out of a \
                            group; offboarding.limit allows 0 in 24 hours",
            "changes": [
                {"action": "Relink", "externalId": "ann2", "email": "ann@example.com",
                 "reason": "NewExternalId", "from": "ann1"},
                {"action": "Invite", "externalId": "new", "email": "new@example.com",
                 "reason": "NewInDirectory"},
                {"action": "RelinkGroup", "externalId": "g4", "name": "Moved",
                 "reason": "NewExternalId", "from": "g3"},
                {"action": "RenameGroup", "externalId": "g2", "name": "Renamed",
                 "reason": "NameChanged", "from": "Before"},
                {"action": "CreateGroup", "externalId": "g1", "name": "Fresh",
                 "reason": "NewInDirectory", "add": ["new"]},
                {"action": "UpdateGroup", "externalId": "g2", "name": "Renamed",
                 "reason": "MembersChanged", "add": ["ann2"], "remove": []},
            ],
            "held": [
                {"action": "Remove", "externalId": "gone", "email": "gone@example.com",
                 "reason": "GoneFromDirectory",
                 "evidence": {"kind": "Absent", "detail": "not in the directory's complete list"},
                 "heldBy": "offboarding.limit"},
                {"action": "UpdateGroup", "externalId": "g2", "name": "Renamed", "heldBy": "offboarding.limit",
                 "reason": "MembersChanged", "add": [], "remove": ["gone"]},
            ],
            "problems": [
                {"reason": "NoEmail", "message": "none: there is no email", "externalIds": ["none"]},
            ],
        })
    );
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
fn json_that_is_cut_stays_json_within_its_limit_and_counts_what_is_missing() {
    let plan = large();
    for max in [1_000, 5_000, 20_000, 60_000] {
        let text = json(&plan, &SIDES, Some(max));
        assert!(text.len() <= max, "{} of {max}", text.len());
        let parsed: Value = serde_json::from_str(&text).unwrap();
        let missing = |key: &str| parsed["truncated"][key].as_u64().unwrap_or_default() as usize;
        let shown = |key: &str| parsed[key].as_array().unwrap().len();
        assert_eq!(shown("changes") + missing("changes"), 501);
        assert_eq!(shown("problems") + missing("problems"), 50);
        assert!(missing("changes") > 0 || max == 60_000, "{max}");
    }
    let whole: Value = serde_json::from_str(&json(&plan, &SIDES, Some(1 << 20))).unwrap();
    assert!(whole.get("truncated").is_none());
    let group = &whole["changes"][500];
    assert_eq!(
        (group["add"].as_array().unwrap().len(), &group["addTotal"]),
        (100, &value!(500))
    );
}

#[test]
fn markdown_is_cut_at_a_line_with_a_note() {
    let plan = large();
    let whole = markdown(&plan, &SIDES, 1 << 20);
    assert!(whole.contains("### Invite (500)"), "{whole}");
    assert!(!whole.contains("Cut here"));
    let cut = markdown(&plan, &SIDES, 4_000);
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
fn a_name_cannot_break_out_of_markdown() {
    let directory = directory().person("ann", "ann@example.com").group(
        "g",
        "a|b `c` <script>\n# d [x](javascript:y)",
        &["ann"],
    );
    let run = sync(&directory, &mut organization(), &policy());
    let text = markdown(&run, &SIDES, 1 << 20);
    let line = text.lines().find(|line| line.contains("a\\|b")).unwrap();
    assert_eq!(
        line,
        "| a\\|b \\`c\\` &lt;script&gt; \\# d \\[x\\](javascript:y) | g | new in the directory | 1 member |"
    );
}

#[test]
fn a_table_counts_first_and_ends_long_lists() {
    let text = table(&plan(), &SIDES, 20);
    assert_eq!(
        text.lines().skip(4).take(12).collect::<Vec<_>>(),
        [
            "plan: 1 Invite, 1 Relink, 1 CreateGroup, 1 RelinkGroup, 1 RenameGroup, 1 UpdateGroup",
            "",
            "Invite (1)",
            "  new@example.com  new  new in the directory",
            "",
            "Re-link (1)",
            "  ann@example.com  ann2  has a new id in the directory  was ann1",
            "",
            "Create group (1)",
            "  Fresh  g1  new in the directory  1 member",
            "",
            "Re-link group (1)",
        ]
    );
    assert!(
        text.contains("held, waiting for approval:\n  1 member would lose something"),
        "{text}"
    );
    let text = table(&large(), &SIDES, 3);
    assert!(
        text.contains("Invite (500)\n  person-0@example.com"),
        "{text}"
    );
    assert!(text.contains("  … and 497 more\n"), "{text}");
    assert!(text.contains("NoEmail (50)"), "{text}");
    assert!(text.contains("  … and 47 more\n"), "{text}");
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
    for text in [
        table(&plan, &SIDES, 50),
        markdown(&plan, &SIDES, usize::MAX),
    ] {
        let at = |heading: &str| {
            text.find(heading)
                .unwrap_or_else(|| panic!("{heading}: {text}"))
        };
        assert!(at("Revoke (1)") < at("Invite (59)"), "{text}");
    }
}
