//! Changes that are noticed between two reads, and one person read alone.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use directory_sync::api::spec::ActiveDirectorySecurity;
use directory_sync::directory::{AccountState, ExternalId};
use directory_sync::source::active_directory::{
    ActiveDirectorySettings, ActiveDirectorySource, EmailFrom,
};
use directory_sync::source::{Hint, LeaverCheck, Source, WatchEnd, WatchMethod};
use directory_sync_testing::Told;
use jiff::Timestamp;
use simulators::lab::Samba;
use simulators::ldap_proxy::{LdapFault, LdapProxy};

use crate::domain::*;

/// How long a notice takes at most that Samba sends at once.
const SOON: Duration = Duration::from_secs(3);

/// The hints that `change` gives within a while, but for those about groups: these may be of other tests in
/// this domain.
async fn hints_of(told: &Told, change: &str) -> Vec<Hint> {
    let before = told.count();
    domain().modify_by_ldap(change).unwrap();
    tokio::time::sleep(SOON).await;
    let mut hints = told.hints().split_off(before);
    hints.retain(|hint| *hint != Hint::default());
    hints
}

fn replace(name: &str, unit: &str, attribute: &str, value: &str) -> String {
    format!(
        "dn: CN={name},{unit}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n\n"
    )
}

fn within(unit: &str) -> ActiveDirectorySettings {
    settings_within(unit)
}

/// The same through a proxy, with questions in quick succession where they are needed.
fn through(proxy: &LdapProxy, unit: &str) -> ActiveDirectorySettings {
    let mut settings = within(unit);
    settings.location = at("127.0.0.1", Some(proxy.address().port()));
    settings.security = ActiveDirectorySecurity::Plaintext;
    settings.poll_interval = Duration::from_millis(300);
    settings
}

async fn proxy() -> LdapProxy {
    let controller = SocketAddr::from((domain().address(), 389));
    LdapProxy::start(controller).await.unwrap()
}

fn email(user: &directory_sync::directory::User) -> &str {
    user.email.as_ref().unwrap().as_str()
}

/// Ann's id, as it is read.
async fn id_of(source: &ActiveDirectorySource, name: &str) -> ExternalId {
    let (read, _) = full(source).await.unwrap();
    let mut users = read.users.iter();
    let user = users.find(|user| email(user).starts_with(name)).unwrap();
    user.id.clone()
}

/// Watches, and reads once more, so that there is something to compare with.
async fn watching(source: &ActiveDirectorySource, then: impl AsyncFnOnce(&Told)) {
    let told = Told::default();
    let then = async {
        told.watching().await;
        full(source).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        then(&told).await;
    };
    tokio::select! {
        end = source.watch(Timestamp::now(), &told) => panic!("the watch ended: {end:?}"),
        () = then => {}
    }
}

async fn a_change_is_noticed(source: &ActiveDirectorySource, unit: &str, how: WatchMethod) {
    let ann = id_of(source, "ann").await;
    changes_are_noticed(source, unit, &ann, how).await;
}

/// The same for every way in which changes are noticed.
async fn changes_are_noticed(
    source: &ActiveDirectorySource,
    unit: &str,
    ann: &ExternalId,
    how: WatchMethod,
) {
    let name = unit.split([',', '=']).nth(1).unwrap();
    watching(source, async |told| {
        told.until("watching", |told| told.methods().last() == Some(&how))
            .await;
        let nothing = hints_of(
            told,
            &replace(&format!("ann{name}"), unit, "description", "one"),
        )
        .await;
        assert_eq!(nothing, []);
        let moved = hints_of(
            told,
            &replace(&format!("bob{name}"), unit, "mail", "bob@x.example"),
        )
        .await;
        assert_eq!(moved.len(), 1, "{moved:?}");
        assert_eq!(moved[0].leaver, None);
        let change = replace(&format!("ann{name}"), unit, "userAccountControl", "546");
        let disabled = hints_of(told, &change).await;
        let leavers: Vec<_> = disabled.iter().map(|hint| hint.leaver.clone()).collect();
        assert_eq!(leavers, [Some(ann.clone())]);
        let ago = Timestamp::now().duration_since(disabled[0].changed.unwrap());
        assert!(ago.as_secs().abs() < 60, "{ago:?}");
        let before = told.count();
        let bob = format!("CN=bob{name},{unit}");
        domain()
            .modify_by_ldap(&replace(&format!("law{name}"), unit, "member", &bob))
            .unwrap();
        told.until("the group", |told| told.count() > before).await;
        assert!(
            told.hints()[before..]
                .iter()
                .all(|hint| hint.leaver.is_none())
        );
    })
    .await;
}

