//! Changes that are noticed between two reads, and one person read alone.

use std::time::Duration;

use directory_sync::directory::{AccountState, ExternalId};
use directory_sync::source::entra_id::{EntraIdSource, GroupSelection};
use directory_sync::source::{LeaverCheck, ReadProgress, Source, WatchEnd};
use directory_sync_testing::{Told, sweep_leaver_check, sweep_watch};
use jiff::Timestamp;
use simulators::entra_id::{DeltaLoss, SimulatedEntra, UserSeed};

use crate::harness::*;

async fn soon() {
    tokio::time::sleep(Duration::from_millis(300)).await;
}

fn watched(tenant: &SimulatedEntra) -> EntraIdSource {
    let mut setup = settings(tenant);
    setup.poll_interval = Duration::from_millis(50);
    source(setup).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_noticed_by_the_deltas_and_a_disabled_account_is_named() {
    let tenant = tenant().await;
    let ann = tenant.add_user(UserSeed::new("ann").mail(Some("ann@example.com")));
    let bob = tenant.add_user(UserSeed::new("bob"));
    let law = tenant.add_group("law", [ann]);
    let (source, told) = (watched(&tenant), Told::default());
    source.read(None, &ReadProgress::default()).await.unwrap();
    let then = async {
        told.watching().await;
        soon().await;
        assert_eq!(told.leavers(), [], "nothing has changed since the read");
        tenant.change(|admin| admin.disable(ann));
        soon().await;
        assert_eq!(told.leavers(), [Some(ann.to_string())], "once");
        tenant.add_member(law, bob);
        soon().await;
        assert_eq!(told.leavers()[1..], [None]);
        tenant.change(|admin| admin.delete(bob));
        soon().await;
        assert!(told.leavers().len() > 2, "a read tells who was deleted");
        assert!(told.leavers()[2..].iter().all(Option::is_none));
        // A link that Graph has forgotten is no lost watch: it begins anew, with a hint.
        let before = told.leavers().len();
        tenant.lose_deltas(DeltaLoss::Gone);
        soon().await;
        assert!(told.leavers().len() > before);
    };
    tokio::select! {
        end = source.watch(Timestamp::now(), &told) => panic!("the watch ended: {end:?}"),
        () = then => {}
    }
    tenant.set_permissions([]);
    tenant.revoke_all_tokens();
    let end = source.watch(Timestamp::now(), &told).await;
    assert!(matches!(end, WatchEnd::Lost(_)), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_account_is_certain_unless_another_has_its_address() {
    let tenant = tenant().await;
    let ann = tenant.add_user(UserSeed::new("ann").mail(Some("ann@example.com")));
    let id = ExternalId::parse(&ann.to_string()).unwrap();
    let why = async |source: &EntraIdSource| match source.check_leaver(&id).await.unwrap() {
        LeaverCheck::Uncertain(why) => why,
        LeaverCheck::Left(user) => panic!("certain: {user:?}"),
    };
    let source = watched(&tenant);
    assert!(why(&source).await.contains("isn't one of a person"));
    tenant.change(|admin| admin.disable(ann));
    let LeaverCheck::Left(user) = source.check_leaver(&id).await.unwrap() else {
        panic!("it isn't certain");
    };
    assert_eq!((&user.id, user.state), (&id, AccountState::Disabled));

    let mut narrow = settings(&tenant);
    narrow.users.filter = Some("accountEnabled eq true".into());
    assert!(
        why(&crate::harness::source(narrow).unwrap())
            .await
            .contains("within the filter")
    );
    let mut groups = settings(&tenant);
    groups.users.not_member_of = Some(GroupSelection {
        ids: vec![ann.to_string()],
        names: vec![],
    });
    assert!(
        why(&crate::harness::source(groups).unwrap())
            .await
            .contains("notMemberOf")
    );
    // By its mail, in another case, although its own name is another one.
    tenant.add_user(UserSeed::new("twin").mail(Some("ANN@example.com")));
    assert!(why(&source).await.contains("another account"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_request_fails_nobody_is_certain() {
    let tenant = tenant().await;
    let ann = tenant.add_user(UserSeed::new("ann").mail(Some("ann@example.com")));
    tenant.change(|admin| admin.disable(ann));
    let mut setup = settings(&tenant);
    setup.settings.connection.idle_timeout = Duration::from_millis(300);
    setup.settings.retry.times = 1;
    let source = source(setup).unwrap();
    let id = ExternalId::parse(&ann.to_string()).unwrap();
    assert!(matches!(
        source.check_leaver(&id).await.unwrap(),
        LeaverCheck::Left(_)
    ));
    sweep_leaver_check(&source, &id, tenant.faults()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_leaves_while_the_watch_is_lost_is_named_by_the_next() {
    let tenant = tenant().await;
    let ids: Vec<_> = (0..12)
        .map(|number| tenant.add_user(UserSeed::new(&format!("u{number}"))))
        .collect();
    let mut setup = settings(&tenant);
    setup.settings.poll_interval = Duration::from_millis(50);
    setup.settings.connection.idle_timeout = Duration::from_millis(300);
    setup.settings.retry.times = 1;
    let source = source(setup).unwrap();
    source.read(None, &ReadProgress::default()).await.unwrap();
    let leave = |number: usize| {
        tenant.change(|admin| admin.disable(ids[number]));
        ids[number].to_string()
    };
    sweep_watch(&source, tenant.faults(), leave).await;
}
