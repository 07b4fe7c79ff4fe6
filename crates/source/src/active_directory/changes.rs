//! Brings the domain of an earlier read up to date by the numbers of changes, instead of reading everything again.
//!
//! A controller numbers its changes, and each entry has the number of its last one (`uSNChanged`). An earlier read
//! noted the controller's last number before its first entry was asked for. Every entry of the domain with a later
//! number is asked for then, whatever it is: whoever left the filter or a base is one of them, and isn't among the
//! people and groups with a later number, who are asked for as a whole read does. Then everything is read. What has no number of its own (the
//! new names below a container that was renamed, links to entries that were renamed or deleted) has everything read
//! as far as it is noticed, and is late for ten minutes where it isn't.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Mutex;

use super::change_cursor::Stand;
use super::domain_controller::{Controllers, Session};
use super::error::ActiveDirectoryFailure;
use super::groups::GroupPass;
use super::kept::{Controller, Keeping, KeptDomain, List, NotKept, Sent};
use super::read::{Reader, finished, new_builder, read_entries};
use super::scope::{self, Scope};
use super::settings::ActiveDirectorySettings;
use crate::ReadProgress;
use crate::directory::hash::{FastMap, FastSet};
use crate::directory::{Directory, DirectoryBuilder, ExternalId, Incremental, ReadNow};
use crate::kept::Reservation;
use crate::ldap::connection::Connection;
use crate::ldap::digests::EntryDigests;
use crate::ldap::entry::{AttributeName, Entry};
use crate::ldap::kept_entries::{EntryId, KeptEntries};
use crate::ldap::search::Next;
use crate::ldap::{binary_id, dn};

/// A number is given out when a change begins, so that a later one may be there before it. A controller says the
/// number up to which all are there; should it not, so many before it are asked for again.
const OVERLAP: u64 = 100;
/// More changed entries than this are read with all others.
const MANY: usize = 10_000;
/// So many known people who join groups are asked for; more are read with all others.
const MANY_JOINING: usize = 200;
/// Of how many people one search asks.
const JOINING_AT_ONCE: usize = 50;
/// After so many entries others have their turn.
const TURN: usize = 4_096;
/// Entries below which there is neither a person nor a group, so that a new name of theirs changes no other one.
const LEAVES: [&str; 13] = [
    "computer",
    "contact",
    "dnsnode",
    "foreignsecurityprincipal",
    "grouppolicycontainer",
    "msfve-recoveryinformation",
    "printqueue",
    "ridmanager",
    "ridset",
    "secret",
    "serviceconnectionpoint",
    "trusteddomain",
    "volume",
];
/// LDAP_SERVER_SHOW_DELETED_OID: deleted entries are sent, too, to accounts that may see them.
const SHOW_DELETED: &str = "1.2.840.113556.1.4.417";
/// Attributes that change without a number for the change: worked out when they are asked for, links from the other
/// end, and what each controller counts for itself (MS-ADTS 3.1.1.4.5, MS-ADSC). Of the many with `msDS-` in front all but
/// those that are for anybody's own use are among them.
const UNTOLD: [&str; 27] = [
    "allowedattributes",
    "allowedattributeseffective",
    "allowedchildclasses",
    "allowedchildclasseseffective",
    "assistant",
    "badpasswordtime",
    "badpwdcount",
    "canonicalname",
    "createtimestamp",
    "directreports",
    "entryttl",
    "lastlogoff",
    "lastlogon",
    "logoncount",
    "managedby",
    "managedobjects",
    "manager",
    "memberof",
    "modifytimestamp",
    "owner",
    "parentguid",
    "primarygrouptoken",
    "secretary",
    "seealso",
    "structuralobjectclass",
    "tokengroups",
    "tokengroupsglobalanduniversal",
];
const VENDORS: &str = "msds-";
const FOR_OWN_USE: &str = "msds-cloudextensionattribute";

