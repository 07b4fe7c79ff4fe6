//! Reads one person alone, to tell whether they certainly left.
//!
//! Two searches: one for the entry by its id, within the filter that a whole read has, and one for every entry
//! with the same address, within none. Somebody else with that address, whatever their entry is, may be the
//! one whom the member in Bitwarden belongs to.

use super::binary_id;
use super::connection::{Connection, Connector};
use super::error::LdapFailure;
use super::read::{UserReader, user_search};
use super::search::{Next, Search};
use super::settings::{IdAttribute, LdapSettings};
use crate::LeaverCheck;
use crate::api::spec::LdapScope;
use crate::complete::Complete;
use crate::directory::{AccountState, Directory, DirectoryBuilder, Email, ExternalId};

/// More entries aren't looked at: two are one too many.
const MOST: usize = 3;

/// Whether the person with this id has left.
///
/// # Errors
/// When the server can't be asked.
pub async fn check(
    connector: &Connector,
    settings: &LdapSettings,
    id: &ExternalId,
) -> Result<LeaverCheck, LdapFailure> {
    let uncertain = |why: &str| Ok(LeaverCheck::Uncertain(why.to_owned()));
    let IdAttribute::Attribute(attribute) = &settings.users.id else {
        return uncertain("entries are known by their names");
    };
    if binary_id::reader(&attribute.to_ascii_lowercase()).is_some() {
        return uncertain("an entry can't be looked for by this kind of id");
    }
    let (mut connection, _) = connector.first().await?;
    let value = ldap3::ldap_escape(id.as_str());
    let by_id = format!("(&{}({attribute}={value}))", settings.users.filter);
    let scope = settings.users.scope;
    let [found] = &*read(&mut connection, settings, &by_id, scope).await? else {
        return uncertain("not one entry within the filter has this id");
    };
    let [user] = &*found.users else {
        return uncertain("the entry can't be identified");
    };
    let Some(email) = user.email.as_ref().ok() else {
        return uncertain("the entry has no address");
    };
    if user.id != *id || user.state == AccountState::Active {
        return uncertain("the entry doesn't say that the account is disabled");
    }
    let by_email = filter_by_email(settings, email);
    let same_email = read(&mut connection, settings, &by_email, LdapScope::Subtree).await?;
    connection.close().await;
    let is_this = |found: &Complete<Directory>| found.users.iter().any(|one| one.id == *id);
    match &*same_email {
        [only] if is_this(only) => Ok(LeaverCheck::Left(Box::new(user.clone()))),
        // The server tells letters or spaces apart that addresses don't, or hides the attribute.
        [] => uncertain("the directory can't be searched for the address"),
        _ => uncertain("another entry has the same address"),
    }
}

/// Each entry by itself, at most [`MOST`].
async fn read(
    connection: &mut Connection,
    settings: &LdapSettings,
    filter: &str,
    scope: LdapScope,
) -> Result<Vec<Complete<Directory>>, LdapFailure> {
    let mut reader = UserReader::new(settings);
    let attributes = reader.with_times(reader.attributes());
    let search = Search {
        what: "one person",
        filter,
        scope,
        page_size: 0,
        ..user_search(settings, &attributes)
    };
    let mut found = vec![];
    connection
        .search(&search, |entry| {
            let mut builder = DirectoryBuilder::with_shareable_ids();
            reader.add(entry, &mut builder);
            found.push(builder.finish());
            Ok(match found.len() < MOST {
                true => Next::Continue,
                false => Next::Stop,
            })
        })
        .await?;
    Ok(found)
}

/// Every entry with this address in any attribute that an address is read from.
///
/// It is asked for in another case and with a space before it. The entry itself is found by that only where
/// the server compares as addresses are compared (RFC 4518), so that no other spelling is overlooked. Of other
/// white space servers don't all leave out what is left out of addresses: it is asked for with each.
fn filter_by_email(settings: &LdapSettings, email: &Email) -> String {
    let rule = &settings.users.email;
    let spellings = |attribute: &str, text: &str| {
        let text = ldap3::ldap_escape(text.to_uppercase()).into_owned();
        let around = white_space()
            .map(|space| format!("({attribute}={space}{text})({attribute}={text}{space})"));
        let around: String = around.collect();
        format!("({attribute}=\\20{text}){around}")
    };
    let mut parts: Vec<String> = rule
        .attributes
        .iter()
        .map(|attribute| spellings(attribute, email.as_str()))
        .collect();
    if let Some(derived) = &rule.derived
        && let Some(prefix) = email
            .as_str()
            .strip_suffix(&*derived.suffix.trim().to_lowercase())
    {
        parts.push(spellings(&derived.prefix_attribute, prefix));
    }
    format!("(|{})", parts.concat())
}

/// What is left out around an address, but for spaces, as it stands in a filter.
pub fn white_space() -> impl Iterator<Item = String> {
    let characters = ('\u{1}'..='\u{3000}').filter(|one| one.is_whitespace() && *one != ' ');
    let texts = characters.map(String::from);
    texts.chain(["\r\n".to_owned()]).map(|text| {
        let bytes = text.bytes().map(|byte| format!("\\{byte:02x}"));
        bytes.collect()
    })
}
