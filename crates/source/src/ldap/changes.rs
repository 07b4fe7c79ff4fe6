//! Brings the directory of an earlier read up to date (RFC 4533), instead of reading everything again.
//!
//! An earlier read noted where the database stood before its first entry was sent. Whatever changed since is sent by
//! the server, with what was deleted or has left the filter; entries that a read saw already come once more. What is
//! asked in between is that nothing was renamed above entries: their own number doesn't change by that.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;

use super::connection::{Connection, Connector, Endpoint};
use super::csn::Csns;
use super::database::{Root, last_changes, one_entry};
use super::digests::{EntryDigests, names};
use super::entry::{AttributeName, Entry};
use super::error::LdapFailure;
use super::kept::{ENTRY_UUID, KeptDirectory, KeptList, NotKept, OBJECT_CLASS, ensure_stored};
use super::kept_entries::{Earlier, EntryId, Kept, NoRoom};
use super::packed::Strings;
use super::read::{GroupReader, UserReader, group_search, new_builder, user_search};
use super::refresh::{Doubt, Notice};
use super::search::{Next, Search};
use super::settings::{GroupSettings, LdapSettings};
use crate::ReadProgress;
use crate::api::spec::LdapScope;
use crate::directory::{Directory, Incremental, ReadNow};
use crate::kept::Reservation;

/// Why changes of several servers have everything read.
const SEVERAL_SERVERS: &str = "a change of one server may have come after a later one of another, and have no number of its own";

/// After so many entries others have their turn.
const TURN: usize = 4_096;
/// More new entries than this are read with all others.
const MANY_NEW: usize = 10_000;
/// So many known people who join groups are read one by one; more are read with all others.
const MANY_JOINING: usize = 200;
/// Attributes that servers change without a number for the change, so that nobody is told: worked out by an overlay
/// (slapo-memberof(5), slapo-dynlist(5)), or set at a login (slapo-ppolicy(5)).
const UNTOLD: [&str; 11] = [
    "memberof",
    "1.2.840.113556.1.2.102",
    "pwdaccountlockedtime",
    "1.3.6.1.4.1.42.2.27.8.1.17",
    "pwdfailuretime",
    "1.3.6.1.4.1.42.2.27.8.1.19",
    "pwdgraceusetime",
    "1.3.6.1.4.1.42.2.27.8.1.21",
    "pwdlastsuccess",
    "1.3.6.1.4.1.42.2.27.8.1.29",
    "authtimestamp",
];

impl From<NoRoom> for Doubt {
    fn from(no_room: NoRoom) -> Self {
        NotKept::from(no_room).into()
    }
}

impl From<NotKept> for Doubt {
    fn from(why: NotKept) -> Self {
        Self::Unexpected(match why {
            NotKept::NoRoom => {
                "there is no room for what changed in what --keep-directories allows"
            }
            NotKept::NoUuid => "an entry has no entryUUID",
            NotKept::NoCsn | NotKept::NotCounted => "an entry has a change that isn't counted",
            NotKept::Computed => "the server works out who is in a group",
        })
    }
}

/// A directory to be kept, of a server that can tell later what has changed; `None` of any other.
pub(super) async fn begin(
    connection: &mut Connection,
    settings: &LdapSettings,
    endpoint: &Endpoint,
    memory: Reservation,
) -> Option<KeptDirectory> {
    if !tells_all_changes(settings) {
        return None;
    }
    match lists(connection, settings).await {
        Ok(Some((users, groups))) => {
            Some(KeptDirectory::new(users, groups, endpoint.clone(), memory))
        }
        Ok(None) => None,
        // If there is more to it, the read that follows says so.
        Err(_) => None,
    }
}

/// Whether everything that is read has its own number for each change.
fn tells_all_changes(settings: &LdapSettings) -> bool {
    let users = &settings.users;
    let disabled = users.disabled.iter().map(|rule| rule.attribute.as_str());
    let filters = settings.groups.iter().map(|groups| groups.filter.as_str());
    let mut texts = filters
        .chain([users.filter.as_str()])
        .chain(disabled)
        .map(str::to_ascii_lowercase);
    let names_untold = texts.any(|text| UNTOLD.iter().any(|untold| text.contains(untold)));
    let lists_groups = users.member_of.is_some() && settings.groups.is_some();
    !names_untold && !lists_groups
}

