//! Which requests are answered. The page can do whatever the kubeconfig allows, and every program and
//! every web page on this machine can send requests to its port.
//!
//! | who asks | what keeps them out |
//! |---|---|
//! | another program or user of this machine | the cookie, which only the link gives, once |
//! | a web page of another origin | Origin, Sec-Fetch-Site, SameSite, and the form's token |
//! | a web page whose name resolves to this machine (DNS rebinding) | Host |
//! | a server on another port, to which browsers send the same cookies | the cookie's path, which nobody else knows |
//! | a page that frames this one | `frame-ancestors 'none'` |

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, ORIGIN, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use data_encoding::BASE64URL_NOPAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::plugin::error::PluginError;

/// Where the link leads.
pub const OPEN: &str = "/open";
/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// Own style and script alone; nothing inline, no frames, forms to the page itself.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The one browser that is let in, and how it proves itself.
pub struct Session {
    /// `127.0.0.1:41235`
    authority: String,
    /// `http://127.0.0.1:41235`
    origin: String,
    /// The path below which everything is: `/b6Sx…`.
    base: String,
    cookie: Secret,
    form: Secret,
    /// Digests of the links that weren't used yet.
    links: Mutex<Vec<[u8; 32]>>,
}

/// A random text, and its digest: digests are compared, so that the time that takes tells nothing of
/// the text.
struct Secret {
    text: SecretString,
    digest: [u8; 32],
}

impl Secret {
    fn new() -> Result<Self, PluginError> {
        let text = random()?;
        Ok(Self {
            digest: digest(&text),
            text: text.into(),
        })
    }

    fn is(&self, given: &str) -> bool {
        digest(given) == self.digest
    }
}

/// Why a request isn't answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It names another host.
    Host,
    /// It comes from a page of another origin.
    Origin,
    /// It has no cookie, or not this one.
    NoCookie,
    /// Its link is unknown, or was used.
    Link,
    /// A form came without this session's token.
    Form,
    /// Neither read nor sent by a form.
    Method,
}

impl Refusal {
    /// The status of the answer.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Origin | Self::NoCookie | Self::Link | Self::Form => StatusCode::FORBIDDEN,
        }
    }

    /// The same in words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Host => {
                "This address isn't the one that kubectl directorysync ui printed. Open the link that it \
                 printed."
            }
            Self::Origin => {
                "The request came from another page, so nothing was done. Open the page in a tab of its own."
            }
            Self::NoCookie => {
                "This browser isn't signed in to the page. Press Enter in the terminal where kubectl \
                 directorysync ui runs, and open the link that it prints."
            }
            Self::Link => {
                "This link was used before, or the command that printed it was started again. Press Enter in \
                 the terminal where kubectl directorysync ui runs, and open the link that it prints."
            }
            Self::Form => {
                "The form is of an earlier page, so nothing was done. Load the page again, and repeat."
            }
            Self::Method => "The page can only be read, and its forms be sent.",
        }
    }
}

impl Session {
    /// The session of a page that is served on this address.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn new(address: SocketAddr) -> Result<Self, PluginError> {
        Ok(Self {
            authority: address.to_string(),
            origin: format!("http://{address}"),
            base: format!("/{}", &random()?[..16]),
            cookie: Secret::new()?,
            form: Secret::new()?,
            links: Mutex::default(),
        })
    }

    /// The path below which everything is, without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The token that forms carry.
    pub fn form_token(&self) -> &str {
        self.form.text.expose_secret()
    }

    /// A link that lets a browser in, once.
    ///
    /// # Errors
    /// When the operating system gives no random bytes.
    pub fn new_link(&self) -> Result<String, PluginError> {
        let token = random()?;
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.push(digest(&token));
        Ok(format!("{}{OPEN}?token={token}", self.origin))
    }

    /// Uses a link up; the cookie for it.
    ///
    /// # Errors
    /// [`Refusal::Link`].
    pub fn open(&self, token: &str) -> Result<String, Refusal> {
        let given = digest(token);
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let at = links.iter().position(|link| *link == given);
        links.remove(at.ok_or(Refusal::Link)?);
        Ok(format!(
            "{}={}; Path={}/; HttpOnly; SameSite=Strict",
            COOKIE_NAME,
            self.cookie.text.expose_secret(),
            self.base
        ))
    }

    /// Whether a request may be answered, by all that its head says.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Refusal> {
        if only(headers, &HOST) != Some(&self.authority) {
            return Err(Refusal::Host);
        }
        if ![Method::GET, Method::HEAD, Method::POST].contains(method) {
            return Err(Refusal::Method);
        }
        let sends = *method == Method::POST;
        // A preview of a link asks for its head, and would use it up.
        if path == OPEN && *method == Method::HEAD {
            return Err(Refusal::Method);
        }
        // The link is opened from anywhere: a terminal, a chat with oneself.
        if path == OPEN && !sends {
            return Ok(());
        }
        let site = headers.get_all(SEC_FETCH_SITE).iter();
        let mut site = site.map(|site| site.to_str().unwrap_or_default());
        // Older browsers don't send it. `same-site` is another port of this machine. `none` is a person
        // who opened a bookmark, which sends no form.
        if !site.all(|site| site == "same-origin" || site == "none" && !sends) {
            return Err(Refusal::Origin);
        }
        if sends && only(headers, &ORIGIN) != Some(&self.origin) {
            return Err(Refusal::Origin);
        }
        if !self.has_cookie(headers) {
            return Err(Refusal::NoCookie);
        }
        Ok(())
    }

    /// Whether a form is of this session.
    ///
    /// # Errors
    /// [`Refusal::Form`].
    pub fn check_form(&self, token: &str) -> Result<(), Refusal> {
        if self.form.is(token) {
            Ok(())
        } else {
            Err(Refusal::Form)
        }
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let lines = headers.get_all(COOKIE).iter();
        let lines = lines.filter_map(|line| line.to_str().ok());
        // Another server on this machine can set a second one of the same name.
        lines
            .flat_map(|line| line.split(';'))
            .filter_map(|cookie| cookie.trim().split_once('='))
            .any(|(name, value)| name == COOKIE_NAME && self.cookie.is(value))
    }
}

