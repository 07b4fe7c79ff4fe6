//! Reads people and groups side by side into one directory.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use jiff::Timestamp;

use super::changes;
use super::check::SampleMember;
use super::connection::{Connection, Connector};
use super::digests::EntryDigests;
use super::disabled::Disabled;
use super::dn;
use super::entry::{AttributeName, Entry, generalized_time};
use super::error::LdapFailure;
use super::kept::{KeptDirectory, KeptList, NotKept};
use super::schema;
use super::search::{Next, Search};
use super::settings::{
    EmailRule, GroupSettings, IdAttribute, LdapSettings, MemberNaming, UserSettings,
};
use crate::ReadProgress;
use crate::complete::Complete;
use crate::directory::{
    Account, AccountState, Directory, DirectoryBuilder, Email, EntryKey, ExternalId,
};
use crate::kept::Reservation;
use crate::ldap::binary_id::{self, ReadId};
use crate::problem::{Problem, ProblemReason};
use crate::text::sanitize;

/// Reads the whole directory over two connections to the same server. What was read is also kept, where there is
/// memory for that and the server can tell later what has changed.
///
/// # Errors
/// Whatever leaves one of the lists incomplete.
pub(super) async fn read(
    connector: &Connector,
    settings: &LdapSettings,
    digests: &EntryDigests,
    memory: Option<Reservation>,
    progress: &ReadProgress,
) -> Result<(Complete<Directory>, Option<KeptDirectory>), LdapFailure> {
    let builder = Mutex::new(new_builder());
    let (mut connection, endpoint) = connector.first().await?;
    // Before the first entry: whatever changes from here on is told as a change later, also where the read saw it.
    let kept = match memory {
        Some(memory) => changes::begin(&mut connection, settings, &endpoint, memory).await,
        None => None,
    };
    let kept = Keeping(Mutex::new(kept));
    let users = async {
        read_users(
            &mut connection,
            settings,
            &builder,
            (digests, &kept),
            progress,
        )
        .await?;
        connection.close().await;
        Ok::<_, LdapFailure>(())
    };
    let groups = async {
        if let Some(groups) = &settings.groups {
            let mut connection = connector.reconnect(&endpoint).await?;
            read_groups(
                &mut connection,
                settings,
                groups,
                (&builder, &kept),
                progress,
            )
            .await?;
            connection.close().await;
        }
        Ok::<_, LdapFailure>(())
    };
    tokio::try_join!(users, groups)?;
    let builder = builder
        .into_inner()
        .expect("no reader panicked while it held the builder");
    Ok((builder.finish(), kept.finish()))
}

/// A directory to be filled with what LDAP lists.
pub(super) fn new_builder() -> DirectoryBuilder {
    let mut builder = DirectoryBuilder::with_shareable_ids();
    builder.keys_are_former_ids(dn::as_former_id);
    builder
}

/// The directory that is kept of a read, as long as all of it can be kept.
struct Keeping(Mutex<Option<KeptDirectory>>);

impl Keeping {
    /// What to ask for, so that entries can be kept.
    fn asked(
        &self,
        mut attributes: Vec<String>,
        of: impl Fn(&KeptDirectory) -> Vec<String>,
    ) -> Vec<String> {
        if let Some(kept) = &*self.kept() {
            attributes = of(kept);
        }
        attributes
    }

    fn keep(&self, keep: impl FnOnce(&mut KeptDirectory) -> Result<(), NotKept>) {
        let mut kept = self.kept();
        if let Some(directory) = &mut *kept
            && let Err(why) = keep(directory)
        {
            tracing::info!(%why, "the directory isn't kept: the next run reads everything, too");
            *kept = None;
        }
    }

    fn keep_groups(&self, keep: impl FnOnce(&mut KeptList) -> Result<(), NotKept>) {
        self.keep(|kept| kept.groups.as_mut().map_or(Ok(()), keep));
    }

