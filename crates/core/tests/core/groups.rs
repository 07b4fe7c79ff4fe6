//! Groups and who is in them.

use directory_sync_core::problem::ProblemReason;
use directory_sync_core::sync::plan::{GroupAction, RemovedMember};
use directory_sync_core::sync::policy::{Glob, OffboardingAction};
use directory_sync_core_testing::{Run, TestDirectory, directory, organization, policy, sync};

use crate::{changes, problems, unlimited};

#[test]
fn a_new_group_is_created_with_its_people_nested_ones_too() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .disabled("cid", "cid@example.com")
        .group("all", "All", &["ann", "@eng", "@all"])
        .group("eng", "Engineering", &["bob", "cid", "@all"]);
    let mut organization = organization();
    sync(&directory, &mut organization, &policy());
    assert_eq!(
        organization.show(),
        [
            "ann@example.com (ann) invited",
            "bob@example.com (bob) invited",
            "group All (all): ann@example.com bob@example.com",
            "group Engineering (eng): ann@example.com bob@example.com",
        ]
    );
}

#[test]
fn members_come_and_go_and_whoever_is_not_ours_stays() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .person("cid", "cid@example.com")
        .group("g", "Group", &["ann", "bob"]);
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("bob", "bob@example.com")
        .member("cid", "cid@example.com")
        .stranger("eve@example.com")
        .group(
            "g",
            "Group",
            &["bob@example.com", "cid@example.com", "eve@example.com"],
        );
    let eve = organization.by_email("eve@example.com").id;
    let run = sync(&directory, &mut organization, &unlimited());
    let Some(GroupAction::Update(update)) = run.approved.changes[0].group() else {
        panic!("{:?}", run.approved.changes)
    };
    let texts = |ids: &[_]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let removed: Vec<_> = update.remove.iter().map(RemovedMember::id).collect();
    assert_eq!(
        (texts(&update.add), texts(&removed)),
        (vec!["ann".into()], vec!["cid".into()])
    );
    assert_eq!(
        (texts(&update.keep), &update.unmanaged),
        (vec!["bob".into()], &Some(vec![eve]))
    );
    assert_eq!(
        organization.show().last().unwrap(),
        "group Group (g): ann@example.com bob@example.com eve@example.com"
    );
}

#[test]
fn revoked_and_broken_people_stay_in_their_groups() {
    let directory = directory()
        .disabled("ann", "ann@example.com")
        .person("bob", "")
        .person("zoe", "zoe@example.com")
        .group("g", "Group", &["ann", "bob", "zoe"]);
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("bob", "bob@example.com")
        .member("zoe", "zoe@example.com")
        .group("g", "Group", &["ann@example.com", "bob@example.com"]);
    sync(&directory, &mut organization, &unlimited());
    assert_eq!(
        organization.show().last().unwrap(),
        "group Group (g): ann@example.com bob@example.com zoe@example.com"
    );
}

#[test]
fn removing_somebody_from_the_organization_needs_no_word_to_their_groups() {
    let mut policy = unlimited();
    policy.offboarding.disabled = OffboardingAction::Remove;
    let directory = directory()
        .disabled("ann", "ann@example.com")
        .person("zoe", "zoe@example.com")
        .group("g", "Group", &["ann", "zoe"]);
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("zoe", "zoe@example.com")
        .group("g", "Group", &["ann@example.com", "zoe@example.com"]);
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&run), ["Remove ann"]);
}

#[test]
fn a_group_takes_the_directorys_name_and_keeps_its_people() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .group("g", "New", &["ann"]);
    let mut organization =
        organization()
            .member("ann", "ann@example.com")
            .group("g", "Old", &["ann@example.com"]);
    let run = sync(&directory, &mut organization, &policy());
    assert_eq!(changes(&run), ["RenameGroup g"]);
    assert_eq!(
        organization.show().last().unwrap(),
        "group New (g): ann@example.com"
    );
}

