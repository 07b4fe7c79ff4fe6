//! Ways in, and what keeps one out.

use std::time::Duration;

use directory_sync::source::SourceErrorKind;
use directory_sync::source::google_workspace::{Credentials, ServiceAccountKey};
use simulators::google_workspace::{Config, SimulatedGoogle, UserSeed};
use tempfile::NamedTempFile;

use crate::harness::*;

const OTHER: &str = include_str!("keys/other.pem");
const USERS: &str = "https://www.googleapis.com/auth/admin.directory.user.readonly";
const GROUPS: &str = "https://www.googleapis.com/auth/admin.directory.group.readonly";

/// Somebody has to change it at Google.
const ELSEWHERE: SourceErrorKind = SourceErrorKind::Configuration;

fn key(google: &SimulatedGoogle) -> ServiceAccountKey {
    ServiceAccountKey::parse(&google.key_file()).unwrap()
}

fn with_key(google: &SimulatedGoogle, admin: Option<&str>) -> GoogleSetup {
    settings_with(google, Credentials::Key(key(google)), admin)
}

/// A file with a token of the cluster's, and settings that use it.
fn without_key(google: &SimulatedGoogle, admin: Option<&str>) -> (NamedTempFile, GoogleSetup) {
    let file = NamedTempFile::new().unwrap();
    let token = google.cluster_token(Duration::from_secs(600));
    std::fs::write(file.path(), format!("{token}\n")).unwrap();
    let credentials = Credentials::WorkloadIdentity(keyless(google, file.path()));
    let settings = settings_with(google, credentials, admin);
    (file, settings)
}

#[tokio::test]
async fn a_key_or_none_for_an_administrator_or_for_itself() {
    let google = company(Config::default()).await;
    google.assign_role(true);
    let whole = read(with_key(&google, Some(ADMIN))).await;
    assert_eq!(whole.users.len(), 8);
    assert_eq!(read(with_key(&google, None)).await, whole);

    google.clear_requests();
    let (_file, settings) = without_key(&google, Some(ADMIN));
    assert_eq!(read(settings).await, whole);
    let paths: Vec<String> = google.requests().into_iter().map(|r| r.path).collect();
    let account = &google.config().service_account.email;
    let signing = format!("/v1/projects/-/serviceAccounts/{account}:signJwt");
    assert_eq!(paths[..3], ["/v1/token", &signing, "/token"]);

    let (_file, settings) = without_key(&google, None);
    assert_eq!(read(settings).await, whole);
}

#[tokio::test]
async fn without_delegation_or_role_access_is_refused_with_what_to_do() {
    let google = company(Config::default()).await;
    google.delegate(&[]);
    let refused = refusal(with_key(&google, Some(ADMIN))).await.is(ELSEWHERE);
    let refused = refused
        .says("unauthorized_client")
        .says("Domain-wide delegation");
    refused.says(USERS).says(GROUPS);
    google.delegate(&[USERS]);
    let refused = refusal(with_key(&google, Some(ADMIN))).await.is(ELSEWHERE);
    refused.says("Domain-wide delegation");

    let refused = refusal(with_key(&google, None)).await.is(ELSEWHERE);
    refused
        .says("assign the service account sync@directory-sync.iam.gserviceaccount.com")
        .says("\"Users: Read\"")
        .says("write customer")
        .says("adminEmail");
}

#[tokio::test]
async fn the_administrator_must_be_there_in_service_and_one() {
    let google = company(Config::default()).await;
    let refused = refusal(with_key(&google, Some("nobody@example.com"))).await;
    let refused = refused.is_configuration();
    refused.says("Invalid email").says("adminEmail");
    google.user(UserSeed::new("left@example.com").admin().suspended());
    let refused = refusal(with_key(&google, Some("left@example.com"))).await;
    refused.is_configuration().says("suspended");

    let refused = refusal(with_key(&google, Some("ann@example.com")))
        .await
        .is(ELSEWHERE);
    refused
        .says("403 forbidden: Not Authorized")
        .says("give ann@example.com an administrator role");
}

#[tokio::test]
async fn each_403_names_what_is_missing() {
    let google = company(Config::default()).await;
    google.enable_admin_sdk(false);
    let refused = refusal(settings(&google)).await.is(ELSEWHERE);
    refused
        .says("accessNotConfigured")
        .says("enable admin.googleapis.com");
    google.enable_admin_sdk(true);
    google.allow_apis(false);
    let refused = refusal(settings(&google)).await.is(ELSEWHERE);
    refused.says("domainCannotUseApis").says("API controls");
    google.allow_apis(true);
    google.issue_only(&[GROUPS]);
    let refused = refusal(settings(&google)).await.is(ELSEWHERE);
    refused.says("insufficientPermissions").says(USERS);
    google.issue_only(&[USERS]);
    let refused = refusal(settings(&google)).await.is(ELSEWHERE);
    refused.says("insufficientPermissions").says(GROUPS);
    google.issue_only(&[USERS, GROUPS]);
    google.show_as_to_colleagues();
    let refused = refusal(settings(&google)).await.is(ELSEWHERE);
    refused.says("suspended").says("Users: Read");
}