    /// The database of a list, where it is kept.
    fn context(&self, of: impl Fn(&KeptDirectory) -> Option<&KeptList>) -> Option<String> {
        let kept = self.kept();
        Some(of(kept.as_ref()?)?.context.clone())
    }

    fn finish(self) -> Option<KeptDirectory> {
        self.keep(KeptDirectory::finish);
        self.0.into_inner().unwrap_or_default()
    }

    fn kept(&self) -> MutexGuard<'_, Option<KeptDirectory>> {
        self.0.lock().expect("no reader panics with what is kept")
    }
}

async fn read_users(
    connection: &mut Connection,
    settings: &LdapSettings,
    builder: &Mutex<DirectoryBuilder>,
    (digests, kept): (&EntryDigests, &Keeping),
    progress: &ReadProgress,
) -> Result<(), LdapFailure> {
    let mut reader = UserReader::new(settings);
    reader.note_account_rule(&mut builder.lock().expect("no reader panics with the builder"));
    let attributes = reader.attributes();
    let mut recording = digests.record(&attributes);
    let attributes = reader.with_times(attributes);
    let attributes = kept.asked(attributes, |kept| kept.users.asked());
    let search = user_search(settings, &attributes);
    let tried = search.tried(&connection.server);
    connection
        .search(&search, |entry| {
            if let Some(recording) = &mut recording {
                recording.add(entry);
            }
            if reader.member_of.is_some() {
                refuse_ranges(entry, &tried)?;
            }
            kept.keep(|kept| kept.add_user(entry));
            let mut builder = builder.lock().expect("no reader panics with the builder");
            reader.add(entry, &mut builder);
            progress.add_users(1);
            Ok(Next::Continue)
        })
        .await?;
    reader.ensure_identified(tried)?;
    if let Some(recording) = recording {
        recording.finish();
    }
    if let Some(context) = kept.context(|kept| Some(&kept.users)) {
        let now = changes::stand(connection, settings, &context).await;
        kept.keep(|kept| kept.users.ensure_counted(&now.ok_or(NotKept::NotCounted)?));
    }
    Ok(())
}

async fn read_groups(
    connection: &mut Connection,
    settings: &LdapSettings,
    groups: &GroupSettings,
    (builder, kept): (&Mutex<DirectoryBuilder>, &Keeping),
    progress: &ReadProgress,
) -> Result<(), LdapFailure> {
    let mut reader = GroupReader::new(settings, groups);
    let attributes = reader.attributes();
    let context = kept.context(|kept| kept.groups.as_ref());
    if let Some(context) = &context {
        let seen = changes::stand(connection, settings, context).await;
        kept.keep_groups(|groups| {
            groups.seen = seen.ok_or(NotKept::NotCounted)?;
            Ok(())
        });
    }
    let attributes = kept.asked(attributes, |kept| {
        kept.groups.as_ref().map_or_else(Vec::new, KeptList::asked)
    });
    let search = group_search(settings, groups, &attributes);
    let tried = search.tried(&connection.server);
    connection
        .search(&search, |entry| {
            refuse_ranges(entry, &tried)?;
            kept.keep(|kept| kept.add_group(entry));
            let mut builder = builder.lock().expect("no reader panics with the builder");
            reader.add(entry, &mut builder);
            progress.add_groups(1);
            Ok(Next::Continue)
        })
        .await?;
    reader.ensure_identified(tried)?;
    if let Some(context) = &context {
        let now = changes::stand(connection, settings, context).await;
        kept.keep_groups(|groups| groups.ensure_counted(&now.ok_or(NotKept::NotCounted)?));
    }
    let unlisted = reader.take_groups_without_members();
    if unlisted.is_empty() {
        return Ok(());
    }
    let hidden = schema::demands_members(connection, settings).await?;
    kept.keep(|kept| {
        kept.hides_members = Some(hidden);
        Ok(())
    });
    let mut builder = builder.lock().expect("no reader panics with the builder");
    for group in unlisted {
        group.add(hidden, &mut builder);
    }
    Ok(())
}

