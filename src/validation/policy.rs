//! Whom to take, and what may happen to them.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::effect::without_effect;
use crate::api::spec::{self, DeparturePolicy, DirectorySyncSpec, GivenAccess, GivenRole};
use crate::checks::Checks;
use crate::directory::Email;
use crate::problem::{Problem, ProblemReason};
use directory_sync_core::organization::collection::CollectionRight;
use directory_sync_core::organization::role::{AccessRole, Permissions};
use directory_sync_core::sync::policy::{
    Access, CollectionName, CollectionRule, Glob, GroupFilter, Limit, Offboarding,
    OffboardingAction, Onboarding, Policy, Reinvite, Restore, RoleRule, UserFilter,
};

const LOSSES: Limit = Limit::Percent(10.0);
const DISABLED: Limit = Limit::Percent(25.0);
const OF_A_GROUP: Limit = Limit::Percent(50.0);
/// The longest time until a removal, in days.
const REMOVE_AFTER_MAX: u16 = 3650;
/// So often an invitation is sent again at most.
const REINVITED_MAX: u8 = 10;
/// A link in an invitation can be used for five days.
const WITHDRAW_AFTER_MIN: SignedDuration = SignedDuration::from_hours(6 * 24);
/// The longest time until an invitation is withdrawn, in days.
const WITHDRAW_AFTER_MAX: u16 = 3650;
/// The longest time that somebody may wait for a confirmation, in days.
const CONFIRM_WITHIN_MAX: u16 = 365;
/// The longest time for which held changes can be approved, in days.
const APPROVALS_EXPIRE_AFTER_MAX: u16 = 30;
const INVITED: Limit = Limit::Percent(50.0);
/// The largest number that a limit may be.
const LIMIT_MAX: usize = 1_000_000;

pub(super) fn validate(checks: &mut Checks, spec: &DirectorySyncSpec) -> Option<Policy> {
    let users = spec.users.clone().unwrap_or_default();
    let groups = spec.groups.clone().unwrap_or_default();
    let onboarding = spec.onboarding.clone().unwrap_or_default();
    let offboarding = spec.offboarding.clone().unwrap_or_default();

    let external_id_prefix = spec
        .organization
        .external_id_prefix
        .clone()
        .unwrap_or_default();
    check_prefix(checks, spec.organization.external_id_prefix.as_deref());
    let disabled = offboarding
        .disabled
        .map_or(OffboardingAction::Revoke, departure);
    let deleted = offboarding.deleted.map_or(disabled, departure);
    let absent = offboarding
        .absent
        .map_or(OffboardingAction::Retain, departure);
    // Who was revoked by this policy comes back by it; who was revoked by hand stays out where it
    // revokes nobody.
    let revokes = [disabled, deleted, absent].contains(&OffboardingAction::Revoke);
    let remove_after = remove_after(checks, offboarding.remove_after.as_deref(), revokes);
    let approvals_expire_after = approvals_expire_after(checks, &offboarding);
    let reinvite = onboarding.reinvite.as_ref();
    let reinvite = reinvite.and_then(|rules| reinvite_rules(checks, rules));
    let withdraw_after = withdraw_after(checks, onboarding.withdraw_after.as_deref());
    let confirm_within = confirm_within(checks, onboarding.confirm_within.as_deref());
    let mut limit = |field: &str, limit: &Option<IntOrString>| match limit {
        None => Some(None),
        Some(limit) => checks.noted(field, parse_limit(limit)).map(Some),
    };
    let losses = limit("spec.offboarding.limit", &offboarding.limit);
    let disabled_limit = limit(
        "spec.offboarding.disabledLimit",
        &offboarding.disabled_limit,
    );
    let of_a_group = limit("spec.groups.limit", &groups.limit);
    let invited = limit("spec.onboarding.limit", &onboarding.limit);
    let of_access = spec.access.as_ref();
    let of_access = of_access.map_or(&None, |access| &access.collections_limit);
    let collections_limit = limit("spec.access.collectionsLimit", of_access);
    let losses = losses?.unwrap_or(LOSSES);
    let disabled_limit = disabled_limit?.unwrap_or_else(|| wider(losses, DISABLED));
    let access = access(checks, spec.access.as_ref(), collections_limit?);
    let never_send = never_send(checks, spec);
    let doubts = without_effect(spec).into_iter();
    let doubts = doubts.map(|text| Problem::new(ProblemReason::NoEffect, text, []));
    Some(Policy {
        external_id_prefix,
        access,
        never_send,
        doubts: doubts.collect(),
        users: UserFilter {
            include: globs(users.include),
            exclude: globs(users.exclude),
        },
        groups: GroupFilter {
            include: globs(groups.include),
            exclude: globs(groups.exclude),
            only_their_members: groups.only_their_members.unwrap_or_default(),
            prune: groups.prune.unwrap_or_default(),
            adopt: groups.adopt.unwrap_or_default(),
            limit: of_a_group?.unwrap_or(OF_A_GROUP),
            protected: globs(groups.protected),
        },
        onboarding: Onboarding {
            invite: onboarding.invite.unwrap_or(true),
            restore: match onboarding.restore {
                Some(true) => Restore::All,
                None if revokes => Restore::RevokedByUs,
                Some(false) | None => Restore::Nobody,
            },
            limit: invited?.unwrap_or(INVITED),
            confirm_within,
            reinvite,
            withdraw_after,
        },
        offboarding: Offboarding {
            disabled,
            deleted,
            absent,
            limit: losses,
            disabled_limit,
            remove_after,
            approvals_expire_after,
        },
    })
}

