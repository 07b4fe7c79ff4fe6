//! Tries each step of a read and reports what was seen.

use super::connection::{Connection, Connector};
use super::dn;
use super::entry::{AttributeName, Entry};
use super::error::LdapFailure;
use super::read::{GroupReader, UserReader, group_search, user_search};
use super::search::{Next, PAGED_RESULTS, Search};
use super::settings::{Bind, LdapSettings, ServerUrl};
use crate::Step;
use crate::api::spec::LdapScope;
use crate::directory::DirectoryBuilder;
use crate::text::sanitize;

/// How many entries of each kind are looked at.
const SAMPLE: usize = 100;

/// What the steps have shown so far.
#[derive(Default)]
pub struct Steps(pub Vec<Step>);

impl Steps {
    /// Notes a step; its value where it went well.
    pub fn note<T, E: ToString>(
        &mut self,
        name: impl Into<String>,
        result: Result<T, E>,
        seen: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let (result, value) = match result {
            Ok(value) => (Ok(seen(&value)), Some(value)),
            Err(failure) => (Err(failure.to_string()), None),
        };
        self.0.push(Step {
            name: name.into(),
            result,
        });
        value
    }
}

/// Every step of a read, on every server until one goes all the way.
pub async fn check(connector: &Connector, settings: &LdapSettings) -> Vec<Step> {
    let mut steps = Steps::default();
    for server in connector.servers() {
        if let Some(mut connection) = bind(connector, settings, server, &mut steps).await {
            look_around(&mut connection, settings, &mut steps).await;
            break;
        }
    }
    steps.0
}

/// Name, connection, TLS, bind.
async fn bind(
    connector: &Connector,
    settings: &LdapSettings,
    server: &ServerUrl,
    steps: &mut Steps,
) -> Option<Connection> {
    let mut connection = reach(connector, settings, server, steps).await?;
    let whom = match &settings.bind {
        Bind::Anonymous => "as nobody (anonymous)".to_owned(),
        Bind::Simple { .. } => "as the account in the bind Secret".to_owned(),
        Bind::SaslExternal => "with the client certificate (SASL EXTERNAL)".to_owned(),
    };
    let bound = connector.bind(&mut connection).await;
    steps.note("bind", bound, |()| whom)?;
    Some(connection)
}

/// Checks name resolution, connection and TLS, each as a step.
pub async fn reach(
    connector: &Connector,
    settings: &LdapSettings,
    server: &ServerUrl,
    steps: &mut Steps,
) -> Option<Connection> {
    let addresses = steps.note(
        format!("find the address of {}", server.host),
        connector.resolve(server).await,
        |addresses| {
            let texts: Vec<_> = addresses.iter().map(|a| a.ip().to_string()).collect();
            texts.join(", ")
        },
    )?;
    let (stream, _) = steps.note(
        format!("connect to {server}"),
        connector.reach(server, &addresses).await,
        |(_, address)| format!("{address} answered"),
    )?;
    let wants_tls = server.ldaps || settings.tls.start_tls;
    let (connection, _) = steps.note(
        if server.ldaps {
            "TLS"
        } else if wants_tls {
            "StartTLS"
        } else {
            "encryption"
        },
        connector.secure(server, stream).await,
        |(_, certificate)| match certificate {
            Some(certificate) => format!(
                "certificate for {}, signed by {}, valid until {}{}",
                certificate.subject,
                certificate.issuer,
                certificate.not_after,
                if settings.tls.insecure_skip_verify {
                    "; NOT VERIFIED, because tls.insecureSkipVerify is on"
                } else {
                    ""
                }
            ),
            None if matches!(settings.bind, Bind::Simple { .. }) => {
                "none: the password and everything read can be seen on the way; use ldaps:// or \
                 tls.startTls"
                    .to_owned()
            }
            None => "none: everything read can be seen on the way".to_owned(),
        },
    )?;
    Some(connection)
}

/// The server itself, the base DN, people, groups.
async fn look_around(connection: &mut Connection, settings: &LdapSettings, steps: &mut Steps) {
    let root = ask_root(connection, settings).await;
    steps.note("ask the server what it is", root, |facts| facts.clone());
    let found = has_base(connection, settings).await;
    if steps
        .note(
            format!("find the base DN {}", sanitize(&settings.base_dn)),
            found,
            |()| "it is there".to_owned(),
        )
        .is_none()
    {
        return;
    }
    let people = sample_people(connection, settings).await;
    steps.note("find users", people, |seen| seen.clone());
    if settings.groups.is_some() {
        let groups = sample_groups(connection, settings).await;
        steps.note("find groups", groups, |seen| seen.clone());
    }
}

