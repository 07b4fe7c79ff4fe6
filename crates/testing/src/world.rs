//! A company, its organization, and an operator with no more rights than it gets in production.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use directory_sync::api::DirectorySync;
use directory_sync::api::annotations::SYNC_REQUESTED_AT;
use directory_sync::api::conditions::{ConditionType, find};
use directory_sync::controller::{
    AuditSettings, LeaderElection, OperatorError, OperatorSettings, ResourcePolicy, Timing, run,
};
use directory_sync::source::KeptDirectories;
use directory_sync::telemetry::{Health, Metrics};
use kube::api::{Patch, PatchParams};
use kube::client::ClientBuilder;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::wait::await_condition;
use kube::{Api, Client, Config, ResourceExt};
use serde_json::{Value, json};
use simulators::lab::{ApiServer, Ldif, Person, Slapd, SlapdOptions};
use simulators::organization::{self, MemberSeed, SimulatedOrganization};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::faults::FailingRequests;

/// Longer than anything here takes on a busy machine.
pub const WAIT_TIMEOUT: Duration = Duration::from_secs(60);
/// The DN under which slapd holds the people and groups.
pub const SUFFIX: &str = "dc=example,dc=com";

/// A company, its organization, and a namespace for the resources.
pub struct World {
    /// The namespace that this test has for itself.
    pub namespace: String,
    /// The simulated organization that the resource syncs to.
    pub organization: SimulatedOrganization,
    /// The LDAP server that the resource reads.
    pub slapd: Slapd,
    /// A client of the API server with all rights.
    pub client: Client,
    operator: Client,
}

impl World {
    /// Ten people, `p00` to `p09`, all in the group `everyone`; an organization with an owner
    /// alone; its Secret.
    pub async fn new(purpose: &str) -> Self {
        Self::with(purpose, organization::Config::cloud()).await
    }

    /// The same with an operator that has made the first sync of the resource `staff`.
    pub async fn synced(purpose: &str) -> (Self, Operator) {
        let world = Self::new(purpose).await;
        let operator = world.operator();
        world.resource("staff", json!({}));
        world.until_ready("staff", "Succeeded").await;
        (world, operator)
    }

    /// The same with a directory that sends changes as they are made.
    pub async fn with_signals(purpose: &str) -> Self {
        let config = organization::Config::cloud();
        let namespace = prepared().namespace(purpose).unwrap();
        Self::of(namespace, config, Slapd::options().tells_changes()).await
    }

    /// A world whose organization is configured so.
    pub async fn with(purpose: &str, config: organization::Config) -> Self {
        let namespace = prepared().namespace(purpose).unwrap();
        Self::of(namespace, config, Slapd::options()).await
    }

    /// The same in a namespace of this very name, which only one test of a process can have.
    pub async fn in_namespace(name: &str, config: organization::Config) -> Self {
        prepared()
            .run_kubectl(&["create", "namespace", name])
            .unwrap();
        Self::of(name.to_owned(), config, Slapd::options()).await
    }

