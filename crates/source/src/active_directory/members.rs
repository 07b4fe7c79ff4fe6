//! Members of groups too large for one answer.
//!
//! A controller gives at most 1,500 values of an attribute at a time (`MaxValRange`), as
//! `member;range=0-1499`; the rest is asked for in ranges (MS-ADTS 3.1.1.3.1.3.3). The ranges are
//! places in a list that may change between two answers, and a member who slips down one place
//! would be missed. So each range begins with the last member of the one before: whoever changed,
//! the place shows it.

use super::domain_controller::base_search;
use super::error::ActiveDirectoryFailure;
use super::read::read_entries;
use super::settings::ActiveDirectorySettings;
use crate::directory::EntryKey;
use crate::http::process_limits::ListLength;
use crate::ldap::connection::Connection;
use crate::ldap::entry::AttributeName;
use crate::ldap::search::Next;
use crate::text::sanitize;

/// How often a list is begun that changes while it is read.
const TRIES: u32 = 5;

/// A group of whose members a part is known.
pub struct PartialGroup {
    pub dn: String,
    /// The bytes of its `objectGUID`.
    pub guid: Vec<u8>,
    /// The same as text, the external id.
    pub id: String,
    pub name: String,
    /// What other groups name it by.
    pub keys: Vec<EntryKey>,
    /// Its `uSNChanged` when the members so far were read.
    pub usn: Option<String>,
    /// The place in the list to go on from; `None`: there are no more.
    pub next: Option<usize>,
    /// The members so far, as many as `next` says.
    pub members: Vec<Member>,
}

/// A member of a group that came in part.
#[derive(Clone, Copy)]
pub struct Member {
    /// The key of its DN.
    pub key: EntryKey,
    /// The number by which its DN is kept between two reads; any where nothing is.
    pub kept: u32,
}

/// All members of the group; `named` makes one of its DN.
///
/// # Errors
/// When the list can't be read to its end without a change.
pub async fn complete(
    connection: &mut Connection,
    settings: &ActiveDirectorySettings,
    mut group: PartialGroup,
    mut named: impl FnMut(&str) -> Member,
) -> Result<Vec<Member>, ActiveDirectoryFailure> {
    // By its GUID it is found wherever it is moved to meanwhile.
    let base = format!("<GUID={}>", group.id);
    let (member, changed) = (
        AttributeName::new("member"),
        AttributeName::new("uSNChanged"),
    );
    let mut tries = 1;
    let (mut length, mut before) = (ListLength::default(), 0);
    while let Some(next) = group.next {
        // Of the tries before as well: a list that changes for ever is endless, too.
        if let Err(why) = length.add(group.members.len() - before) {
            return Err(ActiveDirectoryFailure::TooLong {
                group: sanitize(&group.dn),
                why,
            });
        }
        before = group.members.len();
        let overlap = usize::from(next > 0);
        let attributes = [
            format!("member;range={}-*", next - overlap),
            changed.as_str().to_owned(),
        ];
        let search = base_search(settings, "the rest of a group", &base, &attributes);
        let mut fits = false;
        let mut usn = None;
        read_entries(connection, &search, |entry| {
            usn = entry.values(&changed).next().map(str::to_owned);
            let Some(range) = entry.range(&member) else {
                // A group that has no member any more comes without the attribute.
                fits = next == 0;
                group.next = None;
                return Ok(Next::Continue);
            };
            let mut members = range.values().map(&mut named);
            fits = range.first == next - overlap
                && (overlap == 0
                    || members.next().map(|member| member.key)
                        == group.members.last().map(|member| member.key));
            group.members.extend(members);
            group.next = range.last.map(|last| last + 1);
            // A part that brings nobody new would be asked for for ever.
            fits &= range.last.is_none() || range.len() > overlap;
            fits &= range.last.is_none() || group.next == Some(group.members.len());
            Ok(Next::Continue)
        })
        .await?;
        if fits && (next == 0 || usn == group.usn) {
            group.usn = usn;
            continue;
        }
        if tries == TRIES {
            return Err(ActiveDirectoryFailure::Changing {
                group: sanitize(&group.dn),
                server: connection.server.clone(),
                tries,
            });
        }
        tries += 1;
        group.members.clear();
        before = 0;
        group.next = Some(0);
    }
    Ok(group.members)
}
