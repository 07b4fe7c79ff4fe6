//! The one request that is sent before TLS (RFC 4511, 4.14).

use std::io;

use ldap3::LdapResult;
use ldap3::asn1::{StructureTag, parse_tag};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::element::{constructed, primitive};
use super::framing::{Framing, ProtocolViolation};

/// An LDAPMessage with the id 1, and in it an ExtendedRequest with the name 1.3.6.1.4.1.1466.20037.
const REQUEST: &[u8] = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
/// Of the application class, as in RFC 4511, 4.12.
const EXTENDED_RESPONSE: u64 = 24;
/// An answer that is larger says more than whether TLS may begin.
const ANSWER_MAX: usize = 64 << 10;

/// Why there is no TLS.
#[derive(Debug)]
pub enum StartTlsError {
    /// The server doesn't want to.
    Refused(Box<LdapResult>),
    /// What it sent isn't, or is more than, an answer.
    ProtocolViolation(ProtocolViolation),
    /// The connection or the handshake failed.
    Io(io::Error),
}

impl From<io::Error> for StartTlsError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Asks for TLS. What comes after the answer isn't read: it belongs to the handshake, so that nothing
/// that was sent before it can pass for protected.
///
/// # Errors
/// When the server refuses or doesn't answer.
pub async fn ask<S>(stream: &mut S, most_bytes: usize) -> Result<(), StartTlsError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    stream.write_all(REQUEST).await?;
    stream.flush().await?;
    let mut framing = Framing::new(most_bytes.min(ANSWER_MAX));
    let mut answer = Vec::new();
    loop {
        let byte = stream.read_u8().await?;
        framing
            .follow(&[byte])
            .map_err(StartTlsError::ProtocolViolation)?;
        answer.push(byte);
        if framing.is_between_messages() {
            break;
        }
    }
    let result = parse_tag(&answer)
        .ok()
        .and_then(|(_, message)| result(&message));
    match result.ok_or(StartTlsError::ProtocolViolation(ProtocolViolation::NotLdap))? {
        LdapResult { rc: 0, .. } => Ok(()),
        refused => Err(StartTlsError::Refused(Box::new(refused))),
    }
}

/// The result in an ExtendedResponse to any request.
fn result(message: &StructureTag) -> Option<LdapResult> {
    let response = constructed(message)?.get(1)?;
    if response.id != EXTENDED_RESPONSE {
        return None;
    }
    let [code, matched, text, ..] = constructed(response)? else {
        return None;
    };
    let text_of = |tag| primitive(tag).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let code = primitive(code)?;
    if code.is_empty() || code.len() > 4 {
        return None;
    }
    let rc = code.iter().fold(0, |rc, byte| rc << 8 | u32::from(*byte));
    Some(LdapResult {
        rc,
        matched: text_of(matched)?,
        text: text_of(text)?,
        refs: vec![],
        ctrls: vec![],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(answer: &[u8]) -> Result<Vec<u8>, StartTlsError> {
        let (mut ours, mut theirs) = tokio::io::duplex(4096);
        theirs.write_all(answer).await.unwrap();
        let asked = ask(&mut ours, 1 << 20).await;
        let mut request = vec![0; REQUEST.len()];
        theirs.read_exact(&mut request).await.unwrap();
        assert_eq!(request, REQUEST);
        asked?;
        drop(theirs);
        let mut rest = vec![];
        ours.read_to_end(&mut rest).await.unwrap();
        Ok(rest)
    }

    #[tokio::test]
    async fn nothing_after_the_answer_is_taken_for_a_part_of_it() {
        let yes = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00";
        let sent = [&yes[..], b"\x30\x0c\x02\x01\x02injected"].concat();
        assert_eq!(answered(&sent).await.unwrap(), sent[yes.len()..]);
    }

    #[tokio::test]
    async fn a_refusal_is_reported_and_anything_else_is_no_answer() {
        let no = b"\x30\x0e\x02\x01\x01\x78\x09\x0a\x01\x02\x04\x00\x04\x02no";
        let Err(StartTlsError::Refused(result)) = answered(no).await else {
            panic!("it was refused");
        };
        assert_eq!((result.rc, result.text.as_str()), (2, "no"));
        for other in [
            &b"HTTP/1.1 400\r\n\r\n"[..],
            b"\x30\x00",
            b"\x30\x05\x02\x01\x01\x78\x00",
            // A search's end, not an extended response.
            b"\x30\x0c\x02\x01\x01\x65\x07\x0a\x01\x00\x04\x00\x04\x00",
        ] {
            let answer = answered(other).await;
            assert!(
                matches!(
                    answer,
                    Err(StartTlsError::ProtocolViolation(ProtocolViolation::NotLdap))
                ),
                "{answer:?}"
            );
        }
    }
}
