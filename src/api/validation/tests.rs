use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::fixtures::{data, least, validated};
use super::*;
use crate::api::spec::DirectorySyncSpec;
use crate::connect::{ConnectError, Observers, connect};
use crate::directory::AccountState;
use crate::organization::Region;
use crate::source::entra_id::{Addresses, Credentials, EmailRule, EntraIdSettings};
use crate::source::ldap::{Bind, IdAttribute, LdapSettings, MemberAttribute, MemberNaming};
use crate::source::one_login::{self, OneLoginSettings};
use crate::sync::policy::{Departure, Glob, Limit};

/// What doesn't let a valid spec be followed, with what `data` holds.
fn unresolved(spec: &Value, data: &ReferencedData) -> Unresolved {
    match connect(&validated(spec).unwrap(), data, Observers::default()) {
        Err(ConnectError::Unresolved(unresolved)) => unresolved,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("nothing is missing"),
    }
}

/// A valid spec's settings, with what the source's part of it made of them.
fn parts(spec: &Value) -> (DirectorySyncSpec, bool) {
    validated(spec).unwrap();
    let spec: DirectorySyncSpec = serde_json::from_value(spec.clone()).unwrap();
    let groups = reads_groups(&spec);
    (spec, groups)
}

fn ldap(spec: &Value) -> LdapSettings {
    let (spec, groups) = parts(spec);
    let (checks, part) = (&mut Checks::default(), spec.source.ldap.unwrap());
    let ldap = ldap::validate(checks, &part, groups).unwrap();
    ldap.resolve(&data(), &mut vec![]).unwrap()
}

#[test]
fn what_is_left_out_has_the_defaults_that_the_reference_tells() {
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
    assert_eq!(policy.offboarding.disabled, Departure::Revoke);
    assert_eq!(policy.offboarding.absent, Departure::Retain);
    assert_eq!(policy.offboarding.limit, Limit::Percent(10.0));

    let ldap = ldap(&least());
    assert_eq!(ldap.users.id, IdAttribute::Attribute("entryUUID".into()));
    assert_eq!(ldap.users.filter, "(objectClass=inetOrgPerson)");
    assert_eq!(
        ldap.groups.unwrap().members,
        [MemberAttribute::named("member")]
    );
}

