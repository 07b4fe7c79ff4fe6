//! An Active Directory domain's part of a spec.

use std::sync::Arc;

use secrecy::ExposeSecret;

use super::settings::{
    ActiveDirectorySettings, Controller, Domain, DomainControllerLocation, EmailFrom, Groups, Users,
};
use crate::api::spec::{
    ActiveDirectoryEmail, ActiveDirectoryGroups, ActiveDirectorySource, ActiveDirectoryUsers,
};
use crate::checks::{Checks, mentions};
use crate::http::Observer;
use crate::ldap::certificates::Certificates;
use crate::ldap::{Bind, InvalidSettings, ServerUrl, tidy_filter};
use crate::references::{KeyOf, Reference, ReferencedData, Unresolved, both};
use crate::{ConnectError, Source, SourceEnvironment, SourceSettings, Validate};

const FIELD: &str = "spec.source.activeDirectory";
/// What a filter may be about that changes when somebody leaves.
const MEMBER_OF: &str = "memberOf";
const ACCOUNT_CONTROL: &str = "userAccountControl";

/// What a spec says of a domain.
#[derive(Debug, Clone)]
pub struct Configured {
    settings: ActiveDirectorySettings,
    username: KeyOf,
    password: KeyOf,
    certificates: Certificates,
}

impl SourceSettings for Configured {
    fn references(&self) -> Vec<Reference> {
        [&self.username, &self.password]
            .into_iter()
            .chain(self.certificates.keys())
            .map(Reference::from)
            .collect()
    }

    fn names(&self) -> Vec<KeyOf> {
        match self.username == self.password {
            true => vec![],
            false => vec![self.username.clone()],
        }
    }

    fn hosts(&self) -> Vec<String> {
        match &self.settings.location {
            DomainControllerLocation::Domain(domain) => vec![domain.name.clone()],
            DomainControllerLocation::Controllers(all) => {
                all.iter().map(|one| one.host.clone()).collect()
            }
        }
    }

    fn may_leave_out_leavers(&self) -> Vec<&'static str> {
        let users = &self.settings.users;
        let base = self.settings.base_dn.iter();
        // A leaver is moved to another unit; nobody is moved out of the domain.
        let is_unit = |dn: &&String| !dn.trim_start().to_ascii_lowercase().starts_with("dc=");
        let units = base.chain(&users.search_bases).any(|dn| is_unit(&dn));
        let by_group_or_state = mentions(users.filter.as_deref(), &[MEMBER_OF, ACCOUNT_CONTROL]);
        [
            ("users.memberOf", !users.member_of.is_empty()),
            ("users.filter", by_group_or_state),
            ("baseDn or users.searchBases", units),
        ]
        .into_iter()
        .filter_map(|(field, leaves_out)| leaves_out.then_some(field))
        .collect()
    }

    fn connect(
        &self,
        data: &ReferencedData,
        observer: Arc<dyn Observer>,
        environment: &SourceEnvironment,
    ) -> Result<Box<dyn Source>, ConnectError> {
        let mut settings = self.resolve(data)?;
        settings.observer = observer;
        let source = super::ActiveDirectorySource::new(settings)?;
        Ok(Box::new(source.keeping(&environment.kept)))
    }
}

impl Configured {
    /// The settings with what the Secrets and ConfigMaps hold.
    ///
    /// # Errors
    /// Everything that is missing or can't be used.
    fn resolve(&self, data: &ReferencedData) -> Result<ActiveDirectorySettings, Unresolved> {
        let account = both(data.text(&self.username), data.text(&self.password));
        let tls = self.certificates.resolve(data, &self.settings.tls);
        let ((name, password), tls) = both(account, tls)?;
        let dn = name.expose_secret().trim().to_owned();
        Ok(ActiveDirectorySettings {
            bind: Bind::Simple { dn, password },
            tls,
            ..self.settings.clone()
        })
    }
}

impl Validate for ActiveDirectorySource {
    fn validate(&self, checks: &mut Checks, reads_groups: bool) -> Option<Arc<dyn SourceSettings>> {
        Some(Arc::new(configured(checks, self, reads_groups)?))
    }
}

