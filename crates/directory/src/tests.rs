//! What a builder makes of entries that share ids or names.

use super::*;
use crate::problem::ProblemReason::{self, AmbiguousMember, IdentityConflict, InvalidExternalId};

fn reasons(directory: &Directory) -> Vec<ProblemReason> {
    directory
        .problems
        .iter()
        .map(|problem| problem.reason)
        .collect()
}

fn ids(directory: &Directory) -> Vec<&str> {
    directory
        .users
        .iter()
        .map(|user| user.id.as_str())
        .collect()
}

fn user(builder: &mut DirectoryBuilder, dn: &str, id: &str, email: &str) -> EntryKey {
    let key = builder.key(dn);
    builder.user(&[key], id, email, Account::ACTIVE, dn);
    key
}

#[test]
fn two_people_with_one_id_are_set_aside_with_both_names() {
    let mut builder = DirectoryBuilder::with_shareable_ids();
    let ann = user(&mut builder, "uid=ann", "7", "ann@example.com");
    let cid = user(&mut builder, "uid=cid", "8", "cid@example.com");
    let bob = user(&mut builder, "uid=bob", "7", "bob@example.com");
    let group = builder.key("cn=finance");
    builder.group(&[group], "g", "finance", vec![bob, cid]);
    let other = builder.key("cn=eng");
    builder.group(&[other], "h", "eng", vec![ann]);
    let directory = builder.finish().into_inner();
    assert_eq!(ids(&directory), ["8"]);
    let emails = directory.unidentified_users.iter().map(|user| {
        (
            user.id.as_ref().unwrap().as_str(),
            user.email.as_ref().unwrap().as_str(),
        )
    });
    assert_eq!(
        emails.collect::<Vec<_>>(),
        [("7", "ann@example.com"), ("7", "bob@example.com")]
    );
    let problem = directory.problems.iter().next().unwrap();
    assert_eq!(problem.reason, IdentityConflict);
    assert!(
        problem.message.contains("uid=ann and uid=bob"),
        "{}",
        problem.message
    );
    assert_eq!(*directory.groups[0].users, [0], "cid, under a new index");
    assert!(directory.groups[0].has_unidentified && directory.groups[1].has_unidentified);
    assert!(directory.groups.iter().all(|group| group.in_part.is_none()));
    assert_eq!(directory.unknown_members.count, 0);
}

#[test]
fn an_entry_that_comes_twice_is_one() {
    let mut builder = DirectoryBuilder::with_shareable_ids();
    user(&mut builder, "uid=ann", "7", "ann@example.com");
    user(&mut builder, "uid=ann", "7", "ann@example.com");
    let group = builder.key("cn=g");
    builder.group(&[group], "g", "g", vec![]);
    builder.group(&[group], "g", "g", vec![]);
    let directory = builder.finish().into_inner();
    assert_eq!((ids(&directory), directory.groups.len()), (vec!["7"], 1));
    assert!(directory.problems.is_empty() && directory.unidentified_users.is_empty());
}

#[test]
fn where_the_directory_keeps_ids_unique_an_entry_renamed_between_two_pages_is_one() {
    let mut builder = DirectoryBuilder::new();
    let old = user(&mut builder, "cn=old", "7", "ann@example.com");
    let new = user(&mut builder, "cn=new", "7", "ann@example.com");
    let group = builder.key("cn=g");
    builder.group(&[group], "g", "g", vec![old, new]);
    let directory = builder.finish().into_inner();
    assert_eq!(ids(&directory), ["7"]);
    assert_eq!(*directory.groups[0].users, [0]);
    assert!(directory.problems.is_empty());
}

