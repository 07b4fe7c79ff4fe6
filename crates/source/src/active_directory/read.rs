//! Reads people and groups of a domain side by side into one directory.

use std::sync::Mutex;

use ldap3::controls::RawControl;

use super::domain_controller::{Controllers, Session};
use super::error::ActiveDirectoryFailure;
use super::kept::{Keeping, KeptDomain, NotKept};
use super::scope::{self, Scope};
use super::settings::{ActiveDirectorySettings, EmailFrom};
use crate::ReadProgress;
use crate::api::spec::LdapScope;
use crate::complete::Complete;
use crate::directory::{Directory, DirectoryBuilder, EntryKey};
use crate::ldap::connection::Connection;
use crate::ldap::digests::EntryDigests;
use crate::ldap::dn;
use crate::ldap::entry::{AttributeName, Entry};
use crate::ldap::search::{Next, Search};
use crate::text::sanitize;

/// Do not tell us of other domains and partitions: this one is what is read (MS-ADTS
/// 3.1.1.3.4.1.10).
const DOMAIN_SCOPE: &str = "1.2.840.113556.1.4.1339";

/// Reads the whole domain, over two connections where both reach the same controller. What was read is also put into
/// `kept`, where there is memory for that and the controller can tell later what has changed.
///
/// # Errors
/// Whatever leaves one of the lists incomplete.
pub async fn read(
    controllers: &Controllers,
    session: Session,
    settings: &ActiveDirectorySettings,
    digests: &EntryDigests,
    kept: Option<KeptDomain>,
    progress: &ReadProgress,
) -> Result<(Complete<Directory>, Option<KeptDomain>), ActiveDirectoryFailure> {
    let Session {
        mut connection,
        endpoint,
        root,
    } = session;
    let builder = Mutex::new(new_builder());
    let keeping = kept.map(Keeping::new);
    let mut reader = Reader::new(settings, &root.domain, &builder, progress).recording(digests);
    if let Some(keeping) = &keeping {
        reader = reader.keeping(keeping);
    }
    let second = match reader.reads_groups() {
        true => controllers.reconnect(&endpoint, &root.service).await?,
        false => None,
    };
    let groups = match second {
        Some(mut second) => {
            let users = async {
                reader.users(&mut connection).await?;
                connection.close().await;
                Ok::<_, ActiveDirectoryFailure>(())
            };
            let groups = async {
                let groups = reader.groups(&mut second).await?;
                second.close().await;
                Ok(groups)
            };
            tokio::try_join!(users, groups)?.1
        }
        None => {
            reader.users(&mut connection).await?;
            let groups = match reader.reads_groups() {
                true => reader.groups(&mut connection).await?,
                false => Scope::default(),
            };
            connection.close().await;
            groups
        }
    };
    drop(reader);
    let directory = finished(builder).finish().into_inner();
    let directory = scope::keep(directory, groups)?;
    let kept = keeping.and_then(|keeping| {
        let kept = keeping.into_inner().and_then(|mut kept| {
            kept.finish()?;
            Ok(kept)
        });
        kept.inspect_err(|why: &NotKept| {
            tracing::info!(%why, "the directory isn't kept: the next run reads everything, too");
        })
        .ok()
    });
    // Of a complete directory, this is all that was asked for.
    Ok((Complete::after_last_page(directory), kept))
}

/// A directory to be filled with what a controller lists.
pub fn new_builder() -> DirectoryBuilder {
    let mut builder = DirectoryBuilder::new();
    builder.keys_are_former_ids(dn::as_former_id);
    builder
}

/// The directory with all that a controller lists.
pub fn finished(builder: Mutex<DirectoryBuilder>) -> DirectoryBuilder {
    let mut builder = builder
        .into_inner()
        .expect("no reader panicked while it held the builder");
    let rule = "userAccountControl";
    builder.account_rule(rule, "userAccountControl has the bit 2");
    builder
}

/// Gives every entry to `each` until it has had enough or objects.
///
/// # Errors
/// Whatever leaves the list incomplete, and what `each` objects to.
pub async fn read_entries(
    connection: &mut Connection,
    search: &Search<'_>,
    mut each: impl FnMut(Entry<'_>) -> Result<Next, ActiveDirectoryFailure>,
) -> Result<(), ActiveDirectoryFailure> {
    let mut objection = None;
    connection
        .search(search, |entry| {
            Ok(each(entry).unwrap_or_else(|failure| {
                objection = Some(failure);
                Next::Stop
            }))
        })
        .await?;
    objection.map_or(Ok(()), Err)
}

/// What reads one domain.
pub struct Reader<'a> {
    pub(super) settings: &'a ActiveDirectorySettings,
    /// Where everything is: the domain, or the forest.
    pub(super) root: &'a str,
    /// The controller's own domain, in normal form.
    pub(super) home: String,
    pub(super) builder: &'a Mutex<DirectoryBuilder>,
    pub(super) progress: &'a ReadProgress,
    pub(super) controls: Vec<RawControl>,
    pub(super) names: Names,
    /// Where it is noted what was read, if somebody watches.
    pub(super) digests: Option<&'a EntryDigests>,
    /// Where what was read is kept, if it is.
    pub(super) keeping: Option<&'a Keeping>,
    /// Only people and groups that this part of a filter fits, too; empty: all.
    pub(super) part: String,
}

