//! Settings for servers that need others than the defaults: what `source.ldap.preset` stands for.
//!
//! Only what the server's documents or its source say for certain is here. Each value has its source on
//! the page `docs/ldap.md`.

use super::settings::{GroupSettings, IdAttribute, LdapSettings, MemberAttribute, UserSettings};
use crate::api::spec::{LdapDisabled, LdapPreset};

/// The settings that a preset changes.
struct Table {
    users: &'static str,
    groups: &'static str,
    id: &'static str,
    /// The attribute that marks disabled accounts, with the values that do; without values, those
    /// that it is known for.
    disabled: Option<(&'static str, &'static [&'static str])>,
    members: &'static [&'static str],
    member_of: Option<&'static str>,
    /// 0 where the server has no paged results.
    page_size: Option<u32>,
}

fn table(preset: LdapPreset) -> Table {
    match preset {
        LdapPreset::DirectoryServer389 => Table {
            users: "(objectClass=inetOrgPerson)",
            groups: "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames))",
            id: "nsUniqueId",
            disabled: Some(("nsAccountLock", &[])),
            members: &["member", "uniqueMember"],
            member_of: None,
            page_size: None,
        },
        LdapPreset::Authentik => Table {
            users: "(objectClass=user)",
            // One virtual group for each user stands beside the real ones. authentik decides by the last
            // class of the filter, negated or not, whether it looks for groups at all.
            groups: "(&(!(objectClass=goauthentik.io/ldap/virtual-group))(objectClass=group))",
            id: "uid",
            disabled: Some(("ak-active", &["FALSE"])),
            members: &["member"],
            member_of: None,
            page_size: None,
        },
        LdapPreset::EDirectory => Table {
            users: "(objectClass=inetOrgPerson)",
            groups: "(objectClass=groupOfNames)",
            id: "GUID",
            disabled: Some(("loginDisabled", &[])),
            members: &["member"],
            member_of: None,
            page_size: None,
        },
        LdapPreset::FreeIpa => Table {
            users: "(objectClass=inetOrgPerson)",
            groups: "(objectClass=ipaUserGroup)",
            id: "ipaUniqueID",
            disabled: Some(("nsAccountLock", &[])),
            members: &["member"],
            member_of: None,
            page_size: None,
        },
        LdapPreset::Kanidm => Table {
            users: "(class=person)",
            groups: "(class=group)",
            id: "entryuuid",
            disabled: None,
            // Memberships are listed with people.
            members: &[],
            member_of: Some("memberof"),
            page_size: Some(0),
        },
        LdapPreset::Lldap => Table {
            users: "(objectClass=person)",
            groups: "(objectClass=groupOfUniqueNames)",
            id: "entryUUID",
            disabled: None,
            members: &["member"],
            member_of: None,
            page_size: None,
        },
    }
}

/// Settings of people before the manifest's own fields.
pub fn users(preset: Option<LdapPreset>) -> UserSettings {
    let defaults = UserSettings::default();
    let Some(table) = preset.map(table) else {
        return defaults;
    };
    UserSettings {
        filter: table.users.to_owned(),
        id: IdAttribute::named(table.id),
        disabled: table.disabled.map(|(attribute, values)| LdapDisabled {
            attribute: attribute.to_owned(),
            values: Some(values.iter().map(|&value| value.to_owned()).collect()),
        }),
        member_of: table.member_of.map(str::to_owned),
        ..defaults
    }
}

/// Settings of groups before the manifest's own fields.
pub fn groups(preset: Option<LdapPreset>) -> GroupSettings {
    let defaults = GroupSettings::default();
    let Some(table) = preset.map(table) else {
        return defaults;
    };
    let members = table.members.iter();
    GroupSettings {
        filter: table.groups.to_owned(),
        id: IdAttribute::named(table.id),
        members: members.map(|name| MemberAttribute::named(name)).collect(),
        ..defaults
    }
}

/// How many entries to ask for at a time, before the manifest's own field.
pub fn page_size(preset: Option<LdapPreset>, settings: &LdapSettings) -> u32 {
    let size = preset.and_then(|preset| table(preset).page_size);
    size.unwrap_or(settings.page_size)
}