/// Why everything is read instead, in a few words of our own: what a controller says goes to no log from here. If a
/// request fails again, the read that follows says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt(pub &'static str);

impl From<ActiveDirectoryFailure> for Doubt {
    fn from(_: ActiveDirectoryFailure) -> Self {
        Self("a request failed, or an entry can't be understood")
    }
}

impl From<NotKept> for Doubt {
    fn from(NotKept(why): NotKept) -> Self {
        Self(why)
    }
}

/// A domain to be kept, of a controller that can tell later what has changed; `None` of any other.
pub async fn begin(
    session: &mut Session,
    settings: &ActiveDirectorySettings,
    stand: &Stand,
    memory: Reservation,
) -> Option<KeptDomain> {
    let domain = session.root.domain.clone();
    if !tells_all_changes(settings, &domain) {
        return None;
    }
    let usn = session.root.usn()?;
    let (builder, progress) = (Mutex::default(), ReadProgress::default());
    let reader = Reader::new(settings, &domain, &builder, &progress);
    let changed = changed_entries(&reader, &mut session.connection, first(usn)).await;
    let changed = changed.inspect_err(|Doubt(why)| {
        tracing::info!(
            why,
            "the directory isn't kept: the next run reads everything, too"
        );
    });
    let changed = changed.ok()?;
    let controller = Controller {
        service: session.root.service.clone(),
        invocation: stand.invocation.clone(),
        domain: domain.clone(),
    };
    let (users, groups) = (reader.compared_attributes(), reader.kept_of_groups());
    let users = (&*users, reader.names.changed.as_str());
    let version = stand.version.clone();
    let mut kept = KeptDomain::new(users, &groups, controller, usn, version, memory);
    kept.seen = seen(&changed, usn);
    Some(kept)
}

/// From which number on it is asked what has changed since this one.
fn first(usn: u64) -> u64 {
    (usn + 1).saturating_sub(OVERLAP)
}

fn seen<'a>(changed: impl IntoIterator<Item = &'a Changed>, usn: u64) -> FastMap<EntryId, u64> {
    let close = changed.into_iter().filter(|one| one.usn >= first(usn));
    close.map(|one| (one.id, one.usn)).collect()
}

/// Whether everything that is read has a number for each change, and is within one domain.
fn tells_all_changes(settings: &ActiveDirectorySettings, domain: &str) -> bool {
    let (users, groups) = (&settings.users, settings.groups.as_ref());
    let filters = [
        users.filter.as_deref(),
        groups.and_then(|groups| groups.filter.as_deref()),
    ];
    let names = Reader::names(settings);
    let attributes = [&names.mail, &names.prefix, &names.group_name];
    let bases = settings.base_dn.iter().chain(&users.search_bases);
    let mut bases = bases.chain(groups.into_iter().flat_map(|groups| &groups.search_bases));
    !settings.global_catalog
        && filters.into_iter().flatten().all(filter_is_told)
        && attributes.into_iter().all(|name| is_told(name.as_str()))
        && bases.all(|base| is_within(base, domain))
}

/// Whether no attribute of a filter changes without a number for the change, and none is compared with a DN, which may
/// become another one.
fn filter_is_told(filter: &str) -> bool {
    // Within a value a parenthesis is written as its number.
    filter.split('(').skip(1).all(|item| {
        let item = item.split(')').next().unwrap_or_default();
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        let name = name.trim_end_matches(['<', '>', '~', ':']);
        let is_operator = ["", "&", "|", "!"].contains(&name.trim());
        is_operator || is_told(name) && !(value.contains('=') && value.contains(','))
    })
}

/// Whether each change of this attribute changes the entry's number.
fn is_told(attribute: &str) -> bool {
    let name = attribute.split([';', ':']).next().unwrap_or_default();
    let name = name.trim().to_ascii_lowercase();
    let is_own = name.starts_with(FOR_OWN_USE) || !name.starts_with(VENDORS);
    let number = name.strip_prefix("oid.").unwrap_or(&name);
    let is_number = number.starts_with(|c: char| c.is_ascii_digit());
    is_own && !is_number && !UNTOLD.contains(&&*name)
}