#[test]
fn a_group_under_a_new_id_is_relinked_by_its_name_and_its_members_compared() {
    let mut policy = unlimited();
    policy.groups.prune = true;
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("new", "Group", &["bob"]);
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("bob", "bob@example.com")
        .group("old", "Group", &["ann@example.com"]);
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&run), ["RelinkGroup new", "UpdateGroup new"]);
    assert_eq!(
        organization.show().last().unwrap(),
        "group Group (new): bob@example.com"
    );
}

#[test]
fn a_name_that_is_not_unique_on_both_sides_or_still_in_use_is_no_reason_to_relink() {
    let mut filtered = policy();
    filtered.groups.exclude = vec![Glob::new("hidden")];
    let directory = directory()
        .group("new1", "Twins", &[])
        .group("new2", "Twins", &[])
        .group("new3", "Double", &[])
        .group("known", "hidden", &[])
        .group("new4", "Known", &[]);
    let mut organization = organization()
        .group("old1", "Twins", &[])
        .group("old2", "Double", &[])
        .group("old3", "Double", &[])
        .group("known", "Known", &[]);
    let run = sync(&directory, &mut organization, &filtered);
    assert_eq!(
        changes(&run),
        [
            "CreateGroup new1",
            "CreateGroup new2",
            "CreateGroup new3",
            "CreateGroup new4"
        ]
    );
}

#[test]
fn pruning_deletes_groups_gone_or_filtered_out_and_no_others() {
    let long = "x".repeat(101);
    let directory = directory()
        .person("ann", "ann@example.com")
        .group("kept", "Kept", &[])
        .group("hidden", "Hidden", &[])
        .group("nameless", "", &[])
        .group("long", &long, &[]);
    let before = organization()
        .group("kept", "Kept", &[])
        .group("hidden", "Hidden", &[])
        .group("nameless", "Nameless", &[])
        .group("long", "Long", &[])
        .group("gone", "Gone", &[])
        .own_group("By hand", &[]);
    let mut policy = unlimited();
    policy.groups.exclude = vec![Glob::new("hidden")];
    let mut organization = before.clone();
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&run), ["Invite ann"]);
    assert_eq!(
        problems(&run),
        [
            (ProblemReason::GroupNameMissing, vec!["nameless"]),
            (ProblemReason::GroupNameTooLong, vec!["long"]),
        ]
    );

    policy.groups.prune = true;
    let mut organization = before.clone();
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(
        changes(&run),
        ["Invite ann", "DeleteGroup gone", "DeleteGroup hidden"]
    );

    // With an include list a group without a name can't be told to be meant; it stays all the same.
    policy.groups.include = vec![Glob::new("kept")];
    let mut organization = before.clone();
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(
        changes(&run),
        [
            "Invite ann",
            "DeleteGroup gone",
            "DeleteGroup hidden",
            "DeleteGroup long"
        ]
    );
}

#[test]
fn two_groups_with_one_external_id_are_named_and_left_alone() {
    let mut policy = unlimited();
    policy.groups.prune = true;
    let directory = directory()
        .person("ann", "ann@example.com")
        .group("g", "New", &["ann"]);
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .group("g", "One", &[])
        .group("g", "Two", &[])
        .group("gone", "Three", &[])
        .group("gone", "Four", &[]);
    let run = sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&run), [""; 0]);
    assert_eq!(
        problems(&run),
        [(ProblemReason::IdentityConflict, vec!["g"])]
    );
}

#[test]
fn a_group_that_has_the_name_already_is_told_before_a_second_one_is_made() {
    let directory = directory()
        .person("ann", "ann@example.com")
        .group("g", "Finance", &["ann"]);
    let mut organization = organization().own_group("Finance", &[]);
    let run = sync(&directory, &mut organization, &policy());
    assert_eq!(
        problems(&run),
        [(ProblemReason::IdentityConflict, vec!["g"])]
    );
    let message = &run.approved.problems.iter().next().unwrap().message;
    assert!(message.contains("without an external id"), "{message}");
    // Told once: from now on the directory's group is known.
    let again = sync(&directory, &mut organization, &policy());
    assert!(problems(&again).is_empty());
}

