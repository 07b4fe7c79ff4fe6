//! Flux's notification-controller: what of a DirectorySync comes into a chat by the example's Alert.

use std::path::PathBuf;

use serde_json::{Value, json};
use simulators::lab::{GitServer, LabError, Sandbox, find, or_skip};

use crate::chat::Chat;
use crate::flux::{CRD, STAFF, definition, kustomizations};
use crate::flux_controllers::{Controllers, FLUX, reconcile};
use crate::{end_of, example, get, true_condition, until, world};

/// What of Flux is on this machine.
struct Parts {
    source: PathBuf,
    kustomize: PathBuf,
    notification: PathBuf,
    definitions: [PathBuf; 3],
}

impl Parts {
    fn find() -> Result<Self, LabError> {
        Ok(Self {
            source: find("flux-source-controller")?,
            kustomize: find("flux-kustomize-controller")?,
            notification: find("flux-notification-controller")?,
            definitions: [
                find("flux-source-crds")?,
                find("flux-kustomize-crds")?,
                find("flux-notification-crds")?,
            ],
        })
    }
}

const HELD: &str = "identity-held";

#[tokio::test(flavor = "multi_thread")]
async fn flux_alerts_tell_of_a_failed_sync_and_of_held_removals() {
    let Some(sandbox) = Sandbox::enter() else {
        return;
    };
    let Some(parts) = or_skip("Flux's notification-controller", Parts::find()) else {
        return;
    };
    let world = world().await;
    let server = world.server();
    let git = GitServer::start().await.unwrap();
    let chat = Chat::start().await;
    let mut controllers = Controllers::prepare(server, sandbox.folder(), &parts.definitions);
    let notification = controllers.notification(&parts.notification);
    let source = controllers.source(&parts.source);
    let kustomize = controllers.applier(&parts.kustomize);
    sandbox.say("Flux is ready");
    let log = || {
        let logs = [source.log(), kustomize.log(), notification.log()];
        logs.map(|log| end_of(&log)).join("\n")
    };
    let kustomization = |name: &str| {
        get(
            &world,
            "kustomization.kustomize.toolkit.fluxcd.io",
            FLUX,
            name,
        )
    };
    let until_ready = |name: &str| {
        let is_ready = |object: &Value| true_condition(object, "Ready").is_some();
        until(
            &format!("{name} is ready"),
            || kustomization(name),
            is_ready,
            log,
        )
    };
    let sync_now = |name: &str| {
        let kustomization = format!("kustomization/{name}");
        reconcile(server, &["gitrepository/flux-system", &kustomization]);
    };
    // The first message about a Kustomization that says this.
    let told = |name: &str, what: &str| {
        let look = || json!(chat.about(name));
        until(
            &format!("a message about {name}: {what}"),
            look,
            |messages| messages.to_string().contains(what),
            log,
        )
    };

    // The example, with this webhook in place of a chat's.
    let [held, mut provider, alert]: [Value; 3] = example("flux/alerts.yaml").try_into().unwrap();
    provider["spec"] = json!({"type": "generic", "address": chat.url()});
    let alerts = json!({"apiVersion": "v1", "kind": "List", "items": [provider, alert]});
    let plain = crate::staff(&world, &json!({}));
    git.commit(&[
        (CRD, Some(&definition(None))),
        (STAFF, Some(&plain)),
        ("identity-alerts/alerts.yaml", Some(&alerts.to_string())),
    ])
    .unwrap();
    let operator = world.operator();
    server.apply(&kustomizations(&git.url())).unwrap();
    server.apply(&held.to_string()).unwrap();
    until_ready("identity");
    until_ready(HELD);
    assert_eq!(chat.about(HELD), [Value::Null; 0], "nothing is held");

    // A failed sync.
    let no_secret = json!({"organization": {
        "serverUrl": world.organization.url(), "credentialsSecretRef": {"name": "nowhere"},
    }});
    git.commit(&[(STAFF, Some(&crate::staff(&world, &no_secret)))])
        .unwrap();
    sync_now("identity");
    let messages = told("identity", "DirectorySync/identity/staff");
    sandbox.say(&format!("a failed sync: {}", messages[0]["message"]));
    let mended = git.commit(&[(STAFF, Some(&plain))]).unwrap();
    sync_now("identity");
    let is_mended = |object: &Value| {
        let applied = object["status"]["lastAppliedRevision"].as_str();
        applied.is_some_and(|applied| applied.ends_with(&mended))
            && true_condition(object, "Ready").is_some()
    };
    until(
        "identity is mended",
        || kustomization("identity"),
        is_mended,
        log,
    );

    // Held removals, which stop nothing else.
    world.leave(0..7);
    world
        .annotate("staff", "directorysync.dev/sync-requested-at", "left")
        .await;
    world.until_ready("staff", "RemovalsHeld").await;
    let before = chat.about("identity").len();
    sync_now("identity");
    until_ready("identity");
    sync_now(HELD);
    let messages = told(HELD, "DirectorySync/identity/staff");
    sandbox.say(&format!("held removals: {}", messages[0]["message"]));
    assert_eq!(messages[0]["severity"], "error");
    assert_eq!(chat.about("identity").len(), before);
    assert_eq!(world.revoked(), 0);
    operator.stop().await.unwrap();
}