fn is_within(base: &str, domain: &str) -> bool {
    let (mut inner, mut outer) = (String::new(), String::new());
    dn::normalize(base, &mut inner);
    dn::normalize(domain, &mut outer);
    inner == outer || inner.ends_with(&format!(",{outer}"))
}

/// An entry with a number that is asked for.
struct Changed {
    id: EntryId,
    usn: u64,
    created: Option<u64>,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// It may be one of the people.
    Person,
    Group,
    /// Something else without people and groups below it.
    Leaf,
    /// Whatever may have people or groups below it.
    Branch,
    Deleted,
}

/// All entries of the domain with this number or a later one.
async fn changed_entries(
    reader: &Reader<'_>,
    connection: &mut Connection,
    first: u64,
) -> Result<Vec<Changed>, Doubt> {
    let names = [
        "objectClass",
        "isDeleted",
        "objectGUID",
        "uSNChanged",
        "uSNCreated",
    ];
    let attributes = names.map(str::to_owned);
    let [classes, deleted, guid, changed, created] = names.map(AttributeName::new);
    let filter = format!("(uSNChanged>={first})");
    let mut search = reader.search("changed entries", reader.root, &filter, &attributes);
    let mut controls = search.controls.to_vec();
    controls.push(ldap3::controls::RawControl {
        ctype: SHOW_DELETED.to_owned(),
        crit: false,
        val: None,
    });
    search.controls = &controls;
    let mut all = vec![];
    let mut doubt = None;
    read_entries(connection, &search, |entry| {
        let number = |name| entry.values(name).next().and_then(|usn| usn.parse().ok());
        let id = entry.bytes(&guid).and_then(|id| id.try_into().ok());
        match (id, number(&changed)) {
            (Some(id), Some(usn)) if all.len() < MANY => all.push(Changed {
                id,
                usn,
                created: number(&created),
                what: what(entry, &classes, &deleted),
            }),
            (Some(_), Some(_)) => doubt = Some("very much has changed"),
            _ => doubt = Some("an entry shows no objectGUID or no uSNChanged"),
        }
        Ok(match doubt {
            None => Next::Continue,
            Some(_) => Next::Stop,
        })
    })
    .await?;
    doubt.map_or(Ok(all), |why| Err(Doubt(why)))
}

fn what(entry: Entry<'_>, classes: &AttributeName, deleted: &AttributeName) -> What {
    let is = |class: &str| {
        entry
            .values(classes)
            .any(|one| one.eq_ignore_ascii_case(class))
    };
    if entry.values(deleted).any(|value| value == "TRUE") {
        What::Deleted
    } else if is("group") {
        What::Group
    } else if LEAVES.into_iter().any(is) {
        What::Leaf
    } else if is("user") {
        What::Person
    } else {
        What::Branch
    }
}

/// Asks for what has changed since `kept` was read, and puts it there; with the entries that were sent. `None` where that
/// was too long ago.
///
/// # Errors
/// Where it is in doubt that `kept` is then what a whole read would see.
pub async fn update(
    controllers: &Controllers,
    settings: &ActiveDirectorySettings,
    digests: &EntryDigests,
    mut kept: KeptDomain,
) -> Result<Option<(KeptDomain, ReadNow)>, Doubt> {
    let mut session = controllers.first().await?;
    let usn = session.root.usn();
    let usn = usn.ok_or(Doubt(
        "the controller doesn't tell the number of its last change",
    ))?;
    // Where the number stands still, nothing happened; else it must be the very controller that counts.
    let invocation = match usn == kept.usn {
        true => controllers.invocation_lately(&mut session).await?,
        false => controllers.invocation(&mut session).await?,
    };
    let controller = Controller {
        service: session.root.service.clone(),
        invocation: invocation.unwrap_or_default(),
        domain: session.root.domain.clone(),
    };
    if controller != kept.controller {
        return Err(Doubt(
            "another controller would be read, or one that was restored",
        ));
    }
    if usn < kept.usn {
        return Err(Doubt("the controller stands behind what was read of it"));
    }
    if usn == kept.whole_usn {
        kept.renew();
    }
    let read_now = match (kept.is_old(), usn == kept.usn) {
        (true, _) => None,
        (false, true) => Some((kept, ReadNow::default())),
        (false, false) => {
            let connection = &mut session.connection;
            let (kept, sent) = ask(connection, settings, digests, kept, usn).await?;
            let read_now = read_now(&kept, &sent);
            Some((kept, read_now))
        }
    };
    session.connection.close().await;
    Ok(read_now)
}

