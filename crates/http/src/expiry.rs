//! What a sync needs and that ends on a known day: certificates that it was given, and those that servers show.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use rustls::pki_types::CertificateDer;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::pem::read_certificates;

/// How long before its end something should be renewed, at the latest.
const AHEAD: SignedDuration = SignedDuration::from_hours(30 * 24);
/// What is renewed by a program lives 90 days and less, and is renewed when a third of that is left: it is late
/// when less than this part is left.
const LAST_PART: i32 = 4;
/// The longest chain from a server's certificate to its CA.
const CHAIN_MAX: usize = 8;
/// Of how many hosts certificates are remembered: a domain has at most 20 controllers here.
const HOSTS_MAX: usize = 32;

/// What ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Credential {
    /// The certificate that the directory's server shows.
    DirectoryServer,
    /// The CA certificates between that and the one that is trusted.
    DirectoryCa,
    /// The certificate with which we log in to the directory.
    DirectoryClient,
    /// The client secret with which we log in to the directory.
    DirectorySecret,
    /// The certificate that the organization's server shows.
    OrganizationServer,
    /// The CA certificates between that and the one that is trusted.
    OrganizationCa,
}

impl Credential {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::DirectoryServer,
        Self::DirectoryCa,
        Self::DirectoryClient,
        Self::DirectorySecret,
        Self::OrganizationServer,
        Self::OrganizationCa,
    ];

    /// Its name in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::DirectoryServer => "directory_server",
            Self::DirectoryCa => "directory_ca",
            Self::DirectoryClient => "directory_client",
            Self::DirectorySecret => "directory_secret",
            Self::OrganizationServer => "organization_server",
            Self::OrganizationCa => "organization_ca",
        }
    }

    /// What it is, for a person.
    pub fn describe(self) -> &'static str {
        match self {
            Self::DirectoryServer => "the certificate of the directory's server",
            Self::DirectoryCa => "a CA certificate of the directory's server",
            Self::DirectoryClient => "the certificate for logging in to the directory",
            Self::DirectorySecret => "the client secret for logging in to the directory",
            Self::OrganizationServer => "the certificate of the organization's server",
            Self::OrganizationCa => "a CA certificate of the organization's server",
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::DirectoryServer | Self::OrganizationServer => "renew it on the server",
            Self::DirectoryCa | Self::OrganizationCa => {
                "add the new CA's certificate to the bundle that tls.caBundleRef names, beside the old one, before the \
                 server's certificate is signed by the new CA"
            }
            Self::DirectoryClient => {
                "make a new one, let the directory trust it, and write it into its Secret"
            }
            Self::DirectorySecret => {
                "make a new one in the app registration, and write its value into its Secret"
            }
        }
    }
}

/// From when until when a credential is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub begins: Timestamp,
    /// The last moment.
    pub ends: Timestamp,
}

impl Validity {
    /// That of a certificate; `None` where it can't be read, or has no end that a calendar knows.
    pub fn of_certificate(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        Self::of(&parsed)
    }

    /// That of the first certificate in a PEM text.
    pub fn of_pem(pem: &[u8]) -> Option<Self> {
        Self::of_certificate(read_certificates(pem).ok()?.first()?)
    }

    fn of(certificate: &X509Certificate<'_>) -> Option<Self> {
        let validity = certificate.validity();
        Some(Self {
            begins: Timestamp::from_second(validity.not_before.timestamp()).ok()?,
            ends: Timestamp::from_second(validity.not_after.timestamp()).ok()?,
        })
    }

    /// How long it is good in all.
    pub fn lifetime(self) -> SignedDuration {
        self.ends.duration_since(self.begins)
    }

    /// From when on somebody should renew it: 30 days before its end, or when a quarter of its life is left, if that
    /// is later.
    pub fn renew_from(self) -> Timestamp {
        let ahead = AHEAD.min(self.lifetime() / LAST_PART);
        self.ends.checked_sub(ahead).unwrap_or(self.ends)
    }
}

/// A credential, and when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// What ends.
    pub credential: Credential,
    /// When.
    pub validity: Validity,
}

impl Expiry {
    /// Whether somebody should renew it by `now`.
    pub fn is_near(&self, now: Timestamp) -> bool {
        self.validity.renew_from() <= now
    }

