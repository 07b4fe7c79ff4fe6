//! The admission policy: nobody makes the operator read what they may not read themselves.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use simulators::lab::ApiServer;

use crate::cluster::{cluster, with_input};
use crate::helm::{objects, of_kind, template_in, the};

const INSECURE: [&str; 2] = ["allowPlaintext", "insecureSkipVerify"];

/// A namespace in which the policy holds, and `ed`, who may edit DirectorySyncs there.
struct Place {
    server: &'static ApiServer,
    namespace: String,
}

impl Place {
    fn new(purpose: &str) -> Self {
        Self::with(purpose, "")
    }

    /// With more values; NAMESPACE stands for the namespace.
    fn with(purpose: &str, more: &str) -> Self {
        let server = cluster();
        let namespace = server.namespace(purpose).unwrap();
        let place = Self { server, namespace };
        let values = format!(
            "admission.enabled=true,watch.scope=Namespaces,watch.namespaces={{{0}}},\
             fullnameOverride={0}{1}",
            place.namespace,
            more.replace("NAMESPACE", &place.namespace),
        );
        let rendered = objects(&template_in(&place.namespace, &["--set", &values]).unwrap());
        for kind in [
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
        ] {
            server.apply(&the(&rendered, kind).to_string()).unwrap();
        }
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "edit", "namespace": place.namespace},
            "rules": [{
                "apiGroups": ["directorysync.dev"], "resources": ["directorysyncs"],
                "verbs": ["get", "create", "patch"],
            }],
        });
        server.apply(&role.to_string()).unwrap();
        place.kubectl(&["create", "rolebinding", "edit", "--role=edit", "--user=ed"]);
        place
    }

    fn kubectl(&self, arguments: &[&str]) {
        let arguments = [arguments, &["-n", &self.namespace]].concat();
        self.server.run_kubectl(&arguments).unwrap();
    }

    fn lets_ed_read(&self, what: &str) {
        let name = what.replace('/', "-");
        let (kind, object) = what.split_once('/').unwrap();
        let (resource, object) = (
            format!("--resource={kind}"),
            format!("--resource-name={object}"),
        );
        self.kubectl(&["create", "role", &name, "--verb=get", &resource, &object]);
        let role = format!("--role={name}");
        self.kubectl(&["create", "rolebinding", &name, &role, "--user=ed"]);
    }

    /// What the API server says to `ed`, who applies a resource with this spec.
    fn ed_applies(&self, name: &str, spec: &Value) -> Result<String, String> {
        let manifest = json!({
            "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
            "metadata": {"name": name, "namespace": self.namespace}, "spec": spec,
        });
        let mut kubectl = self.server.kubectl();
        kubectl.args(["apply", "--server-side", "--as=ed", "-f", "-"]);
        with_input(&mut kubectl, &manifest.to_string())
    }

    /// The same, once the API server goes by the policy and by what it was told last.
    #[track_caller]
    fn soon(&self, spec: &Value, as_expected: impl Fn(&Result<String, String>) -> bool) {
        let mut said = Ok(String::new());
        for number in 0..150 {
            said = self.ed_applies(&format!("soon-{number}"), spec);
            if as_expected(&said) {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("{said:?}");
    }
}

fn spec() -> Value {
    json!({
        "suspend": true,
        "organization": {"region": "EU", "credentialsSecretRef": {"name": "org"}},
        "source": {"ldap": {
            "url": "ldaps://ldap.example.com", "baseDn": "dc=example,dc=com",
            "bindSecretRef": {"name": "bind"},
            "tls": {"caBundleRef": {"name": "ca"}},
        }},
    })
}

fn is_refused(said: &Result<String, String>, because: &str) -> bool {
    said.as_ref().is_err_and(|said| said.contains(because))
}

#[test]
fn whoever_writes_a_resource_must_be_allowed_to_read_all_that_it_names() {
    let place = Place::new("admission");
    let spec = spec();
    place.soon(&spec, |said| is_refused(said, "secrets/org in namespace"));
    place.lets_ed_read("secrets/org");
    place.soon(&spec, |said| {
        is_refused(said, "spec.source.ldap.tls.caBundleRef") && is_refused(said, "configmaps/ca")
            || is_refused(said, "secrets/bind")
    });
    place.lets_ed_read("secrets/bind");
    place.soon(&spec, |said| is_refused(said, "configmaps/ca"));
    place.lets_ed_read("configmaps/ca");
    place.soon(&spec, Result::is_ok);
    place.ed_applies("staff", &spec).unwrap();

    // Somebody else's Secret, put where another kind of value belongs.
    for (field, wrong) in [
        ("/source/ldap/bindSecretRef/name", "payroll"),
        ("/source/ldap/tls/caBundleRef/kind", "Secret"),
        ("/organization/credentialsSecretRef/name", "payroll"),
    ] {
        let mut changed = spec.clone();
        let (parent, last) = field.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[last] = wrong.into();
        let said = place.ed_applies("staff", &changed);
        assert!(
            is_refused(&said, "you may not get secrets/"),
            "{field}: {said:?}"
        );
    }

    // Who lost the right may go on asking for runs, but change nothing.
    place.kubectl(&["delete", "rolebinding", "secrets-bind"]);
    place.soon(&spec, |said| is_refused(said, "secrets/bind"));
    let annotate = [
        "annotate",
        "dsync",
        "staff",
        "--as=ed",
        "example.com/asked=now",
    ];
    place.kubectl(&annotate);
    let mut resumed = spec;
    resumed["suspend"] = false.into();
    let said = place.ed_applies("staff", &resumed);
    assert!(is_refused(&said, "secrets/bind"), "{said:?}");
}

#[test]
fn whoever_names_a_service_account_must_be_allowed_to_request_its_tokens() {
    let place = Place::new("accounts");
    place.lets_ed_read("secrets/org");
    let mut spec = spec();
    spec["source"] = json!({"entraId": {
        "tenantId": "example.com", "clientId": "22222222-2222-4222-8222-222222222222",
        "credentials": {"workloadIdentity": {"serviceAccountName": "sync"}},
    }});
    place.soon(&spec, |said| {
        is_refused(said, "serviceaccounts/token of sync in namespace")
    });
    // As the cluster role `edit` has it.
    let role = [
        "create",
        "role",
        "tokens",
        "--verb=create",
        "--resource=serviceaccounts/token",
    ];
    place.kubectl(&role);
    place.kubectl(&[
        "create",
        "rolebinding",
        "tokens",
        "--role=tokens",
        "--user=ed",
    ]);
    place.soon(&spec, Result::is_ok);
}

#[test]
fn servers_are_those_that_are_allowed_everywhere_and_in_the_namespace() {
    let hosts = ",egress.allowedHosts={*.example.com,192.0.2.7},\
                 egress.namespaceHosts.NAMESPACE={LDAP.example.com,vault.example.com,192.0.2.7}";
    let place = Place::with("servers", hosts);
    for what in ["secrets/org", "secrets/bind", "configmaps/ca"] {
        place.lets_ed_read(what);
    }
    let mut elsewhere = spec();
    elsewhere["source"]["ldap"]["url"] = "ldaps://ldap.evil.example:636".into();
    place.soon(&elsewhere, |said| {
        is_refused(said, "may not name the server ldap.evil.example")
    });
    place.soon(&spec(), Result::is_ok);
    let organization =
        |url: &str| json!({"serverUrl": url, "credentialsSecretRef": {"name": "org"}});
    let domain = json!({"activeDirectory": {
        "domain": "corp.example.com", "bindSecretRef": {"name": "bind"},
    }});
    let controllers = json!({"activeDirectory": {
        "controllers": ["192.0.2.7", "dc1.corp.example.com:636"], "bindSecretRef": {"name": "bind"},
    }});
    let several = json!({"ldap": {
        "urls": ["ldaps://ldap.example.com", "ldaps://ldap2.example.com"],
        "baseDn": "dc=example,dc=com", "bindSecretRef": {"name": "bind"},
    }});
    for (field, value, refused) in [
        (
            "organization",
            organization("https://VAULT.example.com"),
            None,
        ),
        // Allowed in the cluster, but not in this namespace; and the other way round.
        (
            "organization",
            organization("https://other.example.com"),
            Some("other.example.com"),
        ),
        ("organization", organization("https://192.0.2.7"), None),
        (
            "organization",
            organization("https://vault.example.com.evil.example"),
            Some("vault.example.com.evil.example"),
        ),
        ("source", domain, Some("corp.example.com")),
        ("source", controllers, Some("dc1.corp.example.com")),
        ("source", several, Some("ldap2.example.com")),
    ] {
        let mut spec = spec();
        spec[field] = value;
        let said = place.ed_applies("staff", &spec);
        match refused {
            None => assert!(said.is_ok(), "{spec}: {said:?}"),
            Some(host) => assert!(
                is_refused(&said, &format!("may not name the server {host};")),
                "{spec}: {said:?}"
            ),
        }
    }
}

#[test]
fn encryption_is_given_up_only_where_the_namespace_is_labelled_for_it() {
    let place = Place::new("insecure");
    for what in ["secrets/org", "secrets/bind", "configmaps/ca"] {
        place.lets_ed_read(what);
    }
    let mut insecure = spec();
    insecure["source"]["ldap"]["tls"] = json!({"insecureSkipVerify": true});
    place.soon(&insecure, |said| {
        is_refused(said, "directorysync.dev/allow-insecure")
    });
    let mut plaintext = spec();
    plaintext["source"] = json!({"activeDirectory": {
        "domain": "corp.example.com", "security": "Plaintext", "bindSecretRef": {"name": "bind"},
    }});
    let said = place.ed_applies("plaintext", &plaintext);
    assert!(is_refused(&said, "activeDirectory.security"), "{said:?}");
    let label = "directorysync.dev/allow-insecure=true";
    let labelled = ["label", "namespace", &place.namespace, label];
    place.server.run_kubectl(&labelled).unwrap();
    place.soon(&insecure, Result::is_ok);
    place.ed_applies("plaintext", &plaintext).unwrap();
}

#[test]
fn no_reference_and_no_way_around_encryption_is_left_out() {
    fn walk(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            let properties = &field["properties"];
            let names_an_object = properties["name"].is_object();
            let names_an_account = name == "serviceAccountName";
            let enums = field["enum"].as_array();
            let is_security = enums.is_some_and(|all| all.contains(&json!("Plaintext")));
            if names_an_object
                || names_an_account
                || is_security
                || INSECURE.contains(&name.as_str())
            {
                found.insert(path.clone());
            }
            walk(field, &path, found);
        }
    }
    let crd = serde_json::to_value(directory_sync::api::crd::crd()).unwrap();
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    let mut found = BTreeSet::new();
    walk(crd.pointer(schema).unwrap(), "spec", &mut found);
    assert!(found.len() > 15, "{found:?}");

    let rendered = template_in("ops", &["--set", "admission.enabled=true"]).unwrap();
    let policy = the(&objects(&rendered), "ValidatingAdmissionPolicy");
    let validations = policy["spec"]["validations"].as_array().unwrap();
    let checked: BTreeSet<_> = validations
        .iter()
        .map(|validation| {
            let message = &validation["messageExpression"];
            let message = message.as_str().or(validation["message"].as_str()).unwrap();
            let message = message.trim_start_matches('\'');
            message.split_once(": ").unwrap().0.to_owned()
        })
        .collect();
    assert_eq!(checked, found);
}

