//! Makes groups of entries, and finds those that are wanted.

use std::collections::{HashMap, HashSet};

use super::error::{ActiveDirectoryFailure, hidden};
use super::identity;
use super::kept::{List, NotKept};
use super::members::{self, Member, PartialGroup};
use super::read::{Reader, asked, dn_key, read_entries, refuse_ranges, sid_key};
use super::scope::{Foreign, Scope};
use super::settings::ActiveDirectorySettings;
use crate::directory::{DirectoryBuilder, EntryKey, ExternalId};
use crate::ldap::connection::Connection;
use crate::ldap::dn;
use crate::ldap::entry::Entry;
use crate::ldap::search::Next;
use crate::text::sanitize;

const GROUPS: &str = "(objectCategory=group)";

/// `groupType`: a universal group.
const UNIVERSAL: i64 = 0x8;

impl Reader<'_> {
    /// Reads all groups, wanted or not, and tells which are.
    ///
    /// # Errors
    /// Whatever leaves the list incomplete; a group that the settings name and that isn't there.
    pub async fn groups(
        &self,
        connection: &mut Connection,
    ) -> Result<Scope, ActiveDirectoryFailure> {
        let mut pass = GroupPass::new(self.settings);
        self.read_groups(connection, &mut pass).await?;
        let wanted = self.wanted(connection).await?;
        self.keep(|kept, _| {
            kept.wanted.clone_from(&wanted);
            Ok(())
        });
        pass.scope(self.settings, wanted)
    }

    /// What is kept of groups between two reads.
    pub fn kept_of_groups(&self) -> Vec<String> {
        let names = &self.names;
        let mut attributes = vec![&names.guid, &names.group_name, &names.member];
        if self.includes_primary() {
            attributes.push(&names.sid);
        }
        asked(&attributes)
    }

    /// Reads all groups, wanted or not.
    ///
    /// # Errors
    /// Whatever leaves the list incomplete.
    pub async fn read_groups(
        &self,
        connection: &mut Connection,
        pass: &mut GroupPass,
    ) -> Result<(), ActiveDirectoryFailure> {
        let names = &self.names;
        let mut attributes = vec![&names.guid, &names.group_name, &names.member, &names.usn];
        if self.settings.global_catalog {
            attributes.push(&names.group_type);
        }
        if self.includes_primary() {
            attributes.push(&names.sid);
        }
        if !self.part.is_empty() {
            attributes.push(&names.created);
        }
        let attributes = asked(&attributes);
        let filter = format!("(&{GROUPS}{})", self.part);
        let search = self.search("groups", self.root, &filter, &attributes);
        read_entries(connection, &search, |entry| {
            self.add_group(entry, pass)?;
            self.keep(|kept, names| kept.add(List::Groups, entry, names));
            self.progress.add_groups(1);
            Ok(Next::Continue)
        })
        .await?;
        for partial in std::mem::take(&mut pass.partial) {
            self.complete(connection, partial, pass).await?;
        }
        Ok(())
    }

    pub(super) fn add_group(
        &self,
        entry: Entry<'_>,
        pass: &mut GroupPass,
    ) -> Result<(), ActiveDirectoryFailure> {
        let names = &self.names;
        let id = entry.bytes(&names.guid).and_then(identity::guid);
        let id = id.ok_or_else(|| hidden(entry.dn(), "objectGUID"))?;
        let sid = match self.includes_primary() {
            true => {
                let sid = entry.bytes(&names.sid).and_then(identity::sid);
                Some(sid.ok_or_else(|| hidden(entry.dn(), "objectSid"))?)
            }
            false => None,
        };
        let external = ExternalId::parse(&id).expect("a GUID is an id");
        let GroupPass { text, .. } = pass;
        dn::normalize(entry.dn(), text);
        pass.named.find(text, &external);
        let partial = self.settings.global_catalog && self.is_partial(entry, text)?;
        let mut builder = self
            .builder
            .lock()
            .expect("no reader panics with the builder");
        let mut keys = vec![builder.key(text)];
        if let Some(sid) = sid {
            keys.push(sid_key(&sid, text, &mut builder));
        }
        let name = entry.values(&names.group_name).next().unwrap_or_default();
        if partial {
            builder.group_in_part(&keys, &id, name, vec![]);
            return Ok(());
        }
        // Every domain comes with groups that contain everybody, services and the like.
        let built_in = entry.dn().to_ascii_lowercase().contains(",cn=builtin,");
        let mut members: Vec<EntryKey> = vec![];
        let mut add = |value: &str, builder: &mut DirectoryBuilder| {
            if let Some(sid) = identity::foreign_sid(value)
                && (!built_in || identity::is_of_a_domain(sid))
            {
                pass.foreign.push(Foreign {
                    group: external.clone(),
                    name: sanitize(name),
                    sid: sanitize(sid),
                });
            }
            members.push(dn_key(value, text, builder));
        };
        let Some(range) = entry.range(&names.member) else {
            // Neither a whole list nor a part that can be asked on from.
            refuse_ranges(
                entry,
                &format!("reading the group {}", sanitize(entry.dn())),
            )?;
            for value in entry.values(&names.member) {
                add(value, &mut builder);
            }
            builder.group(&keys, &id, name, members);
            return Ok(());
        };
        for value in range.values() {
            add(value, &mut builder);
        }
        let kept = range.values().map(|value| self.kept_name(value));
        let members = members.into_iter().zip(kept);
        let members = members.map(|(key, kept)| Member { key, kept }).collect();
        let usn = entry.values(&names.usn).next().map(str::to_owned);
        pass.partial.push(PartialGroup {
            dn: entry.dn().to_owned(),
            guid: entry.bytes(&self.names.guid).unwrap_or_default().to_vec(),
            id,
            name: name.to_owned(),
            keys,
            usn,
            next: match (range.first, range.last) {
                (0, Some(last)) => Some(last + 1),
                (0, None) => None,
                _ => Some(0),
            },
            members,
        });
        Ok(())
    }

    /// Whether a global catalog of this domain knows the group without its members.
    fn is_partial(
        &self,
        entry: Entry<'_>,
        normal_dn: &str,
    ) -> Result<bool, ActiveDirectoryFailure> {
        let kind = entry.values(&self.names.group_type).next();
        let kind: Option<i64> = kind.and_then(|value| value.parse().ok());
        let kind = kind.ok_or_else(|| hidden(entry.dn(), "groupType"))?;
        let domain = normal_dn.find(",dc=").map_or("", |at| &normal_dn[at + 1..]);
        Ok(kind & UNIVERSAL == 0 && domain != self.home)
    }

    /// Reads the rest of a group that came in part.
    async fn complete(
        &self,
        connection: &mut Connection,
        partial: PartialGroup,
        pass: &mut GroupPass,
    ) -> Result<(), ActiveDirectoryFailure> {
        let external = ExternalId::parse(&partial.id).expect("a GUID is an id");
        let (keys, id, name) = (
            partial.keys.clone(),
            partial.id.clone(),
            partial.name.clone(),
        );
        let guid = partial.guid.clone();
        let GroupPass { text, foreign, .. } = pass;
        let members = members::complete(connection, self.settings, partial, |value| {
            let sid = identity::foreign_sid(value);
            if let Some(sid) = sid.filter(|sid| identity::is_of_a_domain(sid)) {
                foreign.push(Foreign {
                    group: external.clone(),
                    name: sanitize(&name),
                    sid: sanitize(sid),
                });
            }
            let mut builder = self
                .builder
                .lock()
                .expect("no reader panics with the builder");
            Member {
                key: dn_key(value, text, &mut builder),
                kept: self.kept_name(value),
            }
        })
        .await?;
        self.keep(|kept, names| {
            let guid = guid
                .try_into()
                .map_err(|_| NotKept("a group has no objectGUID"))?;
            kept.add_members(guid, members.iter().map(|member| member.kept), names)
        });
        let members = members.into_iter().map(|member| member.key).collect();
        let mut builder = self
            .builder
            .lock()
            .expect("no reader panics with the builder");
        builder.group(&keys, &id, &name, members);
        Ok(())
    }

    /// The number by which a member's DN is kept, if groups are.
    fn kept_name(&self, dn: &str) -> u32 {
        self.keeping.map_or(0, |keeping| keeping.name(dn))
    }

    /// The groups that bases and filter leave; `None` where they leave all.
    pub(super) async fn wanted(
        &self,
        connection: &mut Connection,
    ) -> Result<Option<HashSet<ExternalId>>, ActiveDirectoryFailure> {
        let Some(groups) = &self.settings.groups else {
            return Ok(Some(HashSet::new()));
        };
        let everywhere = groups.search_bases.is_empty() && self.settings.base_dn.is_none();
        if everywhere && groups.filter.is_none() {
            return Ok(None);
        }
        let attributes = asked(&[&self.names.guid]);
        let filter = format!(
            "(&{GROUPS}{}{})",
            groups.filter.as_deref().unwrap_or_default(),
            self.part
        );
        let mut wanted = HashSet::new();
        for base in self.bases(&groups.search_bases) {
            let search = self.search("the groups wanted", base, &filter, &attributes);
            read_entries(connection, &search, |entry| {
                let id = entry.bytes(&self.names.guid).and_then(identity::guid);
                let id = id.ok_or_else(|| hidden(entry.dn(), "objectGUID"))?;
                wanted.insert(ExternalId::parse(&id).expect("a GUID is an id"));
                Ok(Next::Continue)
            })
            .await?;
        }
        Ok(Some(wanted))
    }
}