fn configured(
    checks: &mut Checks,
    spec: &ActiveDirectorySource,
    reads_groups: bool,
) -> Option<Configured> {
    let mut settings = ActiveDirectorySettings::new(location(checks, spec)?);
    settings.security = spec.security.unwrap_or_default();
    settings.global_catalog = spec.global_catalog.unwrap_or_default();
    settings.base_dn = spec.base_dn.clone();
    settings.users = users(checks, spec.users.clone().unwrap_or_default());
    settings.groups = reads_groups.then(|| groups(spec.groups.clone().unwrap_or_default()));
    let filters = [
        ("users", &settings.users.filter),
        (
            "groups",
            &settings.groups.as_ref().and_then(|g| g.filter.clone()),
        ),
    ];
    // ldap3 would add the parentheses; ours go around it, so it needs its own.
    for (name, filter) in filters {
        let whole = |filter: &String| filter.starts_with('(') && filter.ends_with(')');
        if filter.as_ref().is_some_and(|filter| !whole(filter)) {
            checks.refuse(
                format!("{FIELD}.{name}.filter"),
                "a filter is written in parentheses: (department=Sales)",
            );
        }
    }
    if let Err(error) = settings.validate() {
        checks.refuse(FIELD, error.to_string());
    }
    let tls = spec.tls.clone().unwrap_or_default();
    settings.tls.insecure_skip_verify = tls.insecure_skip_verify.unwrap_or_default();
    let secret = &spec.bind_secret_ref;
    Some(Configured {
        settings,
        username: KeyOf::secret(&secret.name, secret.username_key.as_deref(), "username"),
        password: KeyOf::secret(&secret.name, secret.password_key.as_deref(), "password"),
        certificates: Certificates::from(&tls),
    })
}

fn location(checks: &mut Checks, spec: &ActiveDirectorySource) -> Option<DomainControllerLocation> {
    checks.exactly_one(
        FIELD,
        &[
            ("domain", spec.domain.is_some()),
            ("controllers", spec.controllers.is_some()),
        ],
    );
    if let Some(name) = &spec.domain {
        let parsed = controller(name).ok().filter(|host| {
            host.port.is_none() && host.host.contains('.') && !host.host.contains(':')
        });
        let name = checks.noted(
            &format!("{FIELD}.domain"),
            parsed.ok_or("write the domain's DNS name: corp.example.com"),
        )?;
        return Some(DomainControllerLocation::Domain(Domain {
            name: name.host,
            name_server: None,
        }));
    }
    let parsed: Result<Vec<_>, _> = spec
        .controllers
        .iter()
        .flatten()
        .map(|c| controller(c))
        .collect();
    let controllers = checks.noted(&format!("{FIELD}.controllers"), parsed)?;
    Some(DomainControllerLocation::Controllers(controllers))
}

/// A host with maybe a port, as in an address.
fn controller(text: &str) -> Result<Controller, InvalidSettings> {
    let url: ServerUrl = format!("ldap://{text}").parse()?;
    let after_address = text.rsplit_once(']').map_or(text, |(_, after)| after);
    Ok(Controller {
        host: url.host,
        port: after_address.contains(':').then_some(url.port),
    })
}

fn users(checks: &mut Checks, spec: ActiveDirectoryUsers) -> Users {
    let email = spec.email.unwrap_or_default();
    let is_put_together = matches!(
        email,
        ActiveDirectoryEmail::PrefixAndSuffix | ActiveDirectoryEmail::MailOrPrefixAndSuffix
    );
    if spec.email_suffix.is_some() != is_put_together {
        checks.refuse(
            format!("{FIELD}.users"),
            "email: PrefixAndSuffix (or MailOrPrefixAndSuffix) goes with emailSuffix (@example.com): \
             write both, or neither",
        );
    }
    let reads_mail = !matches!(
        email,
        ActiveDirectoryEmail::UserPrincipalName
            | ActiveDirectoryEmail::ProxyAddresses
            | ActiveDirectoryEmail::PrefixAndSuffix
    );
    if spec.email_attribute.is_some() && !reads_mail {
        checks.refuse(
            format!("{FIELD}.users"),
            "emailAttribute stands in for mail: write it with email: Mail, MailOrUserPrincipalName or \
             MailOrPrefixAndSuffix, or leave it out",
        );
    }
    let prefix = spec
        .email_prefix_attribute
        .unwrap_or_else(|| "sAMAccountName".to_owned());
    let suffix = spec.email_suffix.unwrap_or_default();
    Users {
        mail: spec.email_attribute,
        search_bases: spec.search_bases.unwrap_or_default(),
        filter: spec.filter.as_deref().map(tidy_filter),
        member_of: spec.member_of.unwrap_or_default(),
        email: match email {
            ActiveDirectoryEmail::Mail => EmailFrom::Mail,
            ActiveDirectoryEmail::MailOrUserPrincipalName => EmailFrom::MailOrUserPrincipalName,
            ActiveDirectoryEmail::UserPrincipalName => EmailFrom::UserPrincipalName,
            ActiveDirectoryEmail::ProxyAddresses => EmailFrom::ProxyAddresses,
            ActiveDirectoryEmail::PrefixAndSuffix => EmailFrom::PrefixAndSuffix {
                attribute: prefix,
                suffix,
            },
            ActiveDirectoryEmail::MailOrPrefixAndSuffix => EmailFrom::MailOrPrefixAndSuffix {
                attribute: prefix,
                suffix,
            },
        },
    }
}

