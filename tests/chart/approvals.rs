//! examples/policies/approvals.yaml: some change resources, others approve what is held.

use std::time::Duration;

use serde_json::{Value, json};
use simulators::lab::ApiServer;

use crate::cluster::{cluster, with_input};

const APPROVE: &str = "directorysync.dev/approve-removals";

struct Place {
    server: &'static ApiServer,
    namespace: String,
}

impl Place {
    /// The example, in one namespace, with `ed`, who has the chart's rights of `edit`, and `apo`, who has the
    /// example's role.
    fn new() -> Self {
        let server = cluster();
        let namespace = server.namespace("approvals").unwrap();
        let example = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/examples/policies/approvals.yaml"
        );
        let documents = std::fs::read_to_string(example).unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&documents).unwrap();
        for mut document in documents {
            // Other tests of this API server have other editors.
            if document["kind"] == "ValidatingAdmissionPolicyBinding" {
                document["metadata"]["name"] = json!(namespace);
                document["spec"]["matchResources"] = json!({"namespaceSelector": {
                    "matchLabels": {"kubernetes.io/metadata.name": namespace},
                }});
            }
            server.apply(&document.to_string()).unwrap();
        }
        let edit = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "edit", "namespace": namespace},
            "rules": [{
                "apiGroups": ["directorysync.dev"], "resources": ["directorysyncs"],
                "verbs": [
                    "get", "list", "watch", "create", "update", "patch", "delete",
                    "deletecollection",
                ],
            }],
        });
        server.apply(&edit.to_string()).unwrap();
        for (role, user) in [
            ("--role=edit", "ed"),
            ("--clusterrole=directory-sync-approver", "apo"),
        ] {
            let user_flag = format!("--user={user}");
            let bind = [
                "create",
                "rolebinding",
                user,
                role,
                &user_flag,
                "-n",
                &namespace,
            ];
            server.run_kubectl(&bind).unwrap();
        }
        Self { server, namespace }
    }

    fn applies(&self, user: &str, name: &str, spec: &Value) -> Result<String, String> {
        let manifest = json!({
            "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
            "metadata": {"name": name, "namespace": self.namespace}, "spec": spec,
        });
        let mut kubectl = self.server.kubectl();
        let user = format!("--as={user}");
        kubectl.args([
            "apply",
            "--server-side",
            "--force-conflicts",
            &user,
            "-f",
            "-",
        ]);
        with_input(&mut kubectl, &manifest.to_string())
    }

    fn annotates(&self, user: &str, annotation: &str) -> Result<String, String> {
        let user = format!("--as={user}");
        let arguments = [
            "annotate",
            "dsync",
            "staff",
            "--overwrite",
            &user,
            annotation,
        ];
        let arguments = [&arguments[..], &["-n", &self.namespace]].concat();
        let said = self.server.run_kubectl(&arguments);
        said.map_err(|error| error.to_string())
    }

    fn patches(&self, user: &str, spec: &Value) -> Result<String, String> {
        let user = format!("--as={user}");
        let patch = json!({"spec": spec}).to_string();
        let arguments = [
            "patch",
            "dsync",
            "staff",
            "--type=merge",
            &user,
            "-p",
            &patch,
        ];
        let arguments = [&arguments[..], &["-n", &self.namespace]].concat();
        let said = self.server.run_kubectl(&arguments);
        said.map_err(|error| error.to_string())
    }
}

fn spec() -> Value {
    json!({
        "suspend": true,
        "organization": {"region": "EU", "credentialsSecretRef": {"name": "org"}},
        "source": {"ldap": {
            "url": "ldaps://ldap.example.com", "baseDn": "dc=example,dc=com",
            "bindSecretRef": {"name": "bind"},
        }},
        "groups": {"protected": ["admins"]},
    })
}

#[track_caller]
fn refused(said: &Result<String, String>, because: &str) {
    assert!(
        said.as_ref().is_err_and(|said| said.contains(because)),
        "{said:?}"
    );
}

