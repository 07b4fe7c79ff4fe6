//! A resource proves to a vendor who is asking by a ServiceAccount of its own namespace.

use directory_sync::api::conditions::ConditionType;
use directory_sync::controller::{NamespaceHost, Namespaces, ResourcePolicy};
use directory_sync::source::VendorUrl;
use serde_json::{Value, json};
use simulators::entra_id::{self, FederatedCredential, SimulatedEntra};
use simulators::google_workspace::{self, Federation, SimulatedGoogle};
use simulators::lab::ApiServer;

use directory_sync_testing::world::*;

const AUDIENCE: &str = "api://AzureADTokenExchange";

fn raw(server: &ApiServer, path: &str) -> Value {
    let text = server.run_kubectl(&["get", "--raw", path]).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn issuer(server: &ApiServer) -> String {
    let discovery = raw(server, "/.well-known/openid-configuration");
    discovery["issuer"].as_str().unwrap().to_owned()
}

/// A tenant that trusts the ServiceAccount `sync` of a namespace.
async fn tenant(server: &ApiServer, namespace: &str) -> SimulatedEntra {
    let config = entra_id::Config {
        secret: None,
        federated: vec![FederatedCredential {
            issuer: issuer(server),
            subject: format!("system:serviceaccount:{namespace}:sync"),
            audience: AUDIENCE.to_owned(),
            keys: raw(server, "/openid/v1/jwks"),
        }],
        ..entra_id::Config::default()
    };
    let tenant = SimulatedEntra::start(config).await.unwrap();
    tenant.add_user(entra_id::UserSeed::new("ada"));
    tenant
}

/// Where the vendors are, as whoever runs the operator says.
fn policy(urls: &[(&str, String)]) -> ResourcePolicy {
    let urls = urls.iter().map(|(name, url)| format!("{name}={url}"));
    ResourcePolicy {
        vendor_urls: urls
            .map(|text| text.parse::<VendorUrl>().unwrap())
            .collect(),
        ..ResourcePolicy::default()
    }
}

fn entra_policy(tenant: &SimulatedEntra) -> ResourcePolicy {
    policy(&[
        ("entra-authority", tenant.url()),
        ("entra-graph", tenant.url()),
    ])
}

fn entra(tenant: &SimulatedEntra, identity: Value) -> Value {
    let config = tenant.config();
    json!({"source": {"entraId": {
        "tenantId": config.tenant_id, "clientId": config.client_id,
        "credentials": {"workloadIdentity": identity},
    }}})
}

/// Lets the operator request tokens in the world's namespace, as the chart does where it is asked to.
fn allow_token_requests(world: &World) {
    world.kubectl(&[
        "create",
        "role",
        "tokens",
        "--verb=create",
        "--resource=serviceaccounts/token",
    ]);
    world.kubectl(&[
        "create",
        "rolebinding",
        "tokens",
        "--role=tokens",
        "--serviceaccount=directory-sync:directory-sync",
    ]);
}

fn stalled(object: &directory_sync::api::DirectorySync) -> String {
    message_of(object, ConditionType::Stalled)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_named_account_with_the_vendors_audience_is_proof() {
    let world = World::new("identity").await;
    let tenant = tenant(world.server(), &world.namespace).await;
    world.resource(
        "staff",
        entra(&tenant, json!({"serviceAccountName": "sync"})),
    );
    let operator = world.operator_that_allows(entra_policy(&tenant));

    // The right is off unless the chart is asked for it.
    let staff = world.until_ready("staff", "SourceRefused").await;
    let message = stalled(&staff);
    assert!(
        message.contains("workloadIdentity.tokenRequests=true"),
        "{message}"
    );
    assert!(message.contains("serviceaccounts"), "{message}");
    assert!(tenant.requests().is_empty());

    allow_token_requests(&world);
    world
        .annotate("staff", "directorysync.dev/sync-requested-at", "once more")
        .await;
    world
        .until("staff", "the account's name", |staff| {
            stalled(staff).contains("create serviceaccount sync")
        })
        .await;

    world.kubectl(&["create", "serviceaccount", "sync"]);
    world
        .annotate("staff", "directorysync.dev/sync-requested-at", "and again")
        .await;
    world.until_ready("staff", "Succeeded").await;
    assert!(world.organization.snapshot().members.len() > 1);
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_of_another_namespace_cannot_be_had() {
    let (theirs, world) = (World::new("theirs").await, World::new("borrower").await);
    let tenant = tenant(world.server(), &theirs.namespace).await;
    theirs.kubectl(&["create", "serviceaccount", "sync"]);
    allow_token_requests(&theirs);
    allow_token_requests(&world);
    // One of the same name, whose tokens the tenant doesn't trust.
    world.kubectl(&["create", "serviceaccount", "sync"]);
    world.resource(
        "staff",
        entra(&tenant, json!({"serviceAccountName": "sync"})),
    );
    let operator = world.operator_that_allows(entra_policy(&tenant));
    let staff = world.until_ready("staff", "SourceRefused").await;
    assert!(
        stalled(&staff).contains("AADSTS700213"),
        "{}",
        stalled(&staff)
    );

    // A name can't lead out of the namespace, at the API server or past it.
    let mut manifest = world.manifest("escape");
    let path = format!("../../{}/serviceaccounts/sync", theirs.namespace);
    manifest["spec"]["source"] =
        entra(&tenant, json!({"serviceAccountName": path}))["source"].clone();
    let refused = world.server().apply(&manifest.to_string()).unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("the name of a ServiceAccount in this namespace"),
        "{refused}"
    );
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_own_identity_is_for_the_namespaces_that_its_flags_name() {
    let world = World::new("own").await;
    let tenant = tenant(world.server(), &world.namespace).await;
    world.resource("staff", entra(&tenant, json!({})));
    let operator = world.operator_that_allows(entra_policy(&tenant));
    let staff = world.until_ready("staff", "SourceRefused").await;
    let message = stalled(&staff);
    assert!(message.contains("--own-identity-for"), "{message}");
    operator.stop().await.unwrap();

    // There it is looked for where the environment says, which names none here.
    let allowed = ResourcePolicy {
        own_identity: Namespaces::Named(vec![world.namespace.clone()]),
        ..entra_policy(&tenant)
    };
    let operator = world.operator_that_allows(allowed);
    world
        .annotate("staff", "directorysync.dev/sync-requested-at", "once more")
        .await;
    world
        .until("staff", "the variable's name", |staff| {
            stalled(staff).contains("AZURE_FEDERATED_TOKEN_FILE")
        })
        .await;
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn google_takes_a_token_of_the_account_for_its_provider() {
    let world = World::new("google").await;
    let server = world.server();
    let config = google_workspace::Config {
        federation: Federation {
            issuer: issuer(server),
            subject: format!("system:serviceaccount:{}:sync", world.namespace),
            uploaded_keys: Some(raw(server, "/openid/v1/jwks")),
            ..Federation::default()
        },
        ..google_workspace::Config::default()
    };
    let google = SimulatedGoogle::start(config).await.unwrap();
    google.user(google_workspace::UserSeed::new("admin@example.com").admin());
    google.user(google_workspace::UserSeed::new("ann@example.com"));
    allow_token_requests(&world);
    world.kubectl(&["create", "serviceaccount", "sync"]);
    world.resource(
        "staff",
        json!({"source": {"googleWorkspace": {
            "adminEmail": "admin@example.com",
            "credentials": {"workloadIdentity": {
                "audience": google.config().federation.provider,
                "serviceAccountEmail": google.config().service_account.email,
                "serviceAccountName": "sync",
            }},
        }}}),
    );
    let url = google.url();
    let operator = world.operator_that_allows(policy(&[
        ("google-token", format!("{url}/token")),
        ("google-directory", url.clone()),
        ("google-sts", url.clone()),
        ("google-iam", url),
    ]));
    world.until_ready("staff", "Succeeded").await;
    assert!(
        world
            .organization
            .snapshot()
            .member("ann@example.com")
            .is_some()
    );
    operator.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_with_hosts_of_its_own_names_no_others() {
    let world = World::new("hosts").await;
    let only = |hosts: &[&str]| ResourcePolicy {
        hosts: hosts
            .iter()
            .map(|host| format!("{}={host}", world.namespace))
            .map(|text| text.parse::<NamespaceHost>().unwrap())
            .collect(),
        ..ResourcePolicy::default()
    };
    world.resource("staff", json!({}));
    let operator = world.operator_that_allows(only(&["vault.example.com"]));
    let staff = world.until_ready("staff", "InvalidSpec").await;
    assert!(
        stalled(&staff).contains("--namespace-hosts"),
        "{}",
        stalled(&staff)
    );
    assert_eq!(world.requests(), [""; 0]);
    operator.stop().await.unwrap();

    let operator = world.operator_that_allows(only(&["127.0.0.1", "localhost"]));
    world.until_ready("staff", "Succeeded").await;
    operator.stop().await.unwrap();
}