/// Whoever counts the values that came as all of them loses people silently.
fn refuse_ranges(entry: Entry<'_>, tried: &str) -> Result<(), LdapFailure> {
    match entry.ranged() {
        None => Ok(()),
        Some(attribute) => Err(LdapFailure::Ranged {
            tried: tried.to_owned(),
            entry: sanitize(entry.dn()),
            attribute: sanitize(attribute),
        }),
    }
}

/// The search for people.
pub fn user_search<'a>(settings: &'a LdapSettings, attributes: &'a [String]) -> Search<'a> {
    Search {
        what: "users",
        base: settings.users.base_dn.as_ref().unwrap_or(&settings.base_dn),
        scope: settings.users.scope,
        filter: &settings.users.filter,
        attributes,
        controls: &[],
        page_size: settings.page_size,
        idle: settings.idle_timeout,
        limit: settings.search_timeout,
    }
}

/// The search for groups.
pub fn group_search<'a>(
    settings: &'a LdapSettings,
    groups: &'a GroupSettings,
    attributes: &'a [String],
) -> Search<'a> {
    Search {
        what: "groups",
        base: groups.base_dn.as_ref().unwrap_or(&settings.base_dn),
        scope: groups.scope,
        filter: &groups.filter,
        attributes,
        controls: &[],
        page_size: settings.page_size,
        idle: settings.idle_timeout,
        limit: settings.search_timeout,
    }
}

/// Makes people of entries.
pub struct UserReader<'a> {
    ids: Ids,
    email: EmailReader<'a>,
    disabled: Option<Disabled<'a>>,
    /// When an entry was last changed (RFC 4512, 3.4.4).
    modified: AttributeName,
    member_of: Option<AttributeName>,
    /// The number of a person's primary group.
    gid: Option<AttributeName>,
    /// The attributes by whose values groups name people.
    named_by: Vec<AttributeName>,
    keys: Vec<EntryKey>,
    text: String,
}

impl<'a> UserReader<'a> {
    /// A reader as the settings have it.
    pub fn new(settings: &'a LdapSettings) -> Self {
        let UserSettings {
            id,
            email,
            disabled,
            member_of,
            ..
        } = &settings.users;
        let members = settings.groups.iter().flat_map(|groups| &groups.members);
        let mut named_by = vec![];
        for member in members {
            if let MemberNaming::UserAttribute(name) = &member.naming {
                let name = AttributeName::new(name);
                if !named_by.contains(&name) {
                    named_by.push(name);
                }
            }
        }
        Self {
            ids: Ids::new(id),
            email: EmailReader::new(email),
            disabled: disabled
                .as_ref()
                .map(|rule| Disabled::new(rule, Timestamp::now())),
            modified: AttributeName::new("modifyTimestamp"),
            member_of: member_of
                .as_deref()
                .filter(|_| settings.groups.is_some())
                .map(AttributeName::new),
            gid: primary_groups(settings.groups.as_ref()),
            named_by,
            keys: vec![],
            text: String::new(),
        }
    }

    /// What to ask for, each attribute once.
    pub fn attributes(&self) -> Vec<String> {
        let derived = self.email.derived.as_ref().map(|(prefix, _)| prefix);
        let disabled = self.disabled.as_ref().map(|rule| &rule.attribute);
        let all = self
            .ids
            .attribute
            .iter()
            .chain(&self.email.attributes)
            .chain(derived)
            .chain(disabled)
            .chain(&self.member_of)
            .chain(&self.gid)
            .chain(&self.named_by);
        asked_for(all)
    }

    /// These, and when an entry was last changed where that tells since when an account has been disabled. A
    /// watch doesn't ask for it: it changes with every change, also those that don't matter.
    pub fn with_times(&self, mut attributes: Vec<String>) -> Vec<String> {
        if self.disabled.is_some() {
            attributes.push(self.modified.as_str().to_owned());
        }
        attributes
    }

