//! Twelve files of the connector's, made by hand: six directories, three forms of the file. What becomes of
//! each is beside it. Then the first plan of each, with the organization that the connector (or SCIM, in three
//! ways, or somebody by hand) would have left.

use std::path::{Path, PathBuf};

use directory_sync_core_testing::{ModelOrganization, Run, TestDirectory, directory, organization};

use super::*;
use crate::directory::{AccountState, ExternalId};
use crate::organization::model::{MemberRole, MemberStatus};
use crate::problem::ProblemReason;
use crate::sync::plan::{GroupAction, Kind};
use crate::sync::policy::Policy;

/// What each organization was filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ids {
    /// By the connector, which takes DNs.
    Dns,
    /// By the connector, with the IDs that the source has here, too.
    Same,
    /// By SCIM, with IDs of its own.
    Scim,
    /// By SCIM, with the names of accounts (`mailNickname`).
    Nicknames,
    /// By hand: there are none.
    None,
}

const FIXTURES: [(&str, Ids); 14] = [
    ("01-ldap", Ids::Dns),
    ("02-ldap-start-tls-older", Ids::Dns),
    ("03-ldap-plain", Ids::Dns),
    ("04-active-directory", Ids::Same),
    ("05-active-directory-older", Ids::Dns),
    ("06-entra-id", Ids::Same),
    ("07-entra-id-scim", Ids::Scim),
    // `objectId`.
    ("07-entra-id-scim", Ids::Same),
    ("07-entra-id-scim", Ids::Nicknames),
    ("08-google", Ids::Same),
    ("09-google-older", Ids::Same),
    ("10-okta-scim", Ids::Scim),
    ("11-onelogin", Ids::Same),
    ("12-onelogin-by-hand", Ids::None),
];

fn folder(name: &str) -> PathBuf {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/adopt/fixtures");
    all.join(name)
}

/// The command line of a fixture.
fn arguments(name: &str, more: &[&str]) -> AdoptArgs {
    use clap::Parser as _;
    let from = folder(name);
    let from = from.to_str().unwrap();
    let words = ["directory-sync", "adopt", "--name", "staff", "--from", from];
    let words = words.into_iter().chain(more.iter().copied());
    let line = crate::cli::args::CommandLine::try_parse_from(words).unwrap();
    match line.command {
        crate::cli::args::Command::Adopt(args) => args,
        other => panic!("{other:?}"),
    }
}

fn of_fixture(name: &str) -> AdoptArgs {
    match name {
        "12-onelogin-by-hand" => arguments(name, &["--with-users", "--adopt-groups"]),
        "08-google" => arguments(
            name,
            &["--secrets", "external-secrets", "--secret-store", "vault"],
        ),
        _ => arguments(name, &[]),
    }
}

/// All files that are written, but for where they came from.
fn written(name: &str) -> (Vec<File>, DirectorySync) {
    let args = of_fixture(name);
    let from = args.from.clone().unwrap().join("data.json");
    let mut connector = read::read(&from, None).unwrap();
    connector.path = PathBuf::from("data.json");
    let choices = choices(&args).unwrap();
    let made = make(&connector, &choices, &args).unwrap();
    let resource = resource(&translate(&connector, &choices).unwrap(), &args);
    (made.files, resource.unwrap())
}

#[test]
fn what_becomes_of_each_file_is_beside_it() {
    for (name, _) in FIXTURES {
        let (files, _) = written(name);
        for file in files {
            let path = folder(name).join(file.name);
            if std::env::var_os("UPDATE_ADOPT").is_some() {
                std::fs::write(&path, &file.text).unwrap();
            }
            let expected = std::fs::read_to_string(&path).unwrap_or_default();
            let shown = path.display();
            assert_eq!(
                file.text, expected,
                "{shown}: run with UPDATE_ADOPT=1 if this was meant"
            );
        }
    }
}

#[test]
fn secrets_that_sops_is_to_encrypt_are_the_same_in_a_file_of_that_name() {
    let plain = made_with(&[]);
    let mut sops = made_with(&["--secrets", "sops"]);
    let [_, before, ..] = plain.files.as_slice() else {
        panic!("{:?}", plain.files);
    };
    let after = sops.files.remove(1);
    assert_eq!(
        (before.name, after.name),
        ("secrets.yaml", "secrets.sops.yaml")
    );
    assert_eq!(after.text, before.text);
    assert!(after.text.contains("stringData"), "{}", after.text);
    assert!(after.what.contains("sops --encrypt"), "{}", after.what);
    let note = fill_in(SecretsForm::Sops, Path::new("staff"));
    assert!(note.contains("before you encrypt it"), "{note}");
}