#[test]
fn people_get_their_access_back_only_where_this_resource_takes_it_away() {
    let restore = |onboarding: Value, offboarding: Value| {
        let mut spec = least();
        spec["onboarding"] = onboarding;
        spec["offboarding"] = offboarding;
        validated(&spec).unwrap().policy.onboarding.restore
    };
    assert!(restore(json!({}), json!({})));
    assert!(restore(
        json!({}),
        json!({"disabled": "Retain", "absent": "Revoke"})
    ));
    assert!(!restore(
        json!({}),
        json!({"disabled": "Retain", "absent": "Remove"})
    ));
    assert!(restore(
        json!({"restore": true}),
        json!({"disabled": "Retain"})
    ));
    assert!(!restore(
        json!({"restore": false}),
        json!({"disabled": "Revoke"})
    ));
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
fn everything_that_is_wrong_is_told_at_once_with_its_field() {
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
    let mut spec = least();
    spec["source"]["ldap"]["tls"] = json!({"caBundleRef": {"name": "corp-ca"}});
    let organization = validated(&spec).unwrap().organization;
    let organization = organization.settings(&data()).unwrap();
    let secret = organization.client_secret.expose_secret();
    assert_eq!(secret, "the-organizations-secret");
    let ldap = ldap(&spec);
    assert_eq!(ldap.tls.ca_bundle.as_deref(), Some(&b"PEM"[..]));
    let Bind::Simple { dn, password } = &ldap.bind else {
        panic!("{:?}", ldap.bind);
    };
    assert_eq!(dn, "cn=reader,dc=example,dc=com");
    assert_eq!(password.expose_secret(), "the-password");

    let shown = format!("{organization:?} {ldap:?} {:?}", data());
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
fn a_file_that_is_no_service_accounts_key_is_named_by_its_secret_and_never_shown() {
    let mut spec = least();
    spec["source"] = json!({"googleWorkspace": {
        "credentials": {"serviceAccountKeySecretRef": {"name": "google"}},
    }});
    let refused = |file: &str| {
        let mut data = data();
        let secret = json!({"metadata": {"name": "google"}, "stringData": {"key.json": file}});
        data.add_secret(serde_json::from_value(secret).unwrap());
        let error = unresolved(&spec, &data);
        assert_eq!(error.blocker(), Blocker::InvalidReference);
        error.to_string()
    };
    let client = json!({"type": "authorized_user", "client_secret": "hush-hush"}).to_string();
    let cut = json!({
        "type": "service_account",
        "client_email": "sync@p.iam.gserviceaccount.com",
        "private_key_id": "1",
        "private_key": "-----BEGIN PRIVATE KEY-----\nhush-hush\n-----END PRIVATE KEY-----",
    });
    for (file, why) in [
        ("hush-hush", "isn't JSON"),
        (&client, "of the type \"authorized_user\""),
        (
            &json!({"type": "service_account"}).to_string(),
            "has no private_key",
        ),
        (&cut.to_string(), "has a private_key that"),
    ] {
        let error = refused(file);
        assert!(
            error.starts_with("Secret \"google\", key \"key.json\": "),
            "{error}"
        );
        assert!(error.contains(why), "{error}");
        assert!(!error.contains("hush-hush"), "{error}");
    }
    let error = unresolved(&spec, &data());
    assert_eq!(error.blocker(), Blocker::ReferenceNotFound);
}

#[test]
fn members_are_read_as_the_spec_describes_them() {
    let members = |users: Value, groups: Value| {
        let mut spec = least();
        spec["source"]["ldap"]["users"] = users;
        spec["source"]["ldap"]["groups"] = groups;
        ldap(&spec).groups.unwrap().members
    };
    let by = |name: &str, naming: MemberNaming| MemberAttribute {
        name: name.into(),
        naming,
    };
    let uid = |name: &str| MemberNaming::UserAttribute(name.into());
    assert_eq!(
        members(json!({}), json!({"memberAttribute": "memberUid"})),
        [by("memberUid", uid("uid"))]
    );
    assert_eq!(
        members(
            json!({"uidAttribute": "login"}),
            json!({"memberAttribute": "owner", "memberValue": "Uid"})
        ),
        [by("owner", uid("login"))]
    );
    assert_eq!(
        members(
            json!({}),
            json!({"memberAttributes": ["member", "uniqueMember"]})
        ),
        [
            by("member", MemberNaming::Dn),
            by("uniqueMember", MemberNaming::Dn)
        ]
    );
    assert_eq!(
        members(json!({"memberOfAttribute": "memberOf"}), json!({})),
        []
    );
}

#[test]
fn groups_are_not_read_where_all_are_left_out() {
    let reads = |groups: Value| {
        let mut spec = least();
        spec["groups"] = groups;
        let policy = validated(&spec).unwrap().policy;
        (ldap(&spec).groups.is_some(), policy.groups.exclude)
    };
    assert_eq!(
        reads(json!({"exclude": ["*"]})),
        (false, vec![Glob::new("*")])
    );
    assert!(reads(json!({"exclude": ["*"], "onlyTheirMembers": true})).0);
    assert!(reads(json!({"exclude": ["*-test"]})).0);
}

const GUID: &str = "22222222-2222-4222-8222-222222222222";

/// A spec whose source is this tenant.
fn entra(changes: Value) -> Value {
    let mut tenant = json!({
        "tenantId": "example.onmicrosoft.com",
        "clientId": GUID,
        "credentials": {"clientSecretRef": {"name": "entra"}},
    });
    for (field, value) in changes.as_object().unwrap() {
        tenant[field] = value.clone();
    }
    let mut spec = least();
    spec["source"] = json!({"entraId": tenant});
    spec
}

fn entra_settings(changes: Value) -> EntraIdSettings {
    let mut data = data();
    let secret = json!({"metadata": {"name": "entra"}, "stringData": {
        "clientSecret": "the-client-secret\n", "tls.crt": "CERTIFICATE", "tls.key": "KEY",
    }});
    data.add_secret(serde_json::from_value::<Secret>(secret).unwrap());
    let (spec, groups) = parts(&entra(changes));
    let (checks, part) = (&mut Checks::default(), spec.source.entra_id.unwrap());
    let tenant = entra_id::validate(checks, &part, groups).unwrap();
    let settings = tenant.resolve(&data, &mut vec![]).unwrap();
    assert!(!format!("{settings:?}").contains("the-client-secret"));
    settings
}

#[test]
fn a_tenant_is_read_as_the_spec_describes_it() {
    let usual = entra_settings(json!({}));
    assert_eq!(usual.addresses, Addresses::public());
    assert!(usual.users.types.members && !usual.users.types.guests);
    let Credentials::Secret(secret) = &usual.credentials else {
        panic!("{:?}", usual.credentials);
    };
    assert_eq!(secret.expose_secret(), "the-client-secret");

    let chosen = entra_settings(json!({
        "cloud": "USGovernment",
        "credentials": {"certificateSecretRef": {"name": "entra"}},
        "users": {
            "filter": "department eq 'R&D'", "types": ["Guest"], "email": "Mail",
            "memberOf": {"names": ["Staff"]}, "notMemberOf": {"ids": [GUID]},
            "administrativeUnits": [GUID], "assignedToApplication": GUID,
            "assignedLicenses": [GUID],
        },
        "groups": {
            "filter": "securityEnabled eq true", "ids": [GUID], "types": ["Microsoft365"],
            "administrativeUnits": [GUID], "notAdministrativeUnits": [GUID],
        },
    }));
    assert_eq!(chosen.addresses, Addresses::us_government());
    assert!(matches!(
        &chosen.credentials,
        Credentials::Certificate { certificate, key }
            if certificate == b"CERTIFICATE" && key.expose_secret() == "KEY"
    ));
    let users = &chosen.users;
    assert_eq!(users.filter.as_deref(), Some("department eq 'R&D'"));
    assert!(users.types.guests && !users.types.members);
    assert_eq!(users.email, EmailRule::Mail);
    assert_eq!(users.member_of.as_ref().unwrap().names, ["Staff"]);
    assert_eq!(users.not_member_of.as_ref().unwrap().ids, [GUID]);
    assert_eq!(users.administrative_units, [GUID]);
    assert_eq!(users.assigned_to_application.as_deref(), Some(GUID));
    assert_eq!(users.assigned_licenses.len(), 1);
    let groups = chosen.groups.unwrap();
    assert_eq!(groups.filter.as_deref(), Some("securityEnabled eq true"));
    assert_eq!(groups.ids, [GUID]);
    let types = groups.types.unwrap();
    assert!(types.microsoft_365 && !types.security);
    assert_eq!(groups.administrative_units, [GUID]);
    assert_eq!(groups.not_administrative_units, [GUID]);

    let keyless =
        entra_settings(json!({"credentials": {"workloadIdentity": {}}, "cloud": "China"}));
    assert!(matches!(
        keyless.credentials,
        Credentials::FederatedToken { file: None }
    ));
    assert_eq!(keyless.addresses, Addresses::china());
}

#[test]
fn a_tenant_that_cannot_work_is_refused_with_what_to_write() {
    for (changes, says) in [
        (json!({"clientId": "bitwarden"}), "clientId"),
        (json!({"tenantId": "a/b"}), "tenantId"),
        (
            json!({"credentials": {}}),
            "write exactly one of clientSecretRef",
        ),
        (
            json!({"graphUrl": "https://graph.example.com"}),
            "write both authorityUrl and graphUrl",
        ),
        (
            json!({"graphUrl": "http://graph.example.com", "authorityUrl": "https://a.example.com"}),
            "entraId.graphUrl",
        ),
        (
            json!({"users": {"memberOf": {}}}),
            "users.memberOf selects nothing",
        ),
        (
            json!({"users": {"assignedLicenses": ["E5"]}}),
            "assignedLicenses",
        ),
        (json!({"groups": {"ids": ["Staff"]}}), "groups.ids"),
        (
            json!({"groups": {"administrativeUnits": ["Berlin"]}}),
            "groups.administrativeUnits",
        ),
    ] {
        let error = validated(&entra(changes)).unwrap_err().to_string();
        assert!(error.contains(says), "{says:?} isn't in: {error}");
    }
}

/// A spec that reads a OneLogin account, with these fields of `spec.source.oneLogin`.
fn one_login(mut account: Value) -> Value {
    account["credentialsSecretRef"] = json!({"name": "onelogin", "clientIdKey": "id"});
    let mut spec = least();
    spec["source"] = json!({"oneLogin": account});
    spec
}

fn one_login_settings(spec: &Value) -> OneLoginSettings {
    let mut data = data();
    let secret = json!({"metadata": {"name": "onelogin"}, "stringData": {
        "id": "the-client\n",
        "clientSecret": "the-secret-of-the-client\n",
    }});
    data.add_secret(serde_json::from_value::<Secret>(secret).unwrap());
    let (spec, groups) = parts(spec);
    let (checks, part) = (&mut Checks::default(), spec.source.one_login.unwrap());
    let account = super::one_login::validate(checks, &part, groups).unwrap();
    account.resolve(&data, &mut vec![]).unwrap()
}

#[test]
fn onelogin_is_read_as_the_spec_describes_it() {
    let usual = one_login_settings(&one_login(json!({"region": "EU"})));
    assert_eq!(usual.url.as_str(), "https://api.eu.onelogin.com/");
    assert_eq!(usual.client_id, "the-client");
    let secret = usual.client_secret.expose_secret();
    assert_eq!(secret, "the-secret-of-the-client");
    assert!(!format!("{usual:?}").contains("the-secret"));
    assert_eq!(usual.rate_limit_share, 50);
    assert_eq!(usual.attributes, []);
    assert_eq!(usual.email_suffix, None);
    assert_eq!(usual.statuses, one_login::StatusTable::default());
    assert_eq!(usual.states, one_login::StateTable::default());
    assert_eq!(usual.groups, Some(one_login::GroupsFrom::Roles));

    let url = |account| one_login_settings(&one_login(account)).url;
    let address = url(json!({"region": "US"}));
    assert_eq!(address.as_str(), "https://api.us.onelogin.com/");
    let address = url(json!({"subdomain": "Example-1"}));
    assert_eq!(address.as_str(), "https://example-1.onelogin.com/");
    let address = url(json!({"apiUrl": "https://proxy.example.com/onelogin"}));
    assert_eq!(address.as_str(), "https://proxy.example.com/onelogin");

    let (active, disabled) = (Some(AccountState::Active), Some(AccountState::Disabled));
    let chosen = one_login(json!({
        "subdomain": "example",
        "rateLimitShare": 30,
        "users": {
            "attributes": [{"attribute": "department", "value": "Eng*"}],
            "emailSuffix": "@example.com",
            "statuses": {
                "unactivated": "Absent",
                "active": "Disabled",
                "suspended": "Active",
                "locked": "Absent",
                "passwordExpired": "Disabled",
                "awaitingPasswordReset": "Disabled",
                "pending": "Absent",
                "securityQuestionsRequired": "Disabled",
            },
            "states": {
                "unapproved": "Absent",
                "approved": "Disabled",
                "rejected": "Disabled",
                "unlicensed": "Absent",
            },
        },
        "groups": {"from": "Groups"},
    }));
    let settings = one_login_settings(&chosen);
    assert_eq!(settings.rate_limit_share, 30);
    let attribute = one_login::Attribute {
        name: "department".into(),
        value: "Eng*".into(),
    };
    assert_eq!(settings.attributes, [attribute]);
    assert_eq!(settings.email_suffix.as_deref(), Some("@example.com"));
    let statuses = one_login::StatusTable {
        unactivated: None,
        active: disabled,
        suspended: active,
        locked: None,
        password_expired: disabled,
        awaiting_password_reset: disabled,
        pending: None,
        security_questions_required: disabled,
    };
    assert_eq!(settings.statuses, statuses);
    let states = one_login::StateTable {
        unapproved: None,
        approved: disabled,
        rejected: disabled,
        unlicensed: None,
    };
    assert_eq!(settings.states, states);
    assert_eq!(settings.groups, Some(one_login::GroupsFrom::Groups));

    let mut without = chosen;
    without["groups"] = json!({"exclude": ["*"]});
    assert_eq!(one_login_settings(&without).groups, None);
}

#[test]
fn what_onelogin_could_never_do_is_refused_before_it_is_asked() {
    let refused = |account| validated(&one_login(account)).unwrap_err().to_string();
    assert!(refused(json!({})).contains("exactly one of region, subdomain, apiUrl"));
    assert!(refused(json!({"region": "EU", "subdomain": "a"})).contains("exactly one"));
    assert!(refused(json!({"apiUrl": "http://onelogin.example.com"})).contains("unencrypted"));
    assert!(refused(json!({"region": "EU", "rateLimitShare": 0})).contains("from 1 to 100"));
    for subdomain in ["example.onelogin.com", "a/b", "-a", "a@evil.example", ""] {
        let error = refused(json!({"subdomain": subdomain}));
        assert!(error.contains("before .onelogin.com"), "{error}");
    }
    let error = unresolved(&one_login(json!({"region": "EU"})), &data());
    assert_eq!(error.blocker(), Blocker::ReferenceNotFound);
    let command =
        "create secret generic onelogin --from-file=id=FILE --from-file=clientSecret=FILE";
    assert!(error.to_string().contains(command), "{error}");
}

#[test]
fn a_domain_is_read_as_the_spec_describes_it() {
    use crate::source::active_directory::{Controller, Domain, EmailFrom, Security, Where};

    let with = |source: Value| {
        let mut spec = least();
        spec["source"] = json!({"activeDirectory": source});
        spec["source"]["activeDirectory"]["bindSecretRef"] =
            json!({"name": "ldap-bind", "usernameKey": "bindDn"});
        spec
    };
    let settings = |source: Value| {
        let (spec, groups) = parts(&with(source));
        let (checks, part) = (
            &mut Checks::default(),
            spec.source.active_directory.unwrap(),
        );
        let domain = active_directory::validate(checks, &part, groups).unwrap();
        domain.resolve(&data(), &mut vec![]).unwrap()
    };
    let usual = settings(json!({"domain": "Corp.example.com"}));
    let domain = Domain {
        name: "corp.example.com".into(),
        name_server: None,
    };
    assert_eq!(usual.find, Where::Domain(domain));
    assert_eq!(usual.security, Security::Ldaps);
    assert_eq!(usual.account.name, "cn=reader,dc=example,dc=com");
    assert_eq!(usual.account.password.expose_secret(), "the-password");
    assert_eq!(usual.users.email, EmailFrom::Mail);
    assert_eq!(usual.groups.unwrap().name, "name");

    let listed = settings(json!({
        "controllers": ["dc1.example.com", "[fd00::1]:3269", "10.0.0.1:636"],
        "security": "StartTls",
        "globalCatalog": true,
        "tls": {"caBundleRef": {"name": "corp-ca"}},
        "users": {"memberOf": ["CN=a,DC=x"], "email": "PrefixAndSuffix", "emailSuffix": "@x.example"},
        "groups": {"dns": ["CN=b,DC=x"], "includePrimary": true},
    }));
    let controller = |host: &str, port| Controller {
        host: host.into(),
        port,
    };
    assert_eq!(
        listed.find,
        Where::Controllers(vec![
            controller("dc1.example.com", None),
            controller("fd00::1", Some(3269)),
            controller("10.0.0.1", Some(636)),
        ])
    );
    assert_eq!(listed.security, Security::StartTls);
    assert!(listed.global_catalog);
    assert_eq!(listed.tls.ca_bundle.as_deref(), Some(&b"PEM"[..]));
    let email = EmailFrom::PrefixAndSuffix {
        attribute: "sAMAccountName".into(),
        suffix: "@x.example".into(),
    };
    assert_eq!(listed.users.email, email);
    assert!(listed.groups.unwrap().include_primary);

    for (wrong, field) in [
        (json!({}), "activeDirectory"),
        (
            json!({"domain": "corp.example.com", "controllers": ["dc1"]}),
            "exactly one",
        ),
        (json!({"domain": "ldaps://corp"}), "activeDirectory.domain"),
        (
            json!({"controllers": ["dc1/x"]}),
            "activeDirectory.controllers",
        ),
        (json!({"controllers": ["dc1"], "baseDn": "corp"}), "baseDn"),
        (
            json!({"controllers": ["dc1"], "users": {"filter": "(a=b)(c=d)"}}),
            "users.filter",
        ),
        (
            json!({"controllers": ["dc1"], "groups": {"filter": "a=b"}}),
            "groups.filter",
        ),
        (
            json!({"controllers": ["dc1"], "users": {"emailSuffix": "@x"}}),
            "PrefixAndSuffix",
        ),
        (
            json!({"controllers": ["dc1"], "users": {"memberOf": ["x"]}}),
            "users.memberOf",
        ),
    ] {
        let error = validated(&with(wrong)).unwrap_err().to_string();
        assert!(error.contains(field), "{field}: {error}");
    }
}