#[tokio::test]
async fn a_key_that_is_not_the_accounts_any_more_is_for_the_user_to_fix_and_never_shown() {
    let google = company(Config::default()).await;
    let mut stale = key(&google);
    stale.private_key = OTHER.into();
    let wrong_key = settings_with(&google, Credentials::Key(stale), Some(ADMIN));
    let secret = OTHER.lines().nth(5).unwrap();
    assert!(!format!("{wrong_key:?}").contains(secret));
    let refused = refusal(wrong_key).await.is_configuration();
    let refused = refused.says("Invalid JWT Signature").says("make a new one");
    refused.never_says(secret);

    let mut other = key(&google);
    other.key_id = Some("deleted".to_owned());
    let refused = refusal(settings_with(&google, Credentials::Key(other), Some(ADMIN))).await;
    refused.is_configuration().says("Invalid JWT Signature");
    let mut other = key(&google);
    other.email = "other@directory-sync.iam.gserviceaccount.com".to_owned();
    let refused = refusal(settings_with(&google, Credentials::Key(other), Some(ADMIN))).await;
    refused
        .says("account not found")
        .says("isn't there any more");
}

#[tokio::test]
async fn an_assertion_is_for_the_address_it_is_sent_to() {
    let google = company(Config::default()).await;
    let elsewhere = settings(&google);
    google.set_public_url("https://oauth2.googleapis.com");
    let refused = refusal(elsewhere).await.is_configuration();
    refused.says("audience").says("--vendor-urls");
}

#[tokio::test]
async fn a_token_that_is_revoked_in_the_middle_is_replaced_at_every_step() {
    use directory_sync::source::Source as _;

    let google = company(Config::default()).await;
    let (_file, settings) = without_key(&google, Some(ADMIN));
    let source = source(settings).unwrap();
    for round in 1..=3 {
        source.read(None, &Default::default()).await.unwrap();
        assert_eq!(asked(&google, "/token"), round);
        google.revoke_tokens();
    }
    assert_eq!(asked(&google, "/v1/token"), 3);
}

#[tokio::test]
async fn each_step_without_a_key_says_what_is_wrong_with_it() {
    let google = company(Config::default()).await;
    let federation = google.config().federation.clone();

    let (file, missing) = without_key(&google, Some(ADMIN));
    drop(file);
    let refused = refusal(missing).await.is(ELSEWHERE);
    refused
        .says("can't read the cluster's token")
        .says("a ServiceAccount that the provider trusts");

    let (file, settings) = without_key(&google, Some(ADMIN));
    let hour = Duration::from_secs(3600);
    let tokens = [
        (
            google.cluster_token_for("https://elsewhere.example", &federation.subject, hour),
            "does not match the expected audience",
        ),
        (
            google.cluster_token_for(
                &federation.token_audience,
                "system:serviceaccount:a:b",
                hour,
            ),
            "attribute condition",
        ),
        ("not.a.token".to_owned(), "could not be parsed"),
    ];
    for (token, said) in tokens {
        std::fs::write(file.path(), &token).unwrap();
        let refused = refusal(settings.clone()).await.is(ELSEWHERE);
        let refused = refused.says(said).says("issuer, audience and subject");
        refused.never_says(&token);
    }

    let (file, _) = without_key(&google, Some(ADMIN));
    let mut identity = keyless(&google, file.path());
    identity.audience = "//iam.googleapis.com/projects/1/nowhere".to_owned();
    let credentials = Credentials::WorkloadIdentity(identity);
    let refused = refusal(settings_with(&google, credentials, Some(ADMIN))).await;
    let refused = refused.is_configuration();
    refused
        .says("invalid_target")
        .says("workload identity provider");

    google.allow_signing(false);
    let (_file, settings) = without_key(&google, Some(ADMIN));
    let refused = refusal(settings.clone()).await.is(ELSEWHERE);
    refused
        .says("iam.serviceAccounts.signJwt")
        .says("roles/iam.serviceAccountTokenCreator");
    google.allow_signing(true);
    google.enable_iam(false);
    let refused = refusal(settings).await.is(ELSEWHERE);
    refused.says("enable the IAM Service Account Credentials API");
}

#[tokio::test]
async fn the_clusters_token_is_read_anew_each_time() {
    use directory_sync::source::Source as _;

    let google = company(Config::default()).await;
    let (file, settings) = without_key(&google, Some(ADMIN));
    let good = std::fs::read_to_string(file.path()).unwrap();
    std::fs::write(file.path(), "not.a.token").unwrap();
    let source = source(settings).unwrap();
    source.read(None, &Default::default()).await.unwrap_err();
    std::fs::write(file.path(), good).unwrap();
    source.read(None, &Default::default()).await.unwrap();
}
