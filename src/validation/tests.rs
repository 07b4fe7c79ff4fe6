use std::time::Duration;

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::fixtures::{data, data_with, least, unresolved, validated};
use super::*;
use crate::api::conditions::Blocker;
use crate::organization::Region;
use crate::references::ReferencedData;
use crate::sync::policy::{Glob, Limit, OffboardingAction, Restore};

#[test]
fn what_is_left_out_has_the_defaults_of_the_reference() {
    let spec = validated(&least()).unwrap();
    assert!(!spec.suspended);
    assert_eq!(spec.mode, Mode::Apply);
    assert!(matches!(spec.schedule, Schedule::Every(every) if every == Duration::from_secs(900)));
    assert_eq!(spec.drift_check_interval, Duration::from_secs(86_400));
    assert_eq!(spec.organization.region, Region::Eu);
    let policy = spec.policy;
    assert_eq!(policy.external_id_prefix, "");
    assert!(policy.users.include.is_empty() && policy.groups.exclude.is_empty());
    assert!(!policy.groups.only_their_members && !policy.groups.prune);
    assert!(policy.onboarding.invite);
    assert_eq!(policy.offboarding.disabled, OffboardingAction::Revoke);
    assert_eq!(policy.offboarding.absent, OffboardingAction::Retain);
    assert_eq!(policy.offboarding.limit, Limit::Percent(10.0));
}

#[test]
fn people_get_their_access_back_only_where_this_resource_takes_it_away() {
    let restore = |onboarding: Value, offboarding: Value| {
        let mut spec = least();
        spec["onboarding"] = onboarding;
        spec["offboarding"] = offboarding;
        validated(&spec).unwrap().policy.onboarding.restore
    };
    for (onboarding, offboarding, expected) in [
        (json!({}), json!({}), Restore::RevokedByUs),
        (
            json!({}),
            json!({"disabled": "Retain", "absent": "Revoke"}),
            Restore::RevokedByUs,
        ),
        (
            json!({}),
            json!({"disabled": "Retain", "absent": "Remove"}),
            Restore::Nobody,
        ),
        (
            json!({"restore": true}),
            json!({"disabled": "Retain"}),
            Restore::All,
        ),
        (
            json!({"restore": false}),
            json!({"disabled": "Revoke"}),
            Restore::Nobody,
        ),
    ] {
        assert_eq!(restore(onboarding, offboarding), expected);
    }
}

#[test]
fn that_nobody_would_be_offboarded_is_told_unless_it_is_asked_for() {
    let told = |source: Value, offboarding: Value| {
        let mut spec = least();
        spec["offboarding"] = offboarding;
        let ldap = spec["source"]["ldap"].as_object_mut().unwrap();
        ldap.extend(source.as_object().unwrap().clone());
        let doubts = validated(&spec).unwrap().policy.doubts;
        let mut reasons = doubts.into_iter().map(|doubt| doubt.reason);
        reasons.any(|reason| reason == ProblemReason::NobodyOffboarded)
    };
    assert!(told(json!({}), json!({})));
    assert!(told(
        json!({"preset": "LLDAP"}),
        json!({"disabled": "Remove"})
    ));
    for (source, offboarding) in [
        (
            json!({"users": {"disabled": {"attribute": "pwdAccountLockedTime"}}}),
            json!({}),
        ),
        (json!({"preset": "FreeIPA"}), json!({})),
        (json!({}), json!({"absent": "Revoke"})),
        (json!({}), json!({"disabled": "Retain"})),
    ] {
        assert!(!told(source.clone(), offboarding), "{source}");
    }
}

