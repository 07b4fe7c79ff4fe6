use std::fs;
use std::path::Path;

use secrecy::ExposeSecret;
use tempfile::TempDir;

use super::*;

const STAFF: &str = "\
apiVersion: directorysync.dev/v1alpha1
kind: DirectorySync
metadata: {name: staff, namespace: identity}
spec:
  organization:
    serverUrl: https://vault.example.com
    credentialsSecretRef: {name: bitwarden}
  source:
    ldap:
      url: ldaps://ldap.example.com
      baseDn: dc=example,dc=com
";

const SECRET: &str = "\
apiVersion: v1
kind: Secret
metadata: {name: bitwarden, namespace: identity}
data: {clientId: b3JnYW5pemF0aW9uLjE=, clientSecret: c2VjcmV0LWluLWRhdGE=}
stringData: {clientSecret: hunter2}
";

#[test]
fn documents_of_all_files_are_taken_together_and_other_kinds_are_noted() {
    let files = Files::new(&[
        ("staff.yaml", &format!("# ours\n---\n{STAFF}---\n{SECRET}")),
        (
            "more.json",
            r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "ca", "namespace": "identity"}, "data": {"ca.crt": "PEM"}}"#,
        ),
        (
            "web.yml",
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n",
        ),
        ("notes.txt", "not: [a manifest"),
    ]);

    let manifests = files.load("-f .").unwrap();

    assert_eq!(names(&manifests), ["identity/staff"]);
    let secret = manifests.secret("identity", "bitwarden").unwrap().unwrap();
    assert_eq!(secret["clientId"].expose_secret(), b"organization.1");
    assert_eq!(secret["clientSecret"].expose_secret(), b"hunter2");
    let bundle = manifests.config_map("identity", "ca").unwrap();
    assert_eq!(bundle["ca.crt"].expose_secret(), b"PEM");
    let [note] = manifests.notes.as_slice() else {
        panic!("one note was expected: {:?}", manifests.notes);
    };
    assert!(
        note.contains("web.yml") && note.contains("Deployment web"),
        "{note}"
    );
}

#[test]
fn lists_as_kubectl_prints_them_are_opened() {
    let indented = |text: &str| text.replace('\n', "\n  ");
    let list = format!(
        "apiVersion: v1\nkind: List\nitems:\n- {}\n- {}\n",
        indented(STAFF.trim_end()),
        indented(SECRET.trim_end())
    );
    let files = Files::new(&[("list.yaml", &list)]);

    let manifests = files.load("-f list.yaml").unwrap();

    assert_eq!(names(&manifests), ["identity/staff"]);
    assert!(manifests.secret("identity", "bitwarden").unwrap().is_some());
}

#[test]
fn directories_are_read_deeply_only_when_asked() {
    let files = Files::new(&[("top.yaml", STAFF), ("below/secret.yaml", SECRET)]);

    let shallow = files.load("-f .").unwrap();
    assert!(shallow.secret("identity", "bitwarden").unwrap().is_none());
    let deep = files.load("-f . -R").unwrap();
    assert!(deep.secret("identity", "bitwarden").unwrap().is_some());

    let files = Files::new(&[("below/staff.yaml", STAFF)]);
    let error = files.load("-f .").unwrap_err().to_string();
    assert!(error.contains("-R"), "{error}");
}

#[test]
fn one_of_several_resources_is_chosen_by_namespace_and_name() {
    let other = STAFF.replace("name: staff, namespace: identity", "name: interns");
    let files = Files::new(&[("all.yaml", &format!("{STAFF}---\n{other}"))]);

    let chosen = |flags: &str| files.load(flags).map(|manifests| names(&manifests));
    assert_eq!(
        chosen("-f .").unwrap(),
        ["identity/staff", "default/interns"]
    );
    assert_eq!(chosen("-f . --name interns").unwrap(), ["default/interns"]);
    // As with kubectl, the namespace is that of manifests without one, too.
    assert_eq!(
        chosen("-f . -n identity").unwrap(),
        ["identity/staff", "identity/interns"]
    );
    assert_eq!(
        chosen("-f . -n identity --name staff").unwrap(),
        ["identity/staff"]
    );
    let error = chosen("-f . --name guests").unwrap_err().to_string();
    assert!(error.contains("identity/staff, default/interns"), "{error}");
}

