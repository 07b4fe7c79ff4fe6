//! A node runs pods, and nothing of it stays.

use simulators::lab::{Node, Sandbox, or_skip};

#[test]
fn a_node_runs_a_pod_and_is_gone_afterwards() {
    let Some(sandbox) = Sandbox::enter() else {
        return;
    };
    let Some(node) = or_skip("a pod on a node", Node::start(&sandbox)) else {
        return;
    };
    let api = node.api();
    // The image that holds a pod's namespaces is a program that does nothing.
    api.run_kubectl(&[
        "run",
        "idle",
        "--image=localhost/pause:lab",
        "--image-pull-policy=Never",
    ])
    .unwrap();
    api.run_kubectl(&[
        "wait",
        "pod",
        "idle",
        "--for=condition=Ready",
        "--timeout=120s",
    ])
    .unwrap();
    assert!(node.process_of("default", "idle").unwrap() > 1);
}