/// Empty lists of people and groups, and where their databases stand.
async fn lists(
    connection: &mut Connection,
    settings: &LdapSettings,
) -> Result<Option<(KeptList, Option<KeptList>)>, LdapFailure> {
    let root = Root::read(connection, settings).await?;
    if !root.sends_changes {
        return Ok(None);
    }
    let reader = UserReader::new(settings);
    let asked = with(reader.attributes(), &[ENTRY_UUID]);
    let time = settings
        .users
        .disabled
        .is_some()
        .then_some("modifyTimestamp");
    let base = settings.users.base_dn.as_ref().unwrap_or(&settings.base_dn);
    let Some((context, seen)) = stands(connection, settings, &root, base).await? else {
        return Ok(None);
    };
    let users = KeptList::new(&asked, time, context, seen);
    let Some(groups) = &settings.groups else {
        return Ok(Some((users, None)));
    };
    let asked = GroupReader::new(settings, groups).attributes();
    let asked = with(asked, &[ENTRY_UUID, OBJECT_CLASS]);
    let base = groups.base_dn.as_ref().unwrap_or(&settings.base_dn);
    let Some((context, seen)) = stands(connection, settings, &root, base).await? else {
        return Ok(None);
    };
    Ok(Some((
        users,
        Some(KeptList::new(&asked, None, context, seen)),
    )))
}

fn with(mut attributes: Vec<String>, more: &[&str]) -> Vec<String> {
    for name in more {
        if !attributes
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
        {
            attributes.push((*name).to_owned());
        }
    }
    attributes
}

/// The database of `base` and where it stands; `None` where that can't be seen, or what is asked for later can't.
async fn stands(
    connection: &mut Connection,
    settings: &LdapSettings,
    root: &Root,
    base: &str,
) -> Result<Option<(String, Csns)>, LdapFailure> {
    let context = root.context(base).to_owned();
    if root.is_split(base) {
        return Ok(None);
    }
    let changes = last_changes(connection, settings, &context).await?;
    let seen = Csns::of(changes.iter().map(String::as_str));
    let Some(seen) = seen.filter(|seen| !seen.is_ahead_of(Timestamp::now())) else {
        return Ok(None);
    };
    // Whoever can't ask for this wouldn't notice that something was renamed.
    let asked = ["entryCSN".to_owned()];
    let csn = AttributeName::new("entryCSN");
    let mut is_seen = false;
    let search = Search {
        filter: "(&(entryCSN=*)(hasSubordinates=TRUE))",
        ..one_entry(settings, "the database's own entry", &context, &asked)
    };
    let read = connection.search(&search, |entry| {
        is_seen = entry.has(&csn);
        Ok(Next::Continue)
    });
    match read.await {
        Ok(()) | Err(LdapFailure::Refused { .. }) => {}
        Err(failure) => return Err(failure),
    }
    Ok(is_seen.then_some((context, seen)))
}

/// Where a database stands, on the very connection on which its entries are read: behind one address there may be
/// several servers. `None` where that can't be relied on.
pub(super) async fn stand(
    connection: &mut Connection,
    settings: &LdapSettings,
    context: &str,
) -> Option<Csns> {
    let changes = last_changes(connection, settings, context).await.ok()?;
    let seen = Csns::of(changes.iter().map(String::as_str))?;
    (!seen.is_ahead_of(Timestamp::now())).then_some(seen)
}

/// What changed in one list.
#[derive(Default)]
struct Changed {
    /// The entries that were sent, each with what was kept of it before.
    sent: BTreeMap<usize, Earlier>,
    /// Whether one is other than it was, or gone.
    matters: bool,
}

