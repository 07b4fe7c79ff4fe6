//! Where a database stands: the number of the last change on each of its servers (`contextCSN`).

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::entry::generalized_time;

/// By how much the clocks of servers may be ahead of ours.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_secs(60);
/// The servers of a database are numbered by three hexadecimal digits.
pub(super) const MAX_SERVERS: usize = 0x1000;

/// Whether a text has only what a CSN consists of: `20261130024115.123456Z#000000#000#000000`. It goes
/// back to the server within a cookie and a filter, where other characters have a meaning.
pub(super) fn is_csn(text: &str) -> bool {
    text.len() <= 64
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".#".contains(&b))
}

/// The time in a CSN.
pub(super) fn csn_time(csn: &str) -> Option<Timestamp> {
    generalized_time(csn.split('#').next()?)
}

/// The number of the server in a CSN: its third part.
fn server(csn: &str) -> Option<&str> {
    csn.split('#').nth(2)
}

/// The last change on each server of a database. Of one server the order of the texts is that of the changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Csns(BTreeMap<String, String>);

impl Csns {
    /// `None` where there is none, or one that isn't understood.
    pub fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Option<Self> {
        let mut all = BTreeMap::new();
        for csn in texts {
            csn_time(csn).filter(|_| is_csn(csn))?;
            let before = all.insert(server(csn)?.to_owned(), csn.to_owned());
            if before.is_some() || all.len() > MAX_SERVERS {
                return None;
            }
        }
        (!all.is_empty()).then_some(Self(all))
    }

    /// Those in a cookie of OpenLDAP: `rid=000,csn=…;…`.
    pub fn of_cookie(cookie: &[u8]) -> Option<Self> {
        let cookie = std::str::from_utf8(cookie).ok()?;
        let mut parts = cookie.split(',');
        Self::of(parts.find_map(|part| part.strip_prefix("csn="))?.split(';'))
    }

    /// The cookie of a client that has seen all of that: only what comes after it is sent.
    pub fn cookie(&self) -> Vec<u8> {
        let all: Vec<&str> = self.0.values().map(String::as_str).collect();
        format!("rid=000,csn={}", all.join(";")).into_bytes()
    }

    /// Whether nothing of `before` is missing: a database that was put back to an older state stands behind it.
    pub fn is_since(&self, before: &Self) -> bool {
        let mut known = before.0.iter();
        known.all(|(server, csn)| self.0.get(server).is_some_and(|now| now >= csn))
    }

    /// Whether one of them is of a time that hasn't come yet. A server whose clock was ahead numbers further changes
    /// by its clock, below that: they move nothing.
    pub fn is_ahead_of(&self, now: Timestamp) -> bool {
        let latest = now.saturating_add(CLOCKS_DIFFER).unwrap_or(now);
        let mut times = self.0.values().filter_map(|csn| csn_time(csn));
        times.any(|time| time > latest)
    }

    /// Whether a change of one server may have come after a later one of another. Merged into one entry, it has no
    /// number of its own there: the entry keeps the later one, which was seen already.
    pub fn may_hide_a_change(&self, now: &Self) -> bool {
        let mut moved = now
            .0
            .iter()
            .filter(|(server, csn)| self.0.get(*server) != Some(csn));
        moved.any(|(server, _)| {
            let before = self.0.get(server);
            let mut others = self.0.iter().filter(|(other, _)| *other != server);
            others.any(|(_, seen)| before.is_none_or(|before| before < seen))
        })
    }

    /// Counts a change in.
    pub fn note(&mut self, csn: &str) {
        if let Some(server) = server(csn)
            && self.lacks(csn)
            && (self.0.len() < MAX_SERVERS || self.0.contains_key(server))
        {
            self.0.insert(server.to_owned(), csn.to_owned());
        }
    }

    /// Whether a change has come since.
    pub fn lacks(&self, csn: &str) -> bool {
        let known = server(csn).and_then(|server| self.0.get(server));
        known.is_none_or(|known| csn > known.as_str())
    }

    /// Whether nothing of it has come since `now`.
    pub fn is_within(&self, now: &Self) -> bool {
        self.0.values().all(|csn| !now.lacks(csn))
    }

