//! A OneLogin account.

use reqwest::Url;
use secrecy::ExposeSecret;

use std::sync::Arc;

use super::check::{Checks, state};
use super::organization::web_address;
use super::references::{KeyOf, Reference, ReferencedData};
use super::unresolved::{Unresolved, UnresolvedReason};
use crate::api::spec::{
    OneLoginGroupsFrom, OneLoginRegion, OneLoginSource as Spec, OneLoginStates, OneLoginStatuses,
};
use crate::http::Observer;
use crate::source::one_login::{
    Attribute, GroupsFrom, OneLoginSettings, Region, StateTable, StatusTable, subdomain_url,
};
use crate::source::{ConnectError, Source, SourceSettings, Validate};

const FIELD: &str = "spec.source.oneLogin";

/// A OneLogin account's settings, without credentials.
#[derive(Debug, Clone)]
pub struct ValidatedOneLogin {
    /// What isn't secret of them; takes its credentials from the Secret.
    settings: OneLoginSettings,
    client_id: KeyOf,
    client_secret: KeyOf,
}

impl SourceSettings for ValidatedOneLogin {
    fn references(&self) -> Vec<Reference> {
        vec![
            Reference::from(&self.client_id),
            Reference::from(&self.client_secret),
        ]
    }

    fn connect(
        &self,
        data: &ReferencedData,
        observer: Arc<dyn Observer>,
    ) -> Result<Box<dyn Source>, ConnectError> {
        let mut problems = vec![];
        let settings = self.resolve(data, &mut problems);
        let mut settings = settings.ok_or(Unresolved(problems))?;
        settings.observer = observer;
        Ok(Box::new(crate::source::one_login::OneLoginSource::new(
            settings,
        )?))
    }
}

impl ValidatedOneLogin {
    pub(super) fn resolve(
        &self,
        data: &ReferencedData,
        problems: &mut Vec<UnresolvedReason>,
    ) -> Option<OneLoginSettings> {
        match (data.text(&self.client_id), data.text(&self.client_secret)) {
            (Ok(id), Ok(secret)) => Some(OneLoginSettings {
                client_id: id.expose_secret().to_owned(),
                client_secret: secret,
                ..self.settings.clone()
            }),
            (id, secret) => {
                problems.extend([id.err(), secret.err()].into_iter().flatten());
                None
            }
        }
    }
}

impl Validate for Spec {
    fn validate(&self, checks: &mut Checks, reads_groups: bool) -> Option<Arc<dyn SourceSettings>> {
        Some(Arc::new(validate(checks, self, reads_groups)?))
    }
}

pub(super) fn validate(
    checks: &mut Checks,
    spec: &Spec,
    reads_groups: bool,
) -> Option<ValidatedOneLogin> {
    let url = address(checks, spec);
    let share = checks.share(&format!("{FIELD}.rateLimitShare"), spec.rate_limit_share);
    let users = spec.users.clone().unwrap_or_default();
    let groups = spec.groups.clone().unwrap_or_default();
    let secret = &spec.credentials_secret_ref;
    let key = |key: &Option<String>, usual| KeyOf::secret(&secret.name, key.as_deref(), usual);
    let attributes = users.attributes.into_iter().flatten();
    // Take the place of what the Secret holds, until it is read.
    let (unknown_id, unknown_secret) = (String::new(), "unknown yet".into());
    let settings = OneLoginSettings {
        rate_limit_share: share?,
        attributes: attributes
            .map(|wanted| Attribute {
                name: wanted.attribute,
                value: wanted.value,
            })
            .collect(),
        email_suffix: users.email_suffix,
        statuses: statuses(&users.statuses.unwrap_or_default()),
        states: states(&users.states.unwrap_or_default()),
        groups: reads_groups.then(|| match groups.from.unwrap_or_default() {
            OneLoginGroupsFrom::Roles => GroupsFrom::Roles,
            OneLoginGroupsFrom::Groups => GroupsFrom::Groups,
        }),
        ..OneLoginSettings::new(url?, unknown_id, unknown_secret)
    };
    Some(ValidatedOneLogin {
        settings,
        client_id: key(&secret.client_id_key, "clientId"),
        client_secret: key(&secret.client_secret_key, "clientSecret"),
    })
}

fn address(checks: &mut Checks, spec: &Spec) -> Option<Url> {
    checks.exactly_one(
        FIELD,
        &[
            ("region", spec.region.is_some()),
            ("subdomain", spec.subdomain.is_some()),
            ("apiUrl", spec.api_url.is_some()),
        ],
    );
    match (spec.region, &spec.subdomain, &spec.api_url) {
        (Some(OneLoginRegion::EU), ..) => Some(Region::Eu.url()),
        (Some(OneLoginRegion::US), ..) => Some(Region::Us.url()),
        (None, Some(subdomain), _) => checks.noted(
            &format!("{FIELD}.subdomain"),
            subdomain_url(subdomain).ok_or("write the part before .onelogin.com: example"),
        ),
        (None, None, Some(url)) => web_address(checks, &format!("{FIELD}.apiUrl"), url, false),
        (None, None, None) => None,
    }
}

fn statuses(spec: &OneLoginStatuses) -> StatusTable {
    let usual = StatusTable::default();
    StatusTable {
        unactivated: state(spec.unactivated, usual.unactivated),
        active: state(spec.active, usual.active),
        suspended: state(spec.suspended, usual.suspended),
        locked: state(spec.locked, usual.locked),
        password_expired: state(spec.password_expired, usual.password_expired),
        awaiting_password_reset: state(spec.awaiting_password_reset, usual.awaiting_password_reset),
        pending: state(spec.pending, usual.pending),
        security_questions_required: state(
            spec.security_questions_required,
            usual.security_questions_required,
        ),
    }
}

fn states(spec: &OneLoginStates) -> StateTable {
    let usual = StateTable::default();
    StateTable {
        unapproved: state(spec.unapproved, usual.unapproved),
        approved: state(spec.approved, usual.approved),
        rejected: state(spec.rejected, usual.rejected),
        unlicensed: state(spec.unlicensed, usual.unlicensed),
    }
}
