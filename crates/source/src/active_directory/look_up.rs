//! Looks for one account by what people call it, whatever the filters leave out.

use std::fmt::Write as _;
use std::sync::Mutex;

use uuid::Uuid;

use super::domain_controller::Controllers;
use super::error::ActiveDirectoryFailure;
use super::read::{Reader, read_entries};
use super::settings::ActiveDirectorySettings;
use crate::ReadProgress;
use crate::api::spec::LdapScope;
use crate::directory::{DirectoryBuilder, LookedUp};
use crate::ldap::search::Next;
use crate::ldap::{LdapFailure, dn};
use crate::text::sanitize;

/// More accounts aren't looked at.
const MOST: usize = 5;
/// noSuchObject (RFC 4511, appendix A.2).
const NO_SUCH_OBJECT: u32 = 32;

/// The account with this DN; or those with this ID, address or login name.
///
/// # Errors
/// When no controller can be asked.
pub async fn look_up(
    controllers: &Controllers,
    settings: &ActiveDirectorySettings,
    name: &str,
) -> Result<Vec<LookedUp>, ActiveDirectoryFailure> {
    let mut session = controllers.first().await?;
    let builder = Mutex::new(DirectoryBuilder::new());
    let progress = ReadProgress::default();
    let reader = Reader::new(settings, &session.root.domain, &builder, &progress);
    let attributes = reader.user_attributes();
    let by_dn = name.contains('=') && dn::is_dn(name);
    let filter = match by_dn {
        true => "(&(objectCategory=person)(objectClass=user))".to_owned(),
        false => format!(
            "(&(objectCategory=person)(objectClass=user)(|{}))",
            parts(&reader, name)
        ),
    };
    let mut search = reader.search("one entry", reader.root, &filter, &attributes);
    search.page_size = 0;
    if by_dn {
        (search.base, search.scope) = (name, LdapScope::Base);
    }
    let mut found = vec![];
    let read = read_entries(&mut session.connection, &search, |entry| {
        let name = sanitize(entry.dn());
        reader.add_user(entry, &mut String::new())?;
        let mut builder = builder.lock().expect("no reader panics with the builder");
        found.push((name, std::mem::take(&mut *builder).finish()));
        Ok(match found.len() < MOST {
            true => Next::Continue,
            false => Next::Stop,
        })
    });
    match read.await {
        Err(ActiveDirectoryFailure::Ldap(LdapFailure::Refused { answer, .. }))
            if answer.code == NO_SUCH_OBJECT => {}
        other => other?,
    }
    session.connection.close().await;
    let entries = found.into_iter().map(|(entry, directory)| {
        let user = directory.users.first();
        let email = user.and_then(|user| user.email.as_ref().ok());
        LookedUp {
            entry: entry.into(),
            id: user.map(|user| user.id.clone()),
            email: email.map_or("", |email| email.as_str()).into(),
            state: user.map(|user| user.state),
        }
    });
    Ok(entries.collect())
}

fn parts(reader: &Reader<'_>, name: &str) -> String {
    let value = ldap3::ldap_escape(name);
    let names = [
        reader.names.mail.as_str(),
        reader.names.prefix.as_str(),
        "userPrincipalName",
        "sAMAccountName",
    ];
    let parts = names.iter().map(|one| format!("({one}={value})"));
    let mut parts: String = parts.collect();
    // Writing into a string can't fail.
    let _ = write!(parts, "(proxyAddresses=smtp:{value})");
    if let Ok(id) = Uuid::parse_str(name) {
        let bytes = id.to_bytes_le();
        let bytes: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let _ = write!(parts, "(objectGUID={bytes})");
    }
    parts
}
