//! Changes that are noticed between two reads.

use std::time::Duration;

use directory_sync::api::spec::LdapDisabled;
use directory_sync::directory::ExternalId;
use directory_sync::source::ldap::{IdAttribute, LdapSettings, LdapSource};
use directory_sync::source::{ReadProgress, Source, WatchEnd, WatchMethod};
use directory_sync_testing::Told;
use jiff::Timestamp;
use simulators::lab::{Person, Slapd, SlapdOptions};
use tokio::time::timeout;

use crate::harness::*;

/// The hints that `change` gives, once a change that always gives one has been noticed after it.
async fn hints_of(told: &Told, slapd: &Slapd, change: &str) -> usize {
    let before = told.count();
    slapd.modify(change).unwrap();
    slapd.modify(&marker()).unwrap();
    // The marker comes in two steps, each of which is noticed.
    told.until("the marker", |told| told.count() >= before + 2)
        .await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    told.count() - before - 2
}

/// Somebody comes and goes.
fn marker() -> String {
    let dn = format!("uid=marker,ou=people,{SUFFIX}");
    format!(
        "dn: {dn}\nchangetype: add\nobjectClass: inetOrgPerson\ncn: m\nsn: m\nuid: marker\n\ndn: {dn}\n\
         changetype: delete\n\n"
    )
}

fn replace(rdn: &str, attribute: &str, value: &str) -> String {
    format!(
        "dn: {rdn},{SUFFIX}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n\n"
    )
}

fn directory() -> SlapdOptions {
    let mut ldif = company();
    let people = ["ann", "bob"].map(|uid| ldif.person("ou=people", &Person::new(uid)));
    ldif.group_of_names("ou=groups", "law", None, &people);
    Slapd::options().ldif(ldif.text()).tells_changes()
}

/// Later than any change here: a watch doesn't begin with a hint.
fn later() -> Timestamp {
    Timestamp::now() + Duration::from_secs(3_600)
}

async fn watching(
    settings: LdapSettings,
    since: Timestamp,
    then: impl AsyncFnOnce(&LdapSource, &Told),
) -> Told {
    let (source, told) = (LdapSource::new(settings).unwrap(), Told::default());
    let then = async {
        told.until("watching", |told| !told.methods().is_empty())
            .await;
        then(&source, &told).await;
    };
    tokio::select! {
        end = source.watch(since, &told) => panic!("the watch ended: {end:?}"),
        () = then => {}
    }
    told
}