/// Asks for what has changed since `kept` was read, and puts it there. The entries that were sent.
///
/// # Errors
/// Where it is in doubt that `kept` is then what a whole read would see.
pub(super) async fn update(
    connector: &Connector,
    settings: &LdapSettings,
    digests: &EntryDigests,
    kept: &mut KeptDirectory,
) -> Result<ReadNow, Doubt> {
    // As a whole read, the watch and the fast lane would: what one server tells must not stand beside what another one that
    // is behind has kept.
    let (mut connection, endpoint) = connector.first().await?;
    if endpoint != kept.endpoint {
        return Err(Doubt::Unexpected("another server would be read"));
    }
    let mut read_now = ReadNow::default();
    let asked = kept.users.asked();
    let search = user_search(settings, &asked);
    let watched = names(&UserReader::new(settings).attributes());
    let note = |entry: Entry<'_>| {
        digests.update(entry, &watched);
        Ok(())
    };
    let list = (&mut kept.users, &mut kept.strings);
    let mut users = update_list(&mut connection, settings, &search, list, note).await?;
    let mut matters = false;
    if let (Some(list), Some(groups)) = (&mut kept.groups, &settings.groups) {
        let strings = &mut kept.strings;
        let asked = list.asked();
        let group_search = group_search(settings, groups, &asked);
        let each = |entry: Entry<'_>| Ok(ensure_stored(entry)?);
        let lists = (list, strings);
        let changed = update_list(&mut connection, settings, &group_search, lists, each).await?;
        let list = kept.groups.as_ref();
        let joining = list.map(|list| joining(settings, groups, kept, list, &changed, &users));
        for number in joining.transpose()?.into_iter().flatten() {
            let list = (&mut kept.users, &mut kept.strings);
            read_person(&mut connection, &search, list, number, note, &mut users).await?;
        }
        let mut reader = GroupReader::new(settings, groups);
        let sent = changed.sent.keys().filter_map(|at| kept.group(*at));
        read_now
            .groups
            .extend(sent.filter_map(|entry| reader.id(entry)));
        matters |= changed.matters;
    }
    let mut reader = UserReader::new(settings);
    let sent = users.sent.keys().filter_map(|at| kept.user(*at));
    read_now
        .users
        .extend(sent.filter_map(|entry| reader.id(entry)));
    matters |= users.matters;
    connection.close().await;
    kept.reserve()?;
    if matters {
        kept.change();
    }
    Ok(read_now)
}

/// The people who were kept before, weren't sent now, and are named by a group that was sent and didn't name them
/// before.
fn joining(
    settings: &LdapSettings,
    groups: &GroupSettings,
    kept: &KeptDirectory,
    list: &KeptList,
    changed: &Changed,
    users: &Changed,
) -> Result<Vec<usize>, Doubt> {
    let reader = GroupReader::new(settings, groups);
    let strings = &kept.strings;
    let (mut added, mut text) = (HashSet::new(), String::new());
    for (number, earlier) in &changed.sent {
        let mut before = HashSet::new();
        if let Some(entry) = list.entry_as_it_was(earlier, strings) {
            reader.each_member(entry, &mut text, |name| {
                before.insert(name.to_owned());
            });
        }
        if let Some(entry) = list.entry(*number, strings) {
            reader.each_member(entry, &mut text, |name| {
                if !before.contains(name) {
                    added.insert(name.to_owned());
                }
            });
        }
    }
    let mut joining = vec![];
    if added.is_empty() {
        return Ok(joining);
    }
    let reader = UserReader::new(settings);
    for number in (0..kept.users.numbers()).filter(|number| !users.sent.contains_key(number)) {
        let mut joins = false;
        if let Some(entry) = kept.user(number) {
            reader.each_name(entry, &mut text, |name| joins |= added.contains(name));
        }
        if joins {
            joining.push(number);
        }
    }
    match joining.len() <= MANY_JOINING {
        true => Ok(joining),
        false => Err(Doubt::Unexpected("many known people joined groups")),
    }
}

