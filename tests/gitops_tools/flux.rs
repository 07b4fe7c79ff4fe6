//! Flux's source-controller and kustomize-controller, with a Git repository.

use std::path::{Path, PathBuf};

use directory_sync_testing::world::World;
use serde_json::{Value, json};
use simulators::lab::process::Process;
use simulators::lab::{GitServer, LabError, Sandbox, find, or_skip};

use crate::flux_controllers::{Controllers, FLUX, reconcile};
use crate::{NAMESPACE, end_of, example, get, true_condition, until, world};

/// The controllers, as they run in a cluster.
struct Flux<'a> {
    world: &'a World,
    source: Process,
    kustomize: Process,
}

/// What of Flux is on this machine.
struct Parts {
    source: PathBuf,
    kustomize: PathBuf,
    definitions: [PathBuf; 2],
}

impl Parts {
    fn find() -> Result<Self, LabError> {
        Ok(Self {
            source: find("flux-source-controller")?,
            kustomize: find("flux-kustomize-controller")?,
            definitions: [find("flux-source-crds")?, find("flux-kustomize-crds")?],
        })
    }
}

impl<'a> Flux<'a> {
    fn start(world: &'a World, parts: &Parts, folder: &Path) -> Self {
        let controllers = Controllers::prepare(world.server(), folder, &parts.definitions);
        let source = controllers.source(&parts.source);
        let kustomize = controllers.applier(&parts.kustomize);
        Self {
            world,
            source,
            kustomize,
        }
    }

    fn log(&self) -> String {
        format!(
            "{}\n{}",
            end_of(&self.source.log()),
            end_of(&self.kustomize.log())
        )
    }

    /// Waits until a Kustomization is as it should be.
    #[track_caller]
    fn until(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let look = || {
            get(
                self.world,
                "kustomization.kustomize.toolkit.fluxcd.io",
                FLUX,
                name,
            )
        };
        until(&format!("{name}: {what}"), look, holds, || self.log())
    }

    /// Waits until this commit is applied and healthy.
    #[track_caller]
    fn until_applied(&self, name: &str, commit: &str) {
        self.until(name, &format!("{commit} is applied"), |object| {
            let applied = object
                .pointer("/status/lastAppliedRevision")
                .and_then(Value::as_str);
            applied.is_some_and(|revision| revision.ends_with(commit))
                && true_condition(object, "Ready").is_some()
        });
    }

    /// `flux reconcile kustomization NAME --with-source`, by annotations.
    fn reconcile(&self, name: &str) {
        let kustomization = format!("kustomization/{name}");
        reconcile(
            self.world.server(),
            &["gitrepository/flux-system", &kustomization],
        );
    }
}

/// The example's Kustomizations, for a repository of this address and without the parts of a cluster that are
/// not here: SOPS' key.
pub fn kustomizations(url: &str) -> String {
    let mut objects = example("flux/kustomizations.yaml");
    for object in &mut objects {
        let spec = object["spec"].as_object_mut().unwrap();
        spec.remove("decryption");
        // So that a fault shows within the test's patience.
        spec.insert("retryInterval".to_owned(), json!("2s"));
    }
    objects.push(json!({
        "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
        "metadata": {"name": "flux-system", "namespace": FLUX},
        "spec": {"interval": "1m", "url": url, "ref": {"branch": "main"}},
    }));
    json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()
}

/// The CRD as Git has it; an older one doesn't have this field.
pub fn definition(without: Option<&str>) -> String {
    let mut crd = serde_json::to_value(directory_sync::api::crd::crd()).unwrap();
    let fields = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    if let Some(field) = without {
        let fields = crd.pointer_mut(fields).unwrap().as_object_mut().unwrap();
        assert!(fields.remove(field).is_some());
    }
    crd.to_string()
}

pub const CRD: &str = "infrastructure/directory-sync/crd.yaml";
pub const STAFF: &str = "identity/staff.yaml";
const AFTER: &str = "vault-collections/after.yaml";
/// A field that the older CRD doesn't have.
const NEW_FIELD: &str = "driftCheckInterval";