    async fn of(namespace: String, config: organization::Config, directory: SlapdOptions) -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let server = prepared();
        // Operators of all tests share one namespace for their Leases.
        let config = organization::Config {
            organization_id: new_organization_id(),
            ..config
        };
        let organization = SimulatedOrganization::start(config).await.unwrap();
        organization.seed_member(MemberSeed::new("owner@example.com").owner());
        let world = Self {
            namespace,
            slapd: directory.ldif(&company(10)).start().unwrap(),
            client: client(server.kubeconfig().to_owned()).await,
            operator: client(operator_kubeconfig()).await,
            organization,
        };
        world.secret("org", &world.organization.client_secret());
        world
    }

    /// The API server, shared by the tests of a process.
    pub fn server(&self) -> &'static ApiServer {
        prepared()
    }

    /// Writes the Secret with the organization's key.
    pub fn secret(&self, name: &str, client_secret: &str) {
        self.write_secret(&self.namespace, name, client_secret);
    }

    /// Writes the Secret with the organization's key into another namespace.
    pub fn secret_in(&self, namespace: &str, name: &str) {
        self.write_secret(namespace, name, &self.organization.client_secret());
    }

    fn write_secret(&self, namespace: &str, name: &str, client_secret: &str) {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "stringData": {
                "clientId": self.organization.client_id(),
                "clientSecret": client_secret,
            },
        });
        self.server().apply(&secret.to_string()).unwrap();
    }

    /// A resource for this company and organization, as a user would write it.
    pub fn manifest(&self, name: &str) -> Value {
        json!({
            "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
            "metadata": {"name": name, "namespace": self.namespace},
            "spec": {
                "interval": "1h",
                "organization": {
                    "serverUrl": self.organization.url(),
                    "credentialsSecretRef": {"name": "org"},
                },
                "source": {"ldap": {"url": self.slapd.url(), "baseDn": SUFFIX}},
                "offboarding": {"absent": "Revoke"},
            },
        })
    }

    /// Applies a manifest as kubectl does.
    pub fn apply(&self, manifest: &Value) {
        self.server().apply(&manifest.to_string()).unwrap();
    }

    /// Applies [`World::manifest`] with `spec` merged into its spec; null takes a field out.
    pub fn resource(&self, name: &str, spec: Value) {
        let mut manifest = self.manifest(name);
        let all = manifest["spec"].as_object_mut().unwrap();
        for (field, value) in spec.as_object().unwrap() {
            match value {
                Value::Null => all.remove(field),
                value => all.insert(field.clone(), value.clone()),
            };
        }
        self.apply(&manifest);
    }

    /// A client for the DirectorySyncs of the test's namespace.
    pub fn api(&self) -> Api<DirectorySync> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// The object as it is now.
    pub async fn get(&self, name: &str) -> DirectorySync {
        self.api().get(name).await.unwrap()
    }

    /// Merges this into the object.
    pub async fn patch(&self, name: &str, patch: Value) {
        let patch = Patch::Merge(patch);
        let parameters = PatchParams::default();
        self.api().patch(name, &parameters, &patch).await.unwrap();
    }

    /// Sets an annotation of a DirectorySync.
    pub async fn annotate(&self, name: &str, annotation: &str, value: &str) {
        let annotations = json!({ annotation: value });
        self.patch(name, json!({"metadata": {"annotations": annotations}}))
            .await;
    }

    /// Has a resource synced now, by a request of this name, and waits for the end of that run.
    pub async fn sync_now(&self, name: &str, request: &str) -> DirectorySync {
        self.annotate(name, SYNC_REQUESTED_AT, request).await;
        let asked = request.to_owned();
        let ended = self.until(name, request, move |object| {
            let status = object.status.as_ref();
            let handled = status.and_then(|status| status.last_handled_sync_request.as_ref());
            handled == Some(&asked) && is_current(object)
        });
        ended.await
    }

    /// Waits until a resource is as it should be.
    #[track_caller]
    pub fn until(
        &self,
        name: &str,
        what: &str,
        condition: impl Fn(&DirectorySync) -> bool + Send + Sync + 'static,
    ) -> impl Future<Output = DirectorySync> {
        let (api, name, what) = (self.api(), name.to_owned(), what.to_owned());
        async move {
            let reached =
                await_condition(api.clone(), &name, move |object: Option<&DirectorySync>| {
                    object.is_some_and(&condition)
                });
            match tokio::time::timeout(WAIT_TIMEOUT, reached).await {
                Ok(object) => object.unwrap().unwrap(),
                Err(_) => {
                    let status = api.get(&name).await.unwrap().status;
                    panic!("{name} never came to: {what}; it is {status:#?}")
                }
            }
        }
    }

    /// Waits until `Ready` is so, for the spec as it is now.
    #[track_caller]
    pub fn until_ready(&self, name: &str, reason: &str) -> impl Future<Output = DirectorySync> {
        let wanted = reason.to_owned();
        self.until(name, reason, move |object| {
            reason_of(object) == wanted && is_current(object)
        })
    }

    /// Starts an operator for this namespace.
    pub fn operator(&self) -> Operator {
        self.operator_with(quick(), None)
    }

    /// Starts an operator for this namespace with these faults between it and the API server.
    pub async fn operator_with_faults(&self, faults: &FailingRequests) -> Operator {
        let config = client_config(operator_kubeconfig()).await;
        let client = ClientBuilder::try_from(config).unwrap().with_layer(faults);
        Operator::start(client.build(), self.settings(None), quick())
    }

    /// Starts an operator for these namespaces and labels.
    pub fn operator_for(&self, namespaces: &[&str], selector: &str) -> Operator {
        let settings = OperatorSettings {
            namespaces: namespaces.iter().map(|&name| name.to_owned()).collect(),
            label_selector: Some(selector.to_owned()),
            ..self.settings(None)
        };
        Operator::start(self.operator.clone(), settings, quick())
    }

    /// Starts an operator for these namespaces with this timing.
    pub fn operator_in(&self, namespaces: &[&str], timing: Timing) -> Operator {
        let settings = OperatorSettings {
            namespaces: namespaces.iter().map(|&name| name.to_owned()).collect(),
            ..self.settings(None)
        };
        Operator::start(self.operator.clone(), settings, timing)
    }

    /// Starts an operator for this namespace whose resources may do this.
    pub fn operator_that_allows(&self, resources: ResourcePolicy) -> Operator {
        let settings = OperatorSettings {
            resources,
            ..self.settings(None)
        };
        Operator::start(self.operator.clone(), settings, quick())
    }

    /// Starts an operator for this namespace that sends records of changes to this address.
    pub fn operator_that_tells(&self, url: &str) -> Operator {
        let settings = OperatorSettings {
            audit: Some(AuditSettings {
                url: url.parse().unwrap(),
                authorization: Some("Bearer of-the-receiver".to_owned().into()),
                retry: Duration::from_millis(50),
            }),
            ..self.settings(None)
        };
        Operator::start(self.operator.clone(), settings, quick())
    }

    /// Starts one of several operators that share out resources by the label `shard`, each with its
    /// own Lease.
    pub fn shard(&self, shard: &str) -> Operator {
        let lease = format!("{}-{shard}", self.lease());
        let settings = OperatorSettings {
            label_selector: Some(format!("shard={shard}")),
            ..self.settings(Some(&lease))
        };
        Operator::start(self.operator.clone(), settings, quick())
    }

    /// An operator with this timing; with a lease's name, one that elects a leader.
    pub fn operator_with(&self, timing: Timing, lease: Option<&str>) -> Operator {
        Operator::start(self.operator.clone(), self.settings(lease), timing)
    }

    fn settings(&self, lease: Option<&str>) -> OperatorSettings {
        OperatorSettings {
            namespaces: vec![self.namespace.clone()],
            label_selector: None,
            concurrency: 4.try_into().unwrap(),
            leader_election: lease.map(|name| LeaderElection {
                lease_name: name.to_owned(),
                lease_namespace: Some("directory-sync".into()),
            }),
            listen: None,
            min_backoff: Duration::from_millis(200),
            max_backoff: Duration::from_secs(2),
            memory_limit: None,
            resources: ResourcePolicy {
                kept: Arc::new(KeptDirectories::new(16 << 20)),
                ..ResourcePolicy::default()
            },
            audit: None,
            metrics: Metrics::new(),
            health: Health::new(),
        }
    }

    /// The requests to the organization so far, without those for a token.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.organization.requests();
        let api = requests.iter().filter(|r| r.path.starts_with("/api/"));
        api.map(|r| format!("{} {}", r.method, r.path)).collect()
    }

    /// How many members are revoked.
    pub fn revoked(&self) -> usize {
        let members = self.organization.snapshot().members;
        let revoked = |m: &&organization::MemberSnapshot| m.status == organization::Status::Revoked;
        members.values().filter(revoked).count()
    }

    /// Takes people out of the directory.
    pub fn leave(&self, numbers: std::ops::Range<u32>) {
        let dns: Vec<_> = numbers.map(dn).collect();
        self.slapd.delete(&dns).unwrap();
    }

    /// Seeds `count` confirmed members whom the directory doesn't know: with `absent: Revoke` a run
    /// revokes each by a request of its own.
    pub fn seed_leavers(&self, count: u32) {
        for number in 0..count {
            let leaver = MemberSeed::new(&format!("leaver{number}@example.com"));
            let id = format!("gone-{number}");
            self.organization.seed_member(leaver.external_id(&id));
        }
    }

    /// `kubectl` in the namespace; what it printed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let arguments = [&["-n", &self.namespace], arguments].concat();
        self.server().run_kubectl(&arguments).unwrap()
    }

    /// The reasons of a resource's events.
    pub fn events(&self, name: &str) -> Vec<String> {
        let about = format!("--field-selector=regarding.name={name}");
        let reasons = "jsonpath={.items[*].reason}";
        let listed = self.kubectl(&["get", "events.events.k8s.io", &about, "-o", reasons]);
        listed.split_whitespace().map(str::to_owned).collect()
    }

    /// The plan of a resource in Markdown.
    pub fn plan(&self, name: &str) -> String {
        let plan = format!("{name}-plan");
        self.kubectl(&[
            "get",
            "configmap",
            &plan,
            "-o",
            r"jsonpath={.data.plan\.md}",
        ])
    }

    /// Another for each write of the plan.
    pub fn plan_version(&self, name: &str) -> String {
        let (plan, version) = (
            format!("{name}-plan"),
            "jsonpath={.metadata.resourceVersion}",
        );
        self.kubectl(&["get", "configmap", &plan, "-o", version])
    }

    /// The name of a Lease that this world's operators may hold, as the role in `deploy/` lets them
    /// hold the one Lease there.
    pub fn lease(&self) -> String {
        let lease = format!("lease-{}", self.namespace);
        let role = include_str!("../../../deploy/base/leader.yaml")
            .replace("[directory-sync]", &format!("[{lease}]"))
            .replace("directory-sync-leader", &format!("{lease}-leader"));
        self.server().apply(&role).unwrap();
        lease
    }

    /// Who holds a Lease; empty: nobody, or there is none.
    pub fn holder(&self, lease: &str) -> String {
        let holder = "jsonpath={.spec.holderIdentity}";
        let arguments = ["-n", "directory-sync", "get", "lease", lease, "-o", holder];
        let found = self
            .server()
            .run_kubectl(&[&arguments[..], &["--ignore-not-found"]].concat());
        found.unwrap()
    }
}