fn made_with(more: &[&str]) -> Made {
    let text = std::fs::read_to_string(folder("01-ldap").join("data.json")).unwrap();
    made_of(&text, more).unwrap()
}

#[test]
fn no_secret_is_on_the_page_or_in_the_resource() {
    for (name, _) in FIXTURES {
        for file in written(name).0 {
            if file.name.ends_with("secrets.yaml") && file.name != "external-secrets.yaml" {
                continue;
            }
            let shown = file.text.contains("-secret-") || file.text.contains("MIIB");
            assert!(!shown, "{name}: {}:\n{}", file.name, file.text);
        }
    }
}

fn policy_of(name: &str) -> Policy {
    let (_, resource) = written(name);
    ValidatedSpec::from_spec(&resource.spec).unwrap().policy
}

fn dn(name: &str) -> String {
    format!("uid={name},ou=people,dc=example,dc=com")
}

fn group_dn(name: &str) -> String {
    format!("cn={name},ou=groups,dc=example,dc=com")
}

/// A company as the source reads it here: everybody in Staff, Ann and Bob in Engineering.
fn company() -> TestDirectory {
    let mut directory = directory();
    for name in ["ann", "bob", "cid", "dan", "boss"] {
        let email = format!("{name}@example.com");
        directory = directory.entry(&dn(name), &format!("id-{name}"), &email);
    }
    let all = [
        "ann", "bob", "cid", "dan", "boss", "gone", "mute", "twin1", "twin2",
    ]
    .map(dn);
    let all = all.each_ref().map(String::as_str);
    directory
        // A disabled account that never came in, somebody without an email, two with one.
        .entry_in(
            &dn("gone"),
            "id-gone",
            "gone@example.com",
            AccountState::Disabled,
        )
        .entry(&dn("mute"), "id-mute", "")
        .entry(&dn("twin1"), "id-twin1", "twin@example.com")
        .entry(&dn("twin2"), "id-twin2", "twin@example.com")
        .group_entry(&group_dn("staff"), "id-staff", "Staff", &all)
        .group_entry(&group_dn("eng"), "id-eng", "Engineering", &all[..2])
}

impl Ids {
    fn of(self, name: &str, dn: &str) -> Option<ExternalId> {
        let text = match self {
            // As somebody wrote it before.
            Self::Dns if name == "cid" => dn.to_uppercase(),
            Self::Dns => dn.to_owned(),
            Self::Same => format!("id-{name}"),
            Self::Scim => format!("scim-{name}"),
            Self::Nicknames => name.to_owned(),
            Self::None => return None,
        };
        Some(ExternalId::parse(&text).unwrap())
    }

    /// Whether members are found without their email.
    fn tell(self) -> bool {
        matches!(self, Self::Dns | Self::Same)
    }

    /// The organization that was filled with the company, by hand in part.
    fn organization(self) -> ModelOrganization {
        let mut organization = organization().stranger("guest@example.com");
        let bob = match self.tell() {
            true => "bob.before@example.com",
            false => "bob@example.com",
        };
        use MemberStatus::{Confirmed, Invited, Revoked};
        let mut all = vec![
            ("ann", "ann@example.com", Confirmed, MemberRole::USER),
            ("bob", bob, Confirmed, MemberRole::USER),
            ("cid", "cid@example.com", Invited, MemberRole::USER),
            ("dan", "dan@example.com", Revoked, MemberRole::USER),
            ("boss", "boss@example.com", Confirmed, MemberRole::Owner),
            ("twin1", "twin@example.com", Confirmed, MemberRole::USER),
        ];
        if self.tell() {
            all.push(("mute", "mute@example.com", Confirmed, MemberRole::USER));
        }
        let mut emails = vec!["guest@example.com"];
        for (name, email, status, role) in all {
            organization.add(self.of(name, &dn(name)), email, status, role);
            emails.push(email);
        }
        let engineers = ["ann@example.com", bob];
        organization.add_group(self.of("staff", &group_dn("staff")), "Staff", &emails);
        organization.add_group(self.of("eng", &group_dn("eng")), "Engineering", &engineers);
        organization.add_group(None, "Made by hand", &["guest@example.com"]);
        organization
    }
}

