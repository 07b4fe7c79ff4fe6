//! A certificate authority for one test: servers on loopback, and clients.

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use super::LabError;

/// The last year in which certificates are valid, which is far away and still no year that some TLS
/// stack takes for a mistake.
const LAST_YEAR: i32 = 2049;
const LAST_DAY: (i32, u8, u8) = (LAST_YEAR, 12, 31);

/// A private authority. Two of them know nothing of each other, whatever their names.
pub struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate with its private key, both PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate alone, without its issuer's.
    pub certificate: String,
    /// The private key, PKCS #8.
    pub key: String,
}

impl Identity {
    /// A server's certificate that nobody else signed and that claims to be an authority: what
    /// `openssl req -x509` makes.
    ///
    /// # Errors
    /// When a name is neither a host name nor an address.
    pub fn self_signed(name: &str) -> Result<Self, LabError> {
        let failed = |source| LabError::Certificate {
            subject: name.to_owned(),
            source,
        };
        let mut params = parameters(name, None, &[name]).map_err(failed)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

impl Authority {
    /// Makes an authority whose certificate carries `name`.
    ///
    /// # Errors
    /// When the library refuses; it doesn't for a name that is plain text.
    pub fn new(name: &str) -> Result<Self, LabError> {
        let failed = |source| LabError::Certificate {
            subject: name.to_owned(),
            source,
        };
        let mut params = parameters(name, None, &[]).map_err(failed)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Self {
            certificate,
            issuer: Issuer::new(params, key),
        })
    }

    /// The authority's certificate, PEM: what a client must trust.
    pub fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// An identity for a server that is reached as `localhost`, `127.0.0.1` or one of `names`
    /// (host names or addresses).
    ///
    /// # Errors
    /// When a name is neither.
    pub fn server(&self, names: &[&str]) -> Result<Identity, LabError> {
        let names = [&["localhost", "127.0.0.1"], names].concat();
        self.issue(
            "localhost",
            None,
            &names,
            ExtendedKeyUsagePurpose::ServerAuth,
            LAST_DAY,
        )
    }

    /// As [`server`](Self::server), with a certificate that expired at the end of 2024.
    ///
    /// # Errors
    /// When a name is neither.
    pub fn expired_server(&self, names: &[&str]) -> Result<Identity, LabError> {
        let names = [&["localhost", "127.0.0.1"], names].concat();
        self.issue(
            "localhost",
            None,
            &names,
            ExtendedKeyUsagePurpose::ServerAuth,
            (2024, 12, 31),
        )
    }

    /// As [`server`](Self::server), with a certificate that expires at the beginning of this day (year, month, day).
    ///
    /// # Errors
    /// When a name is neither.
    pub fn server_until(
        &self,
        names: &[&str],
        last_day: (i32, u8, u8),
    ) -> Result<Identity, LabError> {
        let names = [&["localhost", "127.0.0.1"], names].concat();
        self.issue(
            "localhost",
            None,
            &names,
            ExtendedKeyUsagePurpose::ServerAuth,
            last_day,
        )
    }

    /// An identity for a client. An API server reads the user from the common name and a group
    /// from the organization; OpenLDAP sees `cn=common_name,o=organization`.
    ///
    /// # Errors
    /// When the library refuses; it doesn't for plain text.
    pub fn client(
        &self,
        common_name: &str,
        organization: Option<&str>,
    ) -> Result<Identity, LabError> {
        self.issue(
            common_name,
            organization,
            &[],
            ExtendedKeyUsagePurpose::ClientAuth,
            LAST_DAY,
        )
    }

    fn issue(
        &self,
        common_name: &str,
        organization: Option<&str>,
        names: &[&str],
        usage: ExtendedKeyUsagePurpose,
        (year, month, day): (i32, u8, u8),
    ) -> Result<Identity, LabError> {
        let failed = |source| LabError::Certificate {
            subject: common_name.to_owned(),
            source,
        };
        let mut params = parameters(common_name, organization, names).map_err(failed)?;
        params.not_after = rcgen::date_time_ymd(year, month, day);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(failed)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn parameters(
    common_name: &str,
    organization: Option<&str>,
    names: &[&str],
) -> Result<CertificateParams, rcgen::Error> {
    let names: Vec<_> = names.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    if let Some(organization) = organization {
        params
            .distinguished_name
            .push(DnType::OrganizationName, organization);
    }
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    // The library's own validity begins in 1975 and ends in 4096, which some TLS stacks take for
    // a mistake.
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(LAST_YEAR, 12, 31);
    Ok(params)
}