/// As the rules of the resource's schema, which the command line doesn't have.
fn access(
    checks: &mut Checks,
    spec: Option<&spec::AccessRules>,
    collections_limit: Option<Limit>,
) -> Access {
    let Some(spec) = spec else {
        return Access::default();
    };
    let limit = spec.limit.map(usize::try_from);
    if !matches!(limit, None | Some(Ok(0..=LIMIT_MAX))) {
        let field = "spec.access.limit";
        checks.refuse(field, "write a number of people between 0 and 1000000: 3");
    }
    let roles = spec.roles.iter().flatten().enumerate();
    let roles = roles.map(|(at, rule)| {
        let field = format!("spec.access.roles[{at}]");
        if rule.group.is_empty() {
            checks.refuse(
                format!("{field}.group"),
                "name a group of the directory, or write a pattern: bw-*",
            );
        }
        let permissions = rule.permissions.as_ref();
        let names = permissions.iter().flat_map(|given| given.names());
        let permissions = Permissions::of(names);
        let is_custom = rule.role == GivenRole::Custom;
        if is_custom == permissions.is_empty() || !is_custom && rule.permissions.is_some() {
            checks.refuse(
                &field,
                "permissions belong to role: Custom, and Custom needs at least one: permissions: \
                 {manageUsers: true}",
            );
        }
        RoleRule {
            group: Glob::new(&rule.group),
            role: match rule.role {
                GivenRole::User => AccessRole::User,
                GivenRole::Custom => AccessRole::Custom(permissions),
                GivenRole::Admin => AccessRole::Admin,
            },
        }
    });
    let roles: Vec<RoleRule> = roles.collect();
    let collections = collections(checks, spec);
    Access {
        collections,
        roles,
        limit: limit.and_then(Result::ok).unwrap_or(Access::LIMIT),
        collections_limit: collections_limit.unwrap_or(Access::COLLECTIONS_LIMIT),
    }
}

