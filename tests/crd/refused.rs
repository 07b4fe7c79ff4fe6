//! What is refused, one test a rule: by the API server, with a message that says what to write,
//! and by the operator itself, for files and for objects from before a rule.

use directory_sync::api::DirectorySync;
use directory_sync::validation::ValidatedSpec;
use serde_json::Value;

use crate::accepted::design_example;
use crate::{Cluster, yaml};

/// What has to refuse a manifest: the schema, or a rule of it.
#[derive(PartialEq)]
enum By {
    /// The API server, and the operator where it reads a file.
    Both,
    /// The API server alone: bounds that keep objects small.
    ServerAlone,
    /// Both, for a value of another type: the API server can't even read it.
    Type,
}

macro_rules! refused {
    ($($by:ident $name:ident: $change:literal, at $field:literal, $message:literal;)*) => {$(
        #[tokio::test]
        async fn $name() {
            refuse(stringify!($name), By::$by, $change, $field, $message).await;
        }
    )*};
}

/// The full manifest with `change` merged into its spec is refused at `field` with `message`.
async fn refuse(name: &str, by: By, change: &str, field: &str, message: &str) {
    let mut manifest = design_example();
    manifest["metadata"]["name"] = name.replace('_', "-").into();
    merge(&mut manifest["spec"], yaml(change));

    let cluster = Cluster::with_the_definition().await;
    let refusal = match cluster.apply(manifest.clone()).await {
        Ok(_) => panic!("accepted: {manifest}"),
        Err(status) => status,
    };
    if by == By::Type {
        let says = format!(".{field}: {message}");
        assert!(refusal.message.contains(&says), "{}", refusal.message);
    } else {
        assert_eq!(refusal.code, 422, "{refusal:?}");
        let details = refusal.details.expect("a refusal has details");
        let found = details
            .causes
            .iter()
            .any(|cause| cause.field == field && cause.message.contains(message));
        assert!(
            found,
            "not at {field}: {message}\nbut: {:#?}",
            details.causes
        );
    }

    if by != By::ServerAlone {
        let refused = match serde_json::from_value::<DirectorySync>(manifest) {
            Ok(sync) => ValidatedSpec::from_spec(&sync.spec).is_err(),
            Err(_) => true,
        };
        assert!(refused, "the operator accepts it");
    }
}

/// JSON Merge Patch (RFC 7396): null takes a field away.
pub fn merge(target: &mut Value, change: Value) {
    match change {
        Value::Object(changes) => {
            if !target.is_object() {
                *target = Value::Object(Default::default());
            }
            let object = target.as_object_mut().unwrap();
            for (key, change) in changes {
                if change.is_null() {
                    object.remove(&key);
                } else {
                    merge(object.entry(key).or_insert(Value::Null), change);
                }
            }
        }
        other => *target = other,
    }
}

