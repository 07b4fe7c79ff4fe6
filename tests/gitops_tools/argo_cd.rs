//! Argo CD's application-controller and repo-server, with Redis.

use std::path::{Path, PathBuf};
use std::process::Command;

use directory_sync_testing::world::World;
use serde_json::{Value, json};
use simulators::lab::process::Process;
use simulators::lab::{GitServer, LabError, Sandbox, find, free_port, or_skip};

use crate::{NAMESPACE, end_of, example, get, say_available, until, until_established, world};

const ARGO_CD: &str = "argocd";

/// What of Argo CD is on this machine.
struct Parts {
    program: PathBuf,
    definitions: PathBuf,
    redis: PathBuf,
    helm: PathBuf,
}

impl Parts {
    fn find() -> Result<Self, LabError> {
        Ok(Self {
            program: find("argo-cd")?,
            definitions: find("argo-cd-crds")?,
            redis: find("redis")?,
            helm: find("helm")?,
        })
    }
}

/// The controllers, as they run in a cluster.
struct ArgoCd<'a> {
    world: &'a World,
    _redis: Process,
    repo_server: Process,
    controller: Process,
}

impl<'a> ArgoCd<'a> {
    fn start(world: &'a World, parts: &Parts, folder: &Path) -> Self {
        let server = world.server();
        server
            .run_kubectl(&["create", "namespace", ARGO_CD])
            .unwrap();
        for kind in ["application", "applicationset", "appproject"] {
            let file = parts.definitions.join(format!("{kind}-crd.yaml"));
            let apply = ["apply", "--server-side", "-f", file.to_str().unwrap()];
            server.run_kubectl(&apply).unwrap();
        }
        until_established(world.server());
        let part_of = json!({"app.kubernetes.io/part-of": "argocd"});
        let object = |kind: &str, name: &str| {
            json!({
                "apiVersion": "v1", "kind": kind,
                "metadata": {"name": name, "namespace": ARGO_CD, "labels": part_of},
            })
        };
        let mut secret = object("Secret", "argocd-secret");
        secret["stringData"] = json!({"server.secretkey": "of no use here"});
        let project = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AppProject",
            "metadata": {"name": "default", "namespace": ARGO_CD},
            "spec": {
                "sourceRepos": ["*"],
                "destinations": [{"server": "*", "namespace": "*"}],
                "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
            },
        });
        for one in [
            object("ConfigMap", "argocd-cm"),
            object("ConfigMap", "argocd-rbac-cm"),
            secret,
            project,
        ] {
            world.apply(&one);
        }
        // As docs/argo-cd.md says.
        let patch = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/argocd/argocd-cm.yaml");
        let patch = [
            "-n",
            ARGO_CD,
            "patch",
            "configmap",
            "argocd-cm",
            "--patch-file",
            patch.to_str().unwrap(),
        ];
        server.run_kubectl(&patch).unwrap();

        let start = |name: &str, command: &mut Command| {
            let own = folder.join(name);
            std::fs::create_dir_all(&own).unwrap();
            let path = std::env::var("PATH").unwrap_or_default();
            let helm = parts.helm.parent().unwrap().display();
            command.env("KUBECONFIG", server.kubeconfig());
            // "In the cluster" means the one that the kubeconfig names.
            command.env("ARGOCD_FAKE_IN_CLUSTER", "true");
            command.env("ARGOCD_GPG_ENABLED", "false");
            command.env("PATH", format!("{helm}:{path}"));
            command.env("TMPDIR", &own);
            command.env("HOME", &own);
            let log = folder.join(format!("{name}.log"));
            Process::spawn(command, &own, &log).unwrap()
        };
        let port = || free_port().unwrap();
        let (redis_port, repo_port, metrics) = (port(), port(), port());
        let mut redis = Command::new(&parts.redis);
        redis.args([
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--port",
            &redis_port.to_string(),
        ]);
        let mut redis = start("redis", &mut redis);
        redis.wait_for_port(redis_port).unwrap();
        let common = [
            format!("--redis=127.0.0.1:{redis_port}"),
            format!("--namespace={ARGO_CD}"),
        ];
        let mut command = Command::new(&parts.program);
        command.args([
            "argocd-repo-server",
            "--disable-tls",
            "--address=127.0.0.1",
            "--metrics-address=127.0.0.1",
        ]);
        command.args([
            format!("--port={repo_port}"),
            format!("--metrics-port={}", port()),
        ]);
        command.arg(&common[0]);
        let mut repo_server = start("repo-server", &mut command);
        repo_server.wait_for_port(repo_port).unwrap();
        let mut command = Command::new(&parts.program);
        command.args([
            "argocd-application-controller",
            "--repo-server-plaintext",
            "--app-resync=10",
            "--persist-resource-health",
        ]);
        command.args([
            format!("--repo-server=127.0.0.1:{repo_port}"),
            format!("--metrics-port={metrics}"),
        ]);
        command.args(common);
        let mut controller = start("application-controller", &mut command);
        controller.wait_for_port(metrics).unwrap();
        Self {
            world,
            _redis: redis,
            repo_server,
            controller,
        }
    }

    fn log(&self) -> String {
        format!(
            "{}\n{}",
            end_of(&self.repo_server.log()),
            end_of(&self.controller.log())
        )
    }

    /// Waits until an application is as it should be.
    #[track_caller]
    fn until(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let look = || get(self.world, "application.argoproj.io", ARGO_CD, name);
        until(&format!("{name}: {what}"), look, holds, || self.log())
    }

    /// Waits until it has this health, and no difference from this commit.
    #[track_caller]
    fn until_in_sync(&self, name: &str, commit: &str, health: &str) -> Value {
        self.refresh(name);
        self.until(name, &format!("{health} at {commit}"), |object| {
            let status = &object["status"];
            status["sync"]["status"] == "Synced"
                && status["sync"]["revision"] == commit
                && status["health"]["status"] == health
                && status["operationState"]["phase"] == "Succeeded"
        })
    }

    /// `argocd app delete NAME`, with all that it has. There is no garbage collector, which ends a deletion in the
    /// foreground.
    fn delete(&self, name: &str) {
        let application = format!("application/{name}");
        let finalizers =
            r#"{"metadata":{"finalizers":["resources-finalizer.argocd.argoproj.io/background"]}}"#;
        let all: [&[&str]; 2] = [
            &["patch", &application, "--type=merge", "-p", finalizers],
            &["delete", &application, "--wait=false"],
        ];
        for arguments in all {
            let arguments = [&["-n", ARGO_CD], arguments].concat();
            self.world.server().run_kubectl(&arguments).unwrap();
        }
        self.until(name, "it is deleted", Value::is_null);
    }

    /// `argocd app get NAME --refresh`, by its annotation.
    fn refresh(&self, name: &str) {
        let application = format!("application/{name}");
        let annotate = [
            "-n",
            ARGO_CD,
            "annotate",
            "--overwrite",
            &application,
            "argocd.argoproj.io/refresh=normal",
        ];
        self.world.server().run_kubectl(&annotate).unwrap();
    }
}