fn collections(checks: &mut Checks, spec: &spec::AccessRules) -> Vec<CollectionRule> {
    let rules = spec.collections.iter().flatten().enumerate();
    let rules = rules.map(|(at, rule)| {
        let field = format!("spec.access.collections[{at}]");
        if rule.group.is_empty() {
            checks.refuse(
                format!("{field}.group"),
                "name a group of the directory, or write a pattern: eng-*",
            );
        }
        // With `exclusive` it would be a rule that takes all access away.
        if rule.collections.is_empty() {
            checks.refuse(
                format!("{field}.collections"),
                "name at least one collection; to take all access away, do it in Bitwarden",
            );
        }
        let named = rule.collections.iter().enumerate();
        let named = named.filter_map(|(at, one)| {
            let field = format!("{field}.collections[{at}]");
            let right = match one.access {
                GivenAccess::ViewExceptPasswords => CollectionRight::ViewExceptPasswords,
                GivenAccess::View => CollectionRight::View,
                GivenAccess::EditExceptPasswords => CollectionRight::EditExceptPasswords,
                GivenAccess::Edit => CollectionRight::Edit,
                GivenAccess::Manage => CollectionRight::Manage,
            };
            let name = match (&one.id, &one.external_id) {
                (Some(id), None) => match id.parse() {
                    Ok(id) => CollectionName::Id(id),
                    Err(_) => {
                        checks.refuse(
                            format!("{field}.id"),
                            "write the collection's ID as directory-sync collections lists it: \
                             9c1f5f0e-3a3c-4a55-8f52-0f1f4a6c7e10",
                        );
                        return None;
                    }
                },
                (None, Some(name)) => CollectionName::ExternalId(name.as_str().into()),
                _ => {
                    checks.refuse(
                        field,
                        "name the collection by exactly one of id and externalId (directory-sync \
                         collections lists them)",
                    );
                    return None;
                }
            };
            Some((name, right))
        });
        CollectionRule {
            collections: named.collect(),
            group: Glob::new(&rule.group),
            exclusive: rule.exclusive.unwrap_or_default(),
        }
    });
    rules.collect()
}

/// How long after their revocation members are removed.
fn remove_after(checks: &mut Checks, text: Option<&str>, revokes: bool) -> Option<SignedDuration> {
    let field = "spec.offboarding.removeAfter";
    let text = text?;
    if !revokes {
        checks.refuse(
            field,
            "has no meaning where nobody is revoked: set disabled, deleted or absent to Revoke, or \
             leave removeAfter out",
        );
    }
    let days = days(text, REMOVE_AFTER_MAX);
    if days.is_none() {
        checks.refuse(field, "write a number of days between 1d and 3650d: 30d");
    }
    days
}

/// When and how often invitations are sent again.
fn reinvite_rules(checks: &mut Checks, rules: &spec::ReinviteRules) -> Option<Reinvite> {
    let after = hours_or_days(&rules.after);
    if after.is_none() {
        checks.refuse(
            "spec.onboarding.reinvite.after",
            "write hours between 1h and 720h, or days between 1d and 30d: 72h",
        );
    }
    let times = u8::try_from(rules.times).ok();
    let times = times.filter(|times| (1..=REINVITED_MAX).contains(times));
    if times.is_none() {
        checks.refuse(
            "spec.onboarding.reinvite.times",
            "write a number between 1 and 10: 3",
        );
    }
    Some(Reinvite {
        after: after?,
        times: times?,
    })
}

/// How long after they were sent invitations are withdrawn.
fn withdraw_after(checks: &mut Checks, text: Option<&str>) -> Option<SignedDuration> {
    let time = text.map(|text| days(text, WITHDRAW_AFTER_MAX));
    let time = time.map(|days| days.filter(|days| *days >= WITHDRAW_AFTER_MIN));
    if time == Some(None) {
        checks.refuse(
            "spec.onboarding.withdrawAfter",
            "write a number of days between 6d and 3650d: 30d; a link in an invitation can be used for 5 days",
        );
    }
    time.flatten()
}

/// A number of hours or days, up to 30 days.
fn hours_or_days(text: &str) -> Option<SignedDuration> {
    let Some(hours) = text.strip_suffix('h') else {
        return days(text, 30);
    };
    let hours = hours.parse::<u16>().ok()?;
    (1..=30 * 24)
        .contains(&hours)
        .then(|| SignedDuration::from_hours(i64::from(hours)))
}