#[test]
fn two_groups_with_one_id_are_set_aside_and_whoever_contains_one_is_in_part() {
    let mut builder = DirectoryBuilder::with_shareable_ids();
    let ann = user(&mut builder, "uid=ann", "1", "ann@example.com");
    let [one, two, outer] = ["cn=one", "cn=two", "cn=outer"].map(|dn| builder.key(dn));
    builder.group(&[one], "g", "one", vec![ann]);
    builder.group(&[two], "g", "two", vec![]);
    builder.group(&[outer], "o", "outer", vec![two]);
    let directory = builder.finish().into_inner();
    assert_eq!(directory.groups.len(), 1);
    assert_eq!(directory.groups[0].in_part, Some(InPart::UnidentifiedGroup));
    let names: Vec<_> = directory
        .unidentified_groups
        .iter()
        .map(|group| &*group.name)
        .collect();
    assert_eq!(names, ["one", "two"]);
    assert_eq!(reasons(&directory), [IdentityConflict]);
}

#[test]
fn an_entry_without_an_id_is_kept_with_what_is_known_of_it() {
    let mut builder = DirectoryBuilder::with_shareable_ids();
    let dn = builder.key("uid=ann");
    builder.unidentified_user(&[dn], "Ann@example.com", "uid=ann", "no employeeNumber");
    let bad = builder.key("uid=bob");
    builder.user(&[bad], "two\nlines", "nobody", Account::ACTIVE, "uid=bob");
    let group = builder.key("cn=g");
    builder.group(&[group], "g", "g", vec![dn]);
    let directory = builder.finish().into_inner();
    let emails = directory
        .unidentified_users
        .iter()
        .map(|user| user.email.as_ref());
    let ann = Email::parse("ann@example.com").unwrap();
    assert_eq!(emails.collect::<Vec<_>>(), [Some(&ann), None]);
    assert_eq!(reasons(&directory), [InvalidExternalId, InvalidExternalId]);
    assert!(directory.groups[0].has_unidentified);
}

#[test]
fn a_group_that_names_a_member_whom_two_people_could_be_is_in_part() {
    for second_has_an_id in [true, false] {
        let mut builder = DirectoryBuilder::with_shareable_ids();
        let login = builder.key("\u{1}uid=ann");
        let [one, two] = ["uid=ann,ou=a", "uid=ann,ou=b"].map(|dn| builder.key(dn));
        builder.user(
            &[one, login],
            "1",
            "a@example.com",
            Account::ACTIVE,
            "uid=ann,ou=a",
        );
        if second_has_an_id {
            builder.user(
                &[two, login],
                "2",
                "b@example.com",
                Account::ACTIVE,
                "uid=ann,ou=b",
            );
        } else {
            builder.unidentified_user(&[two, login], "b@example.com", "uid=ann,ou=b", "no id");
        }
        let group = builder.key("cn=g");
        builder.group(&[group], "g", "g", vec![login]);
        let directory = builder.finish().into_inner();
        assert_eq!(directory.groups[0].in_part, Some(InPart::AmbiguousMember));
        assert!(reasons(&directory).contains(&AmbiguousMember));
    }
}

#[test]
fn only_accounts_that_are_not_active_keep_what_says_so_and_equal_texts_are_shared() {
    let mut builder = DirectoryBuilder::new();
    let key = builder.key("any");
    let locked = Account::new(AccountState::Disabled, "nsAccountLock", "TRUE");
    builder.user(&[key], "1", "a@example.com", locked, "uid=a");
    builder.user(&[key], "2", "b@example.com", locked, "uid=b");
    builder.user(&[key], "3", "c@example.com", Account::ACTIVE, "uid=c");
    let directory = builder.finish().into_inner();
    let evidence: Vec<_> = directory
        .users
        .iter()
        .map(|user| user.evidence.as_deref())
        .collect();
    let [Some(a), Some(b), None] = evidence[..] else {
        panic!("{evidence:?}");
    };
    assert_eq!(a.to_string(), "nsAccountLock of uid=a is TRUE");
    assert_eq!(&*b.entry, "uid=b");
    assert!(Arc::ptr_eq(&a.attribute, &b.attribute) && Arc::ptr_eq(&a.value, &b.value));
}