/// An OU with Ann, who is in a group, and Bob.
fn watched_unit(name: &str) -> String {
    own_unit(name, |ldif, unit| {
        let person = |who: &str| User {
            mail: Some(format!("{who}@{name}.example")),
            ..User::new(&format!("{who}{name}"))
        };
        let ann = person("ann").add_to(ldif, unit);
        person("bob").add_to(ldif, unit);
        group(ldif, unit, &format!("law{name}"), &[ann]);
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_noticed_as_it_is_made_and_a_disabled_account_is_named() {
    needs_samba!();
    let _changing = changing().await;
    let unit = watched_unit("Notices");
    a_change_is_noticed(&source(within(&unit)), &unit, WatchMethod::Stream).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_controller_tells_of_no_changes_it_is_asked_for_the_number_of_the_last() {
    needs_samba!();
    let _changing = changing().await;
    let (unit, proxy) = (watched_unit("Asked"), proxy().await);
    let settings = through(&proxy, &unit);
    let how = WatchMethod::Poll(settings.poll_interval);
    let source = source(settings);
    let ann = id_of(&source, "ann").await;
    // After the bind and the root entry.
    proxy.arm(2, LdapFault::Says(53, "too many notifications"));
    changes_are_noticed(&source, &unit, &ann, how).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_people_leave_whose_notices_do_not_come_the_controller_is_asked_more_often() {
    needs_samba!();
    let _changing = changing().await;
    let people = ["ann", "bob", "cid", "dot"].map(|who| format!("{who}Eager"));
    let unit = own_unit("Eager", |ldif, unit| {
        for who in &people {
            let person = User {
                mail: Some(format!("{who}@eager.example")),
                ..User::new(who)
            };
            person.add_to(ldif, unit);
        }
    });
    let proxy = proxy().await;
    let mut settings = through(&proxy, &unit);
    settings.poll_interval = Duration::from_secs(8);
    let how = WatchMethod::Poll(settings.poll_interval);
    let source = source(settings);
    full(&source).await.unwrap();
    proxy.arm(2, LdapFault::Says(53, "too many notifications"));
    watching(&source, async |told| {
        told.until("watching", |told| told.methods().last() == Some(&how))
            .await;
        let leavers = |told: &Told| {
            let hints = told.hints();
            hints.iter().filter(|hint| hint.leaver.is_some()).count()
        };
        for (at, who) in people.iter().enumerate() {
            let change = replace(who, &unit, "userAccountControl", "546");
            let disabled = Instant::now();
            domain().modify_by_ldap(&change).unwrap();
            told.until("a leaver", |told| leavers(told) > at).await;
            let took = disabled.elapsed();
            assert!(at == 0 || took < SOON, "{who} after {took:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_notices_hold_up_other_questions_the_next_watch_has_none() {
    needs_samba!();
    let _changing = changing().await;
    // It passes on one request at a time.
    let (unit, proxy) = (watched_unit("HeldUp"), proxy().await);
    let mut settings = through(&proxy, &unit);
    settings.idle_timeout = Duration::from_secs(2);
    let how = WatchMethod::Poll(settings.poll_interval);
    let source = source(settings);
    let end = source.watch(Timestamp::now(), &Told::default()).await;
    assert!(matches!(end, WatchEnd::Lost(_)), "{end:?}");
    a_change_is_noticed(&source, &unit, how).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_new_or_deleted_is_noticed_and_who_is_not_read_is_not() {
    needs_samba!();
    let _changing = changing().await;
    let unit = watched_unit("Newcomers");
    let elsewhere = own_unit("NewcomersElsewhere", |ldif, unit| {
        User::new("unwatched").add_to(ldif, unit);
    });
    let mut settings = within(&unit);
    // Others don't see deleted entries.
    settings.bind = simple(&format!("Administrator@{}", Samba::REALM), Samba::PASSWORD);
    let source = source(settings);
    watching(&source, async |told| {
        let before = told.count();
        let people = |told: &Told| {
            let hints = told.hints().split_off(before);
            hints
                .iter()
                .filter(|hint| **hint != Hint::default())
                .count()
        };
        domain()
            .modify_by_ldap(&replace("unwatched", &elsewhere, "mail", "e@x.example"))
            .unwrap();
        domain()
            .modify_by_ldap(&format!(
                "dn: CN=watched.newcomer,{unit}\nchangetype: add\nobjectClass: user\n\
                 sAMAccountName: watched.newcomer\nmail: n@x.example\n\
                 userAccountControl: 544\n\n"
            ))
            .unwrap();
        told.until("the newcomer", |told| people(told) == 1).await;
        tokio::time::sleep(SOON).await;
        assert_eq!(people(told), 1, "once, and nobody else");
        let before = told.count();
        domain()
            .modify_by_ldap(&format!(
                "dn: CN=watched.newcomer,{unit}\nchangetype: delete\n\n"
            ))
            .unwrap();
        told.until("the deletion", |told| told.count() > before)
            .await;
        assert!(
            told.hints()[before..]
                .iter()
                .all(|hint| hint.leaver.is_none())
        );
    })
    .await;
}

async fn why_uncertain(source: &ActiveDirectorySource, id: &ExternalId) -> String {
    match source.check_leaver(id).await.unwrap() {
        LeaverCheck::Uncertain(why) => why,
        LeaverCheck::Left(user) => panic!("certain: {user:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_is_certain_unless_another_has_its_address() {
    needs_samba!();
    let _changing = changing().await;
    let unit = own_unit("Leaver", |ldif, unit| {
        User::new("leaverann").add_to(ldif, unit);
    });
    let elsewhere = own_unit("LeaverTwin", |ldif, unit| {
        User::new("leavertwin").add_to(ldif, unit);
    });
    let one = source(within(&unit));
    let (read, _) = full(&one).await.unwrap();
    let ann = read.users[0].id.clone();
    assert!(why_uncertain(&one, &ann).await.contains("doesn't say"));
    domain()
        .modify(&replace("leaverann", &unit, "userAccountControl", "514"))
        .unwrap();
    let LeaverCheck::Left(user) = one.check_leaver(&ann).await.unwrap() else {
        panic!("it isn't certain");
    };
    assert_eq!((&user.id, user.state), (&ann, AccountState::Disabled));
    assert!(user.evidence.unwrap().changed.is_some());
    let email = user.email.unwrap();

    // Outside of what is read, in another case, with a space behind it.
    for mail in [email.as_str().to_uppercase(), format!("{email} ")] {
        let coded = data_encoding::BASE64.encode(mail.as_bytes());
        let change = format!(
            "dn: CN=leavertwin,{elsewhere}\nchangetype: modify\nreplace: mail\nmail:: {coded}\n\n"
        );
        domain().modify(&change).unwrap();
        let why = why_uncertain(&one, &ann).await;
        assert!(why.contains("another entry"), "{mail:?}: {why}");
    }
    domain()
        .modify(&replace("leavertwin", &elsewhere, "mail", "twin@x.example"))
        .unwrap();
    assert!(matches!(
        one.check_leaver(&ann).await.unwrap(),
        LeaverCheck::Left(_)
    ));
    // A login name that becomes the address.
    let mut derived = within(&unit);
    derived.users.email = EmailFrom::MailOrPrefixAndSuffix {
        attribute: "employeeNumber".into(),
        suffix: email
            .as_str()
            .split_at(email.as_str().find('@').unwrap())
            .1
            .into(),
    };
    domain()
        .modify(&replace(
            "leavertwin",
            &elsewhere,
            "employeeNumber",
            "LeaverAnn",
        ))
        .unwrap();
    let why = why_uncertain(&source(derived), &ann).await;
    assert!(why.contains("another entry"), "{why}");

    let mut narrow = within(&unit);
    narrow.users.filter = Some("(!(userAccountControl:1.2.840.113556.1.4.803:=2))".into());
    assert!(
        why_uncertain(&source(narrow), &ann)
            .await
            .contains("within the filter")
    );
    let mut of_group = within(&unit);
    of_group.users.member_of = vec![format!("CN=some,{unit}")];
    assert!(
        why_uncertain(&source(of_group), &ann)
            .await
            .contains("memberOf")
    );
    let nobody = ExternalId::parse("00000000-0000-0000-0000-000000000000").unwrap();
    assert!(why_uncertain(&one, &nobody).await.contains("not one entry"));
}
