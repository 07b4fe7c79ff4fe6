//! What a server's schema says of groups.

use super::connection::Connection;
use super::entry::AttributeName;
use super::error::LdapFailure;
use super::read::user_search;
use super::search::{Next, Search};
use super::settings::LdapSettings;
use crate::api::spec::LdapScope;

/// `groupOfNames` and `groupOfUniqueNames` (RFC 4519, 3.5 and 3.6), and what they demand there.
const CLASSES: [(&str, &str, &str); 2] = [
    ("2.5.6.9", "groupOfNames", "member"),
    ("2.5.6.17", "groupOfUniqueNames", "uniqueMember"),
];

/// Whether a `groupOfNames` or `groupOfUniqueNames` without any member must have hidden ones.
///
/// The standard demands a member, and OpenLDAP does, so there the rules of access hide it. Other
/// servers (389 Directory Server, FreeIPA) leave it open: their schema says so. A server that
/// doesn't show its schema is taken to follow the standard.
///
/// # Errors
/// When the connection fails, or isn't understood.
pub async fn demands_members(
    connection: &mut Connection,
    settings: &LdapSettings,
) -> Result<bool, LdapFailure> {
    let subschema = values(connection, settings, "", "subschemaSubentry").await?;
    let Some(subschema) = subschema.into_iter().next() else {
        return Ok(true);
    };
    let classes = values(connection, settings, &subschema, "objectClasses").await?;
    let mut known = classes.iter().filter_map(|class| demands(class));
    Ok(known
        .next()
        .is_none_or(|first| first || known.any(|more| more)))
}

/// The values of an attribute of one entry; none where the server doesn't show them.
async fn values(
    connection: &mut Connection,
    settings: &LdapSettings,
    base: &str,
    attribute: &str,
) -> Result<Vec<String>, LdapFailure> {
    let attributes = [attribute.to_owned()];
    let name = AttributeName::new(attribute);
    let search = Search {
        what: "the schema",
        base,
        scope: LdapScope::Base,
        filter: "(objectClass=*)",
        page_size: 0,
        ..user_search(settings, &attributes)
    };
    let mut found = vec![];
    let searched = connection
        .search(&search, |entry| {
            found.extend(entry.values(&name).map(str::to_owned));
            Ok(Next::Continue)
        })
        .await;
    match searched {
        Ok(()) | Err(LdapFailure::Refused { .. }) => Ok(found),
        Err(failure) => Err(failure),
    }
}

/// Whether the description of an object class (RFC 4512, 4.1.1) demands the members; `None` where
/// it is another class.
fn demands(description: &str) -> Option<bool> {
    let oid = description
        .trim_start_matches(['(', ' '])
        .split(' ')
        .next()?;
    let (_, _, member) = CLASSES
        .iter()
        .find(|(number, name, _)| oid == *number || description.contains(&format!("'{name}'")))?;
    let Some((_, must)) = description.split_once(" MUST ") else {
        return Some(false);
    };
    let must = must.trim_start();
    let listed = match must.strip_prefix('(') {
        Some(list) => list.split(')').next().unwrap_or_default(),
        None => must.split(' ').next().unwrap_or_default(),
    };
    let mut listed = listed.split('$').map(str::trim);
    Some(listed.any(|name| name.eq_ignore_ascii_case(member)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openldap_demands_a_member_and_389_directory_server_does_not() {
        let openldap = "( 2.5.6.9 NAME 'groupOfNames' DESC 'RFC2256: a group of names (DNs)' SUP top \
                        STRUCTURAL MUST ( member $ cn ) MAY ( businessCategory $ o ) )";
        let ds389 = "( 2.5.6.9 NAME 'groupOfNames' SUP top STRUCTURAL MUST cn MAY ( member $ o ) )";
        assert_eq!(demands(openldap), Some(true));
        assert_eq!(demands(ds389), Some(false));
        assert_eq!(
            demands("( 2.5.6.6 NAME 'person' SUP top MUST ( sn $ cn ) )"),
            None
        );
    }
}