/// Waits for what no watch reports.
#[track_caller]
pub fn eventually(what: &str, holds: impl Fn() -> bool) -> impl Future<Output = ()> {
    let what = what.to_owned();
    async move {
        let asking = async {
            while !holds() {
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
        };
        let reached = tokio::time::timeout(WAIT_TIMEOUT + Duration::from_secs(15), asking).await;
        assert!(reached.is_ok(), "it never came to: {what}");
    }
}

/// The reason of the condition `Ready`; empty without one.
pub fn reason_of(object: &DirectorySync) -> String {
    let conditions = object.status.as_ref().map(|s| s.conditions.as_slice());
    find(conditions.unwrap_or_default(), ConditionType::Ready)
        .map(|ready| ready.reason.clone())
        .unwrap_or_default()
}

/// Whether kstatus would call it current: what status says is of this very spec, and nothing is
/// under way.
pub fn is_current(object: &DirectorySync) -> bool {
    object.status.as_ref().is_some_and(|status| {
        status.observed_generation == object.metadata.generation
            && find(&status.conditions, ConditionType::Reconciling).is_none()
    })
}

/// Status' message of a condition.
pub fn message_of(object: &DirectorySync, kind: ConditionType) -> String {
    let status = object.status.clone().unwrap_or_default();
    find(&status.conditions, kind)
        .map(|condition| condition.message.clone())
        .unwrap_or_default()
}

/// Another for each organization of the process, as in the world.
fn new_organization_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0x1000);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("0d9f3c1e-6a52-4a3c-9d0b-{number:012x}")
}