/// Vendor and paging, from the root DSE (RFC 4512, 5.1). Servers may hide it.
async fn ask_root(
    connection: &mut Connection,
    settings: &LdapSettings,
) -> Result<String, LdapFailure> {
    let names = [
        "vendorName",
        "vendorVersion",
        "supportedControl",
        "objectClass",
    ];
    let attributes: Vec<_> = names.map(str::to_owned).into();
    let [vendor, version, controls, classes] = names.map(AttributeName::new);
    let search = Search {
        what: "the root entry",
        base: "",
        scope: LdapScope::Base,
        filter: "(objectClass=*)",
        page_size: 0,
        ..user_search(settings, &attributes)
    };
    let mut seen = "it doesn't say".to_owned();
    connection
        .search(&search, |entry| {
            let who = [&vendor, &version]
                .into_iter()
                .filter_map(|name| entry.values(name).next())
                .map(sanitize)
                .collect::<Vec<_>>()
                .join(" ");
            let who = if !who.is_empty() {
                who
            } else if entry
                .values(&classes)
                .any(|class| class == "OpenLDAProotDSE")
            {
                "OpenLDAP".to_owned()
            } else {
                "it doesn't say".to_owned()
            };
            let pages = if entry.values(&controls).any(|oid| oid == PAGED_RESULTS) {
                "can give lists in pages"
            } else {
                "doesn't say that it can give lists in pages"
            };
            seen = format!("{who}; {pages}");
            Ok(Next::Continue)
        })
        .await?;
    Ok(seen)
}

async fn has_base(connection: &mut Connection, settings: &LdapSettings) -> Result<(), LdapFailure> {
    let attributes = ["1.1".to_owned()];
    let search = Search {
        what: "the base entry",
        base: &settings.base_dn,
        scope: LdapScope::Base,
        filter: "(objectClass=*)",
        page_size: 0,
        ..user_search(settings, &attributes)
    };
    connection.search(&search, |_| Ok(Next::Continue)).await
}

async fn sample_people(
    connection: &mut Connection,
    settings: &LdapSettings,
) -> Result<String, LdapFailure> {
    let mut builder = DirectoryBuilder::with_shareable_ids();
    let mut reader = UserReader::new(settings);
    let attributes = reader.attributes();
    let mut sample = user_search(settings, &attributes);
    sample.page_size = sample_page(settings);
    let mut first = String::new();
    let count = entries(connection, &sample, |entry| {
        if first.is_empty() {
            first = sanitize(entry.dn());
        }
        reader.add(entry, &mut builder);
    })
    .await?;
    reader.ensure_identified(sample.tried(&connection.server))?;
    let directory = builder.finish().into_inner();
    let with_email = directory.users.iter().filter(|u| u.email.is_ok()).count();
    Ok(match count {
        0 => format!(
            "none below {:?} with the filter {}; check both, and what the bind account may see",
            sample.base, sample.filter
        ),
        _ => format!(
            "{}, such as {first}; {} with an id, {with_email} with an email",
            counted(count),
            directory.users.len()
        ),
    })
}

async fn sample_groups(
    connection: &mut Connection,
    settings: &LdapSettings,
) -> Result<String, LdapFailure> {
    let Some(groups) = &settings.groups else {
        return Ok(String::new());
    };
    let mut builder = DirectoryBuilder::with_shareable_ids();
    let mut reader = GroupReader::new(settings, groups);
    let attributes = reader.attributes();
    let mut sample = group_search(settings, groups, &attributes);
    sample.page_size = sample_page(settings);
    let mut first = String::new();
    let mut member = None;
    let count = entries(connection, &sample, |entry| {
        if first.is_empty() {
            first = sanitize(entry.dn());
        }
        if member.is_none() {
            member = reader.first_member(entry);
        }
        reader.add(entry, &mut builder);
    })
    .await?;
    reader.ensure_identified(sample.tried(&connection.server))?;
    if count == 0 {
        return Ok(format!(
            "none below {:?} with the filter {}; check both, and what the bind account may see",
            sample.base, sample.filter
        ));
    }
    let member = match member {
        Some(member) => resolve_member(connection, settings, &member).await?,
        None if settings.users.member_of.is_some() => {
            "membership is read from the people".to_owned()
        }
        None => "none of them names a member".to_owned(),
    };
    let without = match reader.take_groups_without_members().len() {
        0 => String::new(),
        count => format!(
            "; {count} show no member although groups of their class have one: the bind account \
             may not see who is in them"
        ),
    };
    Ok(format!(
        "{}, such as {first}; {member}{without}",
        counted(count)
    ))
}