/// Asks for the entries with later numbers than `kept` has.
async fn ask(
    connection: &mut Connection,
    settings: &ActiveDirectorySettings,
    digests: &EntryDigests,
    mut kept: KeptDomain,
    usn: u64,
) -> Result<(KeptDomain, Sent), Doubt> {
    let domain = kept.controller.domain.clone();
    let (builder, progress) = (Mutex::new(DirectoryBuilder::new()), ReadProgress::default());
    let reader = |part: String| {
        let reader = Reader::new(settings, &domain, &builder, &progress);
        reader.recording(digests).only(part)
    };
    let all = changed_entries(&reader(String::new()), connection, first(kept.usn)).await?;
    let changed: Vec<&Changed> = all
        .iter()
        .filter(|one| kept.seen.get(&one.id) != Some(&one.usn))
        .collect();
    for one in &changed {
        ensure_told(one, &kept)?;
    }
    kept.begin_update();
    for (list, what) in [(List::Users, What::Person), (List::Groups, What::Group)] {
        if list == List::Groups && !reader(String::new()).reads_groups() {
            continue;
        }
        let is_known = |one: &Changed| kept.list(list).number(&one.id).is_some();
        let concerned = changed
            .iter()
            .filter(|one| one.what == what || is_known(one));
        let concerned: Vec<&Changed> = concerned.copied().collect();
        let Some(first) = concerned.iter().map(|one| one.usn).min() else {
            continue;
        };
        let keeping = Keeping::new(kept);
        let reader = reader(format!("(uSNChanged>={first})")).keeping(&keeping);
        match list {
            List::Users => reader.users(connection).await?,
            List::Groups => {
                reader
                    .read_groups(connection, &mut GroupPass::new(settings))
                    .await?;
                let wanted = reader.wanted(connection).await?;
                keeping.keep(|kept| want(kept, wanted, &reader.names.guid));
            }
        }
        drop(reader);
        kept = keeping.into_inner()?;
        ensure_there(&kept, list, &concerned)?;
    }
    let joining = joining(&kept, settings)?;
    for some in joining.chunks(JOINING_AT_ONCE) {
        let keeping = Keeping::new(kept);
        let ids: String = some.iter().map(|(_, id)| with_guid(id)).collect();
        let reader = reader(format!("(|{ids})")).keeping(&keeping);
        reader.users(connection).await?;
        drop(reader);
        kept = keeping.into_inner()?;
        let users = kept.sent.as_ref().map(|sent| &sent.users);
        if !users.is_some_and(|users| some.iter().all(|(number, _)| users.contains_key(number))) {
            return Err(Doubt("somebody who joined a group isn't found any more"));
        }
    }
    kept.usn = usn;
    kept.seen = seen(&all, usn);
    let sent = kept.finish_update()?;
    Ok((kept, sent))
}