fn groups(spec: ActiveDirectoryGroups) -> Groups {
    let defaults = Groups::default();
    Groups {
        search_bases: spec.search_bases.unwrap_or_default(),
        filter: spec.filter.as_deref().map(tidy_filter),
        dns: spec.dns.unwrap_or_default(),
        include_primary: spec.include_primary.unwrap_or_default(),
        name: spec.name_attribute.unwrap_or(defaults.name),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::spec::ActiveDirectorySecurity;
    use crate::fixtures::{CA_BUNDLE, data, least, validated};

    #[test]
    fn a_domain_is_read_as_the_spec_describes_it() {
        let with = |source: Value| {
            let mut spec = least();
            spec["source"] = json!({"activeDirectory": source});
            spec["source"]["activeDirectory"]["bindSecretRef"] =
                json!({"name": "ldap-bind", "usernameKey": "bindDn"});
            spec
        };
        let settings = |source: Value| {
            let spec = with(source);
            validated(&spec).unwrap();
            let part = spec["source"]["activeDirectory"].clone();
            let part = serde_json::from_value(part).unwrap();
            let domain = configured(&mut Checks::default(), &part, true).unwrap();
            domain.resolve(&data()).unwrap()
        };
        let defaults = settings(json!({"domain": "Corp.example.com"}));
        let domain = Domain {
            name: "corp.example.com".into(),
            name_server: None,
        };
        assert_eq!(defaults.location, DomainControllerLocation::Domain(domain));
        assert_eq!(defaults.security, ActiveDirectorySecurity::Ldaps);
        let Bind::Simple { dn, password } = &defaults.bind else {
            panic!("{:?}", defaults.bind);
        };
        assert_eq!(dn, "cn=reader,dc=example,dc=com");
        assert_eq!(password.expose_secret(), "the-password");
        assert_eq!(defaults.users.email, EmailFrom::Mail);
        assert_eq!(defaults.groups.unwrap().name, "name");

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
            listed.location,
            DomainControllerLocation::Controllers(vec![
                controller("dc1.example.com", None),
                controller("fd00::1", Some(3269)),
                controller("10.0.0.1", Some(636)),
            ])
        );
        assert_eq!(listed.security, ActiveDirectorySecurity::StartTls);
        assert!(listed.global_catalog);
        assert_eq!(listed.tls.ca_bundle.as_deref(), Some(CA_BUNDLE.as_bytes()));
        let email = EmailFrom::PrefixAndSuffix {
            attribute: "sAMAccountName".into(),
            suffix: "@x.example".into(),
        };
        assert_eq!(listed.users.email, email);
        assert!(listed.groups.unwrap().include_primary);

        let both = settings(json!({
            "controllers": ["dc1.example.com"],
            "users": {
                "emailAttribute": "extensionAttribute1",
                "email": "MailOrPrefixAndSuffix", "emailSuffix": "@x.example",
            },
        }));
        assert_eq!(both.users.mail.as_deref(), Some("extensionAttribute1"));
        let email = EmailFrom::MailOrPrefixAndSuffix {
            attribute: "sAMAccountName".into(),
            suffix: "@x.example".into(),
        };
        assert_eq!(both.users.email, email);

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
                json!({"controllers": ["dc1"], "users": {"email": "ProxyAddresses", "emailAttribute": "a"}}),
                "emailAttribute",
            ),
            (
                json!({"controllers": ["dc1"], "users": {"emailAttribute": "a b"}}),
                "emailAttribute",
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
}
