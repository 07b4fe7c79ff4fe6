//! The rights that the chart renders: enough for all that an operator does, and none too many.
//!
//! An operator runs as the rendered service account, with the rendered flags, through a scenario in
//! which it does everything that it ever does. With the rendered rules nothing is forbidden; with
//! any single verb on a resource taken out, something is.

mod place;
mod rules;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;

use crate::cluster::{apply, cluster};
use crate::helm::{objects, run, template_in};
use place::{Forbidden, Place};
use rules::{Atom, atoms, is_role};

const RELEASE: &str = "watch.scope=Release";
const LISTED: &str = "watch.scope=Namespaces,watch.namespaces={NAMESPACE}";
/// With the right to write one Secret, by its name alone.
const PLANS: &str = "watch.scope=Release,rbac.secretNames={org},rbac.planSecrets={staff-plan}";
/// With the right to request tokens, for a directory that wants one as proof.
const TOKENS: &str = "watch.scope=Release,workloadIdentity.tokenRequests=true,\
                      workloadIdentity.serviceAccountNames={sync}";
/// Every namespace has the resources of another test; this operator must leave them alone.
const CLUSTER: &str = "watch.scope=Cluster,watch.labelSelector=place=cluster";

#[tokio::test(flavor = "multi_thread")]
async fn with_the_rendered_rights_nothing_is_forbidden_in_any_scope() {
    for (purpose, set) in [
        ("release", RELEASE),
        ("listed", LISTED),
        ("cluster", CLUSTER),
        ("named", "watch.scope=Release,rbac.secretNames={org}"),
        ("plans", PLANS),
        ("tokens", TOKENS),
    ] {
        let place = Place::new(purpose, set).await;
        place.grant(|_| true).await;
        let mut operator = place.start();
        let went = operator.goes_through(&place).await;
        went.unwrap_or_else(|Forbidden(line)| panic!("{purpose}: {line}"));
        let log = operator.stop();
        assert!(log.contains("gave the lease back"), "{purpose}: {log}");
        for line in log.lines() {
            let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            assert_eq!(line["level"], "INFO", "{purpose}: {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_one_of_them_something_is_forbidden() {
    let all = atoms(&rendered("any", RELEASE));
    assert!(all.len() > 8, "{all:?}");
    let of_plans = atoms(&rendered("any", PLANS));
    let of_plans: Vec<_> = of_plans.difference(&all).cloned().collect();
    assert_eq!(of_plans.len(), 2, "{of_plans:?}");
    let of_tokens = atoms(&rendered("any", TOKENS));
    let of_tokens: Vec<_> = of_tokens.difference(&all).cloned().collect();
    assert_eq!(of_tokens.len(), 1, "{of_tokens:?}");
    let all = all.into_iter().map(|atom| (RELEASE, atom));
    let all = all.chain(of_plans.into_iter().map(|atom| (PLANS, atom)));
    let all = all.chain(of_tokens.into_iter().map(|atom| (TOKENS, atom)));
    let each = futures::stream::iter(all.enumerate());
    let each = each.map(|(number, (set, atom))| async move {
        let place = Place::new(&format!("atom{number}"), set).await;
        place.grant(|granted| *granted != atom).await;
        let mut operator = place.start();
        match operator.goes_through(&place).await {
            Ok(()) => panic!("nothing needs {atom:?}: take it out of the chart"),
            Err(Forbidden(line)) => {
                assert!(atom.is_forbidden_in(&line), "without {atom:?}: {line}");
            }
        }
    });
    each.buffer_unordered(3).collect::<Vec<_>>().await;
}

#[test]
fn every_scope_gives_the_same_rights_and_they_can_be_listed_on_one_hand() {
    let all: Vec<_> = [RELEASE, LISTED, CLUSTER]
        .map(|set| atoms(&rendered("ops", set)))
        .into();
    assert!(all.iter().all(|atoms| *atoms == all[0]));

    let needed: BTreeSet<_> = all[0].iter().map(Atom::to_string).collect();
    let wanted = [
        "configmaps: create",
        "configmaps: get",
        "configmaps: patch",
        "directorysyncs.directorysync.dev: list",
        "directorysyncs.directorysync.dev: watch",
        "directorysyncs/status.directorysync.dev: patch",
        "events.events.k8s.io: create",
        "events.events.k8s.io: patch",
        "leases.coordination.k8s.io: create",
        "leases.coordination.k8s.io: delete",
        "leases.coordination.k8s.io: get",
        "leases.coordination.k8s.io: update",
        "secrets: get",
    ];
    assert_eq!(needed, wanted.map(str::to_owned).into());
}

#[test]
fn tokens_of_service_accounts_are_requested_only_where_the_chart_is_asked_for_it() {
    let defaults = atoms(&rendered("ops", RELEASE));
    let asked = format!("{RELEASE},workloadIdentity.tokenRequests=true");
    let more: Vec<_> = atoms(&rendered("ops", &asked))
        .difference(&defaults)
        .map(Atom::to_string)
        .collect();
    assert_eq!(more, ["serviceaccounts/token: create"]);
}

#[test]
fn secrets_are_written_only_where_the_chart_is_asked_for_it() {
    let more = |set: &str| -> Vec<_> {
        let defaults = atoms(&rendered("ops", RELEASE));
        let asked = atoms(&rendered("ops", &format!("{RELEASE},{set}")));
        asked.difference(&defaults).map(Atom::to_string).collect()
    };
    let write = ["secrets: create", "secrets: patch"];
    assert_eq!(more("rbac.planSecrets={staff-plan}"), write);
    assert_eq!(more("rbac.planSecrets={*}"), write);
    let rules = rules::rules_of(&rendered("ops", PLANS));
    for (atom, rule) in rules {
        if write.contains(&atom.to_string().as_str()) {
            let names =
                serde_json::json!(["staff-plan", "staff-explain", "staff-undo", "staff-history"]);
            assert_eq!(rule["resourceNames"], names);
        }
    }
}

#[test]
fn neither_the_secrets_of_others_nor_anybodys_spec_can_be_touched() {
    let server = cluster();
    let (here, there) = (
        server.namespace("rights").unwrap(),
        server.namespace("elsewhere").unwrap(),
    );
    let set = "watch.scope=Release,rbac.secretNames={org}";
    for object in rendered(&here, set)
        .iter()
        .filter(|object| is_right(object))
    {
        apply(server, &object.to_string(), &[]).unwrap();
    }
    let account = format!("--as=system:serviceaccount:{here}:directory-sync");
    let may = |what: &str, namespace: &str| {
        let mut ask = server.kubectl();
        ask.args(["auth", "can-i", &account, "-n", namespace]);
        run(ask.args(what.split(' '))).is_ok()
    };
    for right in ["get secrets/org", "list dsync", "get leases/directory-sync"] {
        soon(right, || may(right, &here));
        assert!(!may(right, &there), "{right} elsewhere");
    }
    for right in [
        "get secrets/other",
        "list secrets",
        "watch secrets",
        "update secrets/org",
        "list configmaps",
        "delete configmaps",
        "update dsync",
        "patch dsync",
        "delete dsync",
        "list leases",
        "patch leases/directory-sync",
        "deletecollection leases",
        "create pods",
        "impersonate users",
        "create serviceaccounts/token",
    ] {
        assert!(!may(right, &here), "{right}");
    }
}

#[test]
fn the_roles_for_people_let_viewers_look_and_editors_change_and_nobody_write_a_status() {
    let server = cluster();
    let namespace = server.namespace("people").unwrap();
    for object in rendered("ops", "fullnameOverride=people") {
        if is_role(&object) && object["kind"] == "ClusterRole" {
            apply(server, &object.to_string(), &[]).unwrap();
        }
    }
    // What a controller, which isn't here, does with the labels of the two.
    for (user, roles) in [("vera", &["view"][..]), ("ed", &["view", "edit"])] {
        for role in roles {
            let binding = [
                "create",
                "rolebinding",
                &format!("{user}-{role}"),
                &format!("--user={user}"),
                &format!("--clusterrole=people-{role}"),
                "-n",
                &namespace,
            ];
            server.run_kubectl(&binding).unwrap();
        }
    }
    let may = |user: &str, verb: &str, what: &str| {
        let mut ask = server.kubectl();
        ask.args(["auth", "can-i", "-n", &namespace, verb])
            .args(what.split(' '))
            .arg(format!("--as={user}"));
        run(&mut ask).is_ok()
    };
    for verb in ["get", "list", "watch"] {
        soon(verb, || may("vera", verb, "dsync"));
        soon(verb, || may("ed", verb, "dsync"));
    }
    for verb in ["create", "update", "patch", "delete", "deletecollection"] {
        soon(verb, || may("ed", verb, "dsync"));
        assert!(!may("vera", verb, "dsync"), "{verb}");
    }
    let status = "dsync --subresource=status";
    assert!(may("ed", "get", status) && !may("ed", "patch", status));
}

/// Waits for the API server to notice what was granted.
#[track_caller]
fn soon(what: &str, may: impl Fn() -> bool) {
    let noticed = (0..200).any(|_| {
        let yes = may();
        std::thread::sleep(Duration::from_millis(if yes { 0 } else { 50 }));
        yes
    });
    assert!(noticed, "{what} isn't granted");
}

/// What the chart renders with these values in a namespace.
fn rendered(namespace: &str, set: &str) -> Vec<Value> {
    let set = set.replace("NAMESPACE", namespace);
    objects(&template_in(namespace, &["--set", &set]).unwrap())
}

/// Whether an object is about rights, and not one of the cluster's roles for people.
fn is_right(object: &Value) -> bool {
    let kind = object["kind"].as_str().unwrap();
    let for_people = object["metadata"]["labels"]
        .as_object()
        .is_some_and(|labels| labels.keys().any(|label| label.contains("/aggregate-to-")));
    let of_test = object["metadata"]["annotations"]["helm.sh/hook"] == "test";
    (kind.contains("Role") || kind == "ServiceAccount") && !for_people && !of_test
}