/// An error where a change has no number at all the entries that are other than they were by it.
fn ensure_told(changed: &Changed, kept: &KeptDomain) -> Result<(), Doubt> {
    let is_known = [List::Users, List::Groups]
        .into_iter()
        .any(|list| kept.list(list).number(&changed.id).is_some());
    let is_new = changed.created.is_some_and(|created| created > kept.usn);
    match changed.what {
        // Whatever comes below a new one has a number itself.
        What::Branch if !is_new => Err(Doubt("a container was changed, and may have another name")),
        // Whoever named it does no more, without a number for that.
        What::Deleted if is_known => Err(Doubt("an entry was deleted")),
        _ => Ok(()),
    }
}

/// An error where somebody or a group has changed and wasn't sent: they have left what is read, or were renamed by that,
/// and groups may go on naming them as they were called.
fn ensure_there(kept: &KeptDomain, list: List, changed: &[&Changed]) -> Result<(), Doubt> {
    let is_sent = |number: &usize| {
        kept.sent.as_ref().is_some_and(|sent| match list {
            List::Users => sent.users.contains_key(number),
            List::Groups => sent.groups.contains_key(number),
        })
    };
    let mut known = changed
        .iter()
        .filter_map(|one| kept.list(list).number(&one.id));
    match known.all(|number| is_sent(&number)) {
        true => Ok(()),
        false => Err(Doubt("somebody or a group left what is read")),
    }
}

/// Notes which of the groups that were sent are wanted.
fn want(
    kept: &mut KeptDomain,
    wanted_now: Option<HashSet<ExternalId>>,
    guid: &AttributeName,
) -> Result<(), NotKept> {
    let KeptDomain {
        groups,
        strings,
        wanted,
        sent,
        ..
    } = kept;
    let (Some(wanted), Some(wanted_now), Some(sent)) = (wanted, wanted_now, sent) else {
        return Ok(());
    };
    for number in sent.groups.keys() {
        let id = groups
            .entry(*number, strings)
            .and_then(|entry| id_of(entry, guid));
        let Some(id) = id else {
            continue;
        };
        sent.matters |= match wanted_now.contains(&id) {
            true => wanted.insert(id),
            false => wanted.remove(&id),
        };
    }
    Ok(())
}

/// The people who were kept before, weren't sent now, and are named by a group that was sent and didn't name them
/// before.
fn joining(
    kept: &KeptDomain,
    settings: &ActiveDirectorySettings,
) -> Result<Vec<(usize, EntryId)>, Doubt> {
    let names = Reader::names(settings);
    let Some(sent) = &kept.sent else {
        return Ok(vec![]);
    };
    let (mut added, mut text) = (HashSet::new(), String::new());
    for (number, earlier) in &sent.groups {
        let before = kept.groups.entry_as_it_was(earlier, &kept.strings);
        let before: HashSet<&str> = before
            .iter()
            .flat_map(|entry| entry.values(&names.member))
            .collect();
        let Some(entry) = kept.groups.entry(*number, &kept.strings) else {
            continue;
        };
        for member in entry.values(&names.member) {
            if !before.contains(member) {
                dn::normalize(member, &mut text);
                added.insert(text.clone());
            }
        }
    }
    let mut joining = vec![];
    if added.is_empty() {
        return Ok(joining);
    }
    for (number, entry) in present(&kept.users, kept) {
        dn::normalize(entry.dn(), &mut text);
        let id = entry.bytes(&names.guid).and_then(|id| id.try_into().ok());
        if let Some(id) = id
            && added.contains(&text)
            && !sent.users.contains_key(&number)
        {
            joining.push((number, id));
        }
    }
    match joining.len() <= MANY_JOINING {
        true => Ok(joining),
        false => Err(Doubt("many known people joined groups")),
    }
}

/// The part of a filter that fits the entry with this ID.
fn with_guid(id: &EntryId) -> String {
    let mut part = "(objectGUID=".to_owned();
    for byte in id {
        let _infallible = write!(part, "\\{byte:02x}");
    }
    part.push(')');
    part
}