#[test]
fn a_group_made_by_hand_is_adopted_where_that_is_asked_for() {
    let mut policy = unlimited();
    policy.groups.adopt = true;
    let directory = directory()
        .person("ann", "ann@example.com")
        .person("bob", "bob@example.com")
        .group("g", "Finance", &["ann"]);
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("bob", "bob@example.com")
        .stranger("guest@example.com")
        .own_group("Finance", &["bob@example.com", "guest@example.com"]);
    let group = organization.content.groups[0].id;
    let mut run = Run::default();

    let adopted = run.sync(&directory, &mut organization, &policy);

    assert_eq!(changes(&adopted), ["RelinkGroup g", "UpdateGroup g"]);
    assert_eq!(problems(&adopted), []);
    assert_eq!(organization.content.groups.len(), 1);
    // Ann comes in, Bob, whom the directory doesn't list, leaves, and the guest isn't ours.
    assert_eq!(organization.inside[&group].len(), 2);
    let again = run.sync(&directory, &mut organization, &policy);
    assert_eq!(changes(&again), [""; 0]);
}

#[test]
fn who_leaves_an_adopted_group_counts_against_its_limit() {
    let mut policy = policy();
    policy.groups.adopt = true;
    let directory = (0..20).fold(directory(), |directory, n| {
        directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let directory = directory.group("g", "Finance", &["p0"]);
    let emails: Vec<String> = (0..20).map(|n| format!("p{n}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    let mut organization = (0..20)
        .fold(organization(), |organization, n| {
            organization.member(&format!("p{n}"), &format!("p{n}@example.com"))
        })
        .own_group("Finance", &emails);
    let group = organization.content.groups[0].id;

    let run = sync(&directory, &mut organization, &policy);

    assert_eq!(changes(&run), ["RelinkGroup g"]);
    assert!(run.held.is_some());
    assert_eq!(organization.inside[&group].len(), 20);
}

#[test]
fn of_several_groups_with_one_name_none_is_adopted() {
    let mut policy = unlimited();
    policy.groups.adopt = true;
    let one = directory().group("g", "Finance", &[]);
    let two = one.clone().group("h", "Finance", &[]);
    let of_hand = organization().own_group("Finance", &[]);
    let twice = of_hand.clone().own_group("Finance", &[]);
    let beside = of_hand.clone().group("other", "Finance", &[]);
    for (directory, organization) in [(&one, twice), (&two, of_hand), (&one, beside)] {
        let mut organization = organization;
        let run = sync(directory, &mut organization, &policy);
        let adopted = run.approved.changes.iter().any(|change| {
            let action = change.group();
            matches!(action, Some(GroupAction::Relink { from: None }))
        });
        assert!(!adopted);
    }
}

#[test]
fn a_name_that_a_second_group_of_the_directory_has_or_gets_is_not_adopted() {
    let mut policy = unlimited();
    policy.groups.adopt = true;
    policy.external_id_prefix = "hq:".into();
    let new = directory().group("g", "Finance", &[]);
    let renamed = new.clone().group("old", "Finance", &[]);
    let unusable = new.clone().group(&"x".repeat(299), "Finance", &[]);
    for directory in [renamed, unusable] {
        let mut organization = organization()
            .group("hq:old", "Old", &[])
            .own_group("Finance", &[]);
        let run = sync(&directory, &mut organization, &policy);
        let made: Vec<_> = changes(&run)
            .into_iter()
            .filter(|change| change.ends_with(" hq:g"))
            .collect();
        assert_eq!(made, ["CreateGroup hq:g"]);
    }
}

#[test]
fn whoever_was_not_read_keeps_their_place_in_a_group_that_names_members_nobody_knows() {
    let mut policy = unlimited();
    let organization = (0..9).fold(organization(), |organization, n| {
        organization.member(&format!("p{n}"), &format!("p{n}@example.com"))
    });
    let emails: Vec<String> = (0..9).map(|n| format!("p{n}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    let before = organization
        .group("eng", "Engineering", &emails)
        .group("all", "All", &emails)
        .group("ops", "Operations", &emails);
    // Everyone but p0 and p1 was moved to where the source doesn't look; the groups still name them.
    // Operations names nobody who isn't known.
    let moved: Vec<String> = (2..9).map(|n| format!("uid=p{n},ou=moved")).collect();
    let named: Vec<&str> = ["p0"]
        .into_iter()
        .chain(moved.iter().map(String::as_str))
        .collect();
    let directory = directory()
        .person("p0", "p0@example.com")
        .person("p1", "p1@example.com")
        .group("eng", "Engineering", &named)
        .group("all", "All", &["@eng"])
        .group("ops", "Operations", &["p0"]);
    for departure in [OffboardingAction::Retain, OffboardingAction::Revoke] {
        policy.offboarding.absent = departure;
        let mut organization = before.clone();
        let mut run = Run::default();
        for _ in 0..2 {
            let guarded = run.sync(&directory, &mut organization, &policy);
            let sizes: Vec<usize> = organization
                .inside
                .values()
                .map(|group| group.len())
                .collect();
            // p1 was read and isn't named: p1 leaves.
            assert_eq!(sizes, [8, 8, 1], "{departure:?}");
            assert_eq!(
                problems(&guarded),
                [(ProblemReason::UnknownMembers, vec!["eng"])]
            );
            let message = &guarded.approved.problems.iter().next().unwrap().message;
            assert!(
                message.starts_with("7 members of group Engineering (uid=p2,ou=moved"),
                "{message}"
            );
        }
        assert!(run.read.is_empty(), "nothing has to be read again");
        // A newcomer takes nobody's place.
        let more = directory.clone().person("new", "new@example.com");
        let more = more.group("eng", "Engineering", &["new"]);
        run.sync(&more, &mut organization, &policy);
        let sizes: Vec<usize> = organization
            .inside
            .values()
            .map(|group| group.len())
            .collect();
        assert_eq!(sizes, [9, 9, 1], "{departure:?}");
    }
    // Whoever is removed from the organization leaves its groups.
    policy.offboarding.absent = OffboardingAction::Remove;
    let mut organization = before.clone();
    Run::default().sync(&directory, &mut organization, &policy);
    assert_eq!(organization.content.members.len(), 2);
    // Once the group names nobody who isn't known, absence is believed.
    policy.offboarding.absent = OffboardingAction::Retain;
    let known = directory_of_two().group("eng", "Engineering", &["p0"]);
    let mut organization = before.clone();
    Run::default().sync(&known, &mut organization, &policy);
    assert_eq!(organization.inside.values().next().unwrap().len(), 1);
}

fn directory_of_two() -> TestDirectory {
    directory()
        .person("p0", "p0@example.com")
        .person("p1", "p1@example.com")
}

#[test]
fn whoever_was_in_a_nested_group_that_is_not_read_any_more_leaves_within_the_limits() {
    let emails: Vec<String> = (0..20).map(|n| format!("p{n}@example.com")).collect();
    let emails: Vec<&str> = emails.iter().map(String::as_str).collect();
    let before = (0..20).fold(organization(), |organization, n| {
        organization.member(&format!("p{n}"), emails[n])
    });
    let before = before.group("all", "All", &emails);
    let people = |named: usize| {
        let people = (0..20).fold(directory(), |directory, n| {
            directory.person(&format!("p{n}"), emails[n])
        });
        let names: Vec<String> = (0..named).map(|n| format!("p{n}")).collect();
        let names = names.iter().map(String::as_str);
        let names: Vec<&str> = names.chain(["cn=nested,ou=moved"]).collect();
        people.group("all", "All", &names)
    };
    // Two of twenty were in it: they leave.
    let mut organization = before.clone();
    let run = sync(&people(18), &mut organization, &policy());
    assert_eq!(changes(&run), ["UpdateGroup all"]);
    assert_eq!(
        problems(&run),
        [(ProblemReason::UnknownMembers, vec!["all"])]
    );
    // Three were: that is more than the limit.
    let mut organization = before.clone();
    let run = sync(&people(17), &mut organization, &policy());
    assert!(run.held.is_some());
    assert_eq!(organization.show(), before.show());
}

#[test]
fn whoever_may_be_in_a_group_through_one_that_is_hidden_is_not_out_of_scope() {
    for absent in [OffboardingAction::Revoke, OffboardingAction::Remove] {
        let mut policy = unlimited();
        policy.groups.only_their_members = true;
        policy.offboarding.absent = absent;
        let people = || {
            (0..4).fold(directory(), |directory, n| {
                directory.person(&format!("p{n}"), &format!("p{n}@example.com"))
            })
        };
        let whole = people().group("eng", "Engineering", &["p0", "@sub"]).group(
            "sub",
            "Nested",
            &["p1", "p2"],
        );
        let mut organization = (0..4).fold(organization(), |all, n| {
            all.member(&format!("p{n}"), &format!("p{n}@example.com"))
        });
        let mut run = Run::default();
        run.sync(&whole, &mut organization, &policy);
        let members = organization.content.members.clone();
        let eng = organization.inside.values().next().unwrap().clone();
        assert_eq!(eng.len(), 3);
        // The nested group can't be read any more, and is still named. P3 never was in any.
        let hidden = people().group("eng", "Engineering", &["p0", "@sub"]);
        for reads in [true, false, false] {
            if reads {
                run.memory = Default::default();
            }
            let guarded = run.sync(&hidden, &mut organization, &policy);
            assert_eq!(changes(&guarded), [""; 0]);
            assert_eq!(organization.content.members, members);
            assert_eq!(organization.inside.values().next(), Some(&eng));
            assert_eq!(
                problems(&guarded),
                [(ProblemReason::UnknownMembers, vec!["eng"])]
            );
        }
        // Where the group names nobody else, whoever isn't named goes.
        let left = people().group("eng", "Engineering", &["p0"]);
        let guarded = run.sync(&left, &mut organization, &policy);
        let name = format!("{absent:?}");
        assert!(changes(&guarded).contains(&format!("{name} p1")));
        assert!(changes(&guarded).contains(&format!("{name} p2")));
    }
}

#[test]
fn whoever_does_not_show_the_name_that_groups_have_stays_in_one_that_names_somebody_unknown() {
    // The group names logins: ann's isn't shown, and `login` may be hers.
    let with = |ann: fn(TestDirectory) -> TestDirectory, members: &[&str]| {
        let people = directory()
            .person("ann", "ann@example.com")
            .person("eve", "eve@example.com");
        ann(people).group("g", "Group", members)
    };
    let mut organization = organization()
        .member("ann", "ann@example.com")
        .member("eve", "eve@example.com")
        .group("g", "Group", &["ann@example.com", "eve@example.com"]);
    let before = organization.show();
    let mut run = Run::default();
    let hidden = with(|people| people.unnamed("ann"), &["login", "eve"]);
    for _ in 0..2 {
        run.sync(&hidden, &mut organization, &unlimited());
        assert_eq!(organization.show(), before);
    }
    // Who shows it isn't `login`.
    let shown = with(|people| people, &["login", "eve"]);
    run.sync(&shown, &mut organization, &unlimited());
    assert_eq!(
        organization.show().last().unwrap(),
        "group Group (g): eve@example.com"
    );
}
