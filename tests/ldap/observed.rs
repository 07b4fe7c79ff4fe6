//! Which requests the observer sees.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use directory_sync::http::{CallOutcome, Observer};
use simulators::lab::{Person, Slapd};

use crate::harness::*;

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<(&'static str, CallOutcome)>>);

impl Observer for Seen {
    fn request(&self, endpoint: &'static str, outcome: CallOutcome, _: Duration) {
        self.0.lock().unwrap().push((endpoint, outcome));
    }
}

impl Seen {
    fn count(&self, endpoint: &str, code: u16) -> usize {
        let seen = self.0.lock().unwrap();
        let wanted = |(name, outcome): &&(&str, CallOutcome)| {
            *name == endpoint && *outcome == CallOutcome::Status(code)
        };
        seen.iter().filter(wanted).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bind_and_each_page_is_observed_with_its_result_code() {
    let mut ldif = company();
    for n in 0..25 {
        ldif.person("ou=people", &Person::new(&format!("user{n:02}")));
    }
    let slapd = slapd(&ldif);
    let seen = Arc::new(Seen::default());
    let mut settings = settings(&slapd.url());
    settings.bind = simple(slapd.root_dn(), Slapd::ROOT_PASSWORD);
    settings.page_size = 10;
    settings.observer = seen.clone();
    read(settings.clone()).await;
    assert_eq!(seen.count("bind", 0), 2, "people and groups: {seen:?}");
    assert_eq!(
        seen.count("search", 0),
        3 + 1,
        "three pages of people: {seen:?}"
    );

    settings.bind = simple(slapd.root_dn(), "wrong");
    refused(settings.clone()).await;
    assert!(seen.count("bind", 49) >= 1, "{seen:?}");
}