refused! {
    Both an_interval_together_with_a_schedule: "schedule: '0 * * * *'",
        at "spec", "write either interval or schedule, not both";
    Both a_time_zone_without_a_schedule: "timeZone: Europe/Berlin",
        at "spec", "timeZone has no meaning without schedule: add schedule, or leave timeZone out";
    Both an_interval_under_a_minute: "interval: 59s",
        at "spec.interval", "write a time of at least 1m in hours, minutes and seconds: 90s, 15m, 1h30m";
    Both an_interval_that_is_no_duration: "interval: 15 minutes",
        at "spec.interval", "write a time of at least 1m in hours, minutes and seconds: 90s, 15m, 1h30m";
    Both an_interval_without_a_unit: "interval: '15'",
        at "spec.interval", "write a time of at least 1m in hours, minutes and seconds: 90s, 15m, 1h30m";
    Both a_schedule_of_four_fields: "{interval: null, schedule: '0 * * *'}",
        at "spec.schedule", "write five fields (minute 0-59, hour 0-23, day of month 1-31, month 1-12, day of week 0-7): */30 8-18 * * 1-5";
    Both a_minute_that_no_clock_has: "{interval: null, schedule: '61 * * * *'}",
        at "spec.schedule", "write five fields (minute 0-59,";
    Both an_hour_that_no_clock_has: "{interval: null, schedule: '0 24 * * *'}",
        at "spec.schedule", "write five fields (minute 0-59,";
    Both an_hour_in_a_range_that_no_clock_has: "{interval: null, schedule: '0 8-25 * * *'}",
        at "spec.schedule", "write five fields (minute 0-59,";
    Both a_day_that_no_month_has: "{interval: null, schedule: '0 0 32 * *'}",
        at "spec.schedule", "write five fields (minute 0-59,";
    Both a_thirteenth_month: "{interval: null, schedule: '0 0 1 13 *'}",
        at "spec.schedule", "write five fields (minute 0-59,";
    Both an_eighth_day_of_the_week: "{interval: null, schedule: '0 0 * * 1,8'}",
        at "spec.schedule", "write five fields (minute 0-59,";
    Both a_step_of_nothing: "{interval: null, schedule: '*/0 * * * *'}",
        at "spec.schedule", "write five fields (minute 0-59,";
    Both a_time_zone_that_nobody_knows: "{interval: null, schedule: '0 * * * *', timeZone: Europe/Atlantis}",
        at "spec.timeZone", "write the IANA name of a time zone: Europe/Berlin, America/New_York, UTC";
    Both a_time_zone_that_cannot_be_one: "{interval: null, schedule: '0 * * * *', timeZone: 'CET, roughly'}",
        at "spec.timeZone", "write the IANA name of a time zone: Europe/Berlin, America/New_York, UTC";
    Both a_drift_check_under_ten_minutes: "driftCheckInterval: 5m",
        at "spec.driftCheckInterval", "write a time of at least 10m in hours, minutes and seconds: 30m, 24h";
    Both a_mode_that_does_not_exist: "mode: DryRun",
        at "spec.mode", "supported values: \"Apply\", \"Preview\"";
    Both signals_that_do_not_exist: "signals: Always",
        at "spec.signals", "supported values: \"Auto\", \"Off\"";

    Both an_organization_nowhere: "organization: {region: null}",
        at "spec.organization", "write exactly one of region (EU, US or USGov, for Bitwarden's cloud), serverUrl (for a server of your own) and apiUrl with identityUrl";
    Both an_organization_in_two_places: "organization: {serverUrl: 'https://vault.example.com'}",
        at "spec.organization", "write exactly one of region (EU, US or USGov, for Bitwarden's cloud), serverUrl (for a server of your own) and apiUrl with identityUrl";
    Both a_region_that_does_not_exist: "organization: {region: APAC}",
        at "spec.organization.region", "supported values: \"EU\", \"US\", \"USGov\"";
    Both an_identity_service_without_an_api: "organization: {identityUrl: 'https://id.example.com'}",
        at "spec.organization", "write both identityUrl and apiUrl, or neither";
    Both an_api_without_an_identity_service: "organization: {region: null, apiUrl: 'https://api.example.com'}",
        at "spec.organization", "write both identityUrl and apiUrl, or neither";
    Both a_server_that_is_no_web_address: "organization: {region: null, serverUrl: vault.example.com}",
        at "spec.organization", "serverUrl must be an address such as https://example.com, without user, query or fragment";
    Both a_server_address_with_a_password: "organization: {region: null, serverUrl: 'https://me:secret@vault.example.com'}",
        at "spec.organization", "serverUrl must be an address such as https://example.com, without user, query or fragment";
    Both a_server_without_encryption: "organization: {region: null, serverUrl: 'http://vault.example.com'}",
        at "spec.organization", "serverUrl would send credentials unencrypted: write https://, or accept it with allowPlaintext: true";
    Both a_host_that_only_looks_local: "organization: {region: null, serverUrl: 'http://localhost.example.com'}",
        at "spec.organization", "serverUrl would send credentials unencrypted: write https://, or accept it with allowPlaintext: true";
    Both an_api_and_identity_service_without_encryption:
        "organization: {region: null, apiUrl: 'http://api.example.com', identityUrl: 'https://id.example.com'}",
        at "spec.organization", "apiUrl would send credentials unencrypted: write https://, or accept it with allowPlaintext: true";
    Both the_address_of_a_servers_api: "organization: {region: null, serverUrl: 'https://vault.example.com/api'}",
        at "spec.organization", "serverUrl is the address of the whole server: leave out /api and /identity at its end";
    Both the_address_of_a_servers_identity_service: "organization: {region: null, serverUrl: 'https://vault.example.com/identity/'}",
        at "spec.organization", "serverUrl is the address of the whole server: leave out /api and /identity at its end";
    Both credentials_without_a_name: "organization: {credentialsSecretRef: {name: null}}",
        at "spec.organization.credentialsSecretRef.name", "Required value";
    Both a_prefix_with_a_space: "organization: {externalIdPrefix: 'berlin '}",
        at "spec.organization.externalIdPrefix", "a prefix starts with a letter or digit and has letters, digits and . _ : / - only: berlin:";

    Both no_source: "source: {ldap: null}",
        at "spec.source", "write exactly one source: ldap, activeDirectory, entraId, googleWorkspace, okta or oneLogin";
    Both two_sources: "source: {oneLogin: {region: EU, credentialsSecretRef: {name: onelogin}}}",
        at "spec.source", "write exactly one source: ldap, activeDirectory, entraId, googleWorkspace, okta or oneLogin";

    Both a_policy_that_does_not_exist: "offboarding: {absent: Delete}",
        at "spec.offboarding.absent", "supported values: \"Retain\", \"Revoke\", \"Remove\"";
    Both a_limit_over_everybody: "offboarding: {limit: 101%}",
        at "spec.offboarding.limit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_just_over_everybody: "offboarding: {limit: 100.5%}",
        at "spec.offboarding.limit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_negative_limit: "offboarding: {limit: -1}",
        at "spec.offboarding.limit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_that_is_a_text_without_percent: "offboarding: {limit: '10'}",
        at "spec.offboarding.limit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_for_disableds_over_everybody: "offboarding: {disabledLimit: 101%}",
        at "spec.offboarding.disabledLimit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_for_disableds_just_over_everybody: "offboarding: {disabledLimit: 100.5%}",
        at "spec.offboarding.disabledLimit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_for_disableds_negative: "offboarding: {disabledLimit: -1}",
        at "spec.offboarding.disabledLimit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_for_disableds_that_is_a_text_without_percent: "offboarding: {disabledLimit: '10'}",
        at "spec.offboarding.disabledLimit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_for_disableds_of_too_many_digits: "offboarding: {disabledLimit: 10.0001%}",
        at "spec.offboarding.disabledLimit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_for_groups_over_everybody: "groups: {limit: 101%}",
        at "spec.groups.limit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_for_groups_just_over_everybody: "groups: {limit: 100.5%}",
        at "spec.groups.limit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_for_groups_negative: "groups: {limit: -1}",
        at "spec.groups.limit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_for_groups_that_is_a_text_without_percent: "groups: {limit: '10'}",
        at "spec.groups.limit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_for_groups_of_too_many_digits: "groups: {limit: 10.0001%}",
        at "spec.groups.limit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_for_invitations_over_everybody: "onboarding: {limit: 101%}",
        at "spec.onboarding.limit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_for_invitations_just_over_everybody: "onboarding: {limit: 100.5%}",
        at "spec.onboarding.limit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_for_invitations_negative: "onboarding: {limit: -1}",
        at "spec.onboarding.limit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_for_invitations_that_is_a_text_without_percent: "onboarding: {limit: '10'}",
        at "spec.onboarding.limit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_for_invitations_of_too_many_digits: "onboarding: {limit: 10.0001%}",
        at "spec.onboarding.limit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_without_a_digit_before_the_point: "offboarding: {limit: .5%}",
        at "spec.offboarding.limit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_limit_of_more_than_a_million: "onboarding: {limit: 1000001}",
        at "spec.onboarding.limit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_preset_that_does_not_exist: "source: {ldap: {preset: OpenLDAP}}",
        at "spec.source.ldap.preset", "supported values: \"389DirectoryServer\"";
    Both a_removal_after_no_day: "offboarding: {removeAfter: 0d}",
        at "spec.offboarding.removeAfter", "write a number of days between 1d and 3650d: 30d";
    Both a_removal_after_hours: "offboarding: {removeAfter: 30h}",
        at "spec.offboarding.removeAfter", "write a number of days between 1d and 3650d: 30d";
    Both a_removal_after_too_many_days: "offboarding: {removeAfter: 3651d}",
        at "spec.offboarding.removeAfter", "write a number of days between 1d and 3650d: 30d";
    Both a_confirmation_within_no_day: "onboarding: {confirmWithin: 0d}",
        at "spec.onboarding.confirmWithin", "write a number of days between 1d and 365d: 5d";
    Both a_confirmation_within_more_than_a_year: "onboarding: {confirmWithin: 366d}",
        at "spec.onboarding.confirmWithin", "write a number of days between 1d and 365d: 5d";
    Both an_invitation_again_after_minutes: "onboarding: {reinvite: {after: 90m, times: 3}}",
        at "spec.onboarding.reinvite.after", "write hours between 1h and 720h, or days between 1d and 30d: 72h";
    Both an_invitation_again_after_more_than_30_days: "onboarding: {reinvite: {after: 31d, times: 3}}",
        at "spec.onboarding.reinvite.after", "write hours between 1h and 720h, or days between 1d and 30d: 72h";
    Both an_invitation_again_after_too_many_hours: "onboarding: {reinvite: {after: 721h, times: 3}}",
        at "spec.onboarding.reinvite.after", "write hours between 1h and 720h, or days between 1d and 30d: 72h";
    Both an_invitation_that_is_withdrawn_before_it_expires: "onboarding: {withdrawAfter: 5d}",
        at "spec.onboarding.withdrawAfter", "write a number of days between 6d and 3650d: 30d";
    Both an_invitation_that_is_withdrawn_after_hours: "onboarding: {withdrawAfter: 240h}",
        at "spec.onboarding.withdrawAfter", "write a number of days between 6d and 3650d: 30d";
    Both approvals_for_no_day: "offboarding: {approvalsExpireAfter: 0d}",
        at "spec.offboarding.approvalsExpireAfter", "write a number of days between 1d and 30d: 7d";
    Both approvals_for_more_than_a_month: "offboarding: {approvalsExpireAfter: 31d}",
        at "spec.offboarding.approvalsExpireAfter", "write a number of days between 1d and 30d: 7d";
    Both a_policy_for_the_deleted_that_does_not_exist: "offboarding: {deleted: Delete}",
        at "spec.offboarding.deleted", "supported values: \"Retain\", \"Revoke\", \"Remove\"";
    ServerAlone an_empty_pattern_of_protected_groups: "groups: {protected: ['']}",
        at "spec.groups.protected[0]", "should be at least 1 chars long";
    Type protected_groups_as_one_text: "groups: {protected: 'admins-*'}",
        at "spec.groups.protected", "expected list, got";
    Both an_owner_who_is_no_address: "organization: {vaultwarden: {neverSend: [owner]}}",
        at "spec.organization.vaultwarden.neverSend", "write email addresses: owner@example.com";
    Both a_region_in_small_letters: "organization: {region: usgov}",
        at "spec.organization.region", "supported values: \"EU\", \"US\", \"USGov\"";
    Type a_restore_that_is_no_answer: "onboarding: {restore: always}",
        at "spec.onboarding.restore", "expected boolean, got";
    Type primary_groups_by_name_in_ldap: "source: {ldap: {groups: {includePrimary: gidNumber}}}",
        at "spec.source.ldap.groups.includePrimary", "expected boolean, got";
    Type primary_groups_by_name_in_active_directory: "source: {ldap: null, activeDirectory: {domain: corp.example.com, bindSecretRef: {name: ad}, groups: {includePrimary: Domain}}}",
        at "spec.source.activeDirectory.groups.includePrimary", "expected boolean, got";
    Both an_owner_by_a_rule: "access: {roles: [{group: a, role: Owner}]}",
        at "spec.access.roles[0].role", "supported values: \"User\", \"Custom\", \"Admin\"";
    Both permissions_of_an_admin: "access: {roles: [{group: a, role: Admin, permissions: {manageUsers: true}}]}",
        at "spec.access.roles[0]", "permissions belong to role: Custom, and Custom needs at least one";
    Both a_custom_role_without_permissions: "access: {roles: [{group: a, role: Custom}]}",
        at "spec.access.roles[0]", "permissions belong to role: Custom, and Custom needs at least one";
    Both a_custom_role_whose_permissions_are_none: "access: {roles: [{group: a, role: Custom, permissions: {manageUsers: false}}]}",
        at "spec.access.roles[0].permissions", "give at least one permission";
    Both a_negative_number_of_new_admins: "access: {limit: -1}",
        at "spec.access.limit", "should be greater than or equal to 0";
    Both a_limit_for_gained_access_over_everybody: "access: {collectionsLimit: 101%}",
        at "spec.access.collectionsLimit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_negative_number_of_people_who_gain_access: "access: {collectionsLimit: -1}",
        at "spec.access.collectionsLimit", "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    Both a_collection_by_nothing: "access: {collections: [{group: a, collections: [{access: View}]}]}",
        at "spec.access.collections[0].collections[0]", "name the collection by exactly one of id and externalId";
    Both a_collection_by_two_names: "access: {collections: [{group: a, collections: [{id: 9c1f5f0e-3a3c-4a55-8f52-0f1f4a6c7e10, externalId: infra, access: View}]}]}",
        at "spec.access.collections[0].collections[0]", "name the collection by exactly one of id and externalId";
    Both a_collection_by_its_name: "access: {collections: [{group: a, collections: [{id: Infrastructure, access: View}]}]}",
        at "spec.access.collections[0].collections[0].id", "write the collection's ID as directory-sync collections lists it";
    Both access_that_does_not_exist: "access: {collections: [{group: a, collections: [{externalId: infra, access: Read}]}]}",
        at "spec.access.collections[0].collections[0].access", "supported values";
    ServerAlone a_role_of_no_group: "access: {roles: [{group: '', role: Admin}]}",
        at "spec.access.roles[0].group", "should be at least 1 chars long";
    ServerAlone an_empty_pattern: "users: {exclude: ['']}",
        at "spec.users.exclude[0]", "should be at least 1 chars long";
    ServerAlone a_pattern_longer_than_any_group_name: "groups: {include: ['ggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg']}",
        at "spec.groups.include[0]", "Too long";

    Both an_ldap_directory_without_a_server: "source: {ldap: {url: null}}",
        at "spec.source.ldap", "write exactly one of url (one server) and urls (several, tried in order)";
    Both an_ldap_directory_with_url_and_urls: "source: {ldap: {urls: ['ldaps://other.example.com']}}",
        at "spec.source.ldap", "write exactly one of url (one server) and urls (several, tried in order)";
    Both a_base_that_is_a_domain: "source: {ldap: {baseDn: example.com}}",
        at "spec.source.ldap.baseDn", "write a distinguished name: dc=example,dc=com";
    Both a_base_of_people_that_is_a_path: "source: {ldap: {users: {baseDn: 'example.com/people'}}}",
        at "spec.source.ldap.users.baseDn", "write a distinguished name: dc=example,dc=com";
    Both a_base_of_groups_that_is_a_word: "source: {ldap: {groups: {baseDn: groups}}}",
        at "spec.source.ldap.groups.baseDn", "write a distinguished name: dc=example,dc=com";
    Both an_ldap_address_of_another_scheme: "source: {ldap: {url: 'https://ldap.example.com'}}",
        at "spec.source.ldap.url", "write ldaps://host, ldaps://host:port, ldap://host or ldap://host:port";
    Both an_ldap_address_with_a_path: "source: {ldap: {url: null, urls: ['ldaps://ldap.example.com/dc=example']}}",
        at "spec.source.ldap.urls", "write each address as ldaps://host, ldaps://host:port, ldap://host or ldap://host:port";
    Both start_tls_over_ldaps: "source: {ldap: {startTls: true}}",
        at "spec.source.ldap", "startTls goes with ldap:// only: ldaps:// is encrypted from the start, so write ldap:// or leave startTls out";
    Both an_ldap_directory_without_encryption: "source: {ldap: {url: 'ldap://ldap.example.com'}}",
        at "spec.source.ldap", "ldap:// would send the password and everybody's data unencrypted: write ldaps://, or startTls: true, or accept it with allowPlaintext: true";
    Both a_password_and_a_certificate: "source: {ldap: {saslExternal: true, tls: {clientCertificateSecretRef: {name: client}}}}",
        at "spec.source.ldap", "write bindSecretRef (a DN and its password) or saslExternal (the client certificate), not both";
    Both sasl_external_without_a_certificate: "source: {ldap: {saslExternal: true, bindSecretRef: null}}",
        at "spec.source.ldap", "saslExternal needs tls.clientCertificateSecretRef, the certificate to authenticate with";
    Both a_filter_without_parentheses: "source: {ldap: {users: {filter: 'objectClass=person'}}}",
        at "spec.source.ldap.users.filter", "a filter is written in parentheses: (objectClass=person)";
    Both an_attribute_with_options: "source: {ldap: {groups: {nameAttribute: 'cn;lang-de'}}}",
        at "spec.source.ldap.groups.nameAttribute", "write an attribute's name (mail) or OID, without options or spaces";
    Both an_email_prefix_without_a_suffix: "source: {ldap: {users: {emailPrefixAttribute: uid}}}",
        at "spec.source.ldap.users", "write both emailPrefixAttribute (uid) and emailSuffix (@example.com), or neither";
    Both an_email_suffix_without_a_prefix: "source: {ldap: {users: {emailSuffix: '@example.com'}}}",
        at "spec.source.ldap.users", "write both emailPrefixAttribute (uid) and emailSuffix (@example.com), or neither";
    Both an_email_suffix_without_an_at: "source: {ldap: {users: {emailPrefixAttribute: uid, emailSuffix: example.com}}}",
        at "spec.source.ldap.users.emailSuffix", "write what follows the name, with its @: @example.com";
    Both one_member_attribute_and_several: "source: {ldap: {groups: {memberAttributes: [uniqueMember]}}}",
        at "spec.source.ldap.groups", "write either memberAttribute (one) or memberAttributes (several), not both";
    Both a_member_attribute_with_options: "source: {ldap: {groups: {memberAttribute: null, memberAttributes: ['member;range=0-1499']}}}",
        at "spec.source.ldap.groups.memberAttributes", "write attributes' names (member) or OIDs, without options or spaces";
    Both a_member_value_of_no_attribute: "source: {ldap: {groups: {memberAttribute: null, memberValue: Uid}}}",
        at "spec.source.ldap.groups", "memberValue says what memberAttribute holds: add memberAttribute, or leave memberValue out";
    Both a_search_timeout_of_nothing: "source: {ldap: {searchTimeout: 0s}}",
        at "spec.source.ldap.searchTimeout", "write a time of at least 1s: 5m";
    Both a_negative_page_size: "source: {ldap: {pageSize: -1}}",
        at "spec.source.ldap.pageSize", "should be greater than or equal to 0";

    ServerAlone a_domain_together_with_controllers: "source: {ldap: null, activeDirectory: {domain: corp.example.com, controllers: [dc1.corp.example.com], bindSecretRef: {name: ad}}}",
        at "spec.source.activeDirectory", "write exactly one of domain (its controllers are found by DNS) and controllers (a list, tried in order)";
    Both a_domain_of_one_word: "source: {ldap: null, activeDirectory: {domain: CORP, bindSecretRef: {name: ad}}}",
        at "spec.source.activeDirectory.domain", "write the domain's DNS name: corp.example.com";
    Both a_controller_with_a_scheme: "source: {ldap: null, activeDirectory: {controllers: ['ldaps://dc1.corp.example.com'], bindSecretRef: {name: ad}}}",
        at "spec.source.activeDirectory.controllers", "write host names with an optional port, without a scheme: dc1.corp.example.com";
    Both a_group_of_active_directory_by_name: "source: {ldap: null, activeDirectory: {domain: corp.example.com, bindSecretRef: {name: ad}, users: {memberOf: [Bitwarden]}}}",
        at "spec.source.activeDirectory.users.memberOf", "write groups by their distinguished names, not by name: CN=Bitwarden,OU=Groups,DC=corp,DC=example,DC=com";
    Both a_group_of_active_directory_by_its_logon_name: "source: {ldap: null, activeDirectory: {domain: corp.example.com, bindSecretRef: {name: ad}, groups: {dns: ['CORP\\Bitwarden']}}}",
        at "spec.source.activeDirectory.groups.dns", "write groups by their distinguished names, not by name: CN=Bitwarden,OU=Groups,DC=corp,DC=example,DC=com";
    Both a_base_of_active_directory_by_path: "source: {ldap: null, activeDirectory: {domain: corp.example.com, bindSecretRef: {name: ad}, users: {searchBases: ['corp.example.com/Staff']}}}",
        at "spec.source.activeDirectory.users.searchBases", "write distinguished names: OU=Staff,DC=corp,DC=example,DC=com";
    Both a_base_of_a_domain_that_is_its_name: "source: {ldap: null, activeDirectory: {domain: corp.example.com, baseDn: corp.example.com, bindSecretRef: {name: ad}}}",
        at "spec.source.activeDirectory.baseDn", "write a distinguished name: dc=example,dc=com";
    Both a_suffix_that_is_not_asked_for: "source: {ldap: null, activeDirectory: {domain: corp.example.com, bindSecretRef: {name: ad}, users: {emailSuffix: '@example.com'}}}",
        at "spec.source.activeDirectory.users", "email: PrefixAndSuffix (or MailOrPrefixAndSuffix) goes with emailSuffix (@example.com): write both, or neither";
    Both an_attribute_in_place_of_mail_that_is_not_read: "source: {ldap: null, activeDirectory: {domain: corp.example.com, bindSecretRef: {name: ad}, users: {email: ProxyAddresses, emailAttribute: extensionAttribute1}}}",
        at "spec.source.activeDirectory.users", "emailAttribute stands in for mail: write it with email: Mail, MailOrUserPrincipalName or MailOrPrefixAndSuffix, or leave it out";

    Both two_ways_into_entra_id: "source: {ldap: null, entraId: {tenantId: example.com, clientId: 22222222-2222-2222-2222-222222222222, credentials: {clientSecretRef: {name: entra}, workloadIdentity: {}}}}",
        at "spec.source.entraId.credentials", "write exactly one of clientSecretRef, certificateSecretRef and workloadIdentity: {}";
    Both a_client_id_that_is_a_name: "source: {ldap: null, entraId: {tenantId: example.com, clientId: bitwarden, credentials: {workloadIdentity: {}}}}",
        at "spec.source.entraId.clientId", "write the application (client) id of the app registration, a GUID";
    Both a_selection_of_no_group: "source: {ldap: null, entraId: {tenantId: example.com, clientId: 22222222-2222-2222-2222-222222222222, credentials: {workloadIdentity: {}}, users: {memberOf: {}}}}",
        at "spec.source.entraId.users.memberOf", "name at least one group, in ids or names";
    Both an_account_of_another_namespace: "source: {ldap: null, entraId: {tenantId: example.com, clientId: 22222222-2222-2222-2222-222222222222, credentials: {workloadIdentity: {serviceAccountName: '../../other/serviceaccounts/sync'}}}}",
        at "spec.source.entraId.credentials.workloadIdentity.serviceAccountName", "write the name of a ServiceAccount in this namespace";
    ServerAlone a_secret_of_another_namespace: "organization: {credentialsSecretRef: {name: '../../other/secrets/org'}}",
        at "spec.organization.credentialsSecretRef.name", "write the name of a Secret in this namespace";
    Both a_tenant_that_is_an_address: "source: {ldap: null, entraId: {tenantId: 'https://login.microsoftonline.com/x', clientId: 22222222-2222-2222-2222-222222222222, credentials: {workloadIdentity: {}}}}",
        at "spec.source.entraId.tenantId", "write the tenant's id (a GUID) or one of its domains: example.onmicrosoft.com";

    Both a_customer_together_with_domains: "source: {ldap: null, googleWorkspace: {customer: C01, domains: [example.com], credentials: {serviceAccountKeySecretRef: {name: google}}}}",
        at "spec.source.googleWorkspace", "write either customer (all its domains) or domains (some of them), not both";
    Both no_way_into_google: "source: {ldap: null, googleWorkspace: {credentials: {}}}",
        at "spec.source.googleWorkspace.credentials", "write exactly one of serviceAccountKeySecretRef and workloadIdentity";
    Both an_organizational_unit_without_a_slash: "source: {ldap: null, googleWorkspace: {credentials: {serviceAccountKeySecretRef: {name: google}}, users: {organizationalUnits: [Staff]}}}",
        at "spec.source.googleWorkspace.users.organizationalUnits", "write organizational units by their path: /Staff/Berlin";
    Both an_administrator_who_is_no_address: "source: {ldap: null, googleWorkspace: {adminEmail: admin, credentials: {serviceAccountKeySecretRef: {name: google}}}}",
        at "spec.source.googleWorkspace.adminEmail", "write the administrator's email: admin@example.com";
    Both a_google_domain_that_is_an_address: "source: {ldap: null, googleWorkspace: {domains: ['https://example.com'], credentials: {serviceAccountKeySecretRef: {name: google}}}}",
        at "spec.source.googleWorkspace.domains", "write domains by name: example.com";
    Both a_provider_that_is_an_address: "source: {ldap: null, googleWorkspace: {credentials: {workloadIdentity: {audience: 'https://iam.googleapis.com/projects/1', serviceAccountEmail: sync@p.iam.gserviceaccount.com}}}}",
        at "spec.source.googleWorkspace.credentials.workloadIdentity.audience", "write the provider's full name, which starts with //iam.googleapis.com/projects/";
    Both fewer_requests_than_one_a_second: "source: {ldap: null, googleWorkspace: {requestsPerMinute: 59, credentials: {serviceAccountKeySecretRef: {name: google}}}}",
        at "spec.source.googleWorkspace.requestsPerMinute", "should be greater than or equal to 60";

    Both an_okta_address_without_encryption: "source: {ldap: null, okta: {orgUrl: 'http://example.okta.com', credentials: {apiTokenSecretRef: {name: okta}}}}",
        at "spec.source.okta", "orgUrl would send credentials unencrypted: write https://";
    Both two_ways_into_okta: "source: {ldap: null, okta: {orgUrl: 'https://example.okta.com', credentials: {apiTokenSecretRef: {name: okta}, oauth: {clientId: x, privateKeySecretRef: {name: key}}}}}",
        at "spec.source.okta.credentials", "write exactly one of apiTokenSecretRef and oauth";
    Both an_okta_filter_and_search: "source: {ldap: null, okta: {orgUrl: 'https://example.okta.com', credentials: {apiTokenSecretRef: {name: okta}}, users: {filter: a, search: b}}}",
        at "spec.source.okta.users", "write either filter or search, not both";
    Both a_share_of_no_requests: "source: {ldap: null, okta: {orgUrl: 'https://example.okta.com', rateLimitShare: 0, credentials: {apiTokenSecretRef: {name: okta}}}}",
        at "spec.source.okta.rateLimitShare", "should be greater than or equal to 1";

    Both a_onelogin_region_together_with_a_subdomain: "source: {ldap: null, oneLogin: {region: EU, subdomain: example, credentialsSecretRef: {name: onelogin}}}",
        at "spec.source.oneLogin", "write exactly one of region (EU or US), subdomain and apiUrl";
    Both a_subdomain_that_is_a_whole_domain: "source: {ldap: null, oneLogin: {subdomain: example.onelogin.com, credentialsSecretRef: {name: onelogin}}}",
        at "spec.source.oneLogin.subdomain", "write the part before .onelogin.com: example";
}
