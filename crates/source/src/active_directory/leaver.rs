//! Reads one person alone, to tell whether they certainly left.
//!
//! Two searches: one for the entry by its id, within the filter that a whole read has, and one for everybody
//! in the domain with the same address, within none.

use std::sync::Mutex;

use super::domain_controller::Controllers;
use super::error::ActiveDirectoryFailure;
use super::read::{Reader, read_entries};
use super::settings::{ActiveDirectorySettings, EmailFrom};
use super::users::PEOPLE;
use crate::directory::{AccountState, DirectoryBuilder, Email, ExternalId, User};
use crate::ldap::connection::Connection;
use crate::ldap::leaver::white_space;
use crate::ldap::search::Next;
use crate::{LeaverCheck, ReadProgress};

/// More entries aren't looked at: two are one too many.
const MOST: usize = 3;

/// Whether the person with this id has left.
///
/// # Errors
/// When no controller can be asked.
pub async fn check(
    controllers: &Controllers,
    settings: &ActiveDirectorySettings,
    id: &ExternalId,
) -> Result<LeaverCheck, ActiveDirectoryFailure> {
    let uncertain = |why: &str| Ok(LeaverCheck::Uncertain(why.to_owned()));
    let Some(guid) = escaped_guid(id.as_str()) else {
        return uncertain("the id is no objectGUID");
    };
    if !settings.users.member_of.is_empty() {
        return uncertain("who is in users.memberOf has to be read");
    }
    let mut session = controllers.first().await?;
    let (builder, progress) = (Mutex::new(DirectoryBuilder::new()), ReadProgress::default());
    let reader = Reader::new(settings, &session.root.domain, &builder, &progress);
    let connection = &mut session.connection;
    let by_id = format!("(&{}(objectGUID={guid}))", reader.user_filter());
    let mut found = vec![];
    for base in reader.bases(&settings.users.search_bases) {
        found.extend(read(&reader, connection, base, &by_id).await?);
    }
    let [user] = &*found else {
        return uncertain("not one entry within the filter has this id");
    };
    let Some(email) = user.email.as_ref().ok() else {
        return uncertain("the entry has no address");
    };
    if user.id != *id || user.state == AccountState::Active {
        return uncertain("the entry doesn't say that the account is disabled");
    }
    let by_email = format!("(&{PEOPLE}{})", filter_by_email(&reader, email));
    let same_email = read(&reader, connection, reader.root(), &by_email).await?;
    session.connection.close().await;
    match &*same_email {
        [only] if only.id == *id => Ok(LeaverCheck::Left(Box::new(user.clone()))),
        [] => uncertain("the directory can't be searched for the address"),
        _ => uncertain("another entry has the same address"),
    }
}

/// The people whom a filter fits, at most [`MOST`].
async fn read(
    reader: &Reader<'_>,
    connection: &mut Connection,
    base: &str,
    filter: &str,
) -> Result<Vec<User>, ActiveDirectoryFailure> {
    let attributes = reader.user_attributes();
    let mut search = reader.search("one person", base, filter, &attributes);
    search.page_size = MOST as u32;
    let mut found = vec![];
    read_entries(connection, &search, |entry| {
        found.extend(reader.one_user(entry)?);
        Ok(match found.len() < MOST {
            true => Next::Continue,
            false => Next::Stop,
        })
    })
    .await?;
    Ok(found)
}

/// Everybody with this address, in any attribute that an address is read from; also with more text after it,
/// or white space before it. It is asked for in another case: the entry itself is found by that only where the
/// attribute compares letters as addresses are compared.
fn filter_by_email(reader: &Reader<'_>, email: &Email) -> String {
    let names = &reader.names;
    let begins = |attribute: &str, before: &str, text: &str| {
        let text = ldap3::ldap_escape(text.to_uppercase());
        let spaces = white_space().chain(["\\20".to_owned()]);
        let others = spaces.map(|space| format!("({attribute}={before}{space}{text}*)"));
        let others: String = others.collect();
        format!("({attribute}={before}{text}*){others}")
    };
    let plain = |attribute: &str| begins(attribute, "", email.as_str());
    let derived = |suffix: &str| {
        let prefix = email.as_str().strip_suffix(&*suffix.trim().to_lowercase());
        prefix.map_or(String::new(), |prefix| {
            begins(names.prefix.as_str(), "", prefix)
        })
    };
    let mail = || plain(names.mail.as_str());
    let principal = || plain(names.principal.as_str());
    let parts = match &reader.settings.users.email {
        EmailFrom::Mail => mail(),
        EmailFrom::MailOrUserPrincipalName => mail() + &principal(),
        EmailFrom::UserPrincipalName => principal(),
        EmailFrom::ProxyAddresses => begins(names.proxies.as_str(), "smtp:", email.as_str()),
        EmailFrom::PrefixAndSuffix { suffix, .. } => derived(suffix),
        EmailFrom::MailOrPrefixAndSuffix { suffix, .. } => mail() + &derived(suffix),
    };
    format!("(|{parts})")
}

/// A GUID as the value of a filter: its bytes, of which the first three fields have the last byte first.
fn escaped_guid(text: &str) -> Option<String> {
    let fields: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = fields.iter().map(|field| field.len()).collect();
    let is_hex = |field: &&str| field.bytes().all(|byte| byte.is_ascii_hexdigit());
    if lengths != [8, 4, 4, 4, 12] || !fields.iter().all(is_hex) {
        return None;
    }
    let mut escaped = String::new();
    for (at, field) in fields.iter().enumerate() {
        let mut bytes: Vec<&str> = (0..field.len())
            .step_by(2)
            .map(|n| &field[n..n + 2])
            .collect();
        if at < 3 {
            bytes.reverse();
        }
        bytes.iter().for_each(|byte| {
            escaped.push('\\');
            escaped.push_str(byte);
        });
    }
    Some(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::active_directory::identity::guid;

    #[test]
    fn the_bytes_of_an_id_are_those_that_it_was_read_from() {
        let bytes: Vec<u8> = (0..16).collect();
        let text = guid(&bytes).unwrap();
        let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
        assert_eq!(escaped_guid(&text), Some(escaped));
        for wrong in [
            "",
            "*",
            "00010203-0405-0607-0809-0a0b0c0d0e0",
            "g0010203-0405-0607-0809-0a0b0c0d0e0f",
        ] {
            assert_eq!(escaped_guid(wrong), None, "{wrong}");
        }
    }
}