    /// The id of the person that an entry describes; `None` where it has none that can be used.
    pub fn id(&mut self, entry: Entry<'_>) -> Option<ExternalId> {
        ExternalId::parse(&self.ids.of(entry).ok()?).ok()
    }

    /// An error where people were added and none had an id.
    pub fn ensure_identified(&self, tried: String) -> Result<(), LdapFailure> {
        self.ids.ensure_identified(tried)
    }

    /// The names by which groups list the person that an entry describes: its DN, and the values of attributes.
    pub fn each_name(&self, entry: Entry<'_>, text: &mut String, mut each: impl FnMut(&str)) {
        dn::normalize(entry.dn(), text);
        each(text);
        for attribute in &self.named_by {
            for value in entry.values(attribute) {
                name_by_value(attribute, value, text);
                each(text);
            }
        }
    }

    /// Adds the person that an entry describes.
    pub fn add(&mut self, entry: Entry<'_>, builder: &mut DirectoryBuilder) {
        self.keys.clear();
        // First: it is what tells two entries with one id apart.
        self.keys.push(dn_key(entry.dn(), &mut self.text, builder));
        let mut account = Account::ACTIVE;
        if let Some(rule) = &self.disabled {
            let disabled = rule.value(entry);
            if let Some(value) = disabled {
                let changed = entry.values(&self.modified).find_map(generalized_time);
                account = Account::new(AccountState::Disabled, rule.attribute.as_str(), value)
                    .changed(changed);
            }
            let state = entry.has(&rule.attribute).then_some(account.state);
            account.lacks_attribute_in = builder.note_attribute(dn::parent(&self.text), state);
        }
        if let Some(attribute) = &self.member_of {
            for group in entry.values(attribute) {
                let group = dn_key(group, &mut self.text, builder);
                builder.member_of(self.keys[0], group);
            }
        }
        if let Some(attribute) = &self.gid
            && let Some(gid) = entry.values(attribute).next()
        {
            let group = group_key(gid, &mut self.text, builder);
            builder.member_of(self.keys[0], group);
        }
        let mut is_unnamed = false;
        for attribute in &self.named_by {
            let known = self.keys.len();
            for value in entry.values(attribute) {
                name_by_value(attribute, value, &mut self.text);
                self.keys.push(builder.key(&self.text));
            }
            is_unnamed |= self.keys.len() == known;
        }
        let email = self.email.of(entry, &mut self.text);
        match self.ids.of(entry) {
            Ok(id) => builder.user(&self.keys, &id, email, account, entry.dn()),
            Err(why) => builder.unidentified_user(&self.keys, email, entry.dn(), why),
        }
        if is_unnamed {
            builder.unnamed(self.keys[0]);
        }
    }

    /// Tells the directory by what accounts are told to be disabled.
    pub fn note_account_rule(&self, builder: &mut DirectoryBuilder) {
        if let Some(rule) = &self.disabled {
            let name = rule.attribute.as_str();
            builder.optional_account_rule(name, &rule.describe(), rule.comes_and_goes());
        }
    }
}

/// Makes groups of entries.
pub struct GroupReader {
    ids: Ids,
    name: AttributeName,
    members: Vec<(AttributeName, Option<AttributeName>)>,
    /// Where a group without a member is worth a second look: `objectClass`.
    class: Option<AttributeName>,
    without_members: Vec<GroupWithoutMembers>,
    /// The number by which people name their primary group.
    gid: Option<AttributeName>,
    /// Which group has a number, to find those that share one.
    by_gid: HashMap<String, GroupWithoutMembers>,
    text: String,
}

/// A group that shows no member although its class may demand one, or whose members aren't known.
#[derive(Clone)]
pub struct GroupWithoutMembers {
    key: EntryKey,
    id: String,
    name: String,
}