#[test]
fn broken_yaml_is_reported_with_file_document_and_line() {
    let files = Files::new(&[(
        "staff.yaml",
        &format!("{STAFF}---\nkind: Secret\n  oops: [1\n"),
    )]);

    let error = files.load("-f staff.yaml").unwrap_err().to_string();

    assert!(error.contains("staff.yaml, document 2, line 1"), "{error}");
    assert!(error.contains("no valid YAML"), "{error}");

    let text = format!("# ours\n---\n{STAFF}---\nkind: Secret\n  oops: [1\n");
    let files = Files::new(&[("staff.yaml", &text)]);
    let error = files.load("-f staff.yaml").unwrap_err().to_string();
    assert!(error.contains("staff.yaml, document 2, line 1"), "{error}");
}

#[test]
fn an_unknown_field_is_refused_with_its_line_and_the_nearest_name() {
    let misspelt = format!("{STAFF}  users:\n    exlude: [\"svc-*\"]\n");
    let files = Files::new(&[("staff.yaml", &misspelt)]);
    let error = files.load("-f staff.yaml").unwrap_err().to_string();
    assert!(error.contains("document 1, line 13"), "{error}");
    assert!(
        error.contains("spec.users.exlude: did you mean exclude?"),
        "{error}"
    );

    let strange = format!("{STAFF}  users: {{blocklist: []}}\n");
    let files = Files::new(&[("staff.yaml", &strange)]);
    let error = files.load("-f staff.yaml").unwrap_err().to_string();
    assert!(error.contains("it can be exclude, include"), "{error}");
}