/// Times that make tests quick.
pub fn quick() -> Timing {
    Timing {
        reference_poll: Duration::from_millis(300),
        progress: Duration::from_millis(200),
        record: Duration::ZERO,
        idle_after: Duration::from_millis(500),
        watch_lost: Duration::ZERO,
        shutdown: Duration::from_secs(10),
        lease: Duration::from_secs(3),
        ..Timing::default()
    }
}

/// A running operator; killed when dropped.
pub struct Operator {
    /// What the operator counts.
    pub metrics: Metrics,
    stop: CancellationToken,
    task: JoinHandle<Result<(), OperatorError>>,
}

impl Operator {
    fn start(client: Client, settings: OperatorSettings, timing: Timing) -> Self {
        let stop = CancellationToken::new();
        Self {
            metrics: settings.metrics.clone(),
            task: tokio::spawn(run(client.clone(), client, settings, timing, stop.clone())),
            stop,
        }
    }

    /// How many runs of a resource have ended, in whatever way.
    pub fn runs(&self, name: &str) -> u64 {
        let of_it = format!("name=\"{name}\"");
        let text = self.metrics.text();
        let runs = text
            .lines()
            .filter(|line| line.starts_with("directory_sync_runs_total") && line.contains(&of_it));
        let counts = runs.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        counts.sum()
    }