    /// What ends when, and what to do about it. The same until it is renewed.
    pub fn describe(&self) -> String {
        format!(
            "{} expires on {}: {}",
            self.credential.describe(),
            self.validity.ends.strftime("%Y-%m-%d %H:%M UTC"),
            self.credential.remedy()
        )
    }
}

/// The certificates by which servers were believed, by host.
#[derive(Debug, Default)]
pub(crate) struct SeenChains(Mutex<BTreeMap<String, Chain>>);

#[derive(Debug, Clone, Copy)]
struct Chain {
    server: Option<Validity>,
    ca: Option<Validity>,
}

impl SeenChains {
    /// A server was believed by these certificates; `trusted` are those of the bundle.
    pub fn note(
        &self,
        host: &str,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        trusted: &[CertificateDer<'_>],
    ) {
        let Ok((_, server)) = X509Certificate::from_der(end_entity) else {
            return;
        };
        let chain = Chain {
            server: Validity::of(&server),
            ca: ca_of(&server, intermediates, trusted),
        };
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() < HOSTS_MAX || seen.contains_key(host) {
            seen.insert(host.to_owned(), chain);
        }
    }

    /// What ends first, of servers and of CAs. A certificate that is over and wasn't seen again is of a server that
    /// isn't used any more: one that still shows it isn't believed.
    pub fn expiries(&self, server: Credential, ca: Credential, now: Timestamp) -> Vec<Expiry> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = |credential, of: fn(&Chain) -> Option<Validity>| {
            let ends = seen.values().filter_map(of).filter(|one| one.ends >= now);
            let validity = ends.min_by_key(|one| one.ends)?;
            Some(Expiry {
                credential,
                validity,
            })
        };
        let both = [first(server, |one| one.server), first(ca, |one| one.ca)];
        both.into_iter().flatten().collect()
    }
}