impl GroupWithoutMembers {
    /// Adds it, as a group whose members are `hidden` or as one that has none.
    pub(super) fn add(self, hidden: bool, builder: &mut DirectoryBuilder) {
        let Self { key, id, name } = self;
        match hidden {
            true => builder.group_in_part(&[key], &id, &name, vec![]),
            false => builder.group(&[key], &id, &name, vec![]),
        }
    }
}

impl GroupReader {
    /// A reader as the settings have it.
    pub fn new(settings: &LdapSettings, groups: &GroupSettings) -> Self {
        let lists = |name: &str| {
            groups
                .members
                .iter()
                .any(|m| m.name.eq_ignore_ascii_case(name))
        };
        // Where people list their groups, groups need not.
        let by_class =
            settings.users.member_of.is_none() && (lists("member") || lists("uniqueMember"));
        let members = groups.members.iter().map(|member| {
            let named_by = match &member.naming {
                MemberNaming::Dn => None,
                MemberNaming::UserAttribute(name) => Some(AttributeName::new(name)),
            };
            (AttributeName::new(&member.name), named_by)
        });
        Self {
            ids: Ids::new(&groups.id),
            name: AttributeName::new(&groups.name),
            members: members.collect(),
            class: by_class.then(|| AttributeName::new("objectClass")),
            without_members: vec![],
            gid: primary_groups(Some(groups)),
            by_gid: HashMap::new(),
            text: String::new(),
        }
    }

    /// What to ask for, each attribute once.
    pub fn attributes(&self) -> Vec<String> {
        let members = self.members.iter().map(|(name, _)| name);
        let class = self.class.iter().chain(&self.gid);
        asked_for(
            self.ids
                .attribute
                .iter()
                .chain([&self.name])
                .chain(members)
                .chain(class),
        )
    }

    /// The id of the group that an entry describes; `None` where it has none that can be used.
    pub fn id(&mut self, entry: Entry<'_>) -> Option<ExternalId> {
        ExternalId::parse(&self.ids.of(entry).ok()?).ok()
    }

    /// An error where groups were added and none had an id.
    pub fn ensure_identified(&self, tried: String) -> Result<(), LdapFailure> {
        self.ids.ensure_identified(tried)
    }

    /// The groups that show no member although their class may demand one.
    pub fn take_groups_without_members(&mut self) -> Vec<GroupWithoutMembers> {
        std::mem::take(&mut self.without_members)
    }

    /// Whether the group has a class that demands a member, and none is to be seen: not even the
    /// blank one that empty groups have there.
    fn shows_no_member(&self, entry: Entry<'_>) -> bool {
        let Some(class) = &self.class else {
            return false;
        };
        let read = |name: &str| {
            let mut members = self.members.iter();
            members.any(|(attribute, _)| attribute.as_str().eq_ignore_ascii_case(name))
        };
        entry.values(class).any(|class| {
            class.eq_ignore_ascii_case("groupOfNames") && read("member")
                || class.eq_ignore_ascii_case("groupOfUniqueNames") && read("uniqueMember")
        }) && self
            .members
            .iter()
            .all(|(attribute, _)| !entry.has(attribute))
    }

    /// The first member that the group names, for a trial.
    pub fn first_member(&self, entry: Entry<'_>) -> Option<SampleMember> {
        self.members.iter().find_map(|(attribute, named_by)| {
            let value = entry.values(attribute).find(|v| !v.trim().is_empty())?;
            let named_by = named_by.as_ref().filter(|_| !looks_like_a_dn(value));
            Some(SampleMember {
                value: dn::without_unique_id(value).to_owned(),
                named_by: named_by.map(|name| name.as_str().to_owned()),
            })
        })
    }