    /// Everything that Prometheus scrapes.
    pub fn exposition(&self) -> String {
        self.metrics.text()
    }

    /// Waits for its end.
    pub async fn ended(self) -> Result<(), OperatorError> {
        tokio::time::timeout(WAIT_TIMEOUT, self.task)
            .await
            .expect("the operator ends in time")
            .expect("the operator doesn't panic")
    }

    /// Asks it to stop, and waits for its end.
    pub async fn stop(self) -> Result<(), OperatorError> {
        self.stop.cancel();
        self.ended().await
    }

    /// Ends it as a power cut would.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// The DN of a person of the company.
pub fn dn(number: u32) -> String {
    format!("uid=p{number:02},ou=people,{SUFFIX}")
}

fn company(people: u32) -> String {
    let mut ldif = Ldif::new(SUFFIX);
    ldif.unit("", "people");
    ldif.unit("", "groups");
    let members: Vec<_> = (0..people)
        .map(|number| ldif.person("ou=people", &Person::new(&format!("p{number:02}"))))
        .collect();
    ldif.group_of_names("ou=groups", "everyone", None, &members);
    ldif.take_text()
}

/// The API server with the CRD and the operator's rights, as `deploy/` has them.
fn prepared() -> &'static ApiServer {
    static PREPARED: OnceLock<()> = OnceLock::new();
    let server = ApiServer::shared();
    PREPARED.get_or_init(|| {
        server.apply(&definition()).unwrap();
        for part in [
            include_str!("../../../deploy/cluster/namespace.yaml"),
            include_str!("../../../deploy/base/serviceaccount.yaml"),
            include_str!("../../../deploy/cluster/rbac.yaml"),
        ] {
            server.apply(part).unwrap();
        }
        server
            .run_kubectl(&[
                "wait",
                "--for=condition=Established",
                "crd",
                "--all",
                "--timeout=30s",
            ])
            .unwrap();
    });
    server
}

/// The CRD of a later version, which knows a mode that this one doesn't.
fn definition() -> String {
    let mut crd = serde_json::to_value(directory_sync::api::crd::crd()).unwrap();
    let mode = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/mode/enum";
    let modes = crd.pointer_mut(mode).expect("modes are listed");
    modes.as_array_mut().unwrap().push("Rehearse".into());
    crd.to_string()
}

/// The restricted account that the operator has in production.
pub fn operator_kubeconfig() -> PathBuf {
    static FILE: OnceLock<PathBuf> = OnceLock::new();
    FILE.get_or_init(|| {
        prepared()
            .kubeconfig_for_service_account("directory-sync", "directory-sync")
            .unwrap()
    })
    .clone()
}

async fn client(kubeconfig: PathBuf) -> Client {
    Client::try_from(client_config(kubeconfig).await).unwrap()
}

async fn client_config(kubeconfig: PathBuf) -> Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    config.unwrap()
}

/// The resource's version: another for each write.
pub fn version(object: &DirectorySync) -> String {
    object.resource_version().unwrap()
}
