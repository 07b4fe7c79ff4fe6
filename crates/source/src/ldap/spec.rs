//! An LDAP directory's part of a spec.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::certificates::Certificates;
use super::dn::is_dn;
use super::preset;
use super::settings::{
    Bind, DerivedEmail, EmailRule, GroupSettings, IdAttribute, LdapSettings, MemberAttribute,
    MemberNaming, ServerUrl, UserSettings, tidy_filter,
};
use crate::api::spec::{LdapGroups, LdapMemberValue, LdapSource, LdapTls, LdapUsers};
use crate::checks::{Checks, is_loopback, mentions};
use crate::http::Observer;
use crate::references::{
    KeyOf, Reference, ReferencedData, Unresolved, UnresolvedReason, both, is_encoded_twice,
};
use crate::{ConnectError, Source, SourceEnvironment, SourceSettings, Validate};

const FIELD: &str = "spec.source.ldap";

/// What a spec says of a directory.
#[derive(Debug, Clone)]
pub struct Configured {
    settings: LdapSettings,
    account: Account,
    certificates: Certificates,
}

/// As whom to read, and where the credentials are.
#[derive(Debug, Clone)]
enum Account {
    Anonymous,
    Simple { dn: KeyOf, password: KeyOf },
    SaslExternal,
}

impl SourceSettings for Configured {
    fn references(&self) -> Vec<Reference> {
        let account = match &self.account {
            Account::Simple { dn, password } => vec![dn, password],
            Account::Anonymous | Account::SaslExternal => vec![],
        };
        account
            .into_iter()
            .chain(self.certificates.keys())
            .map(Reference::from)
            .collect()
    }

    fn names(&self) -> Vec<KeyOf> {
        match &self.account {
            Account::Simple { dn, password } if dn != password => vec![dn.clone()],
            _ => vec![],
        }
    }

    fn hosts(&self) -> Vec<String> {
        let servers = self.settings.servers.iter();
        servers.map(|server| server.host.clone()).collect()
    }

    fn tells_disabled(&self) -> bool {
        self.settings.users.disabled.is_some()
    }

    fn may_leave_out_leavers(&self) -> Vec<&'static str> {
        let users = &self.settings.users;
        let disabled = users.disabled.as_ref().map(|rule| rule.attribute.as_str());
        let words: Vec<&str> = ["memberOf"].into_iter().chain(disabled).collect();
        match mentions(Some(&users.filter), &words) {
            true => vec!["users.filter"],
            false => vec![],
        }
    }

    fn connect(
        &self,
        data: &ReferencedData,
        observer: Arc<dyn Observer>,
        environment: &SourceEnvironment,
    ) -> Result<Box<dyn Source>, ConnectError> {
        let mut settings = self.resolve(data)?;
        settings.observer = observer;
        let source = super::LdapSource::new(settings)?;
        Ok(Box::new(source.keeping(&environment.kept)))
    }
}

impl Configured {
    /// The settings with what the Secrets and ConfigMaps hold.
    ///
    /// # Errors
    /// Everything that is missing or can't be used.
    fn resolve(&self, data: &ReferencedData) -> Result<LdapSettings, Unresolved> {
        let bind = match &self.account {
            Account::Anonymous => Ok(self.settings.bind.clone()),
            Account::SaslExternal => Ok(Bind::SaslExternal),
            Account::Simple {
                dn: dn_key,
                password,
            } => both(data.text(dn_key), data.text(password)).and_then(|(dn, password)| {
                let dn = dn.expose_secret().to_owned();
                if is_encoded_twice(&dn, |text| text.contains('=') && is_dn(text)) {
                    let why = "looks encoded twice: it holds the base64 of a DN; store the DN";
                    return Err(UnresolvedReason::unusable(dn_key, why).into());
                }
                Ok(Bind::Simple { dn, password })
            }),
        };
        let (bind, tls) = both(bind, self.certificates.resolve(data, &self.settings.tls))?;
        Ok(LdapSettings {
            bind,
            tls,
            ..self.settings.clone()
        })
    }
}

impl Validate for LdapSource {
    fn validate(&self, checks: &mut Checks, reads_groups: bool) -> Option<Arc<dyn SourceSettings>> {
        Some(Arc::new(configured(checks, self, reads_groups)?))
    }
}

