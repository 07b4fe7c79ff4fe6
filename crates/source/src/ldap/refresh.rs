//! Asks for what has changed since a read (RFC 4533, `refreshOnly`).
//!
//! Nothing is guessed: a message that isn't exactly what the RFC has in its place ends the refresh, and everything is
//! read instead.

use std::time::Instant;

use ldap3::asn1::StructureTag;
use ldap3::controls::{RawControl, RefreshMode, SyncRequest};
use ldap3::{LdapResult, ResultEntry};

use super::connection::Connection;
use super::csn::Csns;
use super::element::{constructed, primitive};
use super::entry::Entry;
use super::error::{LdapFailure, Stage};
use super::framing;
use super::kept_entries::EntryId;
use super::search::{Budget, Search, SearchError, begin, next_counting, outcome};
use crate::http::process_limits::process_limits;

/// What is said of each entry that is sent (RFC 4533, 2.3).
const SYNC_STATE: &str = "1.3.6.1.4.1.4203.1.9.1.2";
/// What is said at the end (RFC 4533, 2.4).
const SYNC_DONE: &str = "1.3.6.1.4.1.4203.1.9.1.3";
/// What is said in between (RFC 4533, 2.5).
const SYNC_INFO: &[u8] = b"1.3.6.1.4.1.4203.1.9.1.4";

/// BER: the numbers of the types that occur.
const BOOLEAN: u64 = 1;
const OCTET_STRING: u64 = 4;
const SET: u64 = 17;

/// What the server says of entries.
#[derive(Debug)]
pub(super) enum Notice<'a> {
    /// It is there as it was.
    Present(EntryId),
    /// It is new, or was changed.
    Changed(EntryId, Entry<'a>),
    /// It was deleted, or has left the filter.
    Gone(EntryId),
}

/// How a refresh ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refreshed {
    /// Whether those are gone of whom nothing was said.
    pub others_are_gone: bool,
    /// Where the database stands now; `None` where it says nothing of that.
    pub seen: Option<Csns>,
}

/// Why everything is read instead.
#[derive(Debug, thiserror::Error)]
pub(super) enum Doubt {
    /// The search failed.
    #[error(transparent)]
    Failed(#[from] LdapFailure),
    /// What came isn't what the protocol has there, or doesn't fit what is known.
    #[error("{0}")]
    Unexpected(&'static str),
}

impl Doubt {
    /// In a few words of our own: what a server says goes to no log from here. If a request fails again, the read
    /// that follows says so.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Failed(_) => "a request failed",
            Self::Unexpected(what) => what,
        }
    }
}