/// Reads the entry of one person who was kept, as a whole read would find it.
///
/// # Errors
/// Where it isn't found by that, or is another one.
async fn read_person(
    connection: &mut Connection,
    search: &Search<'_>,
    (list, strings): (&mut KeptList, &mut Strings),
    number: usize,
    mut each: impl FnMut(Entry<'_>) -> Result<(), Doubt>,
    changed: &mut Changed,
) -> Result<(), Doubt> {
    let entry = list.entry(number, strings);
    let (dn, uuid) = entry
        .and_then(|entry| Some((entry.dn().to_owned(), list.uuid_of(entry)?)))
        .ok_or(Doubt::Unexpected("somebody who joined a group isn't kept"))?;
    let search = Search {
        what: "somebody who joined a group",
        base: &dn,
        scope: LdapScope::Base,
        filter: search.filter,
        attributes: search.attributes,
        controls: search.controls,
        page_size: 0,
        idle: search.idle,
        limit: search.limit,
    };
    let mut read = None;
    connection
        .search(&search, |entry| {
            let put = each(entry).and_then(|()| put(list, strings, uuid, entry, changed));
            let is_first = read.is_none();
            read = Some(put.map(|number| (number, is_first)));
            Ok(Next::Continue)
        })
        .await?;
    match read.transpose()? {
        Some((found, true)) if found == number => Ok(()),
        _ => Err(Doubt::Unexpected(
            "somebody who joined a group isn't found any more",
        )),
    }
}

async fn update_list(
    connection: &mut Connection,
    settings: &LdapSettings,
    search: &Search<'_>,
    (list, strings): (&mut KeptList, &mut Strings),
    mut each: impl FnMut(Entry<'_>) -> Result<(), Doubt>,
) -> Result<Changed, Doubt> {
    let now = last_changes(connection, settings, &list.context).await?;
    let now = Csns::of(now.iter().map(String::as_str)).ok_or(Doubt::Unexpected(
        "the database doesn't say where it stands",
    ))?;
    if !now.is_since(&list.seen) {
        return Err(Doubt::Unexpected(
            "the database stands behind what was read of it",
        ));
    }
    if now.is_ahead_of(Timestamp::now()) {
        return Err(Doubt::Unexpected("the clock of a server is or was ahead"));
    }
    if list.seen.may_hide_a_change(&now) {
        return Err(Doubt::Unexpected(SEVERAL_SERVERS));
    }
    let mut changed = Changed::default();
    if now == list.seen {
        return Ok(changed);
    }
    // More than this is read with everything else: what comes has no room of its own meanwhile.
    let most = list.written() / 8 + strings.size() / 8 + (1 << 20);
    let room = list.written() + strings.size() + most;
    let mut there = vec![false; list.numbers()];
    // OpenLDAP names new entries among those that are there, and sends them afterwards.
    let mut promised = vec![];
    let since = list.seen.clone();
    let refreshed = connection
        .refresh(search, &since, |notice| match notice {
            Notice::Present(uuid) => {
                match list.number(&uuid) {
                    Some(number) => mark(&mut there, number),
                    None if promised.len() < MANY_NEW => promised.push(uuid),
                    None => return Err(Doubt::Unexpected("there are very many new entries")),
                }
                Ok(())
            }
            Notice::Changed(uuid, entry) => {
                each(entry)?;
                let number = put(list, strings, uuid, entry, &mut changed)?;
                if list.written() + strings.size() > room {
                    return Err(Doubt::Unexpected("very much has changed"));
                }
                mark(&mut there, number);
                Ok(())
            }
            Notice::Gone(uuid) => {
                changed.matters |= list.remove(&uuid);
                Ok(())
            }
        })
        .await?;
    if promised.iter().any(|uuid| list.number(uuid).is_none()) {
        return Err(Doubt::Unexpected(
            "an entry is there that was neither read nor sent",
        ));
    }
    if refreshed.others_are_gone {
        changed.matters |= list.retain(&there);
    }
    ensure_nothing_renamed(connection, settings, &list.context, &since).await?;
    if let Some(seen) = refreshed.seen {
        if !seen.is_since(&since) {
            return Err(Doubt::Unexpected("the changes end before they begin"));
        }
        if since.may_hide_a_change(&seen) {
            return Err(Doubt::Unexpected(SEVERAL_SERVERS));
        }
        list.seen = seen;
    }
    Ok(changed)
}

fn put(
    list: &mut KeptList,
    strings: &mut Strings,
    uuid: EntryId,
    entry: Entry<'_>,
    changed: &mut Changed,
) -> Result<usize, Doubt> {
    if entry.ranged().is_some() {
        return Err(Doubt::Unexpected("an attribute came in part"));
    }
    if list.uuid_of(entry) != Some(uuid) {
        return Err(Doubt::Unexpected(
            "an entry came under the entryUUID of another one",
        ));
    }
    let earlier = list.earlier(&uuid);
    let (number, is_other) = match list.put(uuid, entry, strings)? {
        Kept::Changed(number) => (number, true),
        Kept::Same(number) => (number, false),
    };
    changed.sent.entry(number).or_insert(earlier);
    changed.matters |= is_other;
    Ok(number)
}

fn mark(there: &mut Vec<bool>, number: usize) {
    if there.len() <= number {
        there.resize(number + 1, false);
    }
    there[number] = true;
}

/// An error where an entry with others below it was changed: it may have been renamed or moved, and with it all of
/// those, whose own number stays what it was.
///
/// Asked after the changes were sent: what is renamed later is told the next time.
async fn ensure_nothing_renamed(
    connection: &mut Connection,
    settings: &LdapSettings,
    context: &str,
    since: &Csns,
) -> Result<(), Doubt> {
    let filter = format!("(&(entryCSN>={})(hasSubordinates=TRUE))", since.oldest());
    let asked = ["entryCSN".to_owned()];
    let csn = AttributeName::new("entryCSN");
    let search = Search {
        scope: LdapScope::Subtree,
        filter: &filter,
        ..one_entry(settings, "changed branches", context, &asked)
    };
    let mut is_changed = false;
    connection
        .search(&search, |entry| {
            let csn = entry.values(&csn).next();
            is_changed = csn.is_none_or(|csn| since.lacks(csn));
            Ok(match is_changed {
                true => Next::Stop,
                false => Next::Continue,
            })
        })
        .await?;
    match is_changed {
        true => Err(Doubt::Unexpected(
            "a branch was changed, and may have another name",
        )),
        false => Ok(()),
    }
}

/// The directory that `kept` is.
///
/// # Errors
/// Where a whole read would fail, or ask for more.
pub(super) async fn directory(
    settings: &LdapSettings,
    kept: &KeptDirectory,
    read_now: ReadNow,
    progress: &ReadProgress,
) -> Result<Incremental<Directory>, Doubt> {
    let mut builder = new_builder();
    let mut reader = UserReader::new(settings);
    reader.note_account_rule(&mut builder);
    for number in 0..kept.users.numbers() {
        if let Some(entry) = kept.users.entry(number, &kept.strings) {
            reader.add(entry, &mut builder);
            progress.add_users(1);
        }
        take_turns(number).await;
    }
    reader.ensure_identified("reading what changed".to_owned())?;
    if let (Some(list), Some(groups)) = (&kept.groups, &settings.groups) {
        let mut reader = GroupReader::new(settings, groups);
        for number in 0..list.numbers() {
            if let Some(entry) = list.entry(number, &kept.strings) {
                reader.add(entry, &mut builder);
                progress.add_groups(1);
            }
            take_turns(number).await;
        }
        reader.ensure_identified("reading what changed".to_owned())?;
        for group in reader.take_groups_without_members() {
            let hidden = kept.hides_members.ok_or(Doubt::Unexpected(
                "a group has no members, and it isn't known whether they are hidden",
            ))?;
            group.add(hidden, &mut builder);
        }
    }
    Ok(builder.finish_incremental(read_now))
}

async fn take_turns(number: usize) {
    if number % TURN == TURN - 1 {
        tokio::task::yield_now().await;
    }
}
