//! LDAP directories: OpenLDAP, 389-ds, FreeIPA and their kin.

mod dn;
mod settings;

pub use settings::{
    Bind, ClientIdentity, DerivedEmail, DisabledRule, EmailRule, GroupSettings, IdAttribute,
    InvalidSettings, LdapSettings, MemberAttribute, MemberNaming, SearchScope, ServerUrl,
    TlsSettings, UserSettings,
};