#[test]
fn no_field_that_names_a_server_is_left_out() {
    fn walk(schema: &Value, path: &str, found: &mut BTreeSet<String>) {
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.?{name}");
            let says = field["description"]
                .as_str()
                .unwrap_or_default()
                .to_lowercase();
            let is_text = field["type"] == "string" || field["items"]["type"] == "string";
            let names_servers = says.contains("address of")
                || says.contains("addresses of")
                || name.to_lowercase().contains("url")
                || says.contains("controllers");
            if is_text && names_servers && field["enum"].is_null() {
                found.insert(path.clone());
            }
            walk(field, &path, found);
        }
    }
    let crd = serde_json::to_value(directory_sync::api::crd::crd()).unwrap();
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    let mut found = BTreeSet::new();
    walk(crd.pointer(schema).unwrap(), "object.?spec", &mut found);
    // Names no server, whatever it says.
    found.retain(|path| !path.contains("users") && !path.contains("groups"));
    assert!(found.len() >= 7, "{found:?}");
    let set = "admission.enabled=true,egress.allowedHosts={example.com}";
    let rendered = template_in("ops", &["--set", set]).unwrap();
    let policy = the(&objects(&rendered), "ValidatingAdmissionPolicy");
    let variables = policy["spec"]["variables"].as_array().unwrap();
    let servers = variables
        .iter()
        .find(|variable| variable["name"] == "servers");
    let servers = servers.unwrap()["expression"].as_str().unwrap();
    for path in found {
        assert!(servers.contains(&path), "{path} isn't in {servers}");
    }
}