#[test]
fn settings_that_may_leave_leavers_out_are_told_unless_what_becomes_of_absent_people_is_written() {
    let told = |source: Value, offboarding: Value| {
        let mut spec = least();
        spec["source"] = source;
        spec["offboarding"] = offboarding;
        let doubts = validated(&spec).unwrap().policy.doubts;
        let reason = ProblemReason::LeaversLeftOut;
        let found = doubts.into_iter().find(|doubt| doubt.reason == reason);
        found.map(|doubt| {
            let (_, after) = doubt.message.split_once("whoever ").unwrap();
            after.split(" of the source").next().unwrap().to_owned()
        })
    };
    let ad = |more: Value| {
        let mut source = json!({"domain": "corp.example.com", "bindSecretRef": {"name": "ad"}});
        let fields = source.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        json!({"activeDirectory": source})
    };
    let ldap = |users: Value| {
        json!({"ldap": {
            "url": "ldaps://ldap.example.com", "baseDn": "dc=example,dc=com", "users": users,
            "bindSecretRef": {"name": "ldap-bind"},
        }})
    };
    let okta = |users: Value| {
        json!({"okta": {
            "orgUrl": "https://example.okta.com", "users": users,
            "credentials": {"apiTokenSecretRef": {"name": "okta"}},
        }})
    };
    let entra = |users: Value| {
        json!({"entraId": {
            "tenantId": "example.com", "clientId": "22222222-2222-2222-2222-222222222222",
            "credentials": {"workloadIdentity": {}}, "users": users,
        }})
    };
    let google = |users: Value| {
        json!({"googleWorkspace": {
            "adminEmail": "admin@example.com", "users": users,
            "credentials": {"serviceAccountKeySecretRef": {"name": "google"}},
        }})
    };
    let group = "CN=Bitwarden,OU=Groups,DC=corp,DC=example,DC=com";
    let member_of = ad(json!({"users": {"memberOf": [group]}}));
    let lock = json!({"attribute": "nsAccountLock"});
    for (source, field) in [
        (member_of.clone(), "users.memberOf"),
        (
            ad(json!({"users": {"filter": format!("(memberof={group})")}})),
            "users.filter",
        ),
        (
            ad(json!({"users": {
                "filter": "(!(userAccountControl:1.2.840.113556.1.4.803:=2))",
                "searchBases": ["OU=Staff,DC=corp,DC=example,DC=com"],
            }})),
            "users.filter or baseDn or users.searchBases",
        ),
        (
            ad(json!({"baseDn": "OU=Staff,DC=corp,DC=example,DC=com"})),
            "baseDn or users.searchBases",
        ),
        (
            ldap(json!({"filter": "(memberOf=cn=vault,dc=example,dc=com)", "disabled": lock})),
            "users.filter",
        ),
        (
            ldap(json!({"filter": "(&(uid=*)(!(nsaccountlock=TRUE)))", "disabled": lock})),
            "users.filter",
        ),
        (
            okta(json!({"search": "status eq \"ACTIVE\""})),
            "users.search",
        ),
        (
            entra(json!({"filter": "accountEnabled eq true"})),
            "users.filter",
        ),
        (google(json!({"query": "isSuspended=false"})), "users.query"),
    ] {
        assert_eq!(told(source.clone(), json!({})).as_deref(), Some(field));
        for decided in [
            json!({"absent": "Revoke"}),
            json!({"absent": "Retain"}),
            json!({"disabled": "Retain"}),
        ] {
            assert_eq!(told(source.clone(), decided), None, "{source}");
        }
    }
    for source in [
        ad(json!({"baseDn": "DC=corp,DC=example,DC=com", "users": {"filter": "(mail=*)"}})),
        ldap(json!({"filter": "(employeeType=internal)", "disabled": lock})),
        // Nobody at all is offboarded there, which another reason tells.
        ldap(json!({"filter": "(memberOf=cn=vault,dc=example,dc=com)"})),
        okta(json!({"search": "profile.status eq \"staff\""})),
        entra(json!({"memberOf": {"names": ["Staff"]}, "filter": "userType eq 'Member'"})),
        google(json!({"organizationalUnits": ["/staff"]})),
    ] {
        assert_eq!(told(source.clone(), json!({})), None, "{source}");
    }
}

#[test]
fn limits_are_numbers_or_shares() {
    let limit = |limit: Value| {
        let mut spec = least();
        spec["offboarding"] = json!({"limit": limit});
        validated(&spec)
            .map(|spec| spec.policy.offboarding.limit)
            .ok()
    };
    assert_eq!(limit(json!(0)), Some(Limit::Count(0)));
    assert_eq!(limit(json!(25)), Some(Limit::Count(25)));
    assert_eq!(limit(json!("2.5%")), Some(Limit::Percent(2.5)));
    assert_eq!(limit(json!("100%")), Some(Limit::Percent(100.0)));
    for wrong in ["25", "%", "-5%", "1e9%", "NaN%", "inf%", "+5%", "100.1%"] {
        assert_eq!(limit(json!(wrong)), None, "{wrong}");
    }
}