    /// The oldest of them.
    pub fn oldest(&self) -> &str {
        self.0.values().min().map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csns(texts: &[&str]) -> Csns {
        Csns::of(texts.iter().copied()).unwrap()
    }

    #[test]
    fn the_time_of_a_change_is_that_of_its_number() {
        let at: Timestamp = "2026-11-30T02:41:15.123456Z".parse().unwrap();
        assert_eq!(
            csn_time("20261130024115.123456Z#000000#000#000000"),
            Some(at)
        );
        assert_eq!(
            csn_time("20261130024115Z#0#0#0").map(|at| at.as_second()),
            Some(at.as_second())
        );
        for wrong in ["", "#", "20261330024115.1Z#", "yesterday"] {
            assert_eq!(csn_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_a_server_calls_its_last_change_cannot_say_more_in_a_cookie() {
        assert!(is_csn("20261130024115.123456Z#000000#00f#000000"));
        for wrong in [
            "20261130024115Z;20991130024115Z",
            "a,csn=b",
            &"1".repeat(65),
        ] {
            assert!(!is_csn(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_database_stands_where_each_of_its_servers_does() {
        let [one, two] = [
            "20261130024110.000000Z#000000#001#000000",
            "20261130024115.000000Z#000000#002#000000",
        ];
        let later = "20261130024110.000000Z#000001#001#000000";
        let both = csns(&[two, one]);
        assert_eq!(Csns::of_cookie(&both.cookie()), Some(both.clone()));
        assert!(csns(&[later, two]).is_since(&both));
        assert!(!both.is_since(&csns(&[later, two])));
        assert!(!csns(&[two]).is_since(&both), "a server that is gone");
        assert!(both.lacks(later) && !both.lacks(one));
        assert!(
            both.lacks("20261130024110.000000Z#000000#003#000000"),
            "a new server"
        );
        assert_eq!(both.oldest(), one);
    }

    #[test]
    fn an_older_change_of_another_server_may_be_merged_under_a_newer_number() {
        let csn = |second: u32, server: u32| {
            format!("202611301727{second:02}.000000Z#000000#{server:03x}#000000")
        };
        let at = |seconds: &[u32]| {
            let all: Vec<String> = (1..).zip(seconds).map(|(sid, at)| csn(*at, sid)).collect();
            Csns::of(all.iter().map(String::as_str)).unwrap()
        };
        // The second server's change of second 33 arrives after the first one's of second 37 was seen.
        assert!(at(&[37, 3]).may_hide_a_change(&at(&[37, 33])));
        assert!(at(&[37, 3]).may_hide_a_change(&at(&[38, 33])));
        assert!(
            at(&[37]).may_hide_a_change(&at(&[37, 3])),
            "a server that is new"
        );
        // The newest goes on alone, or nothing moves.
        assert!(!at(&[37, 3]).may_hide_a_change(&at(&[38, 3])));
        assert!(!at(&[37, 3]).may_hide_a_change(&at(&[37, 3])));
        assert!(!at(&[37]).may_hide_a_change(&at(&[38])));
    }

    #[test]
    fn a_database_whose_clock_was_ahead_stands_still_at_changes() {
        let stands = csns(&["20261130172500.000000Z#000000#000#000000"]);
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        assert!(stands.is_ahead_of(at("2026-11-30T17:23:59Z")));
        assert!(!stands.is_ahead_of(at("2026-11-30T17:24:00Z")));
    }

    #[test]
    fn what_is_not_understood_is_no_place_to_stand() {
        let csn = "20261130024115.123456Z#000000#00f#000000";
        assert!(Csns::of([csn]).is_some());
        for wrong in [
            vec![],
            vec![csn, csn],
            vec!["20261130024115.123456Z)(x=#000000#00f#000000"],
            vec!["20261130024115.123456Z"],
            vec!["yesterday#0#0#0"],
        ] {
            assert_eq!(Csns::of(wrong.iter().copied()), None, "{wrong:?}");
        }
        assert_eq!(Csns::of_cookie(b"rid=000"), None);
    }
}
