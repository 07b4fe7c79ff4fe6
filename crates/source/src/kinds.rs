//! The kinds of directories that a spec can name, one line each.

use std::sync::Arc;

use super::settings::{SourceSettings, Validate};
use crate::api::spec::SourceSpec;
use crate::checks::Checks;

/// A kind of directory.
struct Kind {
    /// Its field in `spec.source`.
    field: &'static str,
    /// In a word, as people call it.
    name: &'static str,
    /// What a spec says of it, where it does.
    part: fn(&SourceSpec) -> Option<&dyn Validate>,
}

const fn kind(
    field: &'static str,
    name: &'static str,
    part: fn(&SourceSpec) -> Option<&dyn Validate>,
) -> Kind {
    Kind { field, name, part }
}

fn some<T: Validate>(part: Option<&T>) -> Option<&dyn Validate> {
    part.map(|part| part as &dyn Validate)
}

const KINDS: &[Kind] = &[
    kind("ldap", "LDAP", |of| some(of.ldap.as_ref())),
    kind("activeDirectory", "ActiveDirectory", |of| {
        some(of.active_directory.as_ref())
    }),
    kind("entraId", "EntraID", |of| some(of.entra_id.as_ref())),
    kind("googleWorkspace", "GoogleWorkspace", |of| {
        some(of.google_workspace.as_ref())
    }),
    kind("okta", "Okta", |of| some(of.okta.as_ref())),
    kind("oneLogin", "OneLogin", |of| some(of.one_login.as_ref())),
];

/// The kind of directory in a word; the first where a spec names several, `None` where it names
/// none.
pub fn name(spec: &SourceSpec) -> &'static str {
    let named = KINDS.iter().find(|kind| (kind.part)(spec).is_some());
    named.map_or("None", |kind| kind.name)
}

/// The settings of the one directory that `spec` names; what is wrong is noted in `checks`.
pub fn validate(
    checks: &mut Checks,
    spec: &SourceSpec,
    reads_groups: bool,
) -> Option<Arc<dyn SourceSettings>> {
    let named = KINDS.iter().map(|kind| (kind.field, (kind.part)(spec)));
    let fields: Vec<_> = named
        .clone()
        .map(|(field, part)| (field, part.is_some()))
        .collect();
    checks.exactly_one("spec.source", &fields);
    let part = named.filter_map(|(_, part)| part).next()?;
    part.validate(checks, reads_groups)
}