#[test]
fn everything_that_is_wrong_is_reported_at_once_with_its_field() {
    let mut spec = least();
    spec["schedule"] = json!("0 25 * * *");
    spec["driftCheckInterval"] = json!("5m");
    spec["offboarding"] = json!({"limit": "lots"});
    spec["organization"]["serverUrl"] = json!("ftp://vault.example.com");
    spec["source"]["ldap"]["users"] = json!({"filter": "(mail=*"});
    let InvalidSpec(wrong) = validated(&spec).unwrap_err();
    let fields: Vec<_> = wrong.iter().map(|wrong| wrong.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "spec.schedule",
            "spec.driftCheckInterval",
            "spec.offboarding.limit",
            "spec.organization",
            "spec.organization.serverUrl",
            "spec.source.ldap",
        ]
    );
    let all = InvalidSpec(wrong).to_string();
    assert!(all.contains("users.filter \"(mail=*\""), "{all}");
}

#[test]
fn groups_are_compared_every_ten_minutes_at_most() {
    let mut spec = least();
    spec["driftCheckInterval"] = json!("10m");
    let ten_minutes = validated(&spec).unwrap().drift_check_interval;
    assert_eq!(ten_minutes, Duration::from_secs(600));
    spec["driftCheckInterval"] = json!("9m59s");
    assert!(validated(&spec).is_err());
}

#[test]
fn a_schedule_is_refused_where_its_time_or_zone_does_not_exist() {
    let refused = |schedule: &str, zone: &str| {
        let mut spec = least();
        spec["schedule"] = json!(schedule);
        spec["timeZone"] = json!(zone);
        validated(&spec)
            .map(|_| ())
            .map_err(|InvalidSpec(wrong)| wrong[0].field.clone())
    };
    assert_eq!(refused("*/30 8-18 * * 1-5", "Europe/Berlin"), Ok(()));
    assert_eq!(refused("0 0 30 2 *", "UTC"), Err("spec.schedule".into()));
    assert_eq!(
        refused("0 0 * * *", "Europe/Atlantis"),
        Err("spec.timeZone".into())
    );
}

#[test]
fn plain_http_and_ldap_are_for_the_machine_itself_unless_allowed() {
    let accepted = |server: &str, ldap: &str, allowed: bool| {
        let mut spec = least();
        spec["organization"] = json!({
            "serverUrl": server,
            "allowPlaintext": allowed,
            "credentialsSecretRef": {"name": "bitwarden-org"},
        });
        spec["source"]["ldap"]["url"] = json!(ldap);
        spec["source"]["ldap"]["allowPlaintext"] = json!(allowed);
        validated(&spec).is_ok()
    };
    assert!(accepted(
        "http://127.0.0.1:8080",
        "ldap://localhost:1389",
        false
    ));
    assert!(accepted("http://[::1]:8080/base", "ldap://[::1]", false));
    assert!(!accepted(
        "http://vaultwarden.vault.svc",
        "ldaps://x",
        false
    ));
    assert!(!accepted("https://x", "ldap://ldap.example.com", false));
    assert!(!accepted(
        "http://127.0.0.1.example.com",
        "ldaps://x",
        false
    ));
    assert!(accepted(
        "http://vaultwarden.vault.svc",
        "ldap://ldap.example.com",
        true
    ));
}

#[test]
fn exactly_the_objects_and_keys_that_are_needed_are_asked_for() {
    let mut spec = least();
    spec["organization"]["credentialsSecretRef"]["clientSecretKey"] = json!("secret");
    spec["source"]["ldap"]["tls"] = json!({
        "caBundleRef": {"name": "corp-ca"},
        "clientCertificateSecretRef": {"name": "ldap-bind"},
    });
    let asked: Vec<_> = validated(&spec)
        .unwrap()
        .references()
        .into_iter()
        .map(|reference| {
            let keys: Vec<_> = reference.keys.into_iter().collect();
            format!("{}: {}", reference.to, keys.join(" "))
        })
        .collect();
    assert_eq!(
        asked,
        [
            "Secret \"bitwarden-org\": clientId secret",
            "Secret \"ldap-bind\": bindDn password tls.crt tls.key",
            "ConfigMap \"corp-ca\": ca.crt",
        ]
    );
}

#[test]
fn secrets_fill_the_settings_without_the_line_break_that_an_editor_left() {
    let organization = validated(&least()).unwrap().organization;
    let organization = organization.settings(&data()).unwrap();
    let secret = organization.client_secret.expose_secret();
    assert_eq!(secret, "the-organizations-secret");
    let shown = format!("{organization:?} {:?}", data());
    assert!(!shown.contains("the-password"), "{shown}");
    assert!(!shown.contains("the-organizations-secret"), "{shown}");
}