#[test]
fn the_policy_is_there_where_it_is_served_or_wanted() {
    let policies = |arguments: &[&str]| {
        let objects = objects(&template_in("ops", arguments).unwrap());
        of_kind(&objects, "ValidatingAdmissionPolicy").len()
    };
    let served = "admissionregistration.k8s.io/v1/ValidatingAdmissionPolicy";
    assert_eq!(policies(&[]), 0);
    assert_eq!(policies(&["--api-versions", served]), 1);
    let off = ["--api-versions", served, "--set", "admission.enabled=false"];
    assert_eq!(policies(&off), 0);
}

#[test]
fn an_operator_that_may_write_secrets_can_write_plans_alone() {
    let server = cluster();
    let namespace = server.namespace("plans").unwrap();
    let values = format!(
        "admission.enabled=true,watch.scope=Release,fullnameOverride={namespace},rbac.planSecrets={{*}}"
    );
    let rendered = objects(&template_in(&namespace, &["--set", &values]).unwrap());
    let policy = format!("{namespace}-plans");
    for object in &rendered {
        let kind = object["kind"].as_str().unwrap();
        let is_policy = object["metadata"]["name"] == policy.as_str();
        if is_policy || ["Role", "RoleBinding", "ServiceAccount"].contains(&kind) {
            server.apply(&object.to_string()).unwrap();
        }
    }
    let operator = format!("system:serviceaccount:{namespace}:{namespace}");
    let write = |account: Option<&str>, name: &str, of_type: &str| {
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": of_type,
            "metadata": {
                "name": name, "namespace": namespace,
                "annotations": {"kubernetes.io/service-account.name": "default"},
            },
        });
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), secret.to_string()).unwrap();
        let mut apply = server.kubectl();
        apply.args(["apply", "--server-side", "--force-conflicts", "-f"]);
        apply.arg(file.path());
        crate::helm::run(apply.args(account.map(|account| format!("--as={account}"))))
    };
    let plan = "directorysync.dev/plan";
    let is_refused = |name: &str, of_type: &str| {
        let answer = write(Some(&operator), name, of_type);
        answer.is_err_and(|said| said.contains("only Secrets of type directorysync.dev/plan"))
    };
    // The API server notices a policy after a moment.
    let noticed = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        is_refused("token", "kubernetes.io/service-account-token")
    });
    assert!(noticed);
    assert!(is_refused(
        "token-plan",
        "kubernetes.io/service-account-token"
    ));
    assert!(is_refused("payroll", plan));
    write(None, "payroll-plan", "Opaque").unwrap();
    assert!(
        is_refused("payroll-plan", "Opaque"),
        "somebody else's Secret"
    );
    for name in ["staff-plan", "staff-plan", "staff-explain", "staff-history"] {
        write(Some(&operator), name, plan).unwrap();
    }
}