#[test]
fn a_list_or_text_that_a_cluster_would_refuse_is_refused_with_its_line() {
    let long = "x".repeat(101);
    for (rest, says) in [
        (
            "  access:\n    collections:\n    - {group: infra, exclusive: true, collections: []}\n",
            "line 14: spec.access.collections[0].collections: is empty; give at least 1, or take the field out",
        ),
        (
            "  access:\n    collections:\n    - {group: a, collections: [{externalId: \"\", access: View}]}\n",
            "line 14: spec.access.collections[0].collections[0].externalId: is empty",
        ),
        (
            &format!("  access:\n    roles: [{{group: {long}, role: Admin}}]\n"),
            "line 13: spec.access.roles[0].group: has 101 characters, and can have at most 100",
        ),
    ] {
        let files = Files::new(&[("staff.yaml", &format!("{STAFF}{rest}"))]);
        let error = files.load("-f staff.yaml").unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_value_of_the_wrong_type_is_refused_with_its_line_and_path() {
    let wrong = STAFF.replace("baseDn: dc=example,dc=com", "baseDn: [dc=example]");
    let files = Files::new(&[("staff.yaml", &wrong)]);

    let error = files.load("-f staff.yaml").unwrap_err().to_string();

    assert!(
        error.contains("line 11: spec.source.ldap.baseDn: invalid type"),
        "{error}"
    );
}

#[test]
fn what_is_wrong_with_a_secret_is_said_without_its_value() {
    for (wrong, says) in [
        (
            r#"data: {clientSecret: "hunter2!"}"#,
            "data.clientSecret isn't base64",
        ),
        (
            "stringData: {clientSecret: 4711}",
            "stringData.clientSecret must be text",
        ),
        (
            "stringData: {clientSecret: hunter2, clientSecret: hunter2}",
            "no valid YAML",
        ),
        ("stringData: {clientSecret: \"hunter2\n}", "no valid YAML"),
    ] {
        let secret = format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\n{wrong}\n");
        let files = Files::new(&[("secret.yaml", &secret)]);

        let error = files.load("-f secret.yaml").unwrap_err();

        let said = format!("{error} {error:?}");
        assert!(said.contains(says), "{said}");
        assert!(
            said.contains("secret.yaml") && said.contains("line: 4"),
            "{said}"
        );
        assert!(
            !said.contains("hunter2") && !said.contains("4711"),
            "{said}"
        );
    }
}

#[test]
fn the_secret_directory_wins_over_manifests_key_by_key() {
    let files = Files::new(&[
        ("manifests/all.yaml", &format!("{STAFF}---\n{SECRET}")),
        ("secrets/bitwarden/clientSecret", "from-a-file"),
        ("secrets/bitwarden/..data", "not a key"),
        ("secrets/ldap/password", "line one"),
    ]);

    let manifests = files.load("-f manifests --secret-dir secrets").unwrap();

    let value = |name, key: &str| {
        let values = manifests.secret("identity", name).unwrap().unwrap();
        String::from_utf8(values[key].expose_secret().to_vec()).unwrap()
    };
    assert_eq!(value("bitwarden", "clientSecret"), "from-a-file");
    assert_eq!(value("bitwarden", "clientId"), "organization.1");
    assert_eq!(value("ldap", "password"), "line one");
    assert_eq!(
        manifests
            .secret("identity", "bitwarden")
            .unwrap()
            .unwrap()
            .len(),
        2
    );
    assert!(
        manifests
            .secret("identity", "../manifests")
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_secret_directory_that_isnt_there_is_an_error_at_once() {
    let files = Files::new(&[("staff.yaml", STAFF)]);

    let error = files
        .load("-f staff.yaml --secret-dir nowhere")
        .unwrap_err();

    assert!(error.to_string().contains("nowhere"), "{error}");
}

#[test]
fn values_may_be_binary() {
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {key: |\n  /wD+\n  /Q==}\n"
            .replace("{key: |\n  /wD+\n  /Q==}", "\n  key: |\n    /wD+\n    /Q==");
    let files = Files::new(&[("all.yaml", &format!("{STAFF}---\n{secret}"))]);

    let manifests = files.load("-f all.yaml").unwrap();

    let values = manifests.secret("default", "a").unwrap().unwrap();
    assert_eq!(values["key"].expose_secret(), [0xff, 0x00, 0xfe, 0xfd]);
}

#[test]
fn one_resource_twice_is_refused_with_both_places() {
    let files = Files::new(&[("a.yaml", STAFF), ("b.yaml", STAFF)]);

    let error = files.load("-f .").unwrap_err().to_string();

    assert!(
        error.contains("b.yaml") && error.contains("a.yaml"),
        "{error}"
    );
    assert!(error.contains("DirectorySync identity/staff"), "{error}");
}

#[test]
fn another_version_and_nothing_at_all_are_refused() {
    let files = Files::new(&[("staff.yaml", &STAFF.replace("v1alpha1", "v2"))]);
    let error = files.load("-f staff.yaml").unwrap_err().to_string();
    assert!(error.contains("directorysync.dev/v1alpha1"), "{error}");

    let files = Files::new(&[("secret.yaml", SECRET)]);
    let error = files.load("-f secret.yaml").unwrap_err().to_string();
    assert!(error.contains("no DirectorySync"), "{error}");
}

/// A folder with manifests, which flags name relative to it.
struct Files(TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn load(&self, flags: &str) -> Result<Manifests, ManifestError> {
        let words = ["directory-sync", "check"]
            .into_iter()
            .chain(flags.split_whitespace());
        let args = match <crate::cli::args::CommandLine as clap::Parser>::parse_from(words).command
        {
            crate::cli::args::Command::Check(args) => args.manifests,
            other => panic!("not a check: {other:?}"),
        };
        let here = |path: &Path| self.0.path().join(path);
        Manifests::load(&ManifestArgs {
            filenames: args.filenames.iter().map(|path| here(path)).collect(),
            secret_dir: args.secret_dir.as_deref().map(here),
            ..args
        })
    }
}

fn names(manifests: &Manifests) -> Vec<String> {
    let resources = manifests.resources().iter();
    resources
        .map(|resource| object_of(resource).to_string())
        .collect()
}

#[test]
fn a_file_that_is_too_large_for_a_secret_is_refused_and_not_read_to_its_end() {
    let files = Files::new(&[
        ("staff.yaml", STAFF),
        ("mounted/bitwarden/clientId", "mounted"),
    ]);
    let loaded = files.load("-f staff.yaml --secret-dir mounted").unwrap();
    assert!(loaded.secret("identity", "bitwarden").unwrap().is_some());

    // As sparse as it is, reading it would take all memory.
    let file = fs::File::create(files.0.path().join("mounted/bitwarden/clientSecret")).unwrap();
    file.set_len(1 << 40).unwrap();
    let error = loaded.secret("identity", "bitwarden").unwrap_err();
    let ManifestError::Read { path, source } = error else {
        panic!("{error}");
    };
    assert!(path.ends_with("clientSecret"), "{path}");
    assert!(source.to_string().contains("more than 1 MiB"), "{source}");
}
