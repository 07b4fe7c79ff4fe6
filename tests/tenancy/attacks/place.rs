//! A cluster as the chart leaves it: the operator with its roles and flags, a team that works, and
//! people who may do no more than `edit`.

use std::path::{Path, PathBuf};
use std::process::Command;

use axum::http::Request;
use directory_sync::api::DirectorySync;
use directory_sync_testing::command::program;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use simulators::lab::process::Process;
use simulators::lab::{self, ApiServer, Ldif, Person, Slapd, free_port};
use simulators::organization::{self, MemberSeed, SimulatedOrganization};
use tempfile::TempDir;

/// Values that no hostile tenant may read: another team's, the operator's own, and those of Secrets in
/// their own namespace on which they have no right.
pub const THEIR_KEY: &str = "BurenSleutel9753qrsAlfabet";
pub const THEIR_PASSWORD: &str = "BurenWoordje8642tuvBetoverd";
pub const OPERATORS_TOKEN: &str = "OperatorZelf7531wxyGammaray";

/// The namespace of the operator.
pub const RELEASE: &str = "directory-sync";
/// The namespace of the team that works.
pub const VICTIM: &str = "victim";
/// The namespace whose hosts the operator's flags name.
pub const LIMITED: &str = "limited";
/// The victim's organization.
pub const ORGANIZATION: &str = "0d9f3c1e-6a52-4a3c-9d0b-00000000beef";

/// An API server that writes an audit log, what the chart renders, and the victim.
pub struct Place {
    pub server: ApiServer,
    pub admin: Client,
    /// Has the cluster role `edit` in each hostile namespace, with what the chart adds to it.
    pub editor: Client,
    /// May write DirectorySyncs there, and nothing else.
    pub writer: Client,
    pub organization: SimulatedOrganization,
    pub slapd: Slapd,
    deployment: Value,
    folder: TempDir,
}

/// A running operator, and where it serves its metrics.
pub struct Operator {
    pub process: Process,
    pub metrics: String,
    /// The token of its account.
    pub token: String,
}

impl Place {
    pub async fn new() -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let server = ApiServer::start_audited().unwrap();
        let rendered = rendered();
        let parts = [
            "CustomResourceDefinition",
            "ServiceAccount",
            "ClusterRole",
            "ClusterRoleBinding",
            "Role",
            "RoleBinding",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
        ];
        let mut all = vec![namespace(RELEASE, false), namespace(VICTIM, false)];
        for object in &rendered {
            let of_test = object["metadata"]["annotations"]["helm.sh/hook"] == "test";
            if parts.contains(&object["kind"].as_str().unwrap()) && !of_test {
                all.push(object.clone());
            }
        }
        apply(&server, &all);
        server
            .run_kubectl(&[
                "wait",
                "--for=condition=Established",
                "crd",
                "--all",
                "--timeout=60s",
            ])
            .unwrap();

        let config = organization::Config {
            organization_id: ORGANIZATION.to_owned(),
            client_secret: THEIR_KEY.to_owned(),
            ..organization::Config::cloud()
        };
        let organization = SimulatedOrganization::start(config).await.unwrap();
        organization.seed_member(MemberSeed::new("owner@example.com").owner());
        let deployment = rendered
            .iter()
            .find(|object| object["kind"] == "Deployment");
        let place = Self {
            admin: client(server.kubeconfig(), None).await,
            editor: client(server.kubeconfig(), Some("editor")).await,
            writer: client(server.kubeconfig(), Some("writer")).await,
            deployment: deployment.unwrap().clone(),
            slapd: company(),
            organization,
            server,
            folder: tempfile::tempdir().unwrap(),
        };
        let secret = |name: &str, data: Value| object("Secret", VICTIM, name, "stringData", data);
        let all = [
            secret(
                "org",
                json!({"clientId": place.organization.client_id(), "clientSecret": THEIR_KEY}),
            ),
            secret(
                "payroll",
                json!({"password": THEIR_PASSWORD, "key": THEIR_PASSWORD}),
            ),
            object(
                "ConfigMap",
                VICTIM,
                "payroll",
                "data",
                json!({"key": THEIR_PASSWORD}),
            ),
            json!({
                "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
                "metadata": {"name": "staff", "namespace": VICTIM},
                "spec": {
                    "organization": {
                        "serverUrl": place.organization.url(), "credentialsSecretRef": {"name": "org"},
                    },
                    "source": {"ldap": {"url": place.slapd.url(), "baseDn": "dc=example,dc=com"}},
                    "offboarding": {"absent": "Revoke"},
                },
            }),
        ];
        apply(&place.server, &all);
        place
    }

    /// Makes namespaces in which the editor and the writer have what the cluster roles give.
    pub fn open(&self, namespaces: &[(String, bool)]) {
        let mut all = vec![];
        for (name, insecure) in namespaces {
            all.push(namespace(name, *insecure));
            let chart = ["directory-sync-edit", "directory-sync-view"];
            // What a controller, which isn't here, makes the cluster role `edit` of.
            let edit = ["system:aggregate-to-edit", "system:aggregate-to-view"];
            for (user, roles) in [
                ("editor", [&edit[..], &chart].concat()),
                ("writer", chart.to_vec()),
            ] {
                for role in roles {
                    all.push(json!({
                        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
                        "metadata": {"name": format!("{user}-{}", role.replace(':', "-")), "namespace": name},
                        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
                        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
                    }));
                }
            }
        }
        apply(&self.server, &all);
    }

    /// The rendered container's program as its account, with its flags; beside it the files that a
    /// cloud's workload identity puts into the pod.
    pub fn operator(&self) -> Operator {
        let pod = &self.deployment["spec"]["template"]["spec"];
        let account = pod["serviceAccountName"].as_str().unwrap();
        let kubeconfig = self
            .server
            .kubeconfig_for_service_account(RELEASE, account)
            .unwrap();
        let token = std::fs::read_to_string(&kubeconfig).unwrap();
        let token: Value = serde_json::from_str(&token).unwrap();
        let arguments = pod["containers"][0]["args"].as_array().unwrap();
        let metrics = format!("127.0.0.1:{}", free_port().unwrap());
        let own = self.operators_file();
        std::fs::write(&own, OPERATORS_TOKEN).unwrap();
        let mut command = Command::new(program());
        command
            .args(arguments.iter().map(|argument| argument.as_str().unwrap()))
            .env("KUBECONFIG", kubeconfig)
            .env("DIRECTORY_SYNC_LEASE_NAMESPACE", RELEASE)
            .env("DIRECTORY_SYNC_LISTEN", &metrics)
            .env("AZURE_FEDERATED_TOKEN_FILE", &own)
            .env("DIRECTORY_SYNC_GOOGLE_TOKEN_FILE", &own);
        let log = self.folder.path().join("operator.log");
        let folder = self.folder.path().join("operator");
        std::fs::create_dir(&folder).unwrap();
        Operator {
            process: Process::spawn(&command, &folder, &log).unwrap(),
            metrics: format!("http://{metrics}/metrics"),
            token: token["users"][0]["user"]["token"]
                .as_str()
                .unwrap()
                .to_owned(),
        }
    }

    /// The file with the operator's own token for vendors.
    pub fn operators_file(&self) -> PathBuf {
        self.folder.path().join("operators-own-token")
    }
}

