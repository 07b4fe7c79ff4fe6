//! The limits of a Windows domain controller (MS-ADTS 3.1.1.3.4.6, the defaults): 1,000 entries an
//! answer, 1,500 values an attribute. Samba, which the proxy stands in front of, has neither.

use super::ber::{encoded, integer, number, parts, rebuilt, rebuilt_body};
use super::{SEARCH, SEARCH_DONE, SEARCH_ENTRY, operation, result};

/// `MaxPageSize`: entries an answer.
const ENTRIES: usize = 1_000;
/// `MaxValRange`: values an attribute.
const VALUES: usize = 1_500;

const PAGED_RESULTS: &[u8] = b"1.2.840.113556.1.4.319";

const CONTROLS: u8 = 0xa0;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OCTETS: u8 = 0x04;

/// What becomes of one request's answer.
pub struct Limited {
    request: Vec<u8>,
    paged: bool,
    entries: usize,
}

impl Limited {
    /// The request as the server is to get it: no page larger than allowed, no range longer.
    pub fn request(request: Vec<u8>) -> Self {
        if operation(&request) != SEARCH {
            return Self {
                request,
                paged: true,
                entries: 0,
            };
        }
        let mut paged = false;
        let message = rebuilt(&request, |at, tag, body| match (at, tag) {
            (1, SEARCH) => ranges_cut(body),
            (_, CONTROLS) => rebuilt_body(body, |_, _, control| {
                let is_paging = parts(control)
                    .first()
                    .is_some_and(|oid| oid.1 == PAGED_RESULTS);
                paged |= is_paging;
                if is_paging {
                    rebuilt_body(control, |_, tag, value| match tag {
                        OCTETS if value != PAGED_RESULTS => {
                            rebuilt(value, |at, _, size| match at {
                                0 => integer(number(size).min(ENTRIES)),
                                _ => size.to_vec(),
                            })
                        }
                        _ => value.to_vec(),
                    })
                } else {
                    control.to_vec()
                }
            }),
            _ => body.to_vec(),
        });
        Self {
            request: message,
            paged,
            entries: 0,
        }
    }

    /// The bytes of the request to send on.
    pub fn bytes(&self) -> &[u8] {
        &self.request
    }

    /// A message of the answer as the client is to get it; `None`: not at all.
    pub fn answer(&mut self, message: Vec<u8>) -> Option<Vec<u8>> {
        match operation(&message) {
            SEARCH_ENTRY => {
                self.entries += 1;
                if !self.paged && self.entries > ENTRIES {
                    return None;
                }
                Some(rebuilt(&message, |at, _, body| match at {
                    1 => members_cut(body),
                    _ => body.to_vec(),
                }))
            }
            // sizeLimitExceeded
            SEARCH_DONE if !self.paged && self.entries > ENTRIES => {
                Some(result(&self.request, 4, ""))
            }
            _ => Some(message),
        }
    }
}

/// A search that asks for everything from a place on gets no more than the limit.
fn ranges_cut(search: &[u8]) -> Vec<u8> {
    const ATTRIBUTES: usize = 7;
    rebuilt_body(search, |at, _, body| match at {
        ATTRIBUTES => rebuilt_body(body, |_, _, name| {
            let open = std::str::from_utf8(name)
                .ok()
                .and_then(|name| name.strip_prefix("member;range="))
                .and_then(|range| range.strip_suffix("-*"))
                .and_then(|first| first.parse::<usize>().ok());
            match open {
                Some(first) => format!("member;range={first}-{}", first + VALUES - 1).into_bytes(),
                None => name.to_vec(),
            }
        }),
        _ => body.to_vec(),
    })
}

/// An entry with too many members has none, and a range of them.
fn members_cut(entry: &[u8]) -> Vec<u8> {
    rebuilt_body(entry, |at, _, body| {
        if at != 1 {
            return body.to_vec();
        }
        let mut attributes = vec![];
        for (tag, attribute) in parts(body) {
            let both = parts(attribute);
            let values = both
                .get(1)
                .map(|(_, values)| parts(values))
                .unwrap_or_default();
            if !both[0].1.eq_ignore_ascii_case(b"member") || values.len() <= VALUES {
                attributes.extend(encoded(tag, attribute));
                continue;
            }
            let first: Vec<u8> = values[..VALUES]
                .iter()
                .flat_map(|(tag, value)| encoded(*tag, value))
                .collect();
            let range = format!("member;range=0-{}", VALUES - 1);
            for (name, values) in [("member", &[][..]), (&range, &first)] {
                let both = [encoded(OCTETS, name.as_bytes()), encoded(SET, values)].concat();
                attributes.extend(encoded(SEQUENCE, &both));
            }
        }
        attributes
    })
}