#[test]
fn editors_do_not_approve_and_approvers_do_not_edit() {
    let place = Place::new();
    // As administrators do, who may everything: protected groups are set by those who may approve.
    let mut all = spec();
    all["groups"] = json!({});
    place.applies("ed", "staff", &all).unwrap();
    place
        .server
        .run_kubectl(&[
            "patch",
            "dsync",
            "staff",
            "--type=merge",
            "-n",
            &place.namespace,
            "-p",
            &json!({"spec": {"groups": {"protected": ["admins"]}}}).to_string(),
        ])
        .unwrap();

    // The policy takes a moment until the API server goes by it.
    let approve = format!("{APPROVE}=3f1c9a0b62d47e5588a1f0c4d9e27b16");
    let mut said = Ok(String::new());
    for number in 0..150 {
        said = place.annotates("ed", &format!("{APPROVE}={number}"));
        if said.is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    refused(&said, "an approval needs the verb approve");
    refused(&place.annotates("ed", &approve), "an approval needs");

    // Neither do editors get round it by way of the limits.
    let limits = "limits, and the groups that are protected";
    for loosened in [
        json!({"offboarding": {"limit": "100%"}}),
        json!({"offboarding": {"disabledLimit": "100%"}}),
        json!({"onboarding": {"limit": 1_000}}),
        json!({"groups": {"limit": "100%"}}),
        json!({"access": {"limit": 1_000}}),
        json!({"access": {"collectionsLimit": "100%"}}),
        json!({"groups": {"protected": null}}),
        json!({"groups": {"protected": ["others"]}}),
        json!({"groups": null}),
    ] {
        refused(&place.patches("ed", &loosened), limits);
    }
    let mut created = spec();
    created["groups"] = Value::Null;
    created["offboarding"] = json!({"limit": "100%"});
    created.as_object_mut().unwrap().remove("groups");
    refused(&place.applies("ed", "other", &created), limits);

    // What they do every day.
    place
        .annotates("ed", "directorysync.dev/sync-requested-at=now")
        .unwrap();
    place.patches("ed", &json!({"interval": "30m"})).unwrap();
    let more = json!({"groups": {"protected": ["admins", "owners"]}});
    place.patches("ed", &more).unwrap();

    place.annotates("apo", &approve).unwrap();
    // The approval stays in the object; editors go on.
    place.patches("ed", &json!({"interval": "15m"})).unwrap();
    refused(
        &place.patches("apo", &json!({"interval": "1h"})),
        "a change of the spec needs the verb update",
    );
    // Taking an approval back is nobody's secret right.
    place.annotates("ed", &format!("{APPROVE}-")).unwrap();
}

#[test]
fn whoever_approves_or_undoes_does_so_under_their_own_name() {
    let place = Place::new();
    let mut all = spec();
    all["groups"] = json!({});
    place.applies("ed", "staff", &all).unwrap();
    let by = |user: &str, annotation: &str, value: &str| {
        place.annotates(user, &format!("directorysync.dev/{annotation}={value}"))
    };
    const DIGEST: &str = "3f1c9a0b62d47e5588a1f0c4d9e27b16";
    // The policy takes a moment until the API server goes by it.
    let mut said = Ok(String::new());
    for number in 0..150 {
        said = by("apo", "approved-by", &format!("{number} ceo"));
        if said.is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    let own_name = "has to be the digest of the approval, a space, and your own name";
    refused(&said, own_name);
    by("apo", "approve-removals", DIGEST).unwrap();
    refused(
        &by("apo", "approved-by", &format!("{DIGEST} ceo")),
        own_name,
    );
    refused(&by("ed", "approved-by", &format!("{DIGEST} apo")), own_name);
    by("apo", "approved-by", &format!("{DIGEST} apo")).unwrap();
    // It stays; others go on.
    by("ed", "sync-requested-at", "now").unwrap();

    by("ed", "undo", r#"a1 {"run":"52dd86bade","by":"ed"}"#).unwrap();
    by("ed", "undo", r#"a2 {"run":"52dd86bade"}"#).unwrap();
    for other in [
        r#"{"by":"apo"}"#,
        r#"{"by": "ed"}"#,
        r#"{"person":"\"by\":\"ed\"","by":"apo"}"#,
    ] {
        refused(
            &by("ed", "undo", &format!("a3 {other}")),
            "has to name you, or nobody",
        );
    }
    let with_approval = format!(r#"a4 {{"run":"52dd86bade","approve":"{DIGEST}"}}"#);
    refused(
        &by("ed", "undo", &with_approval),
        "an undo that lets held changes go ahead",
    );
    by("apo", "undo", &with_approval).unwrap();
}