/// The attributes that are read.
pub struct Names {
    pub(super) guid: AttributeName,
    pub(super) sid: AttributeName,
    pub(super) account_control: AttributeName,
    pub(super) changed: AttributeName,
    pub(super) primary_group: AttributeName,
    pub(super) mail: AttributeName,
    pub(super) principal: AttributeName,
    pub(super) proxies: AttributeName,
    /// The attribute that comes before the suffix.
    pub(super) prefix: AttributeName,
    pub(super) group_name: AttributeName,
    pub(super) group_type: AttributeName,
    pub(super) member: AttributeName,
    pub(super) usn: AttributeName,
    /// The number of the change that made the entry.
    pub(super) created: AttributeName,
}

impl<'a> Reader<'a> {
    /// A reader as the settings have it, for a controller of `domain`.
    pub fn new(
        settings: &'a ActiveDirectorySettings,
        domain: &'a str,
        builder: &'a Mutex<DirectoryBuilder>,
        progress: &'a ReadProgress,
    ) -> Self {
        let mut home = String::new();
        dn::normalize(domain, &mut home);
        let domain_scope = RawControl {
            ctype: DOMAIN_SCOPE.to_owned(),
            crit: false,
            val: None,
        };
        Self {
            settings,
            digests: None,
            keeping: None,
            part: String::new(),
            root: if settings.global_catalog { "" } else { domain },
            home,
            builder,
            progress,
            controls: match settings.global_catalog {
                true => vec![],
                false => vec![domain_scope],
            },
            names: Self::names(settings),
        }
    }

    /// The attributes that are read as the settings have it.
    pub fn names(settings: &ActiveDirectorySettings) -> Names {
        let prefix = match &settings.users.email {
            EmailFrom::PrefixAndSuffix { attribute, .. }
            | EmailFrom::MailOrPrefixAndSuffix { attribute, .. } => attribute,
            _ => "sAMAccountName",
        };
        let group_name = settings.groups.as_ref().map_or("name", |g| &g.name);
        Names {
            guid: AttributeName::new("objectGUID"),
            sid: AttributeName::new("objectSid"),
            account_control: AttributeName::new("userAccountControl"),
            changed: AttributeName::new("whenChanged"),
            primary_group: AttributeName::new("primaryGroupID"),
            mail: AttributeName::new(settings.users.mail.as_deref().unwrap_or("mail")),
            principal: AttributeName::new("userPrincipalName"),
            proxies: AttributeName::new("proxyAddresses"),
            prefix: AttributeName::new(prefix),
            group_name: AttributeName::new(group_name),
            group_type: AttributeName::new("groupType"),
            member: AttributeName::new("member"),
            usn: AttributeName::new("uSNChanged"),
            created: AttributeName::new("uSNCreated"),
        }
    }

    /// The same, which reads only those whom this part of a filter fits, too.
    pub fn only(self, part: String) -> Self {
        Self { part, ..self }
    }

    /// The same, which keeps what it reads.
    pub fn keeping(self, keeping: &'a Keeping) -> Self {
        Self {
            keeping: Some(keeping),
            ..self
        }
    }

    /// Keeps something of what was read, if it is kept.
    pub(super) fn keep(&self, keep: impl FnOnce(&mut KeptDomain, &Names) -> Result<(), NotKept>) {
        if let Some(keeping) = self.keeping {
            keeping.keep(|kept| keep(kept, &self.names));
        }
    }

    /// The same, which notes what it reads.
    pub fn recording(self, digests: &'a EntryDigests) -> Self {
        Self {
            digests: Some(digests),
            ..self
        }
    }

    /// Where everything is: the domain, or the forest.
    pub(super) fn root(&self) -> &'a str {
        self.root
    }

    /// Whether groups are needed, be it to know who is in one.
    pub fn reads_groups(&self) -> bool {
        self.settings.groups.is_some() || !self.settings.users.member_of.is_empty()
    }

    pub(super) fn includes_primary(&self) -> bool {
        self.settings
            .groups
            .as_ref()
            .is_some_and(|g| g.include_primary)
    }

    /// Where `bases` say, else where the spec says, else everywhere.
    pub(super) fn bases<'b>(&'b self, bases: &'b [String]) -> Vec<&'b str> {
        if !bases.is_empty() {
            return bases.iter().map(String::as_str).collect();
        }
        vec![self.settings.base_dn.as_deref().unwrap_or(self.root)]
    }

    pub(super) fn search<'b>(
        &'b self,
        what: &'static str,
        base: &'b str,
        filter: &'b str,
        attributes: &'b [String],
    ) -> Search<'b> {
        Search {
            what,
            base,
            scope: LdapScope::Subtree,
            filter,
            attributes,
            controls: &self.controls,
            page_size: self.settings.page_size,
            idle: self.settings.idle_timeout,
            limit: self.settings.search_timeout,
        }
    }
}

/// Whoever counts the values that came as all of them loses people silently.
pub(super) fn refuse_ranges(entry: Entry<'_>, tried: &str) -> Result<(), ActiveDirectoryFailure> {
    match entry.ranged() {
        None => Ok(()),
        Some(attribute) => Err(ActiveDirectoryFailure::Part {
            tried: tried.to_owned(),
            entry: sanitize(entry.dn()),
            attribute: sanitize(attribute),
        }),
    }
}

/// The attributes, as they are asked for.
pub(super) fn asked(names: &[&AttributeName]) -> Vec<String> {
    names.iter().map(|name| name.as_str().to_owned()).collect()
}

/// The key of the entry with this DN.
pub(super) fn dn_key(dn: &str, text: &mut String, builder: &mut DirectoryBuilder) -> EntryKey {
    dn::normalize(dn, text);
    builder.key(text)
}

/// The key of the group with this SID. The control character keeps it apart from every DN.
pub(super) fn sid_key(sid: &str, text: &mut String, builder: &mut DirectoryBuilder) -> EntryKey {
    text.clear();
    text.push('\u{1}');
    text.push_str(sid);
    builder.key(text)
}
