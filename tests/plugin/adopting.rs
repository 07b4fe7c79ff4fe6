//! From the connector's file to a previewed plan on a cluster, by one command and one `kubectl apply`; then what
//! the plan says is made, and taken back.

use std::path::Path;

use serde_json::{Value, json};
use simulators::lab::Slapd;
use simulators::organization::{CollectionAccess, GroupSeed, MemberSeed, Snapshot};

use crate::kubectl::{kubectl, kubectl_words, plugin};
use directory_sync_testing::command::run;
use directory_sync_testing::documentation::Page;
use directory_sync_testing::world::*;

const VAULT: &str = "9c1f5f0e-3a3c-4a55-8f52-0f1f4a6c7e10";

/// The organization as the connector left it: DNs for IDs, one member with another email than in the directory,
/// one invited by hand.
fn fill(world: &World) {
    let vault = || CollectionAccess::to(VAULT);
    let mut emails = vec!["guest@example.org".to_owned()];
    for number in 0..10 {
        let email = match number {
            7 => "former.name@example.com".to_owned(),
            _ => format!("p{number:02}@example.com"),
        };
        let dn = format!("uid=p{number:02},ou=people,{SUFFIX}");
        let member = MemberSeed::new(&email).external_id(&dn);
        world.organization.seed_member(member.collection(vault()));
        emails.push(email);
    }
    world.organization.seed_member(MemberSeed::new(&emails[0]));
    let everyone = GroupSeed::new("everyone")
        .members(emails)
        .collection(vault());
    let dn = format!("cn=everyone,ou=groups,{SUFFIX}");
    world.organization.seed_group(everyone.external_id(&dn));
}

fn data(world: &World) -> Value {
    let id = world.organization.organization_id();
    json!({
        "global": {"stateVersion": 4},
        "activeUserId": id,
        id: {
            "clientKeys": {
                "clientId": world.organization.client_id(),
                "clientSecret": world.organization.client_secret(),
            },
            "directoryConfigurations": {"ldap": {
                "ad": false, "ssl": false, "hostname": "127.0.0.1", "port": world.slapd.port(),
                "rootPath": SUFFIX,
                "username": world.slapd.root_dn(), "password": "[STORED SECURELY]",
            }},
            "directorySettings": {
                "organizationId": id,
                "directoryType": 0,
                "sync": {
                    "users": true, "groups": true, "interval": 5,
                    "userObjectClass": "inetOrgPerson", "userPath": "ou=people",
                    "groupObjectClass": "groupOfNames", "groupPath": "ou=groups",
                    "memberAttribute": "member",
                },
            },
            "settings": {"environmentUrls": {"base": world.organization.url()}},
        },
    })
}

fn without_ids(mut snapshot: Snapshot) -> Snapshot {
    let members = snapshot.members.values_mut();
    members.for_each(|member| member.external_id = None);
    let groups = snapshot.groups.iter_mut();
    groups.for_each(|group| group.external_id = None);
    snapshot
}