    /// The names of the members that an entry lists, as people have them: see [`UserReader::each_name`].
    pub fn each_member(&self, entry: Entry<'_>, text: &mut String, mut each: impl FnMut(&str)) {
        for (attribute, named_by) in &self.members {
            for value in entry.values(attribute) {
                // `groupOfNames` needs a member: empty groups have an empty one.
                if value.trim().is_empty() {
                    continue;
                }
                match named_by {
                    // Some put DNs into `memberUid` as well, even side by side with uids.
                    Some(by) if !looks_like_a_dn(value) => name_by_value(by, value, text),
                    _ => dn::normalize(dn::without_unique_id(value), text),
                }
                each(text);
            }
        }
    }

    /// Adds the group that an entry describes.
    pub fn add(&mut self, entry: Entry<'_>, builder: &mut DirectoryBuilder) {
        let key = dn_key(entry.dn(), &mut self.text, builder);
        let name = entry.values(&self.name).next().unwrap_or_default();
        let id = match self.ids.of(entry) {
            Ok(id) => id,
            Err(why) => return builder.unidentified_group(&[key], name, why),
        };
        if self.shows_no_member(entry) {
            let (id, name) = (id.into_owned(), name.to_owned());
            self.without_members
                .push(GroupWithoutMembers { key, id, name });
            return;
        }
        let (mut members, mut text) = (vec![], std::mem::take(&mut self.text));
        self.each_member(entry, &mut text, |name| members.push(builder.key(name)));
        self.text = text;
        let gid = self.gid.as_ref().and_then(|gid| entry.values(gid).next());
        let Some(gid) = gid else {
            return builder.group(&[key], &id, name, members);
        };
        let by_gid = group_key(gid, &mut self.text, builder);
        builder.group(&[key, by_gid], &id, name, members);
        let this = GroupWithoutMembers {
            key,
            id: id.into_owned(),
            name: name.to_owned(),
        };
        match self.by_gid.get(gid) {
            None => {
                self.by_gid.insert(gid.to_owned(), this);
            }
            Some(other) if other.key != key => {
                builder.problem(Problem::new(
                    ProblemReason::AmbiguousMember,
                    format!(
                        "groups {} and {} have the gidNumber {}: nobody can say which is the \
                         primary group of the people with it; both are left as they are",
                        sanitize(&other.name),
                        sanitize(&this.name),
                        sanitize(gid)
                    ),
                    [],
                ));
                other.clone().add(true, builder);
                this.add(true, builder);
            }
            Some(_) => {}
        }
    }
}

/// Takes ids from entries, and remembers who has none.
struct Ids {
    /// The attribute that makes the external id; `None`: the DN makes it.
    attribute: Option<AttributeName>,
    /// How to read its bytes, where they aren't text.
    binary: Option<ReadId>,
    entries: usize,
    missing: usize,
    /// An entry whose id isn't text although the attribute isn't known to hold anything else.
    not_text: Option<String>,
}

impl Ids {
    fn new(id: &IdAttribute) -> Self {
        let attribute = match id {
            IdAttribute::Dn => None,
            IdAttribute::Attribute(name) => Some(AttributeName::new(name)),
        };
        let binary = attribute
            .as_ref()
            .and_then(|name| binary_id::reader(name.short()));
        Self {
            attribute,
            binary,
            entries: 0,
            missing: 0,
            not_text: None,
        }
    }

    /// The entry's id, or why it has none.
    fn of<'e>(&mut self, entry: Entry<'e>) -> Result<Cow<'e, str>, String> {
        self.entries += 1;
        let Some(attribute) = &self.attribute else {
            return Ok(entry.dn().into());
        };
        let id = match self.binary {
            Some(read) => entry.bytes(attribute).and_then(read).map(Cow::Owned),
            None => {
                let mut texts = entry.values(attribute);
                let id = texts.find(|id| !id.trim().is_empty()).map(Cow::Borrowed);
                if id.is_none() && entry.has(attribute) && self.not_text.is_none() {
                    let bytes = entry.bytes(attribute).unwrap_or_default();
                    if std::str::from_utf8(bytes).is_err() {
                        self.not_text = Some(sanitize(entry.dn()));
                    }
                }
                id
            }
        };
        id.ok_or_else(|| {
            self.missing += 1;
            format!(
                "the bind account can see no {}, which makes the external id",
                attribute.as_str()
            )
        })
    }

    /// An error where no entry at all has an id.
    fn ensure_identified(&self, tried: String) -> Result<(), LdapFailure> {
        if let (Some(entry), Some(attribute)) = (&self.not_text, &self.attribute) {
            return Err(LdapFailure::BinaryId {
                tried,
                entry: entry.clone(),
                attribute: attribute.as_str().to_owned(),
            });
        }
        match &self.attribute {
            Some(attribute) if self.entries > 0 && self.missing == self.entries => {
                Err(LdapFailure::NoIds {
                    tried,
                    count: self.entries,
                    attribute: attribute.as_str().to_owned(),
                })
            }
            _ => Ok(()),
        }
    }
}