/// How long somebody may wait for a confirmation.
fn confirm_within(checks: &mut Checks, text: Option<&str>) -> SignedDuration {
    let time = text.map(|text| days(text, CONFIRM_WITHIN_MAX));
    if time == Some(None) {
        let field = "spec.onboarding.confirmWithin";
        checks.refuse(field, "write a number of days between 1d and 365d: 5d");
    }
    time.flatten().unwrap_or(Onboarding::CONFIRM_WITHIN)
}

/// How long held changes can be approved.
fn approvals_expire_after(checks: &mut Checks, spec: &spec::OffboardingRules) -> SignedDuration {
    let text = spec.approvals_expire_after.as_deref();
    let time = text.map(|text| days(text, APPROVALS_EXPIRE_AFTER_MAX));
    if time == Some(None) {
        let field = "spec.offboarding.approvalsExpireAfter";
        checks.refuse(field, "write a number of days between 1d and 30d: 7d");
    }
    time.flatten()
        .unwrap_or(Offboarding::APPROVALS_EXPIRE_AFTER)
}

/// A number of days up to `max`.
fn days(text: &str, max: u16) -> Option<SignedDuration> {
    let days = text.strip_suffix('d')?.parse::<u16>().ok()?;
    let fits = (1..=max).contains(&days);
    fits.then(|| SignedDuration::from_hours(24 * i64::from(days)))
}

fn never_send(checks: &mut Checks, spec: &DirectorySyncSpec) -> Option<BTreeSet<Email>> {
    let vaultwarden = spec.organization.vaultwarden.as_ref()?;
    let emails = vaultwarden.never_send.iter().flatten();
    let emails = emails.filter_map(|email| {
        checks.noted(
            "spec.organization.vaultwarden.neverSend",
            Email::parse(email),
        )
    });
    let emails = emails.collect();
    vaultwarden.never_send.is_some().then_some(emails)
}

/// The limit for disabled accounts where only the other one is given. A number that was chosen is
/// kept: what it comes to depends on the organization.
fn wider(losses: Limit, disabled: Limit) -> Limit {
    match (losses, disabled) {
        (Limit::Percent(losses), Limit::Percent(disabled)) => Limit::Percent(losses.max(disabled)),
        _ => disabled,
    }
}

fn globs(patterns: Option<Vec<String>>) -> Vec<Glob> {
    let patterns = patterns.unwrap_or_default();
    patterns.iter().map(|pattern| Glob::new(pattern)).collect()
}

fn check_prefix(checks: &mut Checks, prefix: Option<&str>) {
    let Some(prefix) = prefix else { return };
    let starts = prefix.starts_with(|c: char| c.is_ascii_alphanumeric());
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._:/-".contains(c);
    if !starts || prefix.len() > 50 || !prefix.chars().all(allowed) {
        checks.refuse(
            "spec.organization.externalIdPrefix",
            "a prefix starts with a letter or digit and has at most 50 letters, digits and . _ : / - only: berlin:",
        );
    }
}

/// As the rule of the resource's schema, which the command line doesn't have.
fn parse_limit(limit: &IntOrString) -> Result<Limit, &'static str> {
    let wrong = "write a number, such as 25, or a share between 0% and 100%, such as 10%";
    match limit {
        IntOrString::Int(count) => usize::try_from(*count)
            .ok()
            .filter(|count| *count <= LIMIT_MAX)
            .map(Limit::Count)
            .ok_or(wrong),
        IntOrString::String(text) => {
            let number = text.strip_suffix('%').ok_or(wrong)?;
            let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
            let digits = |text: &str, most: usize| {
                (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
            };
            let plain = (digits(whole, 2) || whole == "100") && digits(fraction, 3);
            match number.parse::<f64>() {
                Ok(percent) if plain && percent <= 100.0 => Ok(Limit::Percent(percent)),
                _ => Err(wrong),
            }
        }
    }
}

fn departure(policy: DeparturePolicy) -> OffboardingAction {
    match policy {
        DeparturePolicy::Retain => OffboardingAction::Retain,
        DeparturePolicy::Revoke => OffboardingAction::Revoke,
        DeparturePolicy::Remove => OffboardingAction::Remove,
    }
}
