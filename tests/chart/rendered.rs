//! What five sets of values come to.

use serde_json::{Value, json};

use crate::cluster::{apply, cluster};
use crate::helm::*;

pub const SETS: [&str; 5] = [
    "defaults",
    "namespaced",
    "high-availability",
    "minimal",
    "everything",
];

#[test]
fn helm_finds_nothing_to_criticize() {
    for set in SETS {
        let values = file(&format!("tests/chart/values/{set}.yaml"));
        let mut lint = helm();
        lint.args(["lint", "--strict", "--quiet"]).arg(chart());
        run(lint.arg("--values").arg(values)).unwrap();
    }
}

#[test]
fn each_set_renders_what_it_rendered_before_or_somebody_meant_to_change_it() {
    for set in SETS {
        let text = without_long_ones(&template_of(set));
        same(&format!("tests/chart/rendered/{set}.yaml"), &text);
    }
}

#[test]
fn the_api_server_takes_all_that_each_set_renders_without_a_warning() {
    let server = cluster();
    for set in SETS {
        let text = template_of(set);
        let strictly = ["--dry-run=server", "--validate=strict"];
        let mut kubectl = server.kubectl();
        // A warning of the server is an error: restricted Pod Security warns of a Deployment.
        kubectl.args(["apply", "--server-side", "--warnings-as-errors", "-f", "-"]);
        let said = crate::cluster::with_input(kubectl.args(strictly), &text);
        let said = said.unwrap_or_else(|error| panic!("{set}: {error}"));
        assert_eq!(said.lines().count(), objects(&text).len(), "{set}: {said}");
    }
}

#[test]
fn pods_pass_the_restricted_pod_security_standard() {
    let server = cluster();
    for set in SETS {
        let objects = objects(&template_of(set));
        let template = &the(&objects, "Deployment")["spec"]["template"];
        let metadata = json!({"name": "probe", "namespace": "directory-sync",
            "labels": template["metadata"]["labels"]});
        let operator = pod(metadata, &template["spec"]);
        let test = the(&objects, "Pod").to_string();
        for pod in [operator, test] {
            apply(server, &pod, &["--dry-run=server"])
                .unwrap_or_else(|error| panic!("{set}: {error}"));
        }
    }
    // The namespace does enforce it.
    let objects = objects(&template(&["--set", "securityContext=null"]).unwrap());
    let spec = &the(&objects, "Deployment")["spec"]["template"]["spec"];
    let metadata = json!({"name": "probe", "namespace": "directory-sync"});
    let refused = apply(server, &pod(metadata, spec), &["--dry-run=server"]).unwrap_err();
    assert!(
        refused.contains("violates PodSecurity \"restricted"),
        "{refused}"
    );
}

#[test]
fn the_definition_is_the_one_in_crds_and_is_kept_unless_told_otherwise() {
    let wanted: Value = serde_saphyr::from_str(&directory_sync::api::crd::crds()).unwrap();
    let crd = the(
        &objects(&template(&[]).unwrap()),
        "CustomResourceDefinition",
    );
    let differs = difference(&crd["spec"], &wanted["spec"], "spec");
    assert_eq!(differs, None);
    assert_eq!(crd["metadata"]["name"], wanted["metadata"]["name"]);
    let annotations = &crd["metadata"]["annotations"];
    assert_eq!(annotations["helm.sh/resource-policy"], "keep");

    let objects = objects(&template(&["--set", "crds.keep=false"]).unwrap());
    let crd = the(&objects, "CustomResourceDefinition");
    assert_eq!(crd["metadata"]["annotations"], Value::Null);
}

#[test]
fn the_operator_understands_every_flag_that_it_is_given() {
    for set in SETS {
        let deployment = the(&objects(&template_of(set)), "Deployment");
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let arguments = container["args"].as_array().unwrap();
        // `none`: so that what it complains of is the cluster that isn't there, if anything.
        let mut program = std::process::Command::new(crate::cluster::program());
        program
            .args(arguments.iter().map(|argument| argument.as_str().unwrap()))
            .env("KUBECONFIG", "/nowhere");
        let said = run(&mut program).unwrap_err();
        assert!(said.contains("no cluster to work in"), "{set}: {said}");
    }
}

#[test]
fn monitors_appear_only_where_they_are_wanted_or_served() {
    let kinds = |arguments: &[&str]| {
        let objects = objects(&template(arguments).unwrap());
        let of_prometheus = objects
            .iter()
            .filter(|object| object["apiVersion"] == "monitoring.coreos.com/v1")
            .map(|object| object["kind"].as_str().unwrap().to_owned());
        of_prometheus.collect::<Vec<_>>()
    };
    let if_served = [
        "--set",
        "metrics.serviceMonitor.enabled=IfServed,metrics.prometheusRule.enabled=IfServed",
    ];
    assert_eq!(kinds(&[]), [""; 0]);
    assert_eq!(kinds(&if_served), [""; 0]);
    let serves = ["--api-versions", "monitoring.coreos.com/v1/ServiceMonitor"];
    assert_eq!(
        kinds(&[&if_served[..], &serves].concat()),
        ["ServiceMonitor"]
    );
    let wanted = ["--set", "metrics.podMonitor.enabled=true"];
    assert_eq!(kinds(&wanted), ["PodMonitor"]);
}

#[test]
fn the_chart_is_of_the_operators_own_version() {
    let text = std::fs::read_to_string(chart().join("Chart.yaml")).unwrap();
    let about: Value = serde_saphyr::from_str(&text).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(about["version"], version);
    assert_eq!(about["appVersion"], version);
    let images = about["annotations"]["artifacthub.io/images"].as_str();
    assert!(images.unwrap().contains(&format!(":{version}\n")));

    let examples = about["annotations"]["artifacthub.io/crdsExamples"].as_str();
    let examples: Vec<Value> = serde_saphyr::from_str(examples.unwrap()).unwrap();
    for example in examples {
        apply(cluster(), &example.to_string(), &["--dry-run=server"]).unwrap();
    }
}

/// Where two objects differ; 0 and 0.0 don't.
fn difference(one: &Value, other: &Value, at: &str) -> Option<String> {
    match (one, other) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => a
            .iter()
            .find_map(|(key, value)| difference(value, &b[key], &format!("{at}.{key}"))),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .find_map(|(a, b)| difference(a, b, &format!("{at}[]"))),
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => None,
        _ => (one != other).then(|| at.to_owned()),
    }
}

fn pod(metadata: Value, spec: &Value) -> String {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}).to_string()
}

/// The definition and the dashboard are files of their own; here they would drown the rest.
fn without_long_ones(text: &str) -> String {
    let mut documents: Vec<_> = text.split_inclusive("\n---\n").map(str::to_owned).collect();
    for document in &mut documents {
        for (kind, body) in [
            ("kind: CustomResourceDefinition", "\nspec:\n"),
            ("  directory-sync.json: |-", "\n  directory-sync.json: |-\n"),
        ] {
            if document.contains(kind) {
                let at = document.find(body).unwrap() + body.len();
                let end = if document.ends_with("\n---\n") {
                    "---\n"
                } else {
                    ""
                };
                document.replace_range(at.., &format!("    …\n{end}"));
            }
        }
    }
    documents.concat()
}
