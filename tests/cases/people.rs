//! Who has access, and under which address.

use simulators::organization::Status;

use crate::harness::Case;

/// Rocket.Chat 40842, LDAPAccountManager 356: a lockout that passes isn't a disabled account.
#[tokio::test]
async fn a_lockout_that_passes_disables_nobody() {
    let case = Case::start("lockout_long_over").await;
    let before = case.now();

    case.sync()
        .await
        .ends_with(0)
        .prints("nothing was to be changed");

    assert_eq!(case.now(), before);
}

/// What `000001010000Z` says is that an administrator has to unlock the account.
#[tokio::test]
async fn a_permanent_lock_disables() {
    let case = Case::start_changed("lockout_long_over", |ldif| {
        ldif.replace("20260901080000Z", "000001010000Z")
    })
    .await;

    case.sync().await.ends_with(0).prints("1 Revoke");

    assert_eq!(case.status("ann@example.com"), Status::Revoked);
    assert_eq!(case.status("u2@example.com"), Status::Confirmed);
}

/// Rocket.Chat 17561, docs-alfresco 1390: only what the sync itself revoked is restored.
#[tokio::test]
async fn whoever_was_revoked_by_hand_stays_so() {
    let case = Case::start("revoked_by_hand").await;

    let ran = case.sync().await;

    assert_eq!(case.status("ann@example.com"), Status::Revoked);
    ran.ends_with(0);
    let plan = case.plan().await.ends_with(0);
    plan.prints("nothing to change")
        .prints("NotRestored (1)")
        .prints("ann@example.com is active in the directory and revoked in Bitwarden");
}

/// bitwarden/server 4117, vaultwarden 5138: a mistyped address, or one that changed before the person
/// accepted.
#[tokio::test]
async fn an_invitation_follows_the_address_until_it_is_accepted() {
    let case = Case::start("address_changed_while_invited").await;
    let invited = "in place of the invitation to ann.miller@example.com, which is withdrawn";

    case.plan()
        .await
        .ends_with(0)
        .prints("plan: 1 Invite, 1 CreateGroup")
        .prints(invited);
    case.sync().await.ends_with(0).prints("1 Invite");

    assert_eq!(case.emails(), ["ann.smith@example.com"]);
    assert_eq!(case.status("ann.smith@example.com"), Status::Invited);
    assert_eq!(case.group("eng"), ["ann.smith@example.com"]);
    case.sync().await.prints("nothing was to be changed");
}

/// validator.js 940, cerb 1349: a zero-width space that was pasted into an address.
#[tokio::test]
async fn characters_of_an_address_that_nobody_sees_are_spelled_out() {
    let case = Case::start("invisible_characters_in_the_address").await;

    let plan = case.plan().await.ends_with(0).prints("InvalidEmail (4)");
    for shown in [
        "zwsp@example.com<U+200B>",
        "<U+202A>lre@example.com<U+202C>",
        "<U+FEFF>bom@example.com",
        "(more than one @): ann.one@example.com; ann.two@example.com",
    ] {
        assert!(plan.stdout.contains(shown), "{shown:?} isn't in {plan}");
    }
    case.sync().await.ends_with(0);

    assert_eq!(case.organization.invitations(), [].into());
}

/// Three leavers, and two more who are disabled and were never members, by employeeType.
async fn company_with_leavers() -> Case {
    let case = Case::start_changed("id_of_one_person_not_visible", |ldif| {
        let mut ldif = ldif.replace(
            "mail: u5@example.com\n",
            "mail: u5@example.com\nemployeeNumber: 5\n",
        );
        for uid in ["u1", "u2", "u3"] {
            let mail = format!("mail: {uid}@example.com\n");
            ldif = ldif.replace(&mail, &format!("{mail}employeeType: disabled\n"));
        }
        for number in [21, 22] {
            ldif.push_str(&format!(
                "\ndn: uid=x{number},ou=people,dc=example,dc=com\nobjectClass: inetOrgPerson\n\
                 uid: x{number}\ncn: X\nsn: X\nmail: x{number}@example.com\n\
                 employeeNumber: {number}\nemployeeType: disabled\n"
            ));
        }
        ldif
    })
    .await;
    case.edit(
        "{idAttribute: employeeNumber}",
        "{idAttribute: employeeNumber, disabled: {attribute: employeeType, values: [disabled]}}",
    );
    case
}

/// The leavers were revoked; then an access rule hides the attribute that says so.
#[tokio::test]
async fn an_access_rule_on_the_attribute_of_disabled_accounts_restores_and_invites_nobody() {
    let mut case = company_with_leavers().await;
    case.sync().await.ends_with(0).prints("3 Revoke");
    let before = case.now();

    case.add_access_rule("access to attrs=employeeType by * none");
    let ran = case.sync().await;

    assert_eq!(case.now(), before);
    ran.ends_with(3)
        .prints("NotRestored (3)")
        .prints("UnknownAccountState (1)")
        .prints("2 people aren't invited: whether their accounts are disabled isn't known");
}

/// The leavers were revoked; then the spec says that the attribute means something else, or nothing.
#[tokio::test]
async fn a_spec_that_does_not_read_disabled_accounts_any_more_restores_and_invites_nobody() {
    let case = company_with_leavers().await;
    case.sync().await.ends_with(0).prints("3 Revoke");
    let before = case.now();

    for (from, to) in [
        ("values: [disabled]", "values: [retired]"),
        (
            ", disabled: {attribute: employeeType, values: [retired]}",
            "",
        ),
    ] {
        case.edit(from, to);
        let ran = case.sync().await.ends_with(3);
        ran.prints("NotRestored (3)")
            .prints("UnknownAccountState (1)")
            .prints("set ");
        assert_eq!(case.now(), before);
    }
}