impl Connection {
    /// Gives what changed in `search` since the database stood at `since` to `each`, message by message.
    ///
    /// # Errors
    /// Whatever leaves in doubt that all of that was sent.
    pub(super) async fn refresh(
        &mut self,
        search: &Search<'_>,
        since: &Csns,
        each: impl FnMut(Notice<'_>) -> Result<(), Doubt>,
    ) -> Result<Refreshed, Doubt> {
        let received = self.stream.received();
        let mut budget = Budget::new(&received, process_limits());
        let mut doubt = None;
        let started = Instant::now();
        let messages = messages(
            self.ldap.clone(),
            &self.server,
            search,
            since,
            &mut budget,
            each,
            &mut doubt,
        );
        let limited = tokio::time::timeout(search.limit, messages);
        let ended = self.stream.during(limited).await;
        let tried = || search.tried(&self.server);
        let Ok(ended) = ended else {
            let limit = search.limit;
            return Err(LdapFailure::TooSlow {
                tried: tried(),
                limit,
            }
            .into());
        };
        self.observer
            .request("search", outcome(&ended), started.elapsed());
        match ended {
            Ok(result) => {
                done(&result).ok_or(Doubt::Unexpected("the end of the changes isn't understood"))
            }
            Err(failed) => Err(match (doubt, failed) {
                (Some(doubt), _) => doubt,
                (None, SearchError::Failed(failure)) => failure.into(),
                (None, SearchError::Library(error)) => {
                    let tried = tried();
                    self.stream.failure(tried, error, search.idle).into()
                }
            }),
        }
    }
}

async fn messages(
    mut ldap: ldap3::Ldap,
    server: &str,
    search: &Search<'_>,
    since: &Csns,
    budget: &mut Budget<'_>,
    mut each: impl FnMut(Notice<'_>) -> Result<(), Doubt>,
    doubt: &mut Option<Doubt>,
) -> Result<LdapResult, SearchError> {
    let mut control = RawControl::from(SyncRequest {
        mode: RefreshMode::RefreshOnly,
        cookie: Some(since.cookie()),
        // A server that can't tell what has changed says so, and doesn't send everything.
        reload_hint: false,
    });
    // A server that doesn't know it would send everything, and no word of what is gone.
    control.crit = true;
    let mut entries = begin(ldap.with_controls(vec![control]), search).await?;
    while let Some(message) = next_counting(&mut entries, budget, search, server).await? {
        budget.spend(search, server)?;
        if let Err(why) = take(&message, &mut each) {
            *doubt = Some(why);
            let tried = search.tried(server);
            return Err(LdapFailure::Malformed { tried }.into());
        }
    }
    let result = entries.finish().await;
    match result.rc {
        0 => Ok(result),
        _ => Err(
            LdapFailure::refused(search.tried(server), Stage::Search, &result, search.base).into(),
        ),
    }
}

fn take(
    message: &ResultEntry,
    each: &mut impl FnMut(Notice<'_>) -> Result<(), Doubt>,
) -> Result<(), Doubt> {
    const UNEXPECTED: Doubt = Doubt::Unexpected("a message of the server isn't understood");
    if message.is_ref() {
        return Err(Doubt::Unexpected(
            "a part of the directory is on another server",
        ));
    }
    if message.is_intermediate() {
        let (ids, are_gone) = id_set(&message.0).ok_or(UNEXPECTED)?;
        let mut notices = ids.into_iter().map(|id| match are_gone {
            true => Notice::Gone(id),
            false => Notice::Present(id),
        });
        return notices.try_for_each(each);
    }
    let (state, id) = state(message).ok_or(UNEXPECTED)?;
    each(match state {
        0 => Notice::Present(id),
        1 | 2 => Notice::Changed(id, Entry::of(&message.0).ok_or(UNEXPECTED)?),
        3 => Notice::Gone(id),
        _ => return Err(UNEXPECTED),
    })
}

/// A Sync State Control.
fn state(message: &ResultEntry) -> Option<(u8, EntryId)> {
    let mut controls = message.1.iter();
    let control = controls.find(|control| control.1.ctype == SYNC_STATE)?;
    let value = framing::decode(control.1.val.as_deref()?)?;
    let [state, id, ..] = constructed(&value)? else {
        return None;
    };
    let &[state] = primitive(state)? else {
        return None;
    };
    Some((state, primitive(id)?.try_into().ok()?))
}

/// A set of IDs, and whether these are gone. Of Sync Info Messages no other has its place here.
fn id_set(message: &StructureTag) -> Option<(Vec<EntryId>, bool)> {
    let parts = constructed(message)?;
    let part = |id: u64| parts.iter().find(|part| part.id == id).and_then(primitive);
    if part(0)? != SYNC_INFO {
        return None;
    }
    let info = framing::decode(part(1)?)?;
    if info.id != 3 {
        return None;
    }
    let (mut ids, mut are_gone) = (None, false);
    for part in constructed(&info)? {
        match part.id {
            OCTET_STRING => {}
            BOOLEAN => are_gone = boolean(part)?,
            SET => ids = Some(constructed(part)?),
            _ => return None,
        }
    }
    let ids = ids?.iter().map(|id| primitive(id)?.try_into().ok());
    Some((ids.collect::<Option<_>>()?, are_gone))
}

/// A Sync Done Control.
fn done(result: &LdapResult) -> Option<Refreshed> {
    let control = result
        .ctrls
        .iter()
        .find(|control| control.1.ctype == SYNC_DONE)?;
    let (mut cookie, mut deletes) = (None, false);
    // A control without a value says what its defaults do.
    if let Some(value) = control.1.val.as_deref() {
        for part in constructed(&framing::decode(value)?)? {
            match part.id {
                OCTET_STRING => cookie = Some(Csns::of_cookie(primitive(part)?)?),
                BOOLEAN => deletes = boolean(part)?,
                _ => return None,
            }
        }
    }
    Some(Refreshed {
        others_are_gone: !deletes,
        seen: cookie,
    })
}

fn boolean(tag: &StructureTag) -> Option<bool> {
    match primitive(tag)? {
        [value] => Some(*value != 0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use ldap3::asn1::parse_tag;
    use ldap3::controls::Control;

    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, u8::try_from(content.len()).unwrap()][..], content].concat()
    }

    fn decoded(bytes: &[u8]) -> StructureTag {
        parse_tag(bytes).unwrap().1
    }

    const ID: EntryId = [7; 16];

    /// A Sync State Control of one state.
    fn controls(state: u8, id: &[u8]) -> Vec<Control> {
        let value = [element(0x0a, &[state]), element(4, id)].concat();
        vec![Control(
            None,
            RawControl {
                ctype: SYNC_STATE.to_owned(),
                crit: false,
                val: Some(element(0x30, &value)),
            },
        )]
    }

    fn entry(controls: Vec<Control>) -> ResultEntry {
        let dn = [element(4, b"uid=ann"), element(0x30, &[])].concat();
        let mut entry = ResultEntry::new(decoded(&element(0x64, &dn)));
        entry.1 = controls;
        entry
    }

    fn intermediate(name: &[u8], info: &[u8]) -> ResultEntry {
        let parts = [element(0x80, name), element(0x81, info)].concat();
        ResultEntry::new(decoded(&element(0x79, &parts)))
    }

    fn heard(message: &ResultEntry) -> Option<Vec<String>> {
        let mut notices = vec![];
        let taken = take(message, &mut |notice| {
            notices.push(match notice {
                Notice::Present(ID) => "present".to_owned(),
                Notice::Changed(ID, entry) => entry.dn().to_owned(),
                Notice::Gone(ID) => "gone".to_owned(),
                other => format!("{other:?}"),
            });
            Ok(())
        });
        taken.is_ok().then_some(notices)
    }

    #[test]
    fn an_entry_is_there_or_changed_or_gone() {
        for (state, says) in [(0, "present"), (1, "uid=ann"), (2, "uid=ann"), (3, "gone")] {
            assert_eq!(heard(&entry(controls(state, &ID))).unwrap(), [says]);
        }
    }

    #[test]
    fn ids_come_in_sets() {
        let ids = element(0x31, &[element(4, &ID), element(4, &ID)].concat());
        let gone = [element(1, &[0xff]), ids.clone()].concat();
        for (content, says) in [(&ids, "present"), (&gone, "gone")] {
            let message = intermediate(SYNC_INFO, &element(0xa3, content));
            assert_eq!(heard(&message).unwrap(), [says, says]);
        }
    }

    #[test]
    fn whatever_else_comes_is_a_doubt() {
        let ids = element(0x31, &element(4, &ID));
        let short = element(0x31, &element(4, &ID[1..]));
        for message in [
            entry(vec![]),
            entry(controls(4, &ID)),
            entry(controls(1, &ID[1..])),
            intermediate(b"1.2.3", &element(0xa3, &ids)),
            intermediate(SYNC_INFO, &element(0xa3, &short)),
            intermediate(SYNC_INFO, &element(0xa3, &[])),
            intermediate(
                SYNC_INFO,
                &element(0xa3, &[ids.clone(), element(2, &[1])].concat()),
            ),
            // A new cookie and the ends of phases have no place here.
            intermediate(SYNC_INFO, &element(0x80, b"cookie")),
            intermediate(SYNC_INFO, &element(0xa1, &[])),
            intermediate(SYNC_INFO, &element(0xa2, &[])),
            intermediate(SYNC_INFO, b"?"),
            ResultEntry::new(decoded(&element(0x73, &element(4, b"ldap://x")))),
        ] {
            assert_eq!(heard(&message), None, "{message:?}");
        }
    }

    #[test]
    fn the_end_says_whether_the_others_are_gone() {
        let csn = b"rid=000,csn=20261130024115.123456Z#000000#000#000000";
        let end = |value: Option<Vec<u8>>| LdapResult {
            rc: 0,
            matched: String::new(),
            text: String::new(),
            refs: vec![],
            ctrls: vec![Control(
                None,
                RawControl {
                    ctype: SYNC_DONE.to_owned(),
                    crit: false,
                    val: value,
                },
            )],
        };
        let ended = |parts: &[Vec<u8>]| done(&end(Some(element(0x30, &parts.concat()))));
        let seen = Csns::of_cookie(csn);
        assert_eq!(
            ended(&[element(4, csn), element(1, &[0xff])]),
            Some(Refreshed {
                others_are_gone: false,
                seen: seen.clone()
            })
        );
        assert_eq!(
            ended(&[element(4, csn)]),
            Some(Refreshed {
                others_are_gone: true,
                seen
            })
        );
        assert_eq!(
            ended(&[element(1, &[0xff])]),
            Some(Refreshed {
                others_are_gone: false,
                seen: None
            })
        );
        assert_eq!(ended(&[element(4, b"another server's")]), None);
        assert_eq!(ended(&[element(2, &[1])]), None);
        assert_eq!(
            done(&LdapResult {
                ctrls: vec![],
                ..end(None)
            }),
            None
        );
    }
}
