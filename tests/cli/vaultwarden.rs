//! The commands on a server that takes imports and can't be read: what is right there is what the state
//! folder remembers.

use simulators::organization::{Config, MemberSeed, Request, SimulatedOrganization, Status};

use crate::lab::Lab;

const PLAN: &str = "plan -f staff.yaml -f secrets.yaml --detailed-exitcode -q";
const SYNC: &str = "sync -f staff.yaml -f secrets.yaml --yes -q";

/// Ada, who has no second factor, was a member before; the organization demands one of whoever comes back.
async fn lab(config: Config) -> Lab {
    let config = Config {
        requires_two_step: true,
        ..config
    };
    let organization = SimulatedOrganization::start(config).await.unwrap();
    let ada = MemberSeed::new("ada@example.com").without_two_step();
    organization.seed_member(ada);
    let lab = Lab::of(organization).await;
    let disabled =
        "baseDn: dc=example,dc=com\n      users:\n        disabled: {attribute: employeeType}";
    let resource = lab
        .resource()
        .replace("baseDn: dc=example,dc=com", disabled)
        .replace("absent: Remove, limit: 0", "limit: 1")
        .replace(
            "  organization:\n",
            "  organization:\n    vaultwarden: {neverSend: []}\n",
        );
    lab.write("staff.yaml", &resource);
    lab
}

fn writes(lab: &Lab) -> usize {
    let requests = lab.organization.requests();
    lab.organization.clear_requests();
    requests.iter().filter(|one| Request::is_write(one)).count()
}

fn group(lab: &Lab) -> Vec<String> {
    let now = lab.organization.snapshot();
    now.group("engineering").unwrap().members.clone()
}

fn members(lab: &Lab, uids: &[&str]) {
    let member = |uid: &&str| format!("member: uid={uid},ou=people,dc=example,dc=com\n");
    let members: String = uids.iter().map(member).collect();
    let group = "dn: cn=engineering,ou=groups,dc=example,dc=com\nchangetype: modify\n";
    let change = format!("{group}replace: member\n{members}");
    lab.slapd.modify(&change).unwrap();
}

fn blocked(lab: &Lab, uid: &str, blocked: bool) {
    let change = match blocked {
        true => "add: employeeType\nemployeeType: blocked\n",
        // With a value: an attribute that nobody has any more may be hidden.
        false => "replace: employeeType\nemployeeType: FALSE\n",
    };
    let dn = format!("dn: uid={uid},ou=people,dc=example,dc=com\nchangetype: modify\n");
    lab.slapd.modify(&format!("{dn}{change}")).unwrap();
}

#[tokio::test]
async fn only_what_changed_is_sent_and_the_exit_code_tells() {
    let lab = lab(Config::vaultwarden()).await;
    let plan = lab.run(PLAN).await.ends_with(2);
    plan.prints("organization: can't be read; 0 members and 0 groups by our imports")
        .prints("groups need ORG_GROUPS_ENABLED=true there");
    let sent = "sent to a server that can't be read: 3 Invite, 1 CreateGroup";
    lab.run(SYNC).await.ends_with(0).prints(sent);
    writes(&lab);

    let again = lab.run(PLAN).await.ends_with(0);
    again
        .prints("nothing to change")
        .prints("3 members and 1 groups by our imports");
    lab.run(SYNC)
        .await
        .ends_with(0)
        .prints("nothing was to be changed");
    assert_eq!(writes(&lab), 0);

    members(&lab, &["ada", "bob", "chidi"]);
    lab.run(PLAN).await.ends_with(2);
    lab.run(SYNC)
        .await
        .ends_with(0)
        .prints("read: 1 UpdateGroup");
    assert_eq!(writes(&lab), 1);
    assert_eq!(group(&lab).len(), 3);
    lab.run(PLAN).await.ends_with(0);
}

#[tokio::test]
async fn whoever_leaves_a_group_counts_from_one_command_to_the_next() {
    let lab = lab(Config::vaultwarden()).await;
    members(&lab, &["ada", "bob", "chidi"]);
    lab.run(SYNC).await.ends_with(0);

    members(&lab, &["ada", "bob"]);
    lab.run(SYNC).await.ends_with(0).prints("1 UpdateGroup");
    members(&lab, &["ada"]);
    let held = lab.run(SYNC).await.ends_with(3);
    held.prints("1 member would lose something")
        .prints("(1 more did in the last 24 hours)");
    assert_eq!(group(&lab), ["ada@example.com", "bob@example.com"]);
}

#[tokio::test]
async fn a_leaver_is_revoked_once_and_what_the_server_keeps_to_itself_is_told() {
    let lab = lab(Config::vaultwarden()).await;
    lab.run(SYNC).await.ends_with(0);

    blocked(&lab, "ada", true);
    let plan = lab.run(PLAN).await.ends_with(2);
    plan.prints("the last confirmed owner keeps the access");
    lab.run(SYNC).await.ends_with(0).prints("1 Revoke");
    let status = |lab: &Lab| {
        lab.organization
            .snapshot()
            .member("ada@example.com")
            .unwrap()
            .status
    };
    assert_eq!(status(&lab), Status::Revoked);
    for _ in 0..2 {
        lab.run(SYNC)
            .await
            .ends_with(0)
            .prints("nothing was to be changed");
    }

    blocked(&lab, "ada", false);
    let plan = lab.run(PLAN).await.ends_with(2);
    plan.prints("a policy of the organization can keep them revoked");
    let sync = lab.run(SYNC).await.ends_with(0);
    sync.prints("sent to a server that can't be read: 1 Restore");
    assert_eq!(status(&lab), Status::Revoked, "the policy's word");
}
