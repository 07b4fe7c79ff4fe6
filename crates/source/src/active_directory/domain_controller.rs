//! Finds a controller that lets us in.

use std::sync::{Mutex, PoisonError};

use super::change_cursor::Seen;
use super::discovery;
use super::error::ActiveDirectoryFailure;
use super::read::read_entries;
use super::settings::{ActiveDirectorySettings, DomainControllerLocation};
use crate::api::spec::LdapScope;
use crate::ldap::connection::{Connection, Connector, Endpoint};
use crate::ldap::dn;
use crate::ldap::entry::AttributeName;
use crate::ldap::search::{Next, Search};
use crate::ldap::{InvalidSettings, LdapFailure, LdapSettings, ServerUrl};

/// What every controller since Windows 2000 says it is (MS-ADTS 3.1.1.3.4.3.1).
const ACTIVE_DIRECTORY: &str = "1.2.840.113556.1.4.800";

/// The controllers, and the way into each.
#[derive(Debug)]
pub struct Controllers {
    pub(super) settings: ActiveDirectorySettings,
    pub(super) connection: LdapSettings,
    pub(super) connector: Connector,
    /// The one of the last read. DNS names them in an order of chance: staying with one is what
    /// lets us see that nothing happened on it.
    last: Mutex<Option<ServerUrl>>,
    /// Who was there last.
    pub(super) seen: Seen,
}

/// A bound connection, and what the controller says about itself.
pub struct Session {
    pub connection: Connection,
    /// The address that the connection was made to, of those that its name has.
    pub endpoint: Endpoint,
    /// The attributes of its root entry (RFC 4512, 5.1).
    pub root: RootDse,
}

/// A controller's word about itself (MS-ADTS 3.1.1.3.2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RootDse {
    /// The DN of its settings object: which controller it is.
    pub service: String,
    /// The number of its last change.
    pub highest_usn: String,
    /// The DN of its domain (`defaultNamingContext`).
    pub domain: String,
    /// Its DNS name (`dnsHostName`).
    pub host: String,
    /// Its clock, as generalized time.
    pub time: String,
}

impl RootDse {
    /// The number of the last change; `None` where it isn't told.
    pub fn usn(&self) -> Option<u64> {
        self.highest_usn.parse().ok()
    }
}

impl Controllers {
    /// # Errors
    /// When certificates or keys can't be used.
    pub fn new(settings: &ActiveDirectorySettings) -> Result<Self, ActiveDirectoryFailure> {
        let connection = settings.connection();
        let domain = match &settings.location {
            DomainControllerLocation::Domain(domain) => Some(domain.name.clone()),
            DomainControllerLocation::Controllers(_) => None,
        };
        let connector = Connector::new(&connection)?.of_domain(domain);
        Ok(Self {
            settings: settings.clone(),
            connection,
            connector,
            last: Mutex::default(),
            seen: Seen::default(),
        })
    }

    /// All controllers in the order in which to try them.
    ///
    /// # Errors
    /// When DNS can't be asked, or lists none.
    pub async fn urls(&self) -> Result<Vec<ServerUrl>, ActiveDirectoryFailure> {
        let settings = &self.settings;
        let found;
        let (controllers, by_chance) = match &settings.location {
            DomainControllerLocation::Controllers(controllers) => (controllers, false),
            DomainControllerLocation::Domain(domain) => {
                let time_limit = settings.connect_timeout;
                found = discovery::controllers(domain, settings.global_catalog, time_limit).await?;
                (&found, true)
            }
        };
        let mut urls: Vec<_> = controllers.iter().map(|c| settings.url(c)).collect();
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if by_chance && let Some(last) = last.as_ref() {
            // False sorts before true, and the sort is stable.
            urls.sort_by_key(|url| url != last);
        }
        Ok(urls)
    }

