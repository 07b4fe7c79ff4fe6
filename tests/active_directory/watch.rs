//! Changes that are noticed between two reads, and one person read alone.

use std::sync::Mutex;
use std::time::Duration;

use directory_sync::directory::{AccountState, ExternalId};
use directory_sync::source::active_directory::{
    ActiveDirectorySettings, ActiveDirectorySource, EmailFrom,
};
use directory_sync::source::{Hint, LeaverCheck, Source, WatchMethod, WatchObserver};
use jiff::Timestamp;

use crate::domain::*;

#[derive(Default)]
struct Told(Mutex<(bool, Vec<Hint>)>);

impl WatchObserver for Told {
    fn watching(&self, how: WatchMethod) {
        assert!(matches!(how, WatchMethod::Poll(_)));
        self.0.lock().unwrap().0 = true;
    }

    fn changed(&self, hint: Hint) {
        self.0.lock().unwrap().1.push(hint);
    }
}

impl Told {
    fn hints(&self) -> Vec<Hint> {
        self.0.lock().unwrap().1.clone()
    }

    /// The hints that `change` gives: those within a few questions.
    async fn of(&self, change: &str) -> Vec<Hint> {
        let before = self.hints().len();
        domain().modify(change).unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.hints().split_off(before)
    }

    /// The same, but for those about groups: these may be of other tests in this domain.
    async fn of_person(&self, change: &str) -> Vec<Hint> {
        let mut hints = self.of(change).await;
        hints.retain(|hint| *hint != Hint::default());
        hints
    }
}

fn replace(name: &str, unit: &str, attribute: &str, value: &str) -> String {
    format!(
        "dn: CN={name},{unit}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n\n"
    )
}

fn within(unit: &str) -> ActiveDirectorySettings {
    let mut settings = settings_within(unit);
    settings.poll_interval = Duration::from_millis(300);
    settings
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_noticed_by_its_number_and_a_disabled_account_is_named() {
    needs_samba!();
    let _changing = changing().await;
    let unit = own_unit("Watched", |ldif, unit| {
        let ann = User::new("watchann").add_to(ldif, unit);
        User::new("watchbob").add_to(ldif, unit);
        group(ldif, unit, "watched", &[ann]);
    });
    let source = source(within(&unit));
    let (read, _) = full(&source).await.unwrap();
    let ann = read
        .users
        .iter()
        .find(|one| one.email.as_ref().unwrap().as_str().starts_with("watchann"));
    let ann = ann.unwrap().id.clone();
    let told = Told::default();
    let then = async {
        while !told.0.lock().unwrap().0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // The first questions see the read that is about to be compared with.
        full(&source).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(
            told.of_person(&replace("watchann", &unit, "description", "one"))
                .await,
            []
        );
        let moved = told
            .of_person(&replace("watchbob", &unit, "mail", "bob@x.example"))
            .await;
        assert_eq!(moved.len(), 1);
        assert_eq!(moved[0].leaver, None);
        let change = replace("watchann", &unit, "userAccountControl", "514");
        let disabled = told.of_person(&change).await;
        let leavers: Vec<_> = disabled.iter().map(|hint| hint.leaver.clone()).collect();
        assert_eq!(leavers, [Some(ann.clone())]);
        let ago = Timestamp::now().duration_since(disabled[0].changed.unwrap());
        assert!(ago.as_secs().abs() < 60, "{ago:?}");
        let bob = format!("CN=watchbob,{unit}");
        let group = told.of(&replace("watched", &unit, "member", &bob)).await;
        assert!(
            !group.is_empty() && group.iter().all(|hint| hint.leaver.is_none()),
            "{group:?}"
        );
    };
    tokio::select! {
        end = source.watch(Timestamp::now(), &told) => panic!("the watch ended: {end:?}"),
        () = then => {}
    }
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