#[test]
fn the_first_plan_invites_and_removes_nobody_and_links_everybody_who_can_be_recognized() {
    for (name, ids) in FIXTURES {
        let policy = policy_of(name);
        let syncs_groups = !policy
            .groups
            .exclude
            .iter()
            .any(|glob| glob.as_str() == "*");
        let mut organization = ids.organization();
        let before = organization.clone();
        let mut run = Run::default();
        let plan = run.sync(&company(), &mut organization, &policy);

        assert!(plan.held.is_none(), "{name}: {:?}", plan.held);
        for change in &plan.approved.changes {
            let loses = match change.group() {
                Some(GroupAction::Update(update)) => !update.remove.is_empty(),
                _ => false,
            };
            let links = matches!(
                change.kind(),
                Kind::Link | Kind::Relink | Kind::RelinkGroup | Kind::UpdateGroup
            );
            assert!(links && !loses, "{name}: {change:?}");
        }
        let recognized = plan.approved.counts.recognized;
        // Of SCIM's, the one whose email two people have: told below, and left as they are.
        let twin = usize::from(matches!(ids, Ids::Scim | Ids::Nicknames));
        assert_eq!(recognized.not, twin, "{name}: {recognized:?}");

        // Everybody has the access and the groups from before …
        let external_id = |member: &str| {
            let member = organization.by_email(member);
            member.external_id.as_ref().map(|id| id.as_str().to_owned())
        };
        assert_eq!(
            organization.content.members.len(),
            7 + usize::from(ids.tell()),
            "{name}"
        );
        for member in &before.content.members {
            let now = organization.by_email(member.email.as_str());
            assert_eq!(now.status, member.status, "{name}: {}", member.email);
        }
        for (group, inside) in &before.inside {
            assert_eq!(&organization.inside[group], inside, "{name}");
        }
        assert_eq!(organization.content.groups.len(), 3, "{name}");

        // … and who can be recognized has the ID of today.
        let bob = match ids.tell() {
            true => "bob.before@example.com",
            false => "bob@example.com",
        };
        for (email, id) in [
            ("ann@example.com", "id-ann"),
            (bob, "id-bob"),
            ("cid@example.com", "id-cid"),
            ("dan@example.com", "id-dan"),
        ] {
            assert_eq!(external_id(email).as_deref(), Some(id), "{name}");
        }
        assert_eq!(external_id("guest@example.com"), None, "{name}");
        let groups = organization.content.groups.iter();
        let linked = groups.filter(|group| {
            let id = group.external_id.as_ref();
            id.is_some_and(|id| id.as_str().starts_with("id-"))
        });
        let linked = linked.count();
        assert_eq!(
            linked,
            if syncs_groups || ids == Ids::Same {
                2
            } else {
                0
            },
            "{name}"
        );

        // Every exception is named.
        let named: Vec<(ProblemReason, Vec<&str>)> = plan
            .approved
            .problems
            .iter()
            .filter(|problem| problem.reason != ProblemReason::UnmatchedExclusion)
            // What the policy itself leaves open is told whatever the organization holds.
            .filter(|problem| !policy.doubts.contains(problem))
            .map(|problem| {
                let ids = problem.external_ids.iter().map(ExternalId::as_str);
                (problem.reason, ids.collect())
            })
            .collect();
        let mut expected = vec![
            (ProblemReason::NoEmail, vec!["id-mute"]),
            (ProblemReason::DuplicateEmail, vec!["id-twin1", "id-twin2"]),
        ];
        if ids.tell() {
            expected.push((ProblemReason::EmailChanged, vec!["id-bob"]));
        }
        if matches!(ids, Ids::Dns | Ids::Scim | Ids::Nicknames) {
            expected.push((ProblemReason::OwnerRetained, vec!["id-boss"]));
        }
        let told: Vec<_> = named
            .iter()
            .filter(|(reason, _)| *reason != ProblemReason::NotRestored)
            .cloned()
            .collect();
        assert_eq!(told, expected, "{name}");

        // The next plan has nothing to do.
        let again = run.sync(&company(), &mut organization, &policy);
        assert!(
            again.approved.changes.is_empty(),
            "{name}: {:?}",
            again.approved.changes
        );
    }
}

