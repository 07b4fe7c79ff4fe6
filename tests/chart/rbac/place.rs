//! A namespace with a company's organization in it, and an operator that may do what it was granted.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use directory_sync::api::DirectorySync;
use directory_sync::api::conditions::{ConditionType, find};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::api::events::v1::Event;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use simulators::entra_id::{self, FederatedCredential, SimulatedEntra};
use simulators::lab::process::Process;
use simulators::lab::{Ldif, Person, Slapd};
use simulators::organization::{self, MemberSeed, SimulatedOrganization};
use tempfile::TempDir;

use super::rules::{Atom, is_role, rules_of, with_only};
use super::{is_right, rendered};
use crate::cluster::{apply, cluster, program};
use crate::helm::the;

/// Longer than anything here takes on a busy machine.
const WAIT_TIMEOUT: Duration = Duration::from_secs(90);

/// A namespace, what the chart renders for it, and an organization.
pub struct Place {
    namespace: String,
    objects: Vec<Value>,
    organization: SimulatedOrganization,
    client: Client,
    /// Where the resource's plan is to be kept.
    plan_storage: &'static str,
    /// By which an operator of the whole cluster knows its own resources.
    label: &'static str,
    /// A directory that believes the tokens of the ServiceAccount `sync`; `None`: one by LDAP.
    tenant: Option<SimulatedEntra>,
}

/// A running operator; killed when dropped.
pub struct Operator {
    process: Process,
    _folder: TempDir,
}

/// The line in an operator's log that says what it may not do.
#[derive(Debug)]
pub struct Forbidden(pub String);