/// What is gathered while the groups go by.
pub struct GroupPass {
    named: NamedGroups,
    partial: Vec<PartialGroup>,
    foreign: Vec<Foreign>,
    text: String,
}

/// Groups that the settings name by DN.
struct NamedGroups {
    /// By DN in normal form: the field, the DN as written, the group once it was seen.
    by_dn: HashMap<(String, &'static str), (String, Option<ExternalId>)>,
}

const MEMBER_OF: &str = "users.memberOf";
const DNS: &str = "groups.dns";

impl NamedGroups {
    fn find(&mut self, normal_dn: &str, id: &ExternalId) {
        for field in [MEMBER_OF, DNS] {
            if let Some((_, found)) = self.by_dn.get_mut(&(normal_dn.to_owned(), field)) {
                *found = Some(id.clone());
            }
        }
    }

    /// The groups of a field.
    fn of(&self, wanted: &'static str) -> Result<HashSet<ExternalId>, ActiveDirectoryFailure> {
        let mut all = HashSet::new();
        for ((_, field), (written, found)) in &self.by_dn {
            if *field != wanted {
                continue;
            }
            let dn = sanitize(written);
            match found {
                None => return Err(ActiveDirectoryFailure::NoSuchGroup { field, dn }),
                Some(id) => all.insert(id.clone()),
            };
        }
        Ok(all)
    }
}

impl GroupPass {
    /// For groups of which none has gone by.
    pub fn new(settings: &ActiveDirectorySettings) -> Self {
        let listed = settings.groups.as_ref().map_or(&[][..], |g| &g.dns);
        let member_of = settings.users.member_of.iter().map(|dn| (dn, MEMBER_OF));
        let by_dn = member_of
            .chain(listed.iter().map(|dn| (dn, DNS)))
            .map(|(written, field)| {
                let mut normal = String::new();
                dn::normalize(written, &mut normal);
                ((normal, field), (written.clone(), None))
            });
        Self {
            named: NamedGroups {
                by_dn: by_dn.collect(),
            },
            partial: vec![],
            foreign: vec![],
            text: String::new(),
        }
    }

    /// What of the groups that went by is asked for.
    ///
    /// # Errors
    /// A group that the settings name and that isn't there.
    pub fn scope(
        self,
        settings: &ActiveDirectorySettings,
        mut wanted: Option<HashSet<ExternalId>>,
    ) -> Result<Scope, ActiveDirectoryFailure> {
        let listed = self.named.of(DNS)?;
        if settings.groups.as_ref().is_some_and(|g| !g.dns.is_empty()) {
            wanted = Some(match wanted {
                None => listed,
                Some(wanted) => wanted.intersection(&listed).cloned().collect(),
            });
        }
        let only_members_of = match settings.users.member_of.is_empty() {
            true => None,
            false => Some(self.named.of(MEMBER_OF)?),
        };
        Ok(Scope {
            wanted,
            only_members_of,
            foreign: self.foreign,
        })
    }
}