/// The CA certificate above `server` that ends first. A CA that was renewed stands in a bundle twice for a while: of
/// two with one name the later one counts. A certificate that signed itself has none above it.
fn ca_of(
    server: &X509Certificate<'_>,
    intermediates: &[CertificateDer<'_>],
    trusted: &[CertificateDer<'_>],
) -> Option<Validity> {
    let all = intermediates.iter().chain(trusted);
    let parsed = all.filter_map(|der| Some(X509Certificate::from_der(der).ok()?.1));
    let known: Vec<_> = parsed.collect();
    let mut first: Option<Validity> = None;
    let (mut subject, mut issuer) = (server.subject().as_raw(), server.issuer().as_raw());
    for _ in 0..CHAIN_MAX {
        if subject == issuer {
            break;
        }
        let named = known.iter().filter(|one| one.subject().as_raw() == issuer);
        let Some((above, validity)) = named
            .filter_map(|one| Some((one, Validity::of(one)?)))
            .max_by_key(|(_, validity)| validity.ends)
        else {
            break;
        };
        first = Some(first.map_or(validity, |before| {
            std::cmp::min_by_key(before, validity, |one| one.ends)
        }));
        (subject, issuer) = (above.subject().as_raw(), above.issuer().as_raw());
    }
    first
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd,
    };

    use super::*;

    fn day(text: &str) -> Timestamp {
        format!("{text}T00:00:00Z").parse().unwrap()
    }

    fn from_until(begins: &str, ends: &str) -> Validity {
        Validity {
            begins: day(begins),
            ends: day(ends),
        }
    }

    fn params(name: &str, last_year: i32) -> CertificateParams {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2024, 1, 1);
        params.not_after = date_time_ymd(last_year, 1, 1);
        params
    }

    struct Ca(CertificateDer<'static>, Issuer<'static, KeyPair>);

    fn ca(name: &str, last_year: i32, above: Option<&Ca>) -> Ca {
        let mut params = params(name, last_year);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let made = match above {
            Some(above) => params.signed_by(&key, &above.1),
            None => params.self_signed(&key),
        };
        Ca(made.unwrap().der().clone(), Issuer::new(params, key))
    }

    fn server(last_year: i32, above: &Ca) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let made = params("ldap.example.com", last_year).signed_by(&key, &above.1);
        made.unwrap().der().clone()
    }

    fn seen(
        of: &[(
            &str,
            Vec<&CertificateDer<'static>>,
            Vec<&CertificateDer<'static>>,
        )],
    ) -> Vec<(Credential, String)> {
        let chains = SeenChains::default();
        for (host, shown, trusted) in of {
            let own = |list: &[&CertificateDer<'static>]| -> Vec<CertificateDer<'static>> {
                list.iter().map(|&one| one.clone()).collect()
            };
            chains.note(host, shown[0], &own(&shown[1..]), &own(trusted));
        }
        let (server, ca) = (Credential::DirectoryServer, Credential::DirectoryCa);
        let expiries = chains.expiries(server, ca, day("2026-12-01"));
        let year = |expiry: Expiry| expiry.validity.ends.strftime("%Y").to_string();
        expiries
            .into_iter()
            .map(|one| (one.credential, year(one)))
            .collect()
    }

    #[test]
    fn what_lives_for_years_is_renewed_thirty_days_ahead_and_what_a_program_renews_later() {
        let years = from_until("2025-01-01", "2027-01-01");
        assert_eq!(years.renew_from(), day("2026-12-02"));
        // 90 days, which programs renew when 30 are left.
        let weeks = from_until("2026-10-03", "2027-01-01");
        assert_eq!(
            weeks.renew_from(),
            day("2026-12-09") + SignedDuration::from_hours(12)
        );
        let expiry = Expiry {
            credential: Credential::DirectoryServer,
            validity: years,
        };
        assert!(!expiry.is_near(day("2026-12-01")) && expiry.is_near(day("2026-12-02")));
        assert!(
            expiry
                .describe()
                .contains("2027-01-01 00:00 UTC: renew it on the server")
        );
    }

    #[test]
    fn the_ca_that_ends_first_above_a_server_counts_and_no_other_of_the_bundle() {
        let root = ca("root", 2040, None);
        let between = ca("between", 2029, Some(&root));
        let other = ca("other", 2027, None);
        let leaf = server(2028, &between);
        assert_eq!(
            seen(&[("a", vec![&leaf, &between.0], vec![&other.0, &root.0])]),
            [
                (Credential::DirectoryServer, "2028".to_owned()),
                (Credential::DirectoryCa, "2029".to_owned())
            ]
        );
    }

    #[test]
    fn of_a_ca_that_was_renewed_in_the_bundle_the_later_one_counts() {
        let old = ca("root", 2027, None);
        let new = ca("root", 2040, None);
        let leaf = server(2028, &old);
        assert_eq!(
            seen(&[("a", vec![&leaf], vec![&new.0, &old.0])])[1],
            (Credential::DirectoryCa, "2040".to_owned())
        );
    }

    #[test]
    fn of_several_hosts_the_first_end_counts_and_one_that_is_over_does_not() {
        let root = ca("root", 2040, None);
        let [over, soon, later] = [2025, 2027, 2030].map(|year| server(year, &root));
        let trusted = || vec![&root.0];
        let all = seen(&[
            ("gone", vec![&over], trusted()),
            ("a", vec![&later], trusted()),
            ("b", vec![&soon], trusted()),
        ]);
        assert_eq!(all[0], (Credential::DirectoryServer, "2027".to_owned()));
        // The host shows a new one.
        let all = seen(&[
            ("a", vec![&later], trusted()),
            ("b", vec![&soon], trusted()),
            ("b", vec![&later], trusted()),
        ]);
        assert_eq!(all[0], (Credential::DirectoryServer, "2030".to_owned()));
    }

    #[test]
    fn a_certificate_that_signed_itself_has_no_ca_above_it() {
        let itself = ca("itself", 2028, None);
        assert_eq!(
            seen(&[("a", vec![&itself.0], vec![&itself.0])]),
            [(Credential::DirectoryServer, "2028".to_owned())]
        );
    }

    #[test]
    fn a_pem_text_ends_with_its_first_certificate() {
        let root = ca("root", 2040, None);
        let key = KeyPair::generate().unwrap();
        let leaf = params("app", 2028).signed_by(&key, &root.1).unwrap();
        let validity = Validity::of_pem(leaf.pem().as_bytes()).unwrap();
        assert_eq!(validity, from_until("2024-01-01", "2028-01-01"));
        assert_eq!(Validity::of_pem(b"no certificate"), None);
    }
}
