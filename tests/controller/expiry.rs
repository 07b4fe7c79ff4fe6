//! Certificates and client secrets that end soon, and are renewed.

use directory_sync::api::DirectorySync;
use directory_sync::api::conditions::{ConditionType, find};
use directory_sync::controller::ResourcePolicy;
use directory_sync::source::VendorUrl;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};
use serde_json::json;
use simulators::entra_id::{self, SimulatedEntra};
use simulators::lab::{Authority, Ldif, Person, Slapd};

use directory_sync_testing::world::*;

fn message(object: &DirectorySync) -> Option<String> {
    let status = object.status.as_ref()?;
    let found = find(&status.conditions, ConditionType::CredentialExpiring)?;
    Some(found.message.clone())
}

/// Year, month and day in so many days.
fn in_days(days: i64) -> (i32, u8, u8) {
    let day = Zoned::now().date().checked_add(days.days()).unwrap();
    let part = |number: i8| u8::try_from(number).unwrap();
    (day.year().into(), part(day.month()), part(day.day()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ends_soon_is_told_in_status_metrics_and_an_event_until_it_is_renewed() {
    let world = World::new("expiry").await;
    let authority = Authority::new("a CA of ours").unwrap();
    let soon = authority.server_until(&[], in_days(10)).unwrap();
    let mut ldif = Ldif::new(SUFFIX);
    ldif.unit("", "people");
    ldif.person("ou=people", &Person::new("p00"));
    let ldif = ldif.take_text();
    let mut slapd = Slapd::options().identity(soon).ldif(&ldif).start().unwrap();
    let bundle = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "corp-ca", "namespace": world.namespace},
        "data": {"ca.crt": authority.pem()},
    });
    world.apply(&bundle);
    let operator = world.operator();
    let source = json!({"ldap": {
        "url": slapd.ldaps_url(),
        "baseDn": SUFFIX,
        "tls": {"caBundleRef": {"kind": "ConfigMap", "name": "corp-ca"}},
    }});
    world.resource("staff", json!({"source": source}));

    let synced = world.until_ready("staff", "Succeeded").await;
    let said = message(&synced).expect("a certificate that ends in ten days");
    let (year, month, day) = in_days(10);
    let when = format!("expires on {year}-{month:02}-{day:02} 00:00 UTC");
    assert!(
        said.contains("the directory's server") && said.contains(&when),
        "{said}"
    );
    assert!(
        !said.contains("CA"),
        "that of the CA lives for years: {said}"
    );
    let of = format!(r#"namespace="{}",name="staff",credential"#, world.namespace);
    let ends = |credential: &str| {
        let series = format!(
            r#"directory_sync_credential_expiry_timestamp_seconds{{{of}="{credential}"}} "#
        );
        let metrics = operator.metrics.text();
        let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
        line.unwrap_or_else(|| panic!("no {series} in {metrics}"))
            .parse::<i64>()
            .unwrap()
    };
    let left = ends("directory_server") - Timestamp::now().as_second();
    assert!((9 * 86_400..10 * 86_400).contains(&left), "{left}");
    assert!(ends("directory_ca") > ends("directory_server"));
    eventually("an event", || {
        world.events("staff").contains(&"ExpiresSoon".to_owned())
    })
    .await;

    slapd.renew(&authority.server(&[]).unwrap()).unwrap();
    let renewed = world.sync_now("staff", "renewed").await;
    assert_eq!(message(&renewed), None);
    let left = ends("directory_server") - Timestamp::now().as_second();
    assert!(left > 365 * 86_400, "{left}");
    operator.stop().await.unwrap();
}

/// Has the resource synced until it is as `wanted`: no run waits for the directory's answer about its secret, so
/// one of the next ones tells.
async fn run_until(
    world: &World,
    what: &str,
    wanted: impl Fn(&DirectorySync) -> bool,
) -> DirectorySync {
    for number in 0..30 {
        let object = world.sync_now("staff", &format!("{what} {number}")).await;
        if wanted(&object) {
            return object;
        }
    }
    panic!("{what}: not told in 30 runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_secret_that_ends_soon_is_told_until_there_is_a_new_one() {
    let world = World::new("secret-expiry").await;
    let secret = |value: &str, days: i64| entra_id::Secret {
        value: value.to_owned(),
        expired: false,
        ends: (Timestamp::now() + SignedDuration::from_hours(24 * days)).to_string(),
    };
    let tenant = SimulatedEntra::start(entra_id::Config {
        secret: Some(secret("old~secret", 29)),
        ..entra_id::Config::default()
    })
    .await
    .unwrap();
    tenant.add_user(entra_id::UserSeed::new("ada"));
    let write = |value: &str| {
        world.apply(&json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "entra", "namespace": world.namespace},
            "stringData": {"clientSecret": value},
        }));
    };
    write("old~secret");
    let urls = ["entra-authority", "entra-graph"].map(|name| {
        let url = format!("{name}={}", tenant.url());
        url.parse::<VendorUrl>().unwrap()
    });
    let operator = world.operator_that_allows(ResourcePolicy {
        vendor_urls: urls.into_iter().collect(),
        ..ResourcePolicy::default()
    });
    let config = tenant.config();
    world.resource(
        "staff",
        json!({"source": {"entraId": {
            "tenantId": config.tenant_id, "clientId": config.client_id,
            "credentials": {"clientSecretRef": {"name": "entra", "key": "clientSecret"}},
        }}}),
    );
    world.until_ready("staff", "Succeeded").await;
    let told = run_until(&world, "a secret that expires", |object| {
        message(object).is_some()
    })
    .await;
    let said = message(&told).unwrap();
    assert!(
        said.contains("the client secret") && said.contains("app registration"),
        "{said}"
    );
    let series = format!(
        r#"directory_sync_credential_expiry_timestamp_seconds{{namespace="{}",name="staff",credential="directory_secret"}} "#,
        world.namespace
    );
    let metrics = operator.metrics.text();
    let ends = metrics.lines().find_map(|line| line.strip_prefix(&series));
    let ends: i64 = ends
        .unwrap_or_else(|| panic!("no {series} in {metrics}"))
        .parse()
        .unwrap();
    let left = ends - Timestamp::now().as_second();
    assert!((28 * 86_400..=29 * 86_400).contains(&left), "{left}");
    eventually("an event", || {
        world.events("staff").contains(&"ExpiresSoon".to_owned())
    })
    .await;

    tenant.set_secret(Some(secret("new~secret", 700)));
    write("new~secret");
    run_until(&world, "nothing that expires", |object| {
        message(object).is_none()
    })
    .await;
    let asked = tenant.requests();
    let asked = asked
        .iter()
        .filter(|request| request.path.starts_with("/v1.0/applications"));
    assert_eq!(asked.count(), 2, "once for each secret");
    operator.stop().await.unwrap();
}
