//! Changes that are noticed between two reads.

use std::time::Duration;

use directory_sync::source::one_login::OneLoginSource;
use directory_sync::source::{Source, WatchEnd};
use directory_sync_testing::Told;
use jiff::Timestamp;
use simulators::one_login::{Config, UserSeed};

use crate::harness::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_noticed_once_by_its_time_whatever_the_query_knows() {
    let account = account_with(Config::default()).await;
    let ann = account.user(UserSeed::new("ann@example.com"));
    let mut setup = settings(&account);
    setup.settings.poll_interval = Duration::from_millis(50);
    let source: OneLoginSource = source(setup).unwrap();
    let told = Told::default();
    let then = async {
        told.watching().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(told.count(), 0, "nothing has changed");
        let now = Timestamp::now().to_string();
        let changed = UserSeed::new("ann@example.com").id(ann);
        account.user(changed.with("updated_at", now.as_str()));
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(told.count(), 1);
        assert!(told.hints()[0].changed.is_some());
    };
    tokio::select! {
        end = source.watch(Timestamp::now(), &told) => panic!("the watch ended: {end:?}"),
        () = then => {}
    }
    account.set_client_secret("another");
    account.revoke_access_tokens();
    let end = source.watch(Timestamp::now(), &told).await;
    assert!(matches!(end, WatchEnd::Lost(_)), "{end:?}");
}