/// Sends an object to the API server; what that says where it refuses.
pub async fn create(client: &Client, object: &Value) -> Result<(), String> {
    let name = object["metadata"]["name"].as_str().unwrap();
    let namespace = object["metadata"]["namespace"].as_str().unwrap();
    let kind = object["kind"].as_str().unwrap();
    let (kind, subresource) = kind.split_once('/').unwrap_or((kind, ""));
    let group = match object["apiVersion"].as_str().unwrap() {
        "v1" => "/api/v1".to_owned(),
        group => format!("/apis/{group}"),
    };
    let mut path = format!("{group}/namespaces/{namespace}/{}s", kind.to_lowercase());
    let (method, content) = match subresource {
        "" => ("POST", "application/json"),
        _ => ("PATCH", "application/merge-patch+json"),
    };
    if !subresource.is_empty() {
        path = format!("{path}/{name}/{subresource}");
    }
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content);
    let request = request.body(object.to_string().into_bytes()).unwrap();
    let answer = client.request::<Value>(request).await;
    answer.map(drop).map_err(|error| error.to_string())
}

/// Applies objects as the administrator.
pub fn apply(server: &ApiServer, objects: &[Value]) {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    // Roles of a definition that isn't served yet are fine, resources aren't.
    let mut said = String::new();
    for _ in 0..50 {
        match server.apply(&list.to_string()) {
            Ok(_) => return,
            Err(error) => said = error.to_string(),
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    panic!("{said}");
}

/// An object with data.
pub fn object(kind: &str, namespace: &str, name: &str, field: &str, data: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": kind,
        "metadata": {"name": name, "namespace": namespace}, field: data,
    })
}

/// A client for DirectorySyncs.
pub fn resources(client: &Client, namespace: &str) -> kube::Api<DirectorySync> {
    kube::Api::namespaced(client.clone(), namespace)
}

fn namespace(name: &str, insecure: bool) -> Value {
    let labels = match insecure {
        true => json!({"directorysync.dev/allow-insecure": "true"}),
        false => json!({}),
    };
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// What the chart consists of, for the whole cluster. The hostile servers are on this machine, so its
/// first loopback address is allowed; servers inside of the cluster are on the second, which isn't.
fn rendered() -> Vec<Value> {
    let values = json!({
        "admission": {"enabled": true},
        "logs": {"level": "info,directory_sync=trace"},
        "retry": {"minBackoff": "1s", "maxBackoff": "5s"},
        "egress": {
            "allowedNetworks": ["127.0.0.1/32"],
            "namespaceHosts": {LIMITED: ["vault.example.com"]},
            "maxResponseSize": 8,
            "maxListItems": 20_000,
        },
    });
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), values.to_string()).unwrap();
    let home = tempfile::tempdir().unwrap();
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/directory-sync-operator");
    let helm = Command::new(lab::find("helm").unwrap())
        .args(["template", "directory-sync", "--namespace", RELEASE])
        .arg("--values")
        .args([file.path(), &chart])
        .env("HELM_CACHE_HOME", home.path())
        .env("HELM_CONFIG_HOME", home.path())
        .env("HELM_DATA_HOME", home.path())
        .output()
        .unwrap();
    assert!(
        helm.status.success(),
        "{}",
        String::from_utf8_lossy(&helm.stderr)
    );
    let all: Vec<Value> =
        serde_saphyr::from_multiple(&String::from_utf8_lossy(&helm.stdout)).unwrap();
    all.into_iter().filter(|object| !object.is_null()).collect()
}

async fn client(kubeconfig: &Path, user: Option<&str>) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap();
    config.auth_info.impersonate = user.map(str::to_owned);
    Client::try_from(config).unwrap()
}

/// Three people in one group.
fn company() -> Slapd {
    let mut ldif = Ldif::new("dc=example,dc=com");
    ldif.unit("", "people");
    ldif.unit("", "groups");
    let people = ["ada", "bob", "chidi"];
    let people = people.map(|uid| ldif.person("ou=people", &Person::new(uid)));
    ldif.group_of_names("ou=groups", "everyone", None, &people);
    Slapd::options().ldif(&ldif.take_text()).start().unwrap()
}