fn configured(checks: &mut Checks, spec: &LdapSource, reads_groups: bool) -> Option<Configured> {
    let servers = servers(checks, spec)?;
    let mut settings = LdapSettings::new(servers, spec.base_dn.as_str());
    settings.tls.start_tls = spec.start_tls.unwrap_or_default();
    check_encryption(checks, spec, &settings);

    settings.page_size = preset::page_size(spec.preset, &settings);
    let second = Duration::from_secs(1);
    let mut time = |name: &str, text: &Option<String>, value: &mut Duration| {
        *value = checks.duration(&format!("{FIELD}.{name}"), text.as_deref(), second, *value);
    };
    time(
        "connectTimeout",
        &spec.connect_timeout,
        &mut settings.connect_timeout,
    );
    time(
        "idleTimeout",
        &spec.idle_timeout,
        &mut settings.idle_timeout,
    );
    time(
        "searchTimeout",
        &spec.search_timeout,
        &mut settings.search_timeout,
    );
    if let Some(size) = spec.page_size {
        settings.page_size = checks
            .noted(
                &format!("{FIELD}.pageSize"),
                u32::try_from(size).map_err(|_| "write a number from 0 to 100000"),
            )
            .unwrap_or_default();
    }
    let users = spec.users.clone().unwrap_or_default();
    let groups = spec.groups.clone().unwrap_or_default();
    settings.groups = reads_groups.then(|| {
        let defaults = preset::groups(spec.preset);
        group_settings(checks, &groups, &users, defaults)
    });
    // ldap3 would add the parentheses; the API server's rule asks for them.
    for (name, filter) in [("users", &users.filter), ("groups", &groups.filter)] {
        if filter
            .as_ref()
            .is_some_and(|filter| !filter.trim_start().starts_with('('))
        {
            checks.refuse(
                format!("{FIELD}.{name}.filter"),
                "a filter is written in parentheses: (objectClass=person)",
            );
        }
    }
    settings.users = user_settings(checks, users, preset::users(spec.preset));
    if let Err(error) = settings.validate() {
        checks.refuse(FIELD, error.to_string());
    }
    let tls = spec.tls.clone().unwrap_or_default();
    settings.tls.insecure_skip_verify = tls.insecure_skip_verify.unwrap_or_default();
    Some(Configured {
        settings,
        account: account(checks, spec, &tls),
        certificates: Certificates::from(&tls),
    })
}

fn servers(checks: &mut Checks, spec: &LdapSource) -> Option<Vec<ServerUrl>> {
    checks.exactly_one(
        FIELD,
        &[("url", spec.url.is_some()), ("urls", spec.urls.is_some())],
    );
    let urls = spec.url.iter().chain(spec.urls.iter().flatten());
    let parsed: Result<Vec<ServerUrl>, _> = urls.map(|url| url.parse()).collect();
    checks.noted(&format!("{FIELD}.url"), parsed)
}

fn check_encryption(checks: &mut Checks, spec: &LdapSource, settings: &LdapSettings) {
    if settings.tls.start_tls && settings.servers.iter().any(|server| server.ldaps) {
        checks.refuse(
            format!("{FIELD}.startTls"),
            "goes with ldap:// only: ldaps:// is encrypted from the start, so write ldap:// or leave startTls out",
        );
    }
    let exposed = |server: &ServerUrl| !server.ldaps && !is_loopback(&server.host);
    if !settings.tls.start_tls
        && !spec.allow_plaintext.unwrap_or_default()
        && settings.servers.iter().any(exposed)
    {
        checks.refuse(
            format!("{FIELD}.url"),
            "would send the password and everybody's data unencrypted: write ldaps://, or startTls: true, or accept it with allowPlaintext: true",
        );
    }
}

fn account(checks: &mut Checks, spec: &LdapSource, tls: &LdapTls) -> Account {
    let external = spec.sasl_external.unwrap_or_default();
    if external && tls.client_certificate_secret_ref.is_none() {
        checks.refuse(
            format!("{FIELD}.saslExternal"),
            "needs tls.clientCertificateSecretRef, the certificate to authenticate with",
        );
    }
    match &spec.bind_secret_ref {
        Some(_) if spec.sasl_external.is_some() => {
            checks.refuse(
                FIELD,
                "write bindSecretRef (a DN and its password) or saslExternal (the client certificate), not both",
            );
            Account::Anonymous
        }
        Some(secret) => Account::Simple {
            dn: KeyOf::secret(&secret.name, secret.bind_dn_key.as_deref(), "bindDn"),
            password: KeyOf::secret(&secret.name, secret.password_key.as_deref(), "password"),
        },
        None if external => Account::SaslExternal,
        None => Account::Anonymous,
    }
}