    /// A bound connection to the first controller that will have us and has everything.
    ///
    /// # Errors
    /// A refusal that every controller would repeat, or what each of them said.
    pub async fn first(&self) -> Result<Session, ActiveDirectoryFailure> {
        let mut failures = vec![];
        for server in self.urls().await? {
            match self.open(&server).await {
                Ok(session) => {
                    let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
                    *last = Some(server);
                    return Ok(session);
                }
                Err(failure) if failure.concerns_one_controller() => {
                    tracing::debug!(%server, "controller can't be used; trying the next");
                    failures.push(failure);
                }
                Err(failure) => return Err(failure),
            }
        }
        match failures.pop() {
            Some(only) if failures.is_empty() => Err(only),
            Some(last) => {
                failures.push(last);
                Err(ActiveDirectoryFailure::NoController(failures))
            }
            None => Err(LdapFailure::from(InvalidSettings::NoServer).into()),
        }
    }

    async fn open(&self, server: &ServerUrl) -> Result<Session, ActiveDirectoryFailure> {
        let (mut connection, endpoint) = self
            .connector
            .to_server(server)
            .await
            .map_err(ActiveDirectoryFailure::of_bind)?;
        let root = self.root(&mut connection).await?;
        Ok(Session {
            connection,
            endpoint,
            root,
        })
    }

    /// A second connection to the controller at `endpoint`, which called itself `service`; `None`
    /// where another one answers there, such as a load balancer's next choice.
    pub async fn reconnect(
        &self,
        endpoint: &Endpoint,
        service: &str,
    ) -> Result<Option<Connection>, ActiveDirectoryFailure> {
        let mut connection = self
            .connector
            .reconnect(endpoint)
            .await
            .map_err(ActiveDirectoryFailure::of_bind)?;
        let root = self.root(&mut connection).await?;
        if root.service == service {
            return Ok(Some(connection));
        }
        connection.close().await;
        Ok(None)
    }

    /// What the controller says about itself.
    ///
    /// # Errors
    /// When it isn't one, or says that it doesn't hold everything yet.
    pub async fn root(
        &self,
        connection: &mut Connection,
    ) -> Result<RootDse, ActiveDirectoryFailure> {
        let names = [
            "dsServiceName",
            "highestCommittedUSN",
            "defaultNamingContext",
            "dnsHostName",
            "currentTime",
            "supportedCapabilities",
            "isSynchronized",
            "isGlobalCatalogReady",
        ];
        let attributes = names.map(str::to_owned);
        let [
            service,
            usn,
            domain,
            host,
            time,
            capabilities,
            synchronized,
            catalog,
        ] = names.map(AttributeName::new);
        let search = base_search(&self.settings, "the root entry", "", &attributes);
        let server = connection.server.clone();
        let mut found = None;
        read_entries(connection, &search, |entry| {
            let text = |name| entry.values(name).next().unwrap_or_default().to_owned();
            let is_one = entry
                .values(&capabilities)
                .any(|oid| oid == ACTIVE_DIRECTORY);
            let lacking = if text(&synchronized).eq_ignore_ascii_case("false") {
                Some("isSynchronized")
            } else if self.settings.global_catalog && text(&catalog).eq_ignore_ascii_case("false") {
                Some("isGlobalCatalogReady")
            } else {
                None
            };
            if let Some(attribute) = lacking.filter(|_| is_one) {
                let server = server.clone();
                return Err(ActiveDirectoryFailure::NotSynchronized { server, attribute });
            }
            found = is_one.then(|| RootDse {
                service: text(&service),
                highest_usn: text(&usn),
                domain: text(&domain),
                host: text(&host),
                time: text(&time),
            });
            Ok(Next::Continue)
        })
        .await?;
        match found {
            Some(root) if dn::is_dn(&root.domain) => Ok(root),
            _ => Err(ActiveDirectoryFailure::NotActiveDirectory { server }),
        }
    }
}

/// A search for one entry.
pub fn base_search<'a>(
    settings: &ActiveDirectorySettings,
    what: &'static str,
    base: &'a str,
    attributes: &'a [String],
) -> Search<'a> {
    Search {
        what,
        base,
        scope: LdapScope::Base,
        filter: "(objectClass=*)",
        attributes,
        controls: &[],
        page_size: 0,
        idle: settings.idle_timeout,
        limit: settings.search_timeout,
    }
}
