//! The operator as platform teams run it: an image from the Dockerfile, installed by Helm into a
//! restricted namespace of a real node, from what `make bundle` writes and without a network to the outside, with a
//! real directory and a simulated organization beside it.
//!
//! One scenario; each step is printed with its duration. It runs in a sandbox of which nothing stays,
//! which [`Sandbox::enter`] checks. The node doesn't enforce NetworkPolicies.

#![allow(clippy::unwrap_used, missing_docs)]

mod chart;
mod cluster;
mod company;
mod steps;

use serde_json::json;
use simulators::lab::{Images, Node, Sandbox, or_skip};

use chart::{Bundle, previous_chart};
use cluster::{Cluster, IMAGE, RELEASE};
use company::Company;
use steps::Steps;

/// A field that the older chart's CRD doesn't have.
const NEW_FIELD: &str = "driftCheckInterval";

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_installed_by_helm_syncs_survives_upgrades_and_leaves_nothing_but_what_it_should()
 {
    let Some(sandbox) = Sandbox::enter() else {
        return;
    };
    let mut steps = Steps::new(&sandbox);

    let Some(node) = or_skip("the operator on a real node", Node::start(&sandbox)) else {
        return;
    };
    steps.done("a node is ready");

    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let image = Images::open()
        .unwrap()
        .build(repository.as_ref(), IMAGE, sandbox.folder())
        .unwrap();
    steps.done("the image is built from the Dockerfile");

    let bundle = Bundle::of(&image, sandbox.folder());
    steps.done("a bundle has image and chart, and its checksums are right");

    let cluster = Cluster::new(&node, sandbox.folder());
    let (older, older_version) = previous_chart(sandbox.folder(), NEW_FIELD);
    cluster.load(&bundle.image, &older_version);
    cluster.restricted_namespace();
    cluster.a_pod_without_restrictions_is_refused();
    steps.done("a namespace accepts only restricted pods, and the image is loaded");

    let company = Company::new(&node).await;
    cluster.helm(&["install", RELEASE, &older, "--wait", "--timeout=3m"]);
    steps.done("the previous chart is installed and its operator ready");

    cluster.apply(&company.secrets());
    cluster.apply(&company.resource());
    cluster.until_ready();
    let pod = cluster.only_pod();
    company.organization_is_as_the_directory(&["p00", "p01", "p02"]);
    company.all_requests_came_from(&cluster.address_of(&pod));
    steps.done("the organization matches the directory, and all requests came from the pod");

    cluster.publish_service();
    cluster.helm(&["test", RELEASE, "--timeout=2m"]);
    steps.done("helm test passes: the operator is ready and the CRD is served");

    company.hire("p03");
    company.lose_the_answer_to_the_next_import();
    cluster.request_sync("after-a-hire");
    company.until_invited("p03").await;
    cluster.kill_container_of(&pod);
    cluster.until_restarted(&pod, 1);
    cluster.until_handled("after-a-hire");
    company.organization_is_as_the_directory(&["p00", "p01", "p02", "p03"]);
    company.nobody_was_invited_twice();
    steps.done("kill -9 during a request: it restarts, continues, and invites nobody twice");

    cluster.look_at_logs(&company.secret_words());
    cluster.does_not_know_field(NEW_FIELD);
    let before = cluster.resource();
    company.forget_requests();
    cluster.helm(&[
        "upgrade",
        RELEASE,
        &bundle.chart,
        "--set=replicas=2",
        "--wait",
        "--timeout=3m",
    ]);
    let after = cluster.resource();
    for kept in ["/metadata/uid", "/metadata/generation", "/spec", "/status"] {
        assert_eq!(after.pointer(kept), before.pointer(kept), "{kept}");
    }
    cluster.patch(json!({"spec": {NEW_FIELD: "12h"}}));
    assert_eq!(cluster.resource()["spec"][NEW_FIELD], "12h");
    cluster.until_ready();
    company.nothing_was_written();
    steps.done("an upgrade keeps resource and status, installs the new CRD, and changes no member");

    cluster.look_at_logs(&company.secret_words());
    let leader = cluster.leader();
    cluster.lose(&leader);
    let successor = cluster.until_led_by_another_than(&leader).await;
    company.hire("p04");
    company.forget_requests();
    cluster.request_sync("after-a-leader-change");
    cluster.until_handled("after-a-leader-change");
    company.organization_is_as_the_directory(&["p00", "p01", "p02", "p03", "p04"]);
    company.all_requests_came_from(&cluster.address_of(&successor));
    steps.done("the leader is lost, and the other pod takes over");

    cluster.look_at_logs(&company.secret_words());
    let before = cluster.resource();
    cluster.helm(&["rollback", RELEASE, "1", "--wait", "--timeout=3m"]);
    assert_eq!(cluster.version(), older_version);
    assert_eq!(
        cluster.resource().pointer("/metadata/uid"),
        before.pointer("/metadata/uid")
    );
    company.fire("p00");
    cluster.request_sync("after-a-rollback");
    cluster.until_handled("after-a-rollback");
    company.organization_is_as_the_directory(&["p01", "p02", "p03", "p04"]);
    steps.done("a rollback runs the previous version, which continues");

    cluster.look_at_logs(&company.secret_words());
    cluster.helm(&["uninstall", RELEASE, "--wait", "--timeout=2m"]);
    cluster.has_no_operator();
    cluster.definition_is_served();
    let kept = cluster.resource();
    assert_eq!(
        kept.pointer("/metadata/uid"),
        before.pointer("/metadata/uid")
    );
    company.organization_is_as_the_directory(&["p01", "p02", "p03", "p04"]);
    steps.done("after an uninstall, CRD, resource and organization remain");

    cluster.helm(&["install", RELEASE, &bundle.chart, "--wait", "--timeout=3m"]);
    company.hire("p05");
    cluster.request_sync("after-a-new-installation");
    cluster.until_handled("after-a-new-installation");
    company.organization_is_as_the_directory(&["p01", "p02", "p03", "p04", "p05"]);
    company.nobody_was_invited_twice();
    cluster.look_at_logs(&company.secret_words());
    cluster.helm(&["uninstall", RELEASE, "--wait", "--timeout=2m"]);
    steps.done("installed again, it continues");
    steps.end();
}