impl Place {
    pub async fn new(purpose: &str, set: &str) -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let namespace = cluster().namespace(purpose).unwrap();
        // An operator of the whole cluster sees the resources of other places too.
        let config = organization::Config {
            organization_id: uuid::Uuid::from_u128(fastrand::u128(..)).to_string(),
            ..organization::Config::cloud()
        };
        let organization = SimulatedOrganization::start(config).await.unwrap();
        organization.seed_member(MemberSeed::new("owner@example.com").owner());
        Self {
            objects: rendered(&namespace, set),
            plan_storage: if set.contains("planSecrets") {
                "Secret"
            } else {
                "ConfigMap"
            },
            label: match set.contains("place=cluster") {
                true => "cluster",
                false => "other",
            },
            client: client(cluster().kubeconfig()).await,
            tenant: match set.contains("tokenRequests") {
                true => Some(tenant(&namespace).await),
                false => None,
            },
            namespace,
            organization,
        }
    }

    /// Gives the operator its account and those of its rights that it is to have; waits until the
    /// API server has noticed.
    pub async fn grant(&self, granted: impl Fn(&Atom) -> bool) {
        for object in self.objects.iter().filter(|object| is_right(object)) {
            let object = match is_role(object) {
                true => with_only(object, &granted),
                false => object.clone(),
            };
            apply(cluster(), &object.to_string(), &["--force-conflicts"]).unwrap();
        }
        let start = Instant::now();
        for (atom, rule) in rules_of(&self.objects) {
            let name = rule["resourceNames"][0].as_str();
            let question = atom.question("directory-sync", &self.namespace, name);
            while granted(&atom) && !self.may(&question).await {
                assert!(start.elapsed() < WAIT_TIMEOUT, "{atom} isn't granted");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    async fn may(&self, question: &Value) -> bool {
        let review = json!({"metadata": {}, "spec": question});
        let review: SubjectAccessReview = serde_json::from_value(review).unwrap();
        let api = Api::all(self.client.clone());
        let answer = api.create(&PostParams::default(), &review).await.unwrap();
        answer.status.unwrap().allowed
    }

    /// Starts the rendered container's program, as its account, with its flags and variables.
    pub fn start(&self) -> Operator {
        let deployment = the(&self.objects, "Deployment");
        let pod = &deployment["spec"]["template"]["spec"];
        let account = pod["serviceAccountName"].as_str().unwrap();
        let kubeconfig = cluster()
            .kubeconfig_for_service_account(&self.namespace, account)
            .unwrap();
        let container = &pod["containers"][0];
        let arguments = container["args"].as_array().unwrap();
        let mut command = Command::new(program());
        command
            .args(arguments.iter().map(|argument| argument.as_str().unwrap()))
            .env("KUBECONFIG", kubeconfig)
            // Where the pod is; and it has an address of its own.
            .env("DIRECTORY_SYNC_LEASE_NAMESPACE", &self.namespace)
            .env("DIRECTORY_SYNC_LISTEN", "none")
            .env("DIRECTORY_SYNC_ALLOWED_NETWORKS", "127.0.0.0/8,::1");
        if let Some(tenant) = &self.tenant {
            let urls = format!("entra-authority={0},entra-graph={0}", tenant.url());
            command.env("DIRECTORY_SYNC_VENDOR_URLS", urls);
        }
        for variable in container["env"].as_array().into_iter().flatten() {
            let field = &variable["valueFrom"]["fieldRef"]["fieldPath"];
            assert_eq!(field, "metadata.namespace", "{variable}");
            command.env(variable["name"].as_str().unwrap(), &self.namespace);
        }
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        Operator {
            process: Process::spawn(&command, folder.path(), &log).unwrap(),
            _folder: folder,
        }
    }

    fn write_resource_and_secret(&self) {
        let metadata = |name: &str| {
            let labels = json!({"place": self.label});
            json!({"name": name, "namespace": self.namespace, "labels": labels})
        };
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": metadata("org"),
            "stringData": {
                "clientId": self.organization.client_id(),
                "clientSecret": self.organization.client_secret(),
            },
        });
        let account = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("sync"),
        });
        let source = match &self.tenant {
            None => json!({"ldap": {"url": company().url(), "baseDn": SUFFIX}}),
            Some(tenant) => json!({"entraId": {
                "tenantId": tenant.config().tenant_id, "clientId": tenant.config().client_id,
                "credentials": {"workloadIdentity": {"serviceAccountName": "sync"}},
            }}),
        };
        let resource = json!({
            "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
            "metadata": metadata("staff"),
            "spec": {
                "organization": {
                    "serverUrl": self.organization.url(),
                    "credentialsSecretRef": {"name": "org"},
                },
                "source": source,
                "offboarding": {"absent": "Revoke"},
                "planStorage": self.plan_storage,
            },
        });
        for object in [account, secret, resource] {
            apply(cluster(), &object.to_string(), &[]).unwrap();
        }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    async fn suspend(&self, suspend: bool) {
        let patch = Patch::Merge(json!({"spec": {"suspend": suspend}}));
        let api: Api<DirectorySync> = self.api();
        api.patch("staff", &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    async fn reason(&self) -> String {
        let staff: DirectorySync = self.api().get("staff").await.unwrap();
        let conditions = staff.status.unwrap_or_default().conditions;
        let ready = find(&conditions, ConditionType::Ready);
        ready.map(|ready| ready.reason.clone()).unwrap_or_default()
    }

    /// Asks about one person.
    async fn ask(&self) {
        let annotations = json!({"directorysync.dev/explain": "1 ada"});
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        let api: Api<DirectorySync> = self.api();
        let parameters = PatchParams::default();
        api.patch("staff", &parameters, &patch).await.unwrap();
    }

    /// Whether the operator has written the object of this name.
    async fn has(&self, name: &str) -> bool {
        if self.plan_storage == "Secret" {
            let api: Api<Secret> = self.api();
            return api.get_opt(name).await.unwrap().is_some();
        }
        let api: Api<ConfigMap> = self.api();
        api.get_opt(name).await.unwrap().is_some()
    }

    /// Whether it was told more than once that all is well: the second time as a repetition.
    async fn has_repeated_event(&self) -> bool {
        let events: Api<Event> = self.api();
        let events = events.list(&ListParams::default()).await.unwrap();
        events
            .items
            .iter()
            .any(|event| event.reason.as_deref() == Some("Succeeded") && event.series.is_some())
    }

    /// The Lease that says who manages the organization.
    async fn claim(&self) -> Option<Lease> {
        let id = self.organization.organization_id();
        let name = format!("directory-sync-organization-{id}");
        self.api().get_opt(&name).await.unwrap()
    }

    async fn lease(&self) -> Option<Lease> {
        self.api().get_opt("directory-sync").await.unwrap()
    }
}

impl Operator {
    /// Has it do everything that it ever does.
    pub async fn goes_through(&mut self, place: &Place) -> Result<(), Forbidden> {
        self.until("it leads", async || place.lease().await.is_some())
            .await?;
        place.write_resource_and_secret();
        self.until("a sync", async || place.reason().await == "Succeeded")
            .await?;
        self.until("a plan", async || place.has("staff-plan").await)
            .await?;
        place.ask().await;
        self.until("an answer", async || place.has("staff-explain").await)
            .await?;
        place.suspend(true).await;
        self.until("a break", async || place.reason().await == "Suspended")
            .await?;
        place.suspend(false).await;
        self.until("another sync", async || place.reason().await == "Succeeded")
            .await?;
        self.until("an event killed twice", async || {
            place.has_repeated_event().await
        })
        .await?;
        let lease = place.lease().await;
        self.until("a renewed lease", async || place.lease().await != lease)
            .await?;
        assert!(place.claim().await.is_some(), "the organization is claimed");
        let resources: Api<DirectorySync> = place.api();
        resources
            .delete("staff", &DeleteParams::default())
            .await
            .unwrap();
        self.until("the end of the claim", async || {
            place.claim().await.is_none()
        })
        .await
    }

    /// Waits until something holds, unless the log says that something is forbidden.
    async fn until(&mut self, what: &str, holds: impl AsyncFn() -> bool) -> Result<(), Forbidden> {
        let start = Instant::now();
        while !holds().await {
            let log = self.process.log();
            if let Some(line) = log.lines().find(|line| line.contains("is forbidden")) {
                return Err(Forbidden(line.to_owned()));
            }
            assert!(
                start.elapsed() < WAIT_TIMEOUT,
                "it never came to: {what}\n{log}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// Stops it as the kubelet does; all that it said.
    pub fn stop(mut self) -> String {
        let pid = self.process.pid().to_string();
        let killed = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(killed.unwrap().success());
        // Ends when the program does.
        self.process.wait_until(WAIT_TIMEOUT, || false).unwrap_err();
        self.process.log()
    }
}

const SUFFIX: &str = "dc=example,dc=com";

/// A tenant of Entra ID that trusts the ServiceAccount `sync` of a namespace.
async fn tenant(namespace: &str) -> SimulatedEntra {
    let raw = |path: &str| -> Value {
        let text = cluster().run_kubectl(&["get", "--raw", path]).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let discovery = raw("/.well-known/openid-configuration");
    let config = entra_id::Config {
        secret: None,
        federated: vec![FederatedCredential {
            issuer: discovery["issuer"].as_str().unwrap().to_owned(),
            subject: format!("system:serviceaccount:{namespace}:sync"),
            audience: "api://AzureADTokenExchange".to_owned(),
            keys: raw("/openid/v1/jwks"),
        }],
        ..entra_id::Config::default()
    };
    let tenant = SimulatedEntra::start(config).await.unwrap();
    tenant.add_user(entra_id::UserSeed::new("ada"));
    tenant
}

/// Three people in one group, for all.
fn company() -> &'static Slapd {
    static COMPANY: OnceLock<Slapd> = OnceLock::new();
    COMPANY.get_or_init(|| {
        let mut ldif = Ldif::new(SUFFIX);
        ldif.unit("", "people");
        ldif.unit("", "groups");
        let people = ["ada", "bob", "chidi"];
        let people = people.map(|uid| ldif.person("ou=people", &Person::new(uid)));
        ldif.group_of_names("ou=groups", "everyone", None, &people);
        Slapd::options().ldif(&ldif.take_text()).start().unwrap()
    })
}

async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.unwrap()).unwrap()
}
