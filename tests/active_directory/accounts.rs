//! Getting in: the account's names, and why it is refused.

use directory_sync::api::spec::ActiveDirectorySecurity;
use directory_sync::directory::AccountState;
use directory_sync::source::active_directory::ActiveDirectorySettings;
use simulators::lab::Samba;
use simulators::ldap_proxy::{LdapFault, LdapProxy};

use crate::domain::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_account_is_known_by_its_principal_name_its_domain_name_and_its_dn() {
    needs_samba!();
    let names = [
        format!("{READER}@{}", Samba::REALM),
        format!("{}\\{READER}", Samba::SHORT),
        container(&format!("CN={READER},CN=Users")),
    ];
    for name in names {
        gets_in(by(&name, Samba::PASSWORD)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_bind_is_refused_is_spelled_out_and_its_password_never_shown() {
    needs_samba!();
    let _changing = changing().await;
    let unit = own_unit("Refused", |ldif, unit| {
        User::new("mistyped").with_password().add_to(ldif, unit);
        let mut disabled = User::new("off").with_password();
        disabled.status = AccountStatus::Disabled;
        disabled.add_to(ldif, unit);
        let mut expired = User::new("over").with_password();
        expired.more = vec![("accountExpires", "126227808000000000".into())];
        expired.add_to(ldif, unit);
        User::new("stale").with_password().add_to(ldif, unit);
        let mut new = User::new("fresh").with_password();
        new.more = vec![("pwdLastSet", "0".into())];
        new.add_to(ldif, unit);
        User::new("locked").with_password().add_to(ldif, unit);
    });
    // DONT_EXPIRE_PASSWORD would keep the passwords from having to be changed.
    domain()
        .modify(&format!(
            "dn: CN=fresh,{unit}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 512\n\n\
             dn: CN=stale,{unit}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 512\n\n\
             dn: {DOMAIN}\nchangetype: modify\nreplace: lockoutThreshold\nlockoutThreshold: 3\n"
        ))
        .unwrap();
    domain().age_password(&format!("CN=stale,{unit}")).unwrap();
    let account = |name: &str| by(&format!("{name}@{}", Samba::REALM), Samba::PASSWORD);
    for _ in 0..4 {
        refused(by(&format!("locked@{}", Samba::REALM), "not-this-one")).await;
    }

    refused(by(&format!("mistyped@{}", Samba::REALM), "not-this-one"))
        .await
        .is_configuration()
        .says("52e: the name or the password is wrong")
        .never_says("mistyped@ad.example.test")
        .says("bind Secret")
        .never_says("not-this-one");
    // Samba doesn't say who isn't there, and lets accounts in at any hour, from anywhere.
    refused(account("nobody"))
        .await
        .is_configuration()
        .says("52e: the name or the password is wrong");
    refused(account("stale"))
        .await
        .is_transient()
        .says("532: its password has expired");
    refused(account("off"))
        .await
        .is_transient()
        .says("533: the account is disabled; enable it");
    refused(account("over"))
        .await
        .is_transient()
        .says("701: the account has expired");
    refused(account("fresh"))
        .await
        .is_transient()
        .says("773: its password must be changed");
    refused(account("locked"))
        .await
        .is_transient()
        .says("775: the account is locked out");

    // Who is locked out, or has to change a password, is still one of us.
    let all = people(&read(settings_within(&unit)).await);
    let active = all
        .iter()
        .filter(|(_, state)| *state == AccountState::Active);
    assert_eq!(active.count(), 5, "{all:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_the_clear_is_refused_by_a_default_controller_with_what_to_write() {
    needs_samba!();
    let strict = domain().another(true).unwrap();
    let mut settings = settings_of(&strict);
    settings.security = ActiveDirectorySecurity::Plaintext;
    refused(settings)
        .await
        .is_configuration()
        .says("8 (strongerAuthRequired)")
        .says("security: Ldaps");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_windows_answers_to_a_bind_is_spelled_out_word_for_word() {
    // No bind gets as far as a controller.
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = LdapProxy::start(nobody.local_addr().unwrap())
        .await
        .unwrap();
    let refusal = async |message: &'static str| {
        proxy.arm(0, LdapFault::Says(49, message));
        let find = at("127.0.0.1", Some(proxy.address().port()));
        let mut settings = ActiveDirectorySettings::new(find);
        settings.bind = simple("CORP\\reader", "not-this-one");
        settings.security = ActiveDirectorySecurity::Plaintext;
        refused(settings)
            .await
            .never_says("CORP\\reader")
            .says("the controller answered ")
            .never_says("not-this-one")
            .never_says("DSID")
    };
    macro_rules! windows {
        ($data:literal) => {
            // As a controller writes it, with a NUL at the end.
            concat!(
                "80090308: LdapErr: DSID-0C090447, comment: AcceptSecurityContext error, data ",
                $data,
                ", v3839\0"
            )
        };
    }
    for (message, words) in [
        (
            windows!("525"),
            "525: there is no such account; correct username",
        ),
        (
            windows!("52e"),
            "52e: the name or the password is wrong; correct username",
        ),
    ] {
        refusal(message).await.is_configuration().says(words);
    }
    for (message, words) in [
        (
            windows!("52f"),
            "52f: the account is restricted; see whether it is in Protected Users",
        ),
        (
            windows!("530"),
            "530: the account may not log on at this time; extend its logon hours",
        ),
        (
            windows!("531"),
            "531: the account may not log on from this machine; take away the limit",
        ),
        (
            windows!("532"),
            "532: its password has expired; set a new password",
        ),
        (windows!("533"), "533: the account is disabled; enable it"),
        (
            windows!("569"),
            "569: the account may not log on this way; give it the right",
        ),
        (
            windows!("701"),
            "701: the account has expired; extend or remove its date",
        ),
        (
            windows!("773"),
            "773: its password must be changed at the first logon; set a password",
        ),
        (
            windows!("775"),
            "775: the account is locked out after too many wrong passwords; unlock",
        ),
    ] {
        refusal(message).await.is_transient().says(words);
    }
}