#[test]
fn what_is_missing_is_named_with_a_command_that_makes_it() {
    let error = unresolved(&least(), &ReferencedData::of_namespace("identity"));
    assert_eq!(error.blocker(), Blocker::ReferenceNotFound);
    assert_eq!(error.0.len(), 2, "one for each Secret");
    let all = error.to_string();
    let command = "kubectl -n identity create secret generic bitwarden-org \
                   --from-file=clientId=FILE --from-file=clientSecret=FILE";
    assert!(all.contains(command), "{all}");

    let mut data = data();
    let personal = json!({"metadata": {"name": "bitwarden-org"}, "stringData": {
        "clientId": "user.b0c5ce2c-0000-4000-8000-000000000001",
        "clientSecret": "",
    }});
    data.add_secret(serde_json::from_value(personal).unwrap());
    let error = unresolved(&least(), &data);
    assert_eq!(error.blocker(), Blocker::InvalidReference);
    let all = error.to_string();
    assert!(
        all.contains("Secret \"bitwarden-org\", key \"clientId\": "),
        "{all}"
    );
    assert!(all.contains("key \"clientSecret\": is empty"), "{all}");

    let mut other_key = least();
    other_key["source"]["ldap"]["bindSecretRef"]["passwordKey"] = json!("pass");
    let error = unresolved(&other_key, &fixtures::data());
    assert_eq!(
        error.to_string(),
        "Secret \"ldap-bind\" has no key \"pass\"; add it, or name another key in the spec"
    );
}

#[test]
fn groups_are_not_read_where_all_are_left_out() {
    let reads = |groups: Value| {
        let mut spec = least();
        spec["groups"] = groups;
        let policy = validated(&spec).unwrap().policy;
        let spec = serde_json::from_value(spec).unwrap();
        (reads_groups(&spec), policy.groups.exclude)
    };
    assert_eq!(
        reads(json!({"exclude": ["*"]})),
        (false, vec![Glob::new("*")])
    );
    assert!(reads(json!({"exclude": ["*"], "onlyTheirMembers": true})).0);
    assert!(reads(json!({"exclude": ["*-test"]})).0);
}

#[test]
fn a_pem_block_on_one_line_is_a_secret_whole() {
    let key =
        "-----BEGIN PRIVATE KEY----- MIIEvQIBADANBgkq hkiG9w0BAQEFAASC -----END PRIVATE KEY-----";
    let redactor = data_with("client", &json!({"tls.key": key})).redactor(&[]);
    let shown = redactor.redact_message(&format!("the server says {key}"));
    assert!(
        !shown.contains("MIIEvQ") && !shown.contains("hkiG9w0"),
        "{shown}"
    );
}

#[test]
fn whether_a_value_is_a_password_depends_on_its_field_and_not_on_its_looks() {
    let password = "correct@horse=battery,staple";
    let mut spec = least();
    let dn = "cn=reader,dc=example,dc=com";
    let shown = |spec: &Value, values: Value| {
        let spec = validated(spec).unwrap();
        let redactor = data_with("ldap-bind", &values).redactor(&spec.names());
        redactor.redact_message("rejected correct@horse=battery,staple below dc=example,dc=com")
    };
    let redacted = shown(&spec, json!({"bindDn": dn, "password": password}));
    assert_eq!(redacted, "rejected *** below dc=example,dc=com");
    // The password of something else, named as the DN.
    let other = shown(
        &spec,
        json!({"bindDn": "correct@horse=battery,staple", "password": "x"}),
    );
    assert!(!other.contains("battery"), "{other}");
    // One key for both.
    spec["source"]["ldap"]["bindSecretRef"]["bindDnKey"] = json!("password");
    let both = shown(&spec, json!({"password": password}));
    assert!(!both.contains("battery"), "{both}");
}

#[test]
fn as_many_dismissals_as_other_losses_are_allowed_by_default_where_both_limits_are_shares() {
    let disabled_limit = |offboarding: Value| {
        let mut spec = least();
        spec["offboarding"] = offboarding;
        validated(&spec).unwrap().policy.offboarding.disabled_limit
    };
    for (offboarding, expected) in [
        (json!({}), Limit::Percent(25.0)),
        (json!({"limit": "10%"}), Limit::Percent(25.0)),
        (json!({"limit": "40%"}), Limit::Percent(40.0)),
        (json!({"limit": "100%"}), Limit::Percent(100.0)),
        (json!({"limit": 400}), Limit::Percent(25.0)),
        (
            json!({"limit": "40%", "disabledLimit": "30%"}),
            Limit::Percent(30.0),
        ),
        (json!({"limit": "40%", "disabledLimit": 3}), Limit::Count(3)),
    ] {
        assert_eq!(
            disabled_limit(offboarding.clone()),
            expected,
            "{offboarding}"
        );
    }
}
