use serde_json::{Value, json};

use crate::lab::{Lab, entry_uuid};

#[tokio::test]
async fn a_plan_is_shown_as_a_table_and_changes_nothing() {
    let lab = Lab::new().await.with_leaver();
    let before = lab.organization.snapshot();

    let ran = lab.run("plan -f staff.yaml -f secrets.yaml").await;

    let ran = ran
        .ends_with(0)
        .prints("identity/staff")
        .prints("ada@example.com");
    let ran = ran
        .prints("engineering")
        .prints("leaver@example.com")
        .prints("approve with digest");
    assert!(ran.stderr.contains("reading both sides"), "{ran}");
    assert_eq!(lab.organization.snapshot().to_string(), before.to_string());
}

#[tokio::test]
async fn a_plan_as_json_has_the_form_that_programs_rely_on() {
    let lab = Lab::new().await.with_leaver();

    let ran = lab
        .run("plan -f staff.yaml -f secrets.yaml -o json --quiet")
        .await
        .ends_with(0);

    assert_eq!(ran.stderr, "");
    let plan: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(plan["digest"].as_str().unwrap().len(), 32);
    assert!(
        plan["source"].as_str().unwrap().starts_with("ldap://"),
        "{plan}"
    );
    let organization = plan["organization"].as_str().unwrap();
    assert!(
        organization.contains(lab.organization.organization_id()),
        "{plan}"
    );
    assert_eq!(plan["problems"], json!([]));
    let ada = json!({
        "action": "Invite",
        "externalId": entry_uuid("ada"),
        "email": "ada@example.com",
        "reason": plan["changes"][0]["reason"],
    });
    let changes = plan["changes"].as_array().unwrap();
    assert!(changes.contains(&ada), "{plan:#}");
    let group = changes
        .iter()
        .find(|change| change["action"] == "CreateGroup")
        .unwrap();
    assert_eq!(group["name"], "engineering");
    let member =
        |uid: &str| json!({"externalId": entry_uuid(uid), "email": format!("{uid}@example.com")});
    assert_eq!(group["add"], json!([member("ada"), member("bob")]));
    assert_eq!(plan["held"][0]["action"], "Remove");
    assert_eq!(plan["held"][0]["email"], "leaver@example.com");
}

#[tokio::test]
async fn a_plan_as_markdown_can_go_into_a_ticket() {
    let lab = Lab::new().await;

    let ran = lab.run("plan -f . -o markdown --quiet").await.ends_with(0);

    ran.prints("# ldap")
        .prints("| ada@example.com |")
        .prints("### Invite (3)");
}

#[tokio::test]
async fn a_plan_as_a_page_for_a_browser_and_parts_of_it() {
    let lab = Lab::new().await.with_leaver();

    let page = lab.run("plan -f . -o html --quiet").await.ends_with(0);
    assert!(page.stdout.starts_with("<!DOCTYPE html>"), "{page}");
    page.prints("Plan of <bdi>identity/staff</bdi>")
        .prints("<bdi>ada@example.com</bdi>")
        .prints("Held, waiting for approval (1)");

    let of_ada = "plan -f . --quiet --person ADA@example.com --order person";
    let of_ada = lab.run(of_ada).await.ends_with(0);
    let of_ada = of_ada.prints(
        "\nada@example.com\n  Invite: new in the directory\n  comes into group engineering\n",
    );
    assert!(!of_ada.stdout.contains("bob@"), "{of_ada}");
    assert!(!of_ada.stdout.contains("leaver@"), "{of_ada}");

    let cut = "plan -f . -o markdown --max-bytes 700 --quiet";
    let cut = lab.run(cut).await.ends_with(0).prints("_Cut here: ");
    assert!(cut.stdout.len() <= 700, "{cut}");
    lab.run("plan -f . --action revoked")
        .await
        .ends_with(1)
        .complains("choose among Invite, Link");
}

#[tokio::test]
async fn the_detailed_exit_code_tells_pending_done_and_failed_apart() {
    let lab = Lab::new().await;

    let plan = "plan -f staff.yaml -f secrets.yaml --detailed-exitcode -q";
    lab.run(plan).await.ends_with(2);
    lab.run("sync -f staff.yaml -f secrets.yaml --yes -q")
        .await
        .ends_with(0);
    lab.run(plan).await.ends_with(0).prints("nothing to change");
    let wrong = lab
        .run("plan -f staff.yaml --detailed-exitcode -q")
        .await
        .ends_with(1);
    wrong
        .complains("identity/staff")
        .complains("bitwarden")
        .complains("--secret-dir");
}

#[tokio::test]
async fn a_resource_that_fails_doesnt_keep_the_others_from_being_planned() {
    let lab = Lab::new().await;
    let broken = lab
        .resource()
        .replace("name: staff", "name: broken")
        .replace("name: bitwarden", "name: nowhere");
    lab.write("broken.yaml", &broken);

    let ran = lab.run("plan -f . -q").await.ends_with(1);

    ran.complains("identity/broken")
        .prints("identity/staff")
        .prints("ada@example.com");
    lab.run("plan -f . -q --name staff").await.ends_with(0);
}

#[tokio::test]
async fn manifests_come_from_standard_input_and_secrets_from_a_directory() {
    let lab = Lab::new().await;
    lab.write("mounted/bitwarden/clientId", &lab.organization.client_id());
    lab.write(
        "mounted/bitwarden/clientSecret",
        &format!("{}\n", lab.organization.client_secret()),
    );
    lab.write("mounted/ldap-bind/bindDn", &lab.slapd.root_dn());
    lab.write(
        "mounted/ldap-bind/password",
        simulators::lab::Slapd::ROOT_PASSWORD,
    );

    lab.run("plan -f staff.yaml --secret-dir mounted -q")
        .await
        .ends_with(0)
        .prints("ada@example.com");
}

#[tokio::test]
async fn a_misspelt_field_stops_everything_before_anything_is_read() {
    let lab = Lab::new().await;
    lab.write(
        "staff.yaml",
        &lab.resource().replace("absent: Remove", "absnet: Remove"),
    );

    let ran = lab
        .run("plan -f staff.yaml -f secrets.yaml")
        .await
        .ends_with(1);

    ran.complains("staff.yaml, document 1, line 13")
        .complains("did you mean absent?");
    assert_eq!(lab.organization.requests().len(), 0);
}