#[tokio::test(flavor = "multi_thread")]
async fn one_command_and_one_apply_lead_to_a_plan_by_which_nobody_loses_anything_and_there_is_a_way_back()
 {
    let world = World::new("adopting").await;
    fill(&world);
    let before = world.organization.snapshot();
    let operator = world.operator();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data.json"), data(&world).to_string()).unwrap();
    let mut transcript = String::new();
    let mut tell = |line: &str, output: &str| transcript.push_str(&format!("$ {line}\n{output}\n"));

    let line =
        "directory-sync adopt --from data.json --name staff --secret-env directory=LDAP_PASSWORD";
    let variables = [("LDAP_PASSWORD", Slapd::ROOT_PASSWORD)];
    let words = line.strip_prefix("directory-sync ").unwrap();
    let adopted = run(folder.path(), words, &variables).await.ends_with(0);
    assert_eq!(adopted.stderr, "");
    tell(line, &adopted.stdout);

    let staff = folder.path().join("staff").display().to_string();
    let words = ["apply", "-f", &staff, "-n", &world.namespace];
    let applied = kubectl_words(&world, &words, world.server().kubeconfig()).await;
    tell("kubectl apply -f staff", &applied.ends_with(0).stdout);
    world.until_ready("staff", "Previewed").await;
    let plan = plugin(&world, "plan staff").await.ends_with(0);
    let plan = plan
        .prints("members recognized: 0 by ID, 10 by former ID (DN), 0 by email, 0 not at all")
        .prints("plan: 10 Relink, 1 RelinkGroup")
        .prints("10 members get a new ID; nobody loses or gains anything")
        .prints("EmailChanged (1)");
    tell("kubectl directorysync plan staff", &plan.stdout);
    let recognized = world
        .get("staff")
        .await
        .status
        .unwrap()
        .organization
        .unwrap();
    assert_eq!(recognized.recognized.unwrap().by_former_id, Some(10));
    // The one number is in the status, too.
    let status = plugin(&world, "status staff").await.ends_with(0);
    status
        .prints("0 by ID, 10 by former ID (DN), 0 by email, 0 not at all")
        .prints("10 members get a new ID; nobody loses or gains anything");
    assert_eq!(world.organization.snapshot(), before, "it previews");

    // What the plan says, and no more.
    let path = folder.path().join("staff/directorysync.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("mode: Preview", "mode: Apply")).unwrap();
    tell(
        "sed -i 's/mode: Preview/mode: Apply/' staff/directorysync.yaml",
        "",
    );
    let words = ["apply", "-f", &staff, "-n", &world.namespace];
    let applied = kubectl_words(&world, &words, world.server().kubeconfig()).await;
    tell("kubectl apply -f staff", &applied.ends_with(0).stdout);
    world.until_ready("staff", "SucceededWithProblems").await;
    let after = world.organization.snapshot();
    assert_eq!(without_ids(after.clone()), without_ids(before.clone()));
    assert_ne!(after, before);
    let recognized = world
        .get("staff")
        .await
        .status
        .unwrap()
        .organization
        .unwrap();
    assert_eq!(recognized.recognized.unwrap().by_id, Some(10));

    // And back.
    let back = "undo staff --former";
    let shown = plugin(&world, &format!("{back} --dry-run"))
        .await
        .ends_with(0);
    shown.prints("10 members and 1 group get the former external ID back; nobody loses or gains");
    assert_eq!(world.organization.snapshot(), after, "it was only shown");
    let given = plugin(&world, &format!("{back} --yes")).await.ends_with(0);
    let given = given.prints("done: 10 Relink, 1 RelinkGroup");
    tell(
        "kubectl directorysync undo staff --former --yes",
        &given.stdout,
    );
    assert_eq!(world.organization.snapshot(), before);
    let again = plugin(&world, &format!("{back} --yes")).await.ends_with(0);
    let again = again.prints("nothing is left to give back");
    tell(
        "kubectl directorysync undo staff --former --yes",
        &again.stdout,
    );
    let _ = plugin(&world, "sync staff --wait").await;
    assert_eq!(
        world.organization.snapshot(),
        before,
        "held until somebody approves it"
    );

    let line = format!("delete dsync staff -n {}", world.namespace);
    kubectl(&world, &line, world.server().kubeconfig())
        .await
        .ends_with(0);
    operator.stop().await.unwrap();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/migrating.md");
    let mut page = Page::of(path)
        .with(&staff, "staff")
        .with(&world.slapd.url(), "ldap://ldap.example.com")
        .with(&world.organization.url(), "https://vault.example.com")
        .with(world.organization.organization_id(), "ORGANIZATION")
        .with(&world.namespace, "identity");
    page.shows_transcript("## All of it, on a cluster", &shortened(&transcript));
    page.finish();
}

/// Without how long ago a plan was made, and without the IDs, which are many.
fn shortened(transcript: &str) -> String {
    let is_id = |word: &str| word.len() == 36 && word.matches('-').count() == 4;
    let lines = transcript.lines().map(|line| {
        if line.contains("plan") && line.contains("ago") {
            return "(made just now)".to_owned();
        }
        let words = line.split(' ').map(|word| {
            let id = word.trim_matches(['(', ')', ',', ':']);
            if is_id(id) {
                word.replace(id, "…")
            } else {
                word.to_owned()
            }
        });
        words.collect::<Vec<_>>().join(" ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n") + "\n"
}
