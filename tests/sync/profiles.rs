//! The same company on every server that Bitwarden makes: its cloud, its server run by the company
//! itself, Bitwarden lite, and a server of last year.

use directory_sync::sync::plan::Kind;
use simulators::organization::{Config, MemberSeed, SimulatedOrganization, Status};

use super::world::*;

async fn first_sync(organization: &SimulatedOrganization) -> directory_sync::sync::report::Report {
    let slapd = slapd();
    let (source, client) = (source(address(&slapd)), client(organization, NO_RETRY));
    Sync::new(&source, &client).run().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_companys_own_ends_up_as_the_cloud_does() {
    let expected = organization(Config::cloud()).await;
    first_sync(&expected).await;
    for config in [Config::self_hosted(), Config::lite()] {
        let organization = organization(config).await;
        let report = first_sync(&organization).await;
        assert_eq!(organization.snapshot(), expected.snapshot());
        assert_eq!(organization.invitations(), expected.invitations());
        assert_eq!(report.applied.get(Kind::Invite), 26);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lite_is_never_asked_to_invite_whom_another_tool_has_invited() {
    let organization = organization(Config::lite()).await;
    let old = |uid: &str, status| {
        let dn = format!("uid={uid},ou=staff,{SUFFIX}");
        MemberSeed::new(&email(uid)).external_id(&dn).status(status)
    };
    organization.seed_member(old("p30", Status::Invited));
    organization.seed_member(old("p31", Status::Staged));
    organization.seed_member(MemberSeed::new(&email("p32")).status(Status::Invited));

    first_sync(&organization).await;

    let invitations = organization.invitations();
    for uid in ["p30", "p31", "p32"] {
        assert_eq!(
            invitations.get(&email(uid)),
            None,
            "{uid} was invited again"
        );
    }
    let after = organization.snapshot();
    for (uid, number) in [("p30", 30), ("p31", 31), ("p32", 32)] {
        let member = &after.members[&email(uid)];
        assert_eq!(member.external_id.as_deref(), Some(&*uuid(number)));
    }
    assert!(invitations.values().all(|mails| *mails == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_revoke_is_reported_and_never_taken_for_one_that_did() {
    let organization = organization(Config::of_2025_10()).await;
    let report = first_sync(&organization).await;

    // It goes on with everything else.
    let after = organization.snapshot();
    assert_eq!(report.applied.get(Kind::Invite), 26);
    assert!(!after.members.contains_key("leaver1@example.com"));
    let relinked = &after.members[&email("p16")];
    assert_eq!(relinked.external_id.as_deref(), Some(&*uuid(16)));
    assert_eq!(relinked.collections.len(), 1);
    // These keep what they have, and that is said.
    assert_eq!(after.members[&email("p20")].status, Status::Confirmed);
    assert_eq!(after.members[&email("p18")].status, Status::Revoked);
    assert_eq!(report.applied.get(Kind::Revoke), 0);
    assert_eq!(report.applied.get(Kind::Restore), 0);
    for (kind, number) in [("Revoke", 20), ("Restore", 18)] {
        let mut problems = report.problems.iter();
        let told = problems.any(|problem| {
            problem.message.contains("2026.2.0")
                && problem.message.contains(kind)
                && problem
                    .external_ids
                    .iter()
                    .any(|id| id.as_str() == uuid(number))
        });
        assert!(told, "{kind}: {:?}", report.problems);
    }
}