/// Reads settings of an LDAP directory with these changes.
fn changed(change: impl FnOnce(&mut serde_json::Value)) -> Result<Made, AdoptError> {
    let text = std::fs::read_to_string(folder("03-ldap-plain").join("data.json")).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    change(&mut value);
    made_of(&value.to_string(), &[])
}

fn made_of(text: &str, more: &[&str]) -> Result<Made, AdoptError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let args = arguments("03-ldap-plain", more);
    let connector = read::read(file.path(), None)?;
    make(&connector, &choices(&args).unwrap(), &args)
}

#[test]
fn every_form_of_the_file_means_the_same() {
    use serde_json::json;
    type Change = fn(&mut serde_json::Value);
    let files = |change: Change| {
        let made = changed(change).unwrap();
        let mut files = made.files.into_iter().map(|file| file.text);
        // The page names the file it is about.
        (files.next().unwrap(), files.next().unwrap())
    };
    let key = "org-secret-03";
    let expected = files(|v| v["apiKeyClientSecret"] = "org-secret-03".into());
    assert!(expected.0.contains("baseDn") && expected.1.contains(key));
    let forms: [Change; 4] = [
        // The newest.
        |v| {
            v["directoryLdap"] = v["directory_ldap"].take();
            v["apiKeyClientSecret"] = "org-secret-03".into();
        },
        // The oldest.
        |v| {
            v["directoryConfig_0"] = v["directory_ldap"].take();
            v["syncConfig"] = v["sync"].take();
            v["apikey_clientId"] = v["apiKeyClientId"].take();
            v["apikey_clientSecret"] = "org-secret-03".into();
        },
        // Before anybody logged in.
        |v| {
            v["tempDirectoryConfigs"] = json!({"ldap": v["directory_ldap"].take()});
            v["tempDirectorySettings"] = json!({
                "directoryType": v["directoryType"].take(),
                "organizationId": v["organizationId"].take(),
                "sync": v["sync"].take(),
            });
            v["apiKeyClientSecret"] = "org-secret-03".into();
        },
        // An account with its key beside its settings.
        |v| {
            v["00000000-0000-0000-0000-000000000001"] = json!({
                "directoryConfigurations": {"ldap": v["directory_ldap"].take()},
                "directorySettings": {
                    "directoryType": v["directoryType"].take(),
                    "organizationId": v["organizationId"].take(),
                    "sync": v["sync"].take(),
                },
                "apiKeyClientId": v["apiKeyClientId"].take(),
                "apiKeyClientSecret": "org-secret-03",
            });
        },
    ];
    for form in forms {
        assert_eq!(files(form), expected);
    }
}

