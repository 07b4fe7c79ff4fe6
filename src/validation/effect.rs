//! Settings that are valid and do nothing: somebody believes that they do something.

use directory_sync_core::sync::policy::{Offboarding, OffboardingAction};

use crate::api::spec::{DeparturePolicy, DirectorySyncSpec};

/// Settings of the spec that have no effect, each with why and what to do.
pub(super) fn without_effect(spec: &DirectorySyncSpec) -> Vec<String> {
    let mut found = vec![];
    let users = spec.users.clone().unwrap_or_default();
    let groups = spec.groups.clone().unwrap_or_default();
    let offboarding = spec.offboarding.clone().unwrap_or_default();

    let disabled = offboarding.disabled.unwrap_or(DeparturePolicy::Revoke);
    let deleted = offboarding.deleted.unwrap_or(disabled);
    let retains = [disabled, deleted] == [DeparturePolicy::Retain; 2];
    if offboarding.disabled_limit.is_some() && retains {
        found.push(
            "offboarding.disabledLimit has no effect: disabled and deleted accounts are retained; set \
             offboarding.disabled to Revoke, or take the limit out"
                .to_owned(),
        );
    }
    let source = &spec.source;
    let tells_deleted =
        source.okta.is_some() || source.entra_id.is_some() || source.google_workspace.is_some();
    if offboarding.deleted.is_some() && !tells_deleted {
        found.push(
            "offboarding.deleted has no effect: this kind of directory doesn't list deleted accounts; who \
             is deleted there is absent (offboarding.absent)"
                .to_owned(),
        );
    }
    found.extend(onboarding(spec));
    let excluded = groups.exclude.iter().flatten();
    if excluded.into_iter().any(|pattern| is_everything(pattern)) {
        let given = [
            ("include", groups.include.is_some()),
            ("adopt", groups.adopt == Some(true)),
        ];
        for (field, _) in given.into_iter().filter(|(_, given)| *given) {
            found.push(format!(
                "groups.{field} has no effect: groups.exclude leaves every group out"
            ));
        }
    }
    for (list, include, exclude) in [
        ("users", &users.include, &users.exclude),
        ("groups", &groups.include, &groups.exclude),
    ] {
        for pattern in include.iter().flatten() {
            let same = |other: &&String| other.trim().eq_ignore_ascii_case(pattern.trim());
            if exclude.iter().flatten().any(|other| same(&other)) {
                let pattern = crate::text::sanitize(pattern);
                found.push(format!(
                    "{list}.include has {pattern:?} without effect: {list}.exclude has it, too, and counts more"
                ));
            }
        }
    }
    found
}

/// Settings about invitations that do nothing.
fn onboarding(spec: &DirectorySyncSpec) -> Vec<String> {
    let rules = spec.onboarding.clone().unwrap_or_default();
    let mut found = vec![];
    if rules.reinvite.is_some() && rules.invite == Some(false) {
        found.push(
            "onboarding.reinvite has no effect: onboarding.invite is false, so administrators send the \
                     invitations; take one of them out"
                .to_owned(),
        );
    }
    found
}

/// Why nobody would be offboarded, where that isn't what the spec says in words.
///
/// `tells_disabled`: whether the source can tell that an account is disabled.
pub(super) fn nobody_offboarded(offboarding: &Offboarding, tells_disabled: bool) -> Option<String> {
    let asked_for = offboarding.disabled != OffboardingAction::Retain;
    let absent_stay = offboarding.absent == OffboardingAction::Retain;
    (asked_for && absent_stay && !tells_disabled).then(|| {
        "nobody is offboarded: which accounts are disabled isn't known, and absent people keep their access. \
         Set source.ldap.users.disabled or source.ldap.preset; or offboarding.absent to Revoke; or, if \
         leavers are to stay, offboarding.disabled to Retain"
            .to_owned()
    })
}

/// Why leavers may keep access, where the spec doesn't say in words that absent people do.
///
/// `left_out_by`: the source's settings that may leave out accounts of leavers.
pub(super) fn leavers_left_out(
    spec: &DirectorySyncSpec,
    offboarding: &Offboarding,
    left_out_by: &[&str],
) -> Option<String> {
    let written = spec.offboarding.as_ref().and_then(|rules| rules.absent);
    let by_default = written.is_none() && offboarding.absent == OffboardingAction::Retain;
    let asked_for = offboarding.disabled != OffboardingAction::Retain;
    (asked_for && by_default && !left_out_by.is_empty()).then(|| {
        format!(
            "leavers may keep access: whoever {} of the source leaves out, being disabled, moved or taken out \
             of groups, isn't read as disabled but absent, and absent people keep access by default. Set \
             offboarding.absent to Revoke; or, if they are to stay, write offboarding.absent: Retain",
            left_out_by.join(" or ")
        )
    })
}

fn is_everything(pattern: &str) -> bool {
    let pattern = pattern.trim();
    !pattern.is_empty() && pattern.chars().all(|c| c == '*')
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn told(source: Value, rest: Value) -> Vec<String> {
        let mut spec = json!({
            "organization": {"region": "EU", "credentialsSecretRef": {"name": "org"}},
            "source": source,
        });
        let all = spec.as_object_mut().unwrap();
        all.extend(rest.as_object().unwrap().clone());
        let spec = serde_json::from_value(spec).unwrap();
        let told = without_effect(&spec).into_iter();
        told.map(|text| text.split(':').next().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn settings_that_do_nothing_are_told_and_others_are_not() {
        let ldap = json!({"ldap": {"url": "ldaps://ldap", "baseDn": "dc=example"}});
        let okta = json!({"okta": {
            "orgUrl": "https://x.okta.com", "credentials": {"apiTokenSecretRef": {"name": "okta"}},
        }});
        let all = json!({
            "users": {"include": ["*@example.com", "a*"], "exclude": ["A* "]},
            "groups": {"include": ["eng-*"], "exclude": ["**"], "adopt": true, "prune": true},
            "offboarding": {"disabled": "Retain", "disabledLimit": 3, "deleted": "Retain"},
        });
        assert_eq!(
            told(ldap.clone(), all),
            [
                "offboarding.disabledLimit has no effect",
                "offboarding.deleted has no effect",
                "groups.include has no effect",
                "groups.adopt has no effect",
                "users.include has \"a*\" without effect",
            ]
        );
        let useful = json!({
            "users": {"include": ["*@example.com"], "exclude": ["svc-*"]},
            "groups": {"include": ["eng-*"], "exclude": ["eng-old"], "adopt": true},
            "offboarding": {"disabled": "Retain", "disabledLimit": 3, "deleted": "Revoke"},
        });
        assert_eq!(told(okta, useful), [""; 0]);
        assert_eq!(told(ldap, json!({})), [""; 0]);
    }
}