#[tokio::test(flavor = "multi_thread")]
async fn flux_orders_judges_corrects_upgrades_and_prunes() {
    let Some(sandbox) = Sandbox::enter() else {
        return;
    };
    let Some(parts) = or_skip("Flux", Parts::find()) else {
        return;
    };
    let world = world().await;
    let git = GitServer::start().await.unwrap();
    let flux = Flux::start(&world, &parts, sandbox.folder());
    sandbox.say("Flux is ready");

    let staff = |spec: Value| crate::staff(&world, &spec);
    let after = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "after", "namespace": NAMESPACE}, "data": {"everybody": "is in sync"},
    });
    let (plain, after) = (staff(json!({})), after.to_string());
    let older = definition(Some(NEW_FIELD));
    let first = git
        .commit(&[
            (CRD, Some(&older)),
            (STAFF, Some(&plain)),
            (AFTER, Some(&after)),
        ])
        .unwrap();
    world.server().apply(&kustomizations(&git.url())).unwrap();

    // Order: what depends on synced members waits for them, and they for an operator.
    flux.until_applied("directory-sync-operator", &first);
    flux.until(
        "identity",
        "the resource is applied, and waited for",
        |object| {
            let waits = true_condition(object, "Reconciling");
            waits.is_some() && !get(&world, "dsync", NAMESPACE, "staff").is_null()
        },
    );
    flux.until(
        "vault-collections",
        "its dependency isn't ready",
        |object| object.to_string().contains("DependencyNotReady"),
    );
    assert!(get(&world, "configmap", NAMESPACE, "after").is_null());
    let operator = world.operator();
    flux.until_applied("identity", &first);
    flux.until_applied("vault-collections", &first);
    assert!(!get(&world, "configmap", NAMESPACE, "after").is_null());
    assert_eq!(world.organization.snapshot().members.len(), 11);
    sandbox.say("the operator's resource is healthy, and what depends on it was applied after it");

    // Drift: what somebody changed by hand is put back.
    world
        .patch("staff", json!({"spec": {"interval": "3h"}}))
        .await;
    flux.reconcile("identity");
    world
        .until("staff", "the interval of Git", |object| {
            serde_json::to_value(&object.spec).unwrap()["interval"] == "1h"
        })
        .await;
    flux.until_applied("identity", &first);
    // Annotations that aren't in Git stay.
    world
        .annotate("staff", "directorysync.dev/sync-requested-at", "by-hand")
        .await;
    flux.reconcile("identity");
    flux.until_applied("identity", &first);
    let kept = get(&world, "dsync", NAMESPACE, "staff");
    let kept = &kept["metadata"]["annotations"]["directorysync.dev/sync-requested-at"];
    assert_eq!(kept, "by-hand");
    sandbox.say("drift is corrected");

    // A held removal stops nobody's deployment.
    world.leave(0..7);
    world
        .annotate("staff", "directorysync.dev/sync-requested-at", "left")
        .await;
    world.until_ready("staff", "RemovalsHeld").await;
    let held = git
        .commit(&[(AFTER, Some(&after.replace("is in sync", "stays")))])
        .unwrap();
    flux.reconcile("identity");
    flux.until_applied("identity", &held);
    flux.until_applied("vault-collections", &held);
    assert_eq!(world.revoked(), 0);
    sandbox.say("with removals held, Flux goes on");

    // Suspended in Git.
    let suspended = git
        .commit(&[(STAFF, Some(&staff(json!({"suspend": true}))))])
        .unwrap();
    flux.reconcile("identity");
    flux.until_applied("identity", &suspended);
    world.until_ready("staff", "Suspended").await;

    // A mistake that needs a change fails at once, with the message; mending it heals.
    let wrong = json!({"externalIdPrefix": "x".repeat(400)});
    let _refused = git.commit(&[(STAFF, Some(&staff(wrong)))]).unwrap();
    flux.reconcile("identity");
    flux.until("identity", "the API server's refusal", |object| {
        object.to_string().contains("externalIdPrefix")
    });
    let no_secret = json!({"organization": {
        "serverUrl": world.organization.url(), "credentialsSecretRef": {"name": "nowhere"},
    }});
    git.commit(&[(STAFF, Some(&staff(no_secret)))]).unwrap();
    flux.reconcile("identity");
    flux.until("identity", "the resource's health", |object| {
        object.to_string().contains("nowhere") || object.to_string().contains("HealthCheckFailed")
    });
    let mended = git.commit(&[(STAFF, Some(&plain))]).unwrap();
    flux.reconcile("identity");
    flux.until_applied("identity", &mended);
    sandbox.say("mistakes are told, and heal");

    // An upgrade of the CRD keeps the resources.
    let uid = get(&world, "dsync", NAMESPACE, "staff")["metadata"]["uid"].clone();
    let upgraded = git.commit(&[(CRD, Some(&definition(None)))]).unwrap();
    flux.reconcile("directory-sync-operator");
    flux.until_applied("directory-sync-operator", &upgraded);
    let newer = git
        .commit(&[(STAFF, Some(&staff(json!({NEW_FIELD: "2h"}))))])
        .unwrap();
    flux.reconcile("identity");
    flux.until_applied("identity", &newer);
    let now = get(&world, "dsync", NAMESPACE, "staff");
    assert_eq!(now["metadata"]["uid"], uid);
    assert_eq!(now["spec"][NEW_FIELD], "2h");
    sandbox.say("the CRD is upgraded");

    // Prune: the resource goes; the organization keeps everybody.
    let members = world.organization.snapshot().members;
    git.commit(&[
        (STAFF, None),
        ("identity/none.yaml", Some(&after.replace("after", "none"))),
    ])
    .unwrap();
    flux.reconcile("identity");
    until(
        "the resource is pruned",
        || get(&world, "dsync", NAMESPACE, "staff"),
        Value::is_null,
        || flux.log(),
    );
    assert_eq!(world.organization.snapshot().members, members);
    operator.stop().await.unwrap();
}