#[test]
fn the_base_is_what_the_connector_makes_of_the_root() {
    let bases = |root: &str, path: &str| {
        let made = changed(|v| {
            v["directory_ldap"]["rootPath"] = root.into();
            v["sync"]["userPath"] = path.into();
        });
        let resource = made.unwrap().files.remove(0).text;
        let lines = resource
            .lines()
            .filter_map(|line| line.trim().strip_prefix("baseDn: "));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let domain = "DC=example,DC=com";
    assert_eq!(bases(&format!("ou=People,{domain}"), ""), [domain]);
    assert_eq!(
        bases(&format!("ou=People,{domain}"), "ou=staff"),
        [domain, &format!("ou=staff,{domain}")]
    );
    assert_eq!(
        bases("o=Example", "ou=staff,o=Example"),
        ["o=Example", "ou=staff,o=Example"]
    );
}

#[test]
fn what_cannot_be_used_is_told_with_what_to_do() {
    let damaged = made_of("{\"directoryType\": 0,", &[])
        .err()
        .unwrap()
        .to_string();
    assert!(
        damaged.contains("is damaged") && damaged.contains("line 1"),
        "{damaged}"
    );
    let other = made_of("{\"name\": \"package\"}", &[])
        .err()
        .unwrap()
        .to_string();
    assert!(other.contains("isn't the connector's data.json"), "{other}");

    type Change = fn(&mut serde_json::Value);
    let cases: [(Change, &str); 8] = [
        (|v| v["directoryType"] = 9.into(), "directoryType 9"),
        (
            |v| v["directory_ldap"] = serde_json::json!({}),
            "has no settings for it",
        ),
        (
            |v| v["sync"]["quantum"] = true.into(),
            "add --ignore sync.quantum",
        ),
        (
            |v| v["sync"]["interval"] = "soon".into(),
            "sync.interval isn't a whole number: correct it in the connector",
        ),
        (|v| v["sync"]["users"] = false.into(), "--with-users"),
        (
            |v| v["directory_ldap"]["rootPath"] = "".into(),
            "ldap.rootPath: it is empty",
        ),
        (
            |v| v["directory_ldap"]["rootPath"] = "no dn".into(),
            "baseDn",
        ),
        (
            |v| v["environmentUrls"] = serde_json::json!({"api": "https://a.example"}),
            "both or neither",
        ),
    ];
    for (change, expected) in cases {
        let error = changed(change).err().expect(expected).to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
    // A switch that is off changes nothing, whatever it is.
    changed(|v| v["sync"]["quantum"] = false.into()).unwrap();
}

#[test]
fn filters_that_would_mean_something_else_are_refused_until_they_are_left_out() {
    let text = std::fs::read_to_string(folder("10-okta-scim").join("data.json")).unwrap();
    for (filter, why) in [
        ("include:a:b", "with one colon"),
        ("include:team-*", "stand for any text"),
        ("Engineering", "isn't a rule"),
        ("includeGroup:1", "only Entra ID"),
        ("include:", "between 1 and"),
    ] {
        let text = text.replace(
            "include:staff,Engineering|type eq \\\"OKTA_GROUP\\\"",
            filter,
        );
        assert!(text.contains(filter));
        let error = made_of(&text, &[]).err().expect(filter).to_string();
        assert!(
            error.contains(why) && error.contains("sync.groupFilter"),
            "{error}"
        );
        let made = made_of(&text, &["--ignore", "sync.groupFilter"]).unwrap();
        let page = &made.files.last().unwrap().text;
        assert!(page.contains("left out (`--ignore`)"), "{page}");
        let resource = &made.files[0].text;
        let limits = resource.contains("include") || resource.contains("onlyTheirMembers");
        assert!(!limits, "{resource}");
    }
}

#[test]
fn each_rule_of_entra_id_has_its_field_and_the_ones_after_it_are_named_as_unused() {
    let text = std::fs::read_to_string(folder("07-entra-id-scim").join("data.json")).unwrap();
    for (filter, field) in [
        (
            "includeGroup:11111111-1111-1111-1111-111111111111",
            "memberOf:\n          ids:",
        ),
        (
            "excludeGroup:22222222-2222-2222-2222-222222222222|exclude:ann@example.com",
            "notMemberOf:\n          ids:",
        ),
        (
            "include:ann@example.com|includeGroup:11111111-1111-1111-1111-111111111111",
            "include:\n",
        ),
        (
            "|includeGroup:11111111-1111-1111-1111-111111111111",
            "notAdministrativeUnits:",
        ),
    ] {
        let made = made_of(&text.replace("exclude:robot@example.com", filter), &[]).unwrap();
        let resource = &made.files[0].text;
        assert!(resource.contains(field), "{filter}: {resource}");
        let page = &made.files.last().unwrap().text;
        assert_eq!(
            page.contains("| not used |"),
            filter.contains('|'),
            "{page}"
        );
        let both = resource.contains("emberOf:") && resource.contains("ann@example.com");
        assert!(!both, "{filter}: {resource}");
    }
    let text = text.replace("excludeAdministrativeUnit:", "includeAdministrativeUnit:");
    let made = made_of(&text, &[]).unwrap();
    let resource = &made.files[0].text;
    assert!(resource.contains("administrativeUnits:"), "{resource}");
    assert!(!resource.contains("notAdministrativeUnits:"), "{resource}");
}

#[test]
fn contacts_of_active_directory_are_refused_because_none_is_read() {
    let text =
        std::fs::read_to_string(folder("05-active-directory-older").join("data.json")).unwrap();
    let text = text.replace("inetOrgPerson", "contact");
    let error = made_of(&text, &[]).err().unwrap().to_string();
    assert!(
        error.contains("sync.userObjectClass") && error.contains("no contacts"),
        "{error}"
    );
    let made = made_of(&text, &["--ignore", "sync.userObjectClass"]).unwrap();
    assert!(
        !made.files[0].text.contains("contact"),
        "{}",
        made.files[0].text
    );
}

#[test]
fn of_several_organizations_one_is_chosen() {
    let text = std::fs::read_to_string(folder("06-entra-id").join("data.json")).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let all = value.as_object_mut().unwrap();
    let active = all.remove("activeUserId").unwrap();
    let mut other = all[active.as_str().unwrap()].clone();
    other["directorySettings"]["organizationId"] = "another".into();
    all.insert("second".to_owned(), other);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), value.to_string()).unwrap();

    let error = read::read(file.path(), None).unwrap_err().to_string();
    assert!(
        error.contains("--organization") && error.contains("another"),
        "{error}"
    );
    let chosen = read::read(file.path(), Some("ANOTHER")).unwrap();
    assert_eq!(chosen.organization.as_deref(), Some("another"));
    let error = read::read(file.path(), Some("third"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("no organization third"), "{error}");
}

#[test]
fn a_file_of_windows_is_read_and_what_is_no_file_of_the_connectors_is_told() {
    let text = std::fs::read_to_string(folder("03-ldap-plain").join("data.json")).unwrap();
    let read = |bytes: &[u8]| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let read = read::read(file.path(), None);
        read.map(|connector| connector.organization)
            .map_err(|error| error.to_string())
    };
    let expected = read(text.as_bytes()).unwrap();
    assert!(expected.is_some());
    let units = |bytes: fn(u16) -> [u8; 2]| -> Vec<u8> {
        let text = format!("\u{feff}{text}");
        text.encode_utf16().flat_map(bytes).collect()
    };
    let forms = [
        format!("\u{feff}{text}").into_bytes(),
        text.replace('\n', "\r\n").into_bytes(),
        units(u16::to_le_bytes),
        units(u16::to_be_bytes),
    ];
    for form in forms {
        assert_eq!(read(&form), Ok(expected.clone()));
    }
    let mut cut = units(u16::to_le_bytes);
    cut.pop();
    let kind = |kind: &str| {
        text.replace(
            "\"directoryType\": 0",
            &format!("\"directoryType\": {kind}"),
        )
    };
    for (bytes, told) in [
        (cut, "is no text"),
        (b"\xff\x00{}".to_vec(), "is no text"),
        (b"[]".to_vec(), "isn't the connector's data.json"),
        (b"\"text\"".to_vec(), "isn't the connector's data.json"),
        (b"{}".to_vec(), "isn't the connector's data.json"),
        (text.as_bytes()[..300].to_vec(), "is damaged"),
        (kind("null").into_bytes(), "doesn't say which kind"),
        (kind("9").into_bytes(), "directoryType 9"),
        (kind("3").into_bytes(), "has no settings for it"),
    ] {
        let error = read(&bytes).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn what_a_file_leaves_out_is_as_the_connector_has_it_by_default() {
    let of = |setting: &str, value: Option<serde_json::Value>| {
        let made = changed(|v| {
            let sync = v["sync"].as_object_mut().unwrap();
            for left_out in [
                "removeDisabled",
                "overwriteExisting",
                "inviteUsersAfterProvisioning",
                "interval",
            ] {
                sync.remove(left_out);
            }
            if let Some(value) = value {
                sync.insert(setting.to_owned(), value);
            }
        });
        let text = made.unwrap().files[0].text.clone();
        let value: serde_json::Value = serde_saphyr::from_str(&text).unwrap();
        let spec = &value["spec"];
        let shown = [
            &spec["offboarding"]["disabled"],
            &spec["offboarding"]["absent"],
            &spec["onboarding"]["invite"],
            &spec["interval"],
        ];
        let shown = shown.map(ToString::to_string).join(" ");
        (shown, spec["source"]["ldap"]["users"]["filter"].to_string())
    };
    let defaults = "\"Retain\" \"Retain\" false \"5m\"";
    assert_eq!(of("", None).0, defaults);
    for (setting, shown) in [
        ("removeDisabled", "\"Revoke\" \"Retain\" false \"5m\""),
        ("overwriteExisting", "\"Retain\" \"Revoke\" false \"5m\""),
        (
            "inviteUsersAfterProvisioning",
            "\"Retain\" \"Retain\" true \"5m\"",
        ),
    ] {
        assert_eq!(of(setting, Some(true.into())).0, shown, "{setting}");
    }
    // A filter of LDAP needs no parentheses there.
    let with = of("userFilter", Some("(ou=Sales)".into())).1;
    assert!(with.contains("(ou=Sales))"), "{with}");
    assert_eq!(of("userFilter", Some("ou=Sales".into())).1, with);
}