struct EmailReader<'a> {
    attributes: Vec<AttributeName>,
    derived: Option<(AttributeName, &'a str)>,
}

impl<'a> EmailReader<'a> {
    fn new(rule: &'a EmailRule) -> Self {
        Self {
            attributes: rule
                .attributes
                .iter()
                .map(|name| AttributeName::new(name))
                .collect(),
            derived: rule.derived.as_ref().map(|derived| {
                (
                    AttributeName::new(&derived.prefix_attribute),
                    derived.suffix.as_str(),
                )
            }),
        }
    }

    /// The email by the rule of [`EmailRule`]; empty where there is none.
    fn of<'t>(&self, entry: Entry<'t>, text: &'t mut String) -> &'t str {
        for attribute in &self.attributes {
            let mut values = entry.values(attribute).filter(|v| !v.trim().is_empty());
            if let Some(first) = values.next() {
                return match values.next() {
                    None => first,
                    Some(second) => [first, second]
                        .into_iter()
                        .chain(values)
                        .find(|value| Email::parse(value).is_ok())
                        .unwrap_or(first),
                };
            }
        }
        text.clear();
        if let Some((attribute, suffix)) = &self.derived
            && let Some(prefix) = entry.values(attribute).find(|v| !v.trim().is_empty())
        {
            text.push_str(prefix.trim());
            text.push_str(suffix.trim());
        }
        text
    }
}

/// The attribute that ties people to their primary groups, where these count.
fn primary_groups(groups: Option<&GroupSettings>) -> Option<AttributeName> {
    let wanted = groups.is_some_and(|groups| groups.include_primary);
    wanted.then(|| AttributeName::new("gidNumber"))
}

/// The key of the group with this number. The control character keeps it apart from every DN.
fn group_key(gid: &str, text: &mut String, builder: &mut DirectoryBuilder) -> EntryKey {
    text.clear();
    text.push_str("\u{1}gidnumber=");
    text.push_str(gid.trim());
    builder.key(text)
}

/// No uid looks like this.
fn looks_like_a_dn(value: &str) -> bool {
    value.contains('=') && value.contains(',') && dn::is_dn(value)
}

fn dn_key(dn: &str, text: &mut String, builder: &mut DirectoryBuilder) -> EntryKey {
    dn::normalize(dn, text);
    builder.key(text)
}

/// The name of whoever has this value. The control character keeps it apart from every DN.
fn name_by_value(attribute: &AttributeName, value: &str, text: &mut String) {
    text.clear();
    text.push('\u{1}');
    text.push_str(attribute.short());
    text.push('=');
    text.extend(value.trim().chars().flat_map(char::to_lowercase));
}

fn asked_for<'n>(names: impl Iterator<Item = &'n AttributeName>) -> Vec<String> {
    let mut asked: Vec<String> = vec![];
    for name in names {
        if !asked
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name.as_str()))
        {
            asked.push(name.as_str().to_owned());
        }
    }
    if asked.is_empty() {
        // An empty list asks for everything; this asks for nothing (RFC 4511, 4.5.1.8).
        asked.push("1.1".to_owned());
    }
    asked
}