/// The entries of a list that are there, with their numbers.
fn present<'a>(
    list: &'a KeptEntries,
    kept: &'a KeptDomain,
) -> impl Iterator<Item = (usize, Entry<'a>)> {
    (0..list.numbers()).filter_map(|number| Some((number, list.entry(number, &kept.strings)?)))
}

fn read_now(kept: &KeptDomain, sent: &Sent) -> ReadNow {
    let guid = AttributeName::new("objectGUID");
    let ids = |list: List, numbers: &mut dyn Iterator<Item = &usize>| -> FastSet<ExternalId> {
        numbers
            .filter_map(|number| kept.list(list).entry(*number, &kept.strings))
            .filter_map(|entry| id_of(entry, &guid))
            .collect()
    };
    ReadNow {
        users: ids(List::Users, &mut sent.users.keys()),
        groups: ids(List::Groups, &mut sent.groups.keys()),
    }
}

fn id_of(entry: Entry<'_>, guid: &AttributeName) -> Option<ExternalId> {
    ExternalId::parse(&entry.bytes(guid).and_then(binary_id::guid)?).ok()
}

/// The directory that `kept` is.
///
/// # Errors
/// Where a whole read would fail.
pub async fn directory(
    settings: &ActiveDirectorySettings,
    kept: &KeptDomain,
    mut read_now: ReadNow,
    progress: &ReadProgress,
) -> Result<Incremental<Directory>, Doubt> {
    let builder = Mutex::new(new_builder());
    let reader = Reader::new(settings, &kept.controller.domain, &builder, progress);
    let mut text = String::new();
    for (number, entry) in present(&kept.users, kept) {
        reader.add_user(entry, &mut text)?;
        progress.add_users(1);
        take_turns(number).await;
    }
    let scope = match reader.reads_groups() {
        true => {
            let mut pass = GroupPass::new(settings);
            for (number, entry) in present(&kept.groups, kept) {
                reader.add_group(entry, &mut pass)?;
                progress.add_groups(1);
                take_turns(number).await;
            }
            pass.scope(settings, kept.wanted.clone())?
        }
        false => Scope::default(),
    };
    drop(reader);
    let (directory, _) = finished(builder)
        .finish_incremental(ReadNow::default())
        .into_parts();
    claim_what_was_said(&directory, &scope, &mut read_now);
    let directory = scope::keep(directory, scope)?;
    Ok(Incremental::new(directory, read_now))
}

/// Leaves of what was read those whom other entries, which may not have been, don't decide about: groups without others
/// in them, as these will be taken apart, and with `users.memberOf` people whom such a group itself names.
fn claim_what_was_said(directory: &Directory, scope: &Scope, read_now: &mut ReadNow) {
    if let Some(roots) = &scope.only_members_of {
        let said = directory
            .groups
            .iter()
            .filter(|group| roots.contains(&group.id) && read_now.groups.contains(&group.id));
        let said: FastSet<&ExternalId> = said
            .flat_map(|group| &group.users)
            .filter_map(|at| Some(&directory.users.get(*at as usize)?.id))
            .collect();
        read_now.users.retain(|id| said.contains(id));
    }
    for group in directory
        .groups
        .iter()
        .filter(|group| !group.groups.is_empty())
    {
        read_now.groups.remove(&group.id);
    }
}