fn user_settings(checks: &mut Checks, spec: LdapUsers, defaults: UserSettings) -> UserSettings {
    let derived = match (spec.email_prefix_attribute, spec.email_suffix) {
        (Some(prefix_attribute), Some(suffix)) => {
            let domain = suffix.strip_prefix('@').unwrap_or_default();
            if domain.is_empty() || domain.contains(['@', ' ']) {
                checks.refuse(
                    format!("{FIELD}.users.emailSuffix"),
                    "write what follows the name, with its @: @example.com",
                );
            }
            Some(DerivedEmail {
                prefix_attribute,
                suffix,
            })
        }
        (None, None) => None,
        _ => {
            checks.refuse(
                format!("{FIELD}.users"),
                "write both emailPrefixAttribute (uid) and emailSuffix (@example.com), or neither",
            );
            None
        }
    };
    UserSettings {
        base_dn: spec.base_dn,
        scope: spec.scope.unwrap_or_default(),
        filter: spec
            .filter
            .map_or(defaults.filter, |filter| tidy_filter(&filter)),
        id: spec
            .id_attribute
            .map_or(defaults.id, |name| IdAttribute::named(&name)),
        email: EmailRule {
            attributes: spec
                .email_attribute
                .map_or(defaults.email.attributes, |name| vec![name]),
            derived,
        },
        disabled: spec.disabled.or(defaults.disabled),
        member_of: spec.member_of_attribute.or(defaults.member_of),
    }
}

fn group_settings(
    checks: &mut Checks,
    spec: &LdapGroups,
    users: &LdapUsers,
    defaults: GroupSettings,
) -> GroupSettings {
    if spec.member_attribute.is_some() && spec.member_attributes.is_some() {
        checks.refuse(
            format!("{FIELD}.groups"),
            "write either memberAttribute (one) or memberAttributes (several), not both",
        );
    }
    if spec.member_value.is_some() && spec.member_attribute.is_none() {
        checks.refuse(
            format!("{FIELD}.groups.memberValue"),
            "says what memberAttribute holds: add memberAttribute, or leave memberValue out",
        );
    }
    let names = spec
        .member_attribute
        .iter()
        .chain(spec.member_attributes.iter().flatten());
    let mut members: Vec<_> = names
        .map(|name| member_attribute(name, spec.member_value, users.uid_attribute.as_deref()))
        .collect();
    if members.is_empty() && users.member_of_attribute.is_none() {
        members = defaults.members;
    }
    let id = spec.id_attribute.as_ref().or(users.id_attribute.as_ref());
    GroupSettings {
        base_dn: spec.base_dn.clone(),
        scope: spec.scope.unwrap_or_default(),
        filter: spec.filter.as_deref().map_or(defaults.filter, tidy_filter),
        id: id.map_or(defaults.id, |name| IdAttribute::named(name)),
        name: spec.name_attribute.clone().unwrap_or(defaults.name),
        members,
        include_primary: spec.include_primary.unwrap_or_default(),
    }
}