const COOKIE_NAME: &str = "directorysync";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Puts what browsers are to keep to into an answer.
pub fn harden(headers: &mut HeaderMap) {
    let rules = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_FRAME_OPTIONS, "DENY"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Not no-referrer: with that, browsers send `Origin: null` with the page's own forms.
        (REFERRER_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in rules {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The value of a header that is there once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    match values.next() {
        Some(_) => None,
        None => value.to_str().ok(),
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn random() -> Result<String, PluginError> {
    let mut bytes = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| {
        PluginError::NotNow("the operating system gives no random bytes for a secret link".into())
    })?;
    Ok(BASE64URL_NOPAD.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::new(SocketAddr::from(([127, 0, 0, 1], 4123))).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        let mut headers = HeaderMap::new();
        pairs.for_each(|(name, value)| {
            headers.append(name, value);
        });
        headers
    }

    fn signed_in(session: &Session) -> String {
        let link = session.new_link().unwrap();
        let (_, token) = link.split_once("token=").unwrap();
        let cookie = session.open(token).unwrap();
        assert_eq!(session.open(token), Err(Refusal::Link), "a link works once");
        cookie.split(';').next().unwrap().to_owned()
    }

    #[test]
    fn a_link_gives_a_cookie_that_scripts_and_other_pages_dont_get() {
        let session = session();
        let (first, second) = (session.new_link().unwrap(), session.new_link().unwrap());
        assert_ne!(first, second);
        assert!(first.starts_with("http://127.0.0.1:4123/open?token="));
        let token = |link: &str| link.split_once("token=").unwrap().1.to_owned();
        assert!(token(&first).len() >= 43, "256 bits");
        assert_eq!(session.open(""), Err(Refusal::Link));
        let cookie = session.open(&token(&second)).unwrap();
        for attribute in ["; HttpOnly", "; SameSite=Strict"] {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        assert!(cookie.contains(&format!("; Path={}/;", session.base())));
        session.open(&token(&first)).unwrap();
    }

    #[test]
    fn only_the_browser_with_the_cookie_is_answered_and_only_under_the_pages_own_name() {
        let session = session();
        let cookie = signed_in(&session);
        let get = |pairs: &[(&'static str, &str)]| {
            session.check(&Method::GET, session.base(), &headers(pairs))
        };
        let host = ("host", "127.0.0.1:4123");
        assert_eq!(get(&[host, ("cookie", &cookie)]), Ok(()));
        let two = format!("directorysync=tossed; {cookie}");
        assert_eq!(get(&[host, ("cookie", &two)]), Ok(()));
        assert_eq!(get(&[host]), Err(Refusal::NoCookie));
        for wrong in ["directorysync=", "directorysync=x", "other=1", "x"] {
            assert_eq!(get(&[host, ("cookie", wrong)]), Err(Refusal::NoCookie));
        }
        for name in [
            "evil.example:4123",
            "127.0.0.1",
            "127.0.0.1:80",
            "localhost:4123",
            "",
        ] {
            assert_eq!(
                get(&[("host", name), ("cookie", &cookie)]),
                Err(Refusal::Host)
            );
        }
        assert_eq!(get(&[("cookie", &cookie)]), Err(Refusal::Host));
        let both = [host, ("host", "evil.example"), ("cookie", &cookie)];
        assert_eq!(get(&both), Err(Refusal::Host));
        for site in ["cross-site", "same-site"] {
            let request = [host, ("cookie", &cookie), ("sec-fetch-site", site)];
            assert_eq!(get(&request), Err(Refusal::Origin), "{site}");
        }
    }

    #[test]
    fn what_changes_something_comes_from_the_page_itself() {
        let session = session();
        let cookie = signed_in(&session);
        let host = ("host", "127.0.0.1:4123");
        let own = ("origin", "http://127.0.0.1:4123");
        let post = |more: &[(&'static str, &str)]| {
            let all = [&[host, ("cookie", &cookie)], more].concat();
            session.check(&Method::POST, "/x", &headers(&all))
        };
        assert_eq!(post(&[own]), Ok(()));
        assert_eq!(post(&[own, ("sec-fetch-site", "same-origin")]), Ok(()));
        assert_eq!(post(&[]), Err(Refusal::Origin));
        for origin in [
            "null",
            "http://evil.example",
            "http://127.0.0.1:4124",
            "https://127.0.0.1:4123",
        ] {
            assert_eq!(
                post(&[("origin", origin)]),
                Err(Refusal::Origin),
                "{origin}"
            );
        }
        for site in ["cross-site", "same-site", "none"] {
            assert_eq!(
                post(&[own, ("sec-fetch-site", site)]),
                Err(Refusal::Origin),
                "{site}"
            );
        }
        assert_eq!(session.check_form(session.form_token()), Ok(()));
        assert_eq!(session.check_form(""), Err(Refusal::Form));
        let open = |method: &Method| session.check(method, OPEN, &headers(&[host]));
        assert_eq!(open(&Method::GET), Ok(()));
        assert_eq!(
            open(&Method::HEAD),
            Err(Refusal::Method),
            "a link's preview"
        );
        let put = session.check(&Method::PUT, "/x", &headers(&[host, ("cookie", &cookie)]));
        assert_eq!(put, Err(Refusal::Method));
    }
}
