//! Looks for one entry by what people call it, whatever the filters leave out.

use std::sync::Mutex;

use super::binary_id;
use super::connection::Connector;
use super::dn;
use super::error::LdapFailure;
use super::read::UserReader;
use super::search::{Next, Search};
use super::settings::{IdAttribute, LdapSettings};
use crate::api::spec::LdapScope;
use crate::directory::{DirectoryBuilder, LookedUp};
use crate::text::sanitize;

/// More entries aren't looked at.
const MOST: usize = 5;
/// noSuchObject (RFC 4511, appendix A.2).
const NO_SUCH_OBJECT: u32 = 32;

/// The entry with this DN; or those with this ID, address or login name.
///
/// # Errors
/// When the server can't be asked.
pub async fn look_up(
    connector: &Connector,
    settings: &LdapSettings,
    name: &str,
) -> Result<Vec<LookedUp>, LdapFailure> {
    let (mut connection, _) = connector.first().await?;
    let reader = Mutex::new(UserReader::new(settings));
    let attributes = reader
        .lock()
        .expect("nobody has panicked with it")
        .attributes();
    let (base, scope, filter) = match name.contains('=') && dn::is_dn(name) {
        true => (name, LdapScope::Base, "(objectClass=*)".to_owned()),
        false => (
            &*settings.base_dn,
            LdapScope::Subtree,
            filter(settings, name),
        ),
    };
    let search = Search {
        what: "one entry",
        base,
        scope,
        filter: &filter,
        attributes: &attributes,
        controls: &[],
        page_size: 0,
        idle: settings.idle_timeout,
        limit: settings.search_timeout,
    };
    let mut found = vec![];
    let searched = connection
        .search(&search, |entry| {
            let mut builder = DirectoryBuilder::with_shareable_ids();
            let mut reader = reader.lock().expect("nobody has panicked with it");
            reader.add(entry, &mut builder);
            found.push((sanitize(entry.dn()), builder.finish()));
            Ok(match found.len() < MOST {
                true => Next::Continue,
                false => Next::Stop,
            })
        })
        .await;
    match searched {
        Err(LdapFailure::Refused { answer, .. }) if answer.code == NO_SUCH_OBJECT => {}
        other => other?,
    }
    connection.close().await;
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

fn filter(settings: &LdapSettings, name: &str) -> String {
    let users = &settings.users;
    let mut attributes: Vec<&str> = users.email.attributes.iter().map(String::as_str).collect();
    attributes.push("uid");
    if let IdAttribute::Attribute(id) = &users.id
        && binary_id::reader(&id.to_ascii_lowercase()).is_none()
    {
        attributes.push(id);
    }
    let value = ldap3::ldap_escape(name);
    let parts = attributes
        .iter()
        .map(|attribute| format!("({attribute}={value})"));
    format!("(|{})", parts.collect::<String>())
}