async fn read(source: &LdapSource) {
    source.read(None, &ReadProgress::default()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_of_what_is_read_is_noticed_and_no_other() {
    let slapd = start(directory());
    let ann = "uid=ann,ou=people";
    watching(settings(&slapd.url()), later(), async |source, told| {
        assert_eq!(told.methods(), [WatchMethod::Stream]);
        assert_eq!(told.hints(), []);
        // Nobody knows what was read before.
        assert_eq!(
            hints_of(told, &slapd, &replace(ann, "description", "one")).await,
            1
        );
        read(source).await;
        assert_eq!(
            hints_of(told, &slapd, &replace(ann, "description", "two")).await,
            0
        );
        assert_eq!(
            hints_of(told, &slapd, &replace(ann, "mail", "ann@x.example")).await,
            1
        );
        assert_eq!(
            hints_of(told, &slapd, &replace(ann, "mail", "ann@example.com")).await,
            0
        );
        let law = "cn=law,ou=groups";
        let bob = format!("uid=bob,ou=people,{SUFFIX}");
        assert_eq!(
            hints_of(told, &slapd, &replace(law, "member", &bob)).await,
            1
        );
        let elsewhere = "ou=groups";
        assert_eq!(
            hints_of(told, &slapd, &replace(elsewhere, "description", "three")).await,
            0
        );
        let renamed = format!(
            "dn: {ann},{SUFFIX}\nchangetype: modrdn\nnewrdn: uid=anna\ndeleteoldrdn: 1\n\n"
        );
        assert_eq!(hints_of(told, &slapd, &renamed).await, 1);
        let gone = format!("dn: {bob}\nchangetype: delete\n\n");
        assert_eq!(hints_of(told, &slapd, &gone).await, 1);
        let last = told.hints().last().unwrap().changed.unwrap();
        let ago = Timestamp::now().duration_since(last).as_secs();
        assert!(
            (0..60).contains(&ago),
            "the server's clock is ours: {ago} s"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_is_named_and_nothing_else_is() {
    let slapd = start(directory());
    let mut settings = settings(&slapd.url());
    settings.users.id = IdAttribute::Attribute("uid".into());
    settings.users.disabled = Some(LdapDisabled {
        attribute: "employeeType".into(),
        values: Some(vec!["left".into()]),
    });
    let told = watching(settings, later(), async |source, told| {
        read(source).await;
        for (uid, kind) in [("bob", "intern"), ("ann", "left")] {
            let before = told.hints().len();
            let change = replace(&format!("uid={uid},ou=people"), "employeeType", kind);
            slapd.modify(&change).unwrap();
            told.until("a hint", |told| told.hints().len() > before)
                .await;
        }
        let bob = format!("dn: uid=bob,ou=people,{SUFFIX}\nchangetype: delete\n\n");
        slapd.modify(&bob).unwrap();
        told.until("another hint", |told| told.hints().len() > 2)
            .await;
    });
    let named: Vec<_> = told
        .await
        .hints()
        .into_iter()
        .map(|hint| hint.leaver)
        .collect();
    assert_eq!(named, [None, Some(ExternalId::parse("ann").unwrap()), None]);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_the_filter_is_noticed() {
    let slapd = start(directory());
    let mut settings = settings(&slapd.url());
    settings.users.filter = "(&(objectClass=inetOrgPerson)(!(employeeType=left)))".into();
    let told = watching(settings, later(), async |source, told| {
        read(source).await;
        slapd
            .modify(&replace("uid=ann,ou=people", "employeeType", "left"))
            .unwrap();
        told.until("a hint", |told| !told.hints().is_empty()).await;
    });
    assert_eq!(told.await.hints().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_since_the_last_read_is_noticed_at_the_start() {
    let slapd = start(directory());
    slapd
        .modify(&replace("uid=ann,ou=people", "description", "one"))
        .unwrap();
    let since = Timestamp::now() - Duration::from_secs(60);
    let told = watching(settings(&slapd.url()), since, async |_, _| {}).await;
    assert_eq!(told.hints().len(), 1);
    assert!(told.hints()[0].changed > Some(since));
    let told = watching(settings(&slapd.url()), later(), async |_, _| {}).await;
    assert_eq!(told.hints(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_costs_a_few_requests_and_then_none_while_nothing_changes() {
    let slapd = start(directory().log_requests());
    let searches = || slapd.log().matches(" SRCH attr=").count();
    let before = searches();
    let told = watching(settings(&slapd.url()), later(), async |_, _| {
        tokio::time::sleep(Duration::from_secs(1)).await;
    });
    assert_eq!(told.await.hints(), []);
    // What the server is, where its two lists stand, and the two lists.
    assert_eq!(searches() - before, 5, "{}", slapd.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_numbers_its_changes_is_asked_for_the_number() {
    let hidden = "access to dn.base=\"\" attrs=supportedControl by * none";
    let slapd = start(
        directory()
            .global_line(hidden)
            .global_line("access to * by * read"),
    );
    let mut settings = settings(&slapd.url());
    settings.poll_interval = Duration::from_millis(50);
    let told = watching(settings, later(), async |_, told| {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(told.hints(), []);
        slapd
            .modify(&replace("uid=ann,ou=people", "mail", "ann@x.example"))
            .unwrap();
        told.until("a hint", |told| !told.hints().is_empty()).await;
    });
    let told = told.await;
    assert!(matches!(told.methods()[..], [WatchMethod::Poll(_)]));
    assert_eq!(told.hints().len(), 1);
}

async fn end_of(settings: LdapSettings, told: &Told) -> WatchEnd {
    let source = LdapSource::new(settings).unwrap();
    let watch = source.watch(later(), told);
    let end = timeout(Duration::from_secs(20), watch).await;
    end.expect("the watch ends")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_tell_of_changes_says_what_is_missing() {
    let mut ldif = company();
    ldif.person("ou=people", &Person::new("ann"));
    let told = Told::default();
    let server = slapd(&ldif);
    let WatchEnd::Unsupported(why) = end_of(settings(&server.url()), &told).await else {
        panic!("this server doesn't tell of changes");
    };
    assert!(why.contains("contextCSN") && why.contains(SUFFIX), "{why}");
    let hidden = "access to dn.base=\"dc=example,dc=com\" attrs=contextCSN by * none";
    let server = start(directory().database_line(hidden));
    let end = end_of(settings(&server.url()), &told).await;
    assert!(matches!(end, WatchEnd::Unsupported(_)), "{end:?}");
    assert_eq!((told.methods(), told.hints()), (vec![], vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_server_ends_the_watch_without_a_hint() {
    let mut slapd = start(directory());
    let (url, told) = (settings(&slapd.url()), Told::default());
    let kill = async {
        told.until("watching", |told| !told.methods().is_empty())
            .await;
        slapd.kill();
    };
    let (end, ()) = tokio::join!(end_of(url, &told), kill);
    let WatchEnd::Lost(error) = end else {
        panic!("the server is gone: {end:?}");
    };
    assert!(error.to_string().contains("connection was lost"), "{error}");
    assert_eq!(told.hints(), []);
}
