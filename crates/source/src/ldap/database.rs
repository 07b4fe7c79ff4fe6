//! The databases of a server, and where they stand.

use super::connection::Connection;
use super::csn::{MAX_SERVERS, is_csn};
use super::dn;
use super::entry::AttributeName;
use super::error::LdapFailure;
use super::read::user_search;
use super::search::{Next, Search};
use super::settings::LdapSettings;
use crate::api::spec::LdapScope;

/// The request for changes (RFC 4533, 2.2).
const SYNC_REQUEST: &str = "1.3.6.1.4.1.4203.1.9.1.1";
/// More databases than this one isn't looked at of a server.
const MAX_CONTEXTS: usize = 100;

/// What a server says of itself.
#[derive(Debug, Default)]
pub(super) struct Root {
    pub sends_changes: bool,
    /// The DNs of the databases.
    pub contexts: Vec<String>,
}

impl Root {
    /// Reads it (RFC 4512, 5.1).
    pub async fn read(
        connection: &mut Connection,
        settings: &LdapSettings,
    ) -> Result<Self, LdapFailure> {
        let asked = ["supportedControl", "namingContexts"].map(str::to_owned);
        let [controls, contexts] = ["supportedControl", "namingContexts"].map(AttributeName::new);
        let mut root = Self::default();
        let search = one_entry(settings, "the root entry", "", &asked);
        connection
            .search(&search, |entry| {
                root.sends_changes |= entry.values(&controls).any(|oid| oid == SYNC_REQUEST);
                let contexts = entry.values(&contexts).take(MAX_CONTEXTS);
                root.contexts.extend(contexts.map(str::to_owned));
                Ok(Next::Continue)
            })
            .await?;
        Ok(root)
    }

    /// The database that an entry is in: the longest DN that its own ends with. The entry itself where the
    /// server names none.
    pub fn context<'s>(&'s self, base: &'s str) -> &'s str {
        let below = normal(base);
        let holds = |context: &&String| {
            let context = normal(context);
            !context.is_empty() && (below == context || below.ends_with(&format!(",{context}")))
        };
        let contexts = self.contexts.iter().filter(holds);
        contexts
            .max_by_key(|context| context.len())
            .map_or(base, |dn| dn)
    }

    /// Whether a part of what is below an entry is in another database than the entry.
    pub fn is_split(&self, base: &str) -> bool {
        let below = format!(",{}", normal(base));
        self.contexts
            .iter()
            .any(|context| normal(context).ends_with(&below))
    }
}

fn normal(dn: &str) -> String {
    let mut normal = String::new();
    dn::normalize(dn, &mut normal);
    normal
}

/// The numbers of the last changes on each server of a database; none where they can't be seen.
pub(super) async fn last_changes(
    connection: &mut Connection,
    settings: &LdapSettings,
    context: &str,
) -> Result<Vec<String>, LdapFailure> {
    let asked = ["contextCSN".to_owned()];
    let csn = AttributeName::new("contextCSN");
    let mut changes = vec![];
    let search = one_entry(settings, "the last change", context, &asked);
    let read = connection.search(&search, |entry| {
        let values = entry
            .values(&csn)
            .filter(|csn| is_csn(csn))
            .take(MAX_SERVERS);
        changes.extend(values.map(str::to_owned));
        Ok(Next::Continue)
    });
    match read.await {
        Ok(()) => {}
        // The entry of the database may be hidden.
        Err(LdapFailure::Refused { answer, .. }) if matches!(answer.code, 32 | 50) => {}
        Err(failure) => return Err(failure),
    }
    changes.sort_unstable();
    Ok(changes)
}

/// A search for one entry alone.
pub(super) fn one_entry<'s>(
    settings: &'s LdapSettings,
    what: &'static str,
    base: &'s str,
    attributes: &'s [String],
) -> Search<'s> {
    Search {
        what,
        base,
        scope: LdapScope::Base,
        filter: "(objectClass=*)",
        page_size: 0,
        ..user_search(settings, attributes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Root {
        Root {
            sends_changes: true,
            contexts: [
                "",
                "dc=example,dc=com",
                "ou=Far, dc=Example,dc=com",
                "dc=com",
            ]
            .map(str::to_owned)
            .into(),
        }
    }

    #[test]
    fn an_entry_is_in_the_database_with_the_longest_dn_above_it() {
        let root = root();
        let base = "ou=people,OU=far,dc=example,dc=com";
        assert_eq!(root.context(base), "ou=Far, dc=Example,dc=com");
        assert_eq!(root.context("DC=example,dc=com"), "dc=example,dc=com");
        assert_eq!(root.context("o=elsewhere"), "o=elsewhere");
    }

    #[test]
    fn a_base_above_another_database_is_split() {
        let root = root();
        for (base, is_split) in [
            ("dc=Example, dc=com", true),
            ("ou=far,dc=example,dc=com", false),
            ("ou=people,dc=example,dc=com", false),
        ] {
            assert_eq!(root.is_split(base), is_split, "{base}");
        }
    }
}