/// The health of a resource in an application, with its message.
fn health_of(application: &Value, kind: &str) -> (String, String) {
    let resources = application
        .pointer("/status/resources")
        .and_then(Value::as_array);
    let found = resources
        .into_iter()
        .flatten()
        .find(|one| one["kind"] == kind);
    let text = |field: &str| {
        let value = found.and_then(|one| one.pointer(&format!("/health/{field}")));
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    (text("status"), text("message"))
}

/// The example's applications, from a repository of this address.
fn applications(url: &str) -> [Value; 2] {
    let mut objects: [Value; 2] = example("argo-cd/applications.yaml").try_into().unwrap();
    let chart = objects[0]["spec"]["source"].as_object_mut().unwrap();
    chart.remove("chart");
    chart.insert("path".to_owned(), json!("charts/directory-sync-operator"));
    chart.insert("targetRevision".to_owned(), json!("main"));
    for object in &mut objects {
        object["spec"]["source"]["repoURL"] = json!(url);
        // There is no garbage collector, which ends a deletion in the foreground.
        let options = object["spec"]["syncPolicy"]["syncOptions"].as_array_mut();
        options
            .unwrap()
            .push(json!("PrunePropagationPolicy=background"));
    }
    objects
}

const STAFF: &str = "production/staff.yaml";
const AFTER: &str = "production/after.yaml";

#[tokio::test(flavor = "multi_thread")]
async fn argo_cd_installs_orders_judges_heals_and_prunes() {
    let Some(sandbox) = Sandbox::enter() else {
        return;
    };
    let Some(parts) = or_skip("Argo CD", Parts::find()) else {
        return;
    };
    let world = world().await;
    let git = GitServer::start().await.unwrap();
    let argo_cd = ArgoCd::start(&world, &parts, sandbox.folder());
    sandbox.say("Argo CD is ready");

    let staff = |spec: Value| crate::staff(&world, &spec);
    let after = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {
            "name": "after", "namespace": NAMESPACE,
            "annotations": {"argocd.argoproj.io/sync-wave": "1"},
        },
        "data": {"everybody": "is in sync"},
    });
    let (plain, after) = (staff(json!({})), after.to_string());
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/directory-sync-operator");
    git.copy(&chart, "charts/directory-sync-operator").unwrap();
    let first = git
        .commit(&[(STAFF, Some(&plain)), (AFTER, Some(&after))])
        .unwrap();

    // The chart: healthy once its Deployment is.
    let [operator, identity] = applications(&git.url());
    world.apply(&operator);
    argo_cd.until(
        "directory-sync-operator",
        "the chart is applied",
        |object| object["status"]["sync"]["status"] == "Synced",
    );
    let deployments = ["-n", "directory-sync", "get", "deployments", "-o", "name"];
    let deployment = world.server().run_kubectl(&deployments).unwrap();
    let deployment = deployment.trim().rsplit('/').next().unwrap();
    say_available(world.server(), deployment);
    argo_cd.until_in_sync("directory-sync-operator", &first, "Healthy");
    sandbox.say("the chart is installed, without a difference");

    // Sync waves: the second begins when everybody is in sync.
    world.apply(&identity);
    argo_cd.until("identity", "the resource is waited for", |object| {
        health_of(object, "DirectorySync").0 == "Progressing"
            || object["status"]["operationState"]["message"]
                .to_string()
                .contains("waiting for healthy state")
    });
    assert!(get(&world, "configmap", NAMESPACE, "after").is_null());
    let running = world.operator();
    argo_cd.until_in_sync("identity", &first, "Healthy");
    assert!(!get(&world, "configmap", NAMESPACE, "after").is_null());
    assert_eq!(world.organization.snapshot().members.len(), 11);
    sandbox.say("the second wave began when everybody was in sync");

    // No difference after more runs, and what somebody changed is put back.
    world
        .annotate("staff", "directorysync.dev/sync-requested-at", "by-hand")
        .await;
    world
        .until("staff", "the requested run", |object| {
            object
                .status
                .as_ref()
                .unwrap()
                .last_handled_sync_request
                .as_deref()
                == Some("by-hand")
        })
        .await;
    argo_cd.until_in_sync("identity", &first, "Healthy");
    world
        .patch("staff", json!({"spec": {"interval": "3h"}}))
        .await;
    world
        .until("staff", "the interval of Git", |object| {
            serde_json::to_value(&object.spec).unwrap()["interval"] == "1h"
        })
        .await;
    argo_cd.until_in_sync("identity", &first, "Healthy");
    sandbox.say("no difference, and drift is healed");

    // Held removals are healthy, and told.
    world.leave(0..7);
    world
        .annotate("staff", "directorysync.dev/sync-requested-at", "left")
        .await;
    world.until_ready("staff", "RemovalsHeld").await;
    argo_cd.refresh("identity");
    argo_cd.until("identity", "the message tells of held removals", |object| {
        let (health, message) = health_of(object, "DirectorySync");
        health == "Healthy" && message.contains("held")
    });
    assert_eq!(world.revoked(), 0);
    argo_cd.until_in_sync("identity", &first, "Healthy");

    // Suspended in Git, with nothing after it, which would wait; a mistake that needs a change; mended.
    let alone = git.commit(&[(AFTER, None)]).unwrap();
    argo_cd.until_in_sync("identity", &alone, "Healthy");
    assert!(get(&world, "configmap", NAMESPACE, "after").is_null());
    let suspended = staff(json!({"suspend": true}));
    let suspended = git.commit(&[(STAFF, Some(&suspended))]).unwrap();
    argo_cd.until_in_sync("identity", &suspended, "Suspended");
    let no_secret = json!({"organization": {
        "serverUrl": world.organization.url(), "credentialsSecretRef": {"name": "nowhere"},
    }});
    git.commit(&[(STAFF, Some(&staff(no_secret)))]).unwrap();
    argo_cd.refresh("identity");
    argo_cd.until("identity", "the mistake shows", |object| {
        object["status"]["health"]["status"] == "Degraded"
    });
    let mended = git.commit(&[(STAFF, Some(&plain))]).unwrap();
    argo_cd.until_in_sync("identity", &mended, "Healthy");
    sandbox.say("held, suspended and mistaken resources are judged as the documentation says");

    // With the operator's application its Deployment goes; the CRD and the resources stay.
    let uid = || get(&world, "dsync", NAMESPACE, "staff")["metadata"]["uid"].clone();
    let before = uid();
    assert!(before.is_string());
    argo_cd.delete("directory-sync-operator");
    let deployment = get(&world, "deployment", "directory-sync", deployment);
    assert!(deployment.is_null(), "{deployment}");
    assert_eq!(uid(), before);
    sandbox.say("without the operator's application the resources are still there");

    // Prune: the resource goes; the organization keeps everybody.
    let members = world.organization.snapshot().members;
    git.commit(&[(STAFF, None), (AFTER, Some(&after))]).unwrap();
    argo_cd.refresh("identity");
    until(
        "the resource is pruned",
        || get(&world, "dsync", NAMESPACE, "staff"),
        Value::is_null,
        || argo_cd.log(),
    );
    assert_eq!(world.organization.snapshot().members, members);
    running.stop().await.unwrap();
}