async fn take_turns(number: usize) {
    if number % TURN == TURN - 1 {
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::active_directory::{Domain, DomainControllerLocation};

    #[test]
    fn a_filter_is_followed_where_each_change_of_what_it_names_has_a_number() {
        for told in [
            "(department=Sales)",
            "(&(extensionAttribute1=bw)(!(employeeType=x, y)))",
            "(|(mail=*@example.com)(userAccountControl:1.2.840.113556.1.4.803:=2))",
            "(msDS-cloudExtensionAttribute3=a=b)",
            "(accountExpires>=5)",
        ] {
            assert!(filter_is_told(told), "{told}");
        }
        for untold in [
            "(memberOf=CN=x,DC=y)",
            "(&(a=b)(!(MEMBEROF:1.2.840.113556.1.4.1941:=CN=x,DC=y)))",
            "(1.2.840.113556.1.2.102=*)",
            "(OID.1.2.840.113556.1.2.102=*)",
            "(a:dn:1.2:=CN=x,DC=y)",
            "(manager=*)",
            "(department=CN=x,DC=y)",
            "(msDS-User-Account-Control-Computed>=1)",
            "(lastLogon<=5)",
        ] {
            assert!(!filter_is_told(untold), "{untold}");
        }
    }

    #[test]
    fn nothing_is_kept_of_a_forest_of_other_domains_or_of_what_is_worked_out() {
        let domain = "DC=corp,DC=example,DC=com";
        let settings = || {
            ActiveDirectorySettings::new(DomainControllerLocation::Domain(Domain {
                name: "corp.example.com".into(),
                name_server: None,
            }))
        };
        let told = |change: fn(&mut ActiveDirectorySettings)| {
            let mut settings = settings();
            change(&mut settings);
            tells_all_changes(&settings, domain)
        };
        assert!(told(|_| ()));
        assert!(told(|settings| {
            settings.base_dn = Some("ou=x, dc=corp,dc=example,dc=com".into());
        }));
        assert!(!told(|settings| settings.global_catalog = true));
        assert!(!told(
            |settings| settings.base_dn = Some("DC=example,DC=com".into())
        ));
        assert!(!told(|settings| {
            settings.users.search_bases = vec!["OU=x,DC=other,DC=com".into()];
        }));
        assert!(!told(
            |settings| settings.users.filter = Some("(memberOf=*)".into())
        ));
        assert!(!told(
            |settings| settings.users.mail = Some("msDS-PrincipalName".into())
        ));
        assert!(!told(|settings| {
            settings.groups.as_mut().unwrap().name = "canonicalName".into();
        }));
        assert!(!told(|settings| {
            settings.groups.as_mut().unwrap().filter = Some("(managedBy=*)".into());
        }));
    }

    #[test]
    fn what_other_entries_decide_about_is_not_claimed_to_be_read() {
        let mut builder = new_builder();
        let [ann, bob, root, nested, plain] =
            ["ann", "bob", "root", "nested", "plain"].map(|name| builder.key(name));
        for (key, name) in [(ann, "ann"), (bob, "bob")] {
            let email = format!("{name}@example.com");
            builder.user(
                &[key],
                name,
                &email,
                crate::directory::Account::ACTIVE,
                name,
            );
        }
        builder.group(&[root], "root", "root", vec![ann, nested]);
        builder.group(&[nested], "nested", "nested", vec![bob]);
        builder.group(&[plain], "plain", "plain", vec![bob]);
        let directory = builder.finish().into_inner();
        let ids = |names: &[&str]| -> FastSet<ExternalId> {
            names
                .iter()
                .map(|name| ExternalId::parse(name).unwrap())
                .collect()
        };
        let claimed = |roots: Option<&[&str]>, groups: &[&str]| {
            let only_members_of = roots.map(|roots| ids(roots).into_iter().collect());
            let scope = Scope {
                only_members_of,
                ..Scope::default()
            };
            let mut read_now = ReadNow {
                users: ids(&["ann", "bob"]),
                groups: ids(groups),
            };
            claim_what_was_said(&directory, &scope, &mut read_now);
            read_now
        };
        let all = claimed(None, &["root", "nested", "plain"]);
        assert_eq!(all.groups, ids(&["nested", "plain"]));
        assert_eq!(all.users, ids(&["ann", "bob"]));
        assert_eq!(
            claimed(Some(&["root"]), &["root", "nested"]).users,
            ids(&["ann"])
        );
        assert_eq!(claimed(Some(&["root"]), &["nested"]).users, ids(&[]));
    }
}