fn member_attribute(
    name: &str,
    value: Option<LdapMemberValue>,
    uid_attribute: Option<&str>,
) -> MemberAttribute {
    let by_uid = || MemberNaming::UserAttribute(uid_attribute.unwrap_or("uid").to_owned());
    let defaults = MemberAttribute::named(name);
    let naming = match (value, &defaults.naming) {
        (Some(LdapMemberValue::Uid), _) | (None, MemberNaming::UserAttribute(_)) => by_uid(),
        (Some(LdapMemberValue::Dn), _) | (None, MemberNaming::Dn) => MemberNaming::Dn,
    };
    MemberAttribute { naming, ..defaults }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::{CA_BUNDLE, data, data_with, least, validated};

    fn part(spec: &Value) -> LdapSource {
        validated(spec).unwrap();
        serde_json::from_value(spec["source"]["ldap"].clone()).unwrap()
    }

    fn ldap(spec: &Value) -> LdapSettings {
        let ldap = configured(&mut Checks::default(), &part(spec), true).unwrap();
        ldap.resolve(&data()).unwrap()
    }

    #[test]
    fn what_is_left_out_has_the_defaults_of_the_reference() {
        let ldap = ldap(&least());
        assert_eq!(ldap.users.id, IdAttribute::Attribute("entryUUID".into()));
        assert_eq!(ldap.users.filter, "(objectClass=inetOrgPerson)");
        assert_eq!(
            ldap.groups.unwrap().members,
            [MemberAttribute::named("member")]
        );
        let without = configured(&mut Checks::default(), &part(&least()), false).unwrap();
        assert!(without.settings.groups.is_none());
    }

    #[test]
    fn a_preset_gives_defaults_and_what_is_written_counts_more() {
        let with = |preset: &str, users: Value, groups: Value| {
            let mut spec = least();
            spec["source"]["ldap"]["preset"] = json!(preset);
            spec["source"]["ldap"]["users"] = users;
            spec["source"]["ldap"]["groups"] = groups;
            ldap(&spec)
        };
        let id = |name: &str| IdAttribute::Attribute(name.into());
        let disabled = |settings: &LdapSettings| {
            let rule = settings.users.disabled.clone();
            rule.map(|rule| (rule.attribute, rule.values.unwrap_or_default()))
        };
        let authentik = with("Authentik", json!({}), json!({}));
        assert_eq!(authentik.users.id, id("uid"));
        assert_eq!(authentik.groups.as_ref().unwrap().id, id("uid"));
        assert_eq!(
            disabled(&authentik),
            Some(("ak-active".into(), vec!["FALSE".into()]))
        );
        assert_eq!(
            authentik.groups.unwrap().filter,
            "(&(!(objectClass=goauthentik.io/ldap/virtual-group))(objectClass=group))"
        );
        let kanidm = with("Kanidm", json!({}), json!({}));
        assert_eq!(kanidm.page_size, 0);
        assert_eq!(kanidm.users.member_of.as_deref(), Some("memberof"));
        assert_eq!(kanidm.groups.unwrap().members, []);

        let written = with(
            "FreeIPA",
            json!({
                "idAttribute": "entryUUID",
                "filter": "(uid=*)",
                "disabled": {"attribute": "employeeType", "values": ["off"]},
            }),
            json!({"filter": "(cn=*)", "memberAttribute": "uniqueMember"}),
        );
        assert_eq!(written.users.id, id("entryUUID"));
        assert_eq!(written.users.filter, "(uid=*)");
        let rule = Some(("employeeType".into(), vec!["off".into()]));
        assert_eq!(disabled(&written), rule);
        let groups = written.groups.unwrap();
        assert_eq!((&groups.id, &*groups.filter), (&id("entryUUID"), "(cn=*)"));
        assert_eq!(groups.members, [MemberAttribute::named("uniqueMember")]);
    }

    #[test]
    fn secrets_fill_the_settings_and_are_never_shown() {
        let mut spec = least();
        spec["source"]["ldap"]["tls"] = json!({"caBundleRef": {"name": "corp-ca"}});
        let ldap = ldap(&spec);
        assert_eq!(ldap.tls.ca_bundle.as_deref(), Some(CA_BUNDLE.as_bytes()));
        let Bind::Simple { dn, password } = &ldap.bind else {
            panic!("{:?}", ldap.bind);
        };
        assert_eq!(dn, "cn=reader,dc=example,dc=com");
        assert_eq!(password.expose_secret(), "the-password");
        assert!(!format!("{ldap:?}").contains("the-password"), "{ldap:?}");
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

    /// What the LDAP source says of the Secrets that it can't use.
    fn ldap_refusals(spec: &Value, data: &ReferencedData) -> Vec<String> {
        let ldap = configured(&mut Checks::default(), &part(spec), true).unwrap();
        let refused = ldap
            .resolve(data)
            .map_or_else(|refused| refused.0, |_| vec![]);
        refused.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_key_that_lost_its_line_breaks_is_reported_without_a_byte_of_it() {
        let key = "-----BEGIN PRIVATE KEY-----THIS+IS+NO+KEY==-----END PRIVATE KEY-----";
        let mut spec = least();
        spec["source"]["ldap"]["tls"] = json!({"clientCertificateSecretRef": {"name": "client"}});
        let right = data_with("client", &json!({"tls.crt": CA_BUNDLE, "tls.key": key}));
        let refusals = ldap_refusals(&spec, &right);
        assert_eq!(refusals.len(), 1, "{refusals:?}");
        assert!(
            refusals[0].contains("Secret \"client\", key \"tls.key\"")
                && refusals[0].contains("its line breaks are missing"),
            "{refusals:?}"
        );
        // A key where a certificate belongs is a key all the same.
        let wrong = data_with("client", &json!({"tls.crt": key, "tls.key": key}));
        for refusals in [refusals, ldap_refusals(&spec, &wrong)] {
            let text = refusals.join(" ");
            assert!(!text.contains("THIS") && !text.contains("84, 72"), "{text}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_taken_off_and_a_dn_encoded_twice_is_reported() {
        let mut spec = least();
        spec["source"]["ldap"]["bindSecretRef"] = json!({"name": "reader"});
        let marked =
            json!({"bindDn": "\u{feff}cn=reader,dc=example,dc=com", "password": "\u{feff}pw"});
        assert_eq!(ldap_refusals(&spec, &data_with("reader", &marked)), [""; 0]);
        let twice = json!({"bindDn": "Y249cmVhZGVyLGRjPWV4YW1wbGUsZGM9Y29t", "password": "pw"});
        let refusals = ldap_refusals(&spec, &data_with("reader", &twice));
        assert!(refusals[0].contains("encoded twice"), "{refusals:?}");
    }
}
