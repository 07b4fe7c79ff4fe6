//! What a domain is to hold when it starts.

use super::{Crowd, Samba};
use crate::lab::{LabError, Ldif, escape_rdn};

/// A domain yet to be started; [`Samba::options`] begins one. It holds what every new domain does.
#[derive(Debug, Clone)]
pub struct SambaOptions {
    pub(super) ldif: String,
    pub(super) crowd: Option<Crowd>,
    pub(super) strong_auth: bool,
    pub(super) model: Model,
}

/// How many processes answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    /// One, which answers one request after the other.
    Single,
    /// Several, as Samba does where nothing else is asked for.
    Prefork,
}

/// A user of the domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Login name, and the entry's `CN`.
    pub name: String,
    /// Email address, if there is one.
    pub mail: Option<String>,
    /// What may be done with it.
    pub status: AccountStatus,
    /// Whether it has the password [`Samba::PASSWORD`]; those who don't never log on.
    pub password: bool,
    /// Further attributes of the entry, with their values.
    pub more: Vec<(&'static str, String)>,
}

/// What may be done with an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccountStatus {
    /// The account can be used.
    Enabled,
    /// The account is disabled (ACCOUNTDISABLE).
    Disabled,
}

impl Default for SambaOptions {
    fn default() -> Self {
        Self {
            ldif: String::new(),
            crowd: None,
            strong_auth: true,
            model: Model::Single,
        }
    }
}

impl SambaOptions {
    /// Further entries as LDIF, after those of the domain itself.
    #[must_use]
    pub fn ldif(mut self, text: &str) -> Self {
        self.ldif = text.to_owned();
        self
    }

    /// Many people besides. Such a domain is kept in the cache of the tools, for the next start with
    /// the same content.
    #[must_use]
    pub fn crowd(mut self, crowd: Crowd) -> Self {
        self.crowd = Some(crowd);
        self
    }

    /// Takes passwords on unencrypted connections, too.
    #[must_use]
    pub fn allow_plaintext(mut self) -> Self {
        self.strong_auth = false;
        self
    }

    /// Answers by several processes, as controllers do in the field: a long read keeps nobody else waiting.
    #[must_use]
    pub fn prefork(mut self) -> Self {
        self.model = Model::Prefork;
        self
    }

    /// Makes the domain, fills it and starts its controller.
    ///
    /// # Errors
    /// [`LabError::Missing`] when Samba isn't here; else with what it said.
    pub fn start(&self) -> Result<Samba, LabError> {
        Samba::start(self)
    }
}

impl Account {
    /// An enabled user without a password whose address is `name@example.com`.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            mail: Some(format!("{name}@example.com")),
            status: AccountStatus::Enabled,
            password: false,
            more: vec![],
        }
    }

    /// With the password [`Samba::PASSWORD`].
    #[must_use]
    pub fn with_password(mut self) -> Self {
        self.password = true;
        self
    }

    /// Adds the account below `parent` (a DN); its DN.
    pub fn add_to(&self, ldif: &mut Ldif, parent: &str) -> String {
        let dn = format!("CN={},{parent}", escape_rdn(&self.name));
        let principal = format!("{}@{}", self.name, Samba::REALM);
        let password: String = format!("\"{}\"", Samba::PASSWORD)
            .chars()
            .flat_map(|c| [c, '\0'])
            .collect();
        // NORMAL_ACCOUNT, with DONT_EXPIRE_PASSWORD or PASSWD_NOTREQD, and ACCOUNTDISABLE.
        let control = 0x200
            | if self.password { 0x1_0000 } else { 0x20 }
            | if self.status == AccountStatus::Disabled {
                0x2
            } else {
                0
            };
        let control = control.to_string();
        let mut attributes = vec![
            ("objectClass", "user"),
            ("sAMAccountName", &self.name),
            ("userPrincipalName", &principal),
            ("userAccountControl", &control),
        ];
        attributes.extend(self.mail.as_deref().map(|mail| ("mail", mail)));
        if self.password {
            // UTF-16, in quotes; for these characters the same bytes as the UTF-8 of this text.
            attributes.push(("unicodePwd", &password));
        }
        attributes.extend(
            self.more
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );
        ldif.entry(&dn, &attributes);
        dn
    }
}
