//! What a page takes for granted: a directory, an organization, an operator, files.
//!
//! Pages name things that no test machine has: `ldap.example.com`, Bitwarden's cloud, the namespace
//! `identity`. A scene says what stands for them here.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use simulators::lab::process::Process;
use simulators::lab::{Slapd, find, free_port};
use tempfile::TempDir;

use directory_sync_testing::command::program;
use directory_sync_testing::world::{Operator, World, quick};

use crate::blocks::of_page;
use crate::links::root;

pub struct Scene {
    folder: TempDir,
    world: World,
    operator: Option<Operator>,
    /// What stands in pages, and what stands for it here.
    adapt: Vec<(String, String)>,
    /// The server of the quickstart.
    directory: Option<(Process, u16)>,
}

impl Scene {
    pub async fn set(name: &str, page: &str) -> Self {
        match name {
            "in-sync" => Self::in_sync().await,
            "held" => Self::held().await,
            "cli" => Self::command_line().await,
            "first-sync" => Self::first_sync(page).await,
            "quickstart" => Self::quickstart().await,
            other => panic!("{page}: there is no scene {other}"),
        }
    }

    /// The resource `staff`, whose last run left nothing to do.
    async fn in_sync() -> Self {
        let (world, operator) = World::synced("docs").await;
        let mut scene = Self::of(world, Some(operator));
        scene.adapt_people();
        // Of other pages and tools.
        for name in ["clientSecret", "password"] {
            scene.file(name, "secret");
        }
        let made = rcgen::generate_simple_self_signed(["example.com".to_owned()]).unwrap();
        scene.file("cert.pem", &made.cert.pem());
        scene.file("ca.crt", &made.cert.pem());
        scene.file("key.pem", &made.signing_key.serialize_pem());
        let argo_cd = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "argocd-cm", "namespace": scene.world.namespace},
        });
        scene.world.apply(&argo_cd);
        scene.adapt.push((
            "argocd patch".into(),
            format!("{} patch", scene.world.namespace),
        ));
        scene
    }

    /// The same with removals that are held.
    async fn held() -> Self {
        let scene = Self::in_sync().await;
        scene.world.leave(0..5);
        let requested = "directorysync.dev/sync-requested-at";
        scene.world.annotate("staff", requested, "the scene").await;
        scene.world.until_ready("staff", "RemovalsHeld").await;
        scene
    }

    /// No cluster: the files `staff.yaml` and `secrets.yaml`, of an organization that was synced.
    async fn command_line() -> Self {
        let world = World::new("docs-cli").await;
        let mut scene = Self::of(world, None);
        scene.adapt_people();
        let manifest = serde_saphyr::to_string(&scene.world.manifest("staff")).unwrap();
        scene.file("staff.yaml", &manifest);
        let key = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "org", "namespace": scene.world.namespace},
            "stringData": {
                "clientId": scene.world.organization.client_id(),
                "clientSecret": scene.world.organization.client_secret(),
            },
        });
        scene.file("secrets.yaml", &serde_saphyr::to_string(&key).unwrap());
        let words = "sync -f staff.yaml -f secrets.yaml --yes";
        let synced = Command::new(program())
            .args(words.split(' '))
            .current_dir(scene.folder())
            .env_clear()
            .envs(scene.environment())
            .output()
            .unwrap();
        assert!(synced.status.success(), "{synced:?}");
        scene
    }

    /// Pages speak of Ann and of Engineering.
    fn adapt_people(&mut self) {
        self.adapt
            .push(("ann@example.com".into(), "p07@example.com".into()));
        self.adapt.push(("Engineering".into(), "everyone".into()));
    }

    /// An operator without resources, and the file that the page tells to write.
    async fn first_sync(page: &str) -> Self {
        let world = World::new("docs-first").await;
        let namespace = format!("{}-identity", world.namespace);
        let operator = world.operator_in(&[&namespace], quick());
        let mut scene = Self::of(world, Some(operator));
        let mut manifest = of_page(page)
            .iter()
            .filter(|block| block.language == "yaml")
            .find_map(|block| {
                let manifest: Value = serde_saphyr::from_str(&block.text).unwrap();
                (manifest["kind"] == "DirectorySync").then_some(manifest)
            })
            .expect("the page has a manifest");
        manifest["metadata"]["namespace"] = namespace.clone().into();
        manifest["spec"]["organization"] = json!({
            "serverUrl": scene.world.organization.url(),
            "credentialsSecretRef": {"name": "bitwarden-org"},
        });
        manifest["spec"]["source"]["ldap"]["url"] = scene.world.slapd.url().into();
        scene.file("staff.yaml", &serde_saphyr::to_string(&manifest).unwrap());
        scene.file("clientSecret", &scene.world.organization.client_secret());
        scene.file("password", Slapd::ROOT_PASSWORD);
        let account = "organization.00000000-0000-0000-0000-000000000000";
        let id = scene.world.organization.client_id();
        let root_dn = scene.world.slapd.root_dn();
        scene.adapt = vec![
            ("identity".into(), namespace),
            (account.into(), id),
            ("cn=reader,dc=example,dc=com".into(), root_dn),
        ];
        scene
    }

    /// The directory of examples/kind, as its pod would run it, and an operator without resources.
    async fn quickstart() -> Self {
        let world = World::new("docs-kind").await;
        let operator = world.operator();
        let mut scene = Self::of(world, Some(operator));
        let port = free_port().unwrap();
        let example = root().join("examples/kind");
        let documents = std::fs::read_to_string(example.join("openldap.yaml")).unwrap();
        let documents: Vec<Value> = serde_saphyr::from_multiple(&documents).unwrap();
        let files = documents.iter().find(|d| d["kind"] == "ConfigMap").unwrap();
        let here = scene.folder.path().join("directory");
        std::fs::create_dir(&here).unwrap();
        for (name, text) in files["data"].as_object().unwrap() {
            let text = text.as_str().unwrap();
            let text = text.replace("/tmp/", &format!("{}/", here.display()));
            scene.file(name, &text);
        }
        std::fs::create_dir(here.join("directory")).unwrap();
        let config = scene.folder.path().join("slapd.conf");
        let slapd = find("slapd").unwrap();
        let added = Command::new(slapd.with_file_name("slapadd"))
            .args(["-f", config.to_str().unwrap(), "-l", "company.ldif"])
            .current_dir(scene.folder.path())
            .output()
            .unwrap();
        assert!(added.status.success(), "{added:?}");
        let url = format!("ldap://127.0.0.1:{port}");
        let arguments = ["-d", "none", "-f", config.to_str().unwrap(), "-h", &url];
        let mut slapd = Process::start(&slapd, arguments, &here).unwrap();
        slapd.wait_for_port(port).unwrap();
        scene.directory = Some((slapd, port));

        let account = documents.iter().find(|d| d["kind"] == "Secret").unwrap();
        let mut account = account.clone();
        account["metadata"]["namespace"] = scene.world.namespace.clone().into();
        scene.world.apply(&account);
        let trial = std::fs::read_to_string(example.join("trial.yaml")).unwrap();
        let mut trial: Value = serde_saphyr::from_str(&trial).unwrap();
        trial["metadata"]["namespace"] = scene.world.namespace.clone().into();
        trial["spec"]["source"]["ldap"]["url"] = url.into();
        let organization = trial["spec"]["organization"].as_object_mut().unwrap();
        organization.remove("region");
        organization.insert("serverUrl".into(), scene.world.organization.url().into());
        std::fs::create_dir_all(scene.folder.path().join("examples/kind")).unwrap();
        let trial = serde_saphyr::to_string(&trial).unwrap();
        scene.file("examples/kind/trial.yaml", &trial);
        scene.file("clientId", &scene.world.organization.client_id());
        scene.file("clientSecret", &scene.world.organization.client_secret());
        scene
    }

    fn of(world: World, operator: Option<Operator>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let bin = folder.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        for name in ["directory-sync", "kubectl-directorysync"] {
            symlink(program(), bin.join(name)).unwrap();
        }
        let adapt = vec![("identity".to_owned(), world.namespace.clone())];
        let scene = Self {
            folder,
            world,
            operator,
            adapt,
            directory: None,
        };
        for name in ["charts", "deploy", "docs"] {
            symlink(root().join(name), scene.folder().join(name)).unwrap();
        }
        symlink(find("helm").unwrap(), bin.join("helm")).unwrap();
        // There is no kubelet: what a page runs in the pod of the directory is run beside it.
        let kubectl = scene.world.server().kubectl().get_program().to_owned();
        let script = format!(
            "#!/usr/bin/env bash\n\
             if [[ \" $* \" == *' exec '* ]]; then\n\
             \x20 while [[ $1 != -- ]]; do shift; done\n\
             \x20 shift; program=$1; shift\n\
             \x20 exec \"$program\" -H \"$DIRECTORY\" \"$@\"\n\
             fi\n\
             exec {} \"$@\"\n",
            kubectl.to_str().unwrap()
        );
        scene.file("bin/kubectl", &script);
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(bin.join("kubectl"), executable).unwrap();
        scene
    }

    fn file(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A script of a page as it has to be here.
    pub fn adapted(&self, script: &str) -> String {
        let replaced =
            |script: String, (there, here): &(String, String)| script.replace(there, here);
        self.adapt.iter().fold(script.to_owned(), replaced)
    }

    pub fn environment(&self) -> Vec<(String, String)> {
        let folder = self.folder.path();
        let path = std::env::var("PATH").unwrap_or_default();
        let kubeconfig = self.world.server().kubeconfig();
        // Where no namespace is said, it is the one that the page is about.
        let here = folder.join("kubeconfig");
        if !here.exists() {
            std::fs::copy(kubeconfig, &here).unwrap();
            let mut kubectl = self.world.server().kubectl();
            let namespace = format!("--namespace={}", self.adapt[0].1);
            let set = ["config", "set-context", "--current", &namespace];
            let done = kubectl.args(set).env("KUBECONFIG", &here).output().unwrap();
            assert!(done.status.success(), "{done:?}");
        }
        let text = |path: PathBuf| path.to_str().unwrap().to_owned();
        let port = self.directory.as_ref().map_or(0, |(_, port)| *port);
        vec![
            (
                "PATH".into(),
                format!("{}:{path}", text(folder.join("bin"))),
            ),
            ("HOME".into(), text(folder.to_owned())),
            ("KUBECONFIG".into(), text(here)),
            ("DIRECTORY".into(), format!("ldap://127.0.0.1:{port}")),
        ]
    }

    pub async fn end(mut self) {
        if let Some(operator) = self.operator.take() {
            operator.stop().await.unwrap();
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        // Asked to end, slapd waits for the operator that watches it.
        if let Some((slapd, _)) = &mut self.directory {
            slapd.kill();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_manifests_of_the_quickstart_are_accepted() {
    let world = World::new("docs-manifests").await;
    for file in ["openldap.yaml", "trial.yaml"] {
        let path = root().join("examples/kind").join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.replace("identity", &world.namespace);
        world.server().apply(&text).unwrap();
    }
}