/// A member as a group names it, and the search that should find it.
pub(super) struct SampleMember {
    /// The value of the member attribute.
    pub value: String,
    /// The attribute of people that has this value; `None`: it is a DN.
    pub named_by: Option<String>,
}

async fn resolve_member(
    connection: &mut Connection,
    settings: &LdapSettings,
    member: &SampleMember,
) -> Result<String, LdapFailure> {
    let shown = sanitize(&member.value);
    if let Some(attribute) = &member.named_by {
        let filter = format!(
            "(&{}({attribute}={}))",
            settings.users.filter,
            ldap3::ldap_escape(member.value.as_str())
        );
        let attributes = ["1.1".to_owned()];
        let search = Search {
            what: "a member",
            filter: &filter,
            page_size: 0,
            ..user_search(settings, &attributes)
        };
        let found = finds(connection, &search).await?;
        return Ok(match found {
            true => format!("the member {shown} is among the users"),
            false => format!("the member {shown} is not among the users"),
        });
    }
    let users = settings.users.base_dn.as_ref().unwrap_or(&settings.base_dn);
    if is_below(&member.value, users)
        && finds_dn(connection, settings, &member.value, &settings.users.filter).await?
    {
        return Ok(format!("the member {shown} is among the users"));
    }
    if let Some(groups) = &settings.groups
        && is_below(
            &member.value,
            groups.base_dn.as_ref().unwrap_or(&settings.base_dn),
        )
        && finds_dn(connection, settings, &member.value, &groups.filter).await?
    {
        return Ok(format!("the member {shown} is among the groups"));
    }
    Ok(format!(
        "the member {shown} is among neither users nor groups; if it should be, check base and \
         filter, and what the bind account may see"
    ))
}

/// Whether an entry of that name passes the filter.
async fn finds_dn(
    connection: &mut Connection,
    settings: &LdapSettings,
    dn: &str,
    filter: &str,
) -> Result<bool, LdapFailure> {
    let attributes = ["1.1".to_owned()];
    let search = Search {
        what: "a member",
        base: dn,
        scope: LdapScope::Base,
        filter,
        page_size: 0,
        ..user_search(settings, &attributes)
    };
    finds(connection, &search).await
}

async fn finds(connection: &mut Connection, search: &Search<'_>) -> Result<bool, LdapFailure> {
    let mut found = false;
    let searched = connection
        .search(search, |_| {
            found = true;
            Ok(Next::Stop)
        })
        .await;
    match searched {
        Ok(()) => Ok(found),
        // What a group names may be gone: that is no error of the settings.
        Err(LdapFailure::Refused { answer, .. }) if answer.code == 32 => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Whether the entry is the base or below it.
fn is_below(dn: &str, base: &str) -> bool {
    let [dn, base] = [dn, base].map(|dn| {
        let mut normal = String::new();
        dn::normalize(dn, &mut normal);
        normal
    });
    base.is_empty() || dn == base || dn.ends_with(&format!(",{base}"))
}

/// Gives up to [`SAMPLE`] entries to `each`; how many there were.
async fn entries(
    connection: &mut Connection,
    search: &Search<'_>,
    mut each: impl FnMut(Entry<'_>),
) -> Result<usize, LdapFailure> {
    let mut count = 0;
    connection
        .search(search, |entry| {
            count += 1;
            each(entry);
            Ok(if count == SAMPLE {
                Next::Stop
            } else {
                Next::Continue
            })
        })
        .await?;
    Ok(count)
}

/// Pages no larger than the sample, where there are pages.
fn sample_page(settings: &LdapSettings) -> u32 {
    settings.page_size.min(SAMPLE as u32)
}

fn counted(count: usize) -> String {
    if count == SAMPLE {
        format!("{count} or more")
    } else {
        count.to_string()
    }
}
