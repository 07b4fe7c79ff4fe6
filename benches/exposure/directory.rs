//! The directories of the bench: how they are filled and changed.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use serde_json::json;
use simulators::entra_id::SimulatedEntra;
use simulators::google_workspace::{self, SimulatedGoogle};
use simulators::lab::{Account, Company, Crowd, Ldif, Samba, Slapd};
use simulators::okta::{self, SimulatedOkta};
use simulators::one_login::{self, SimulatedOneLogin};

use crate::LATENCY;

/// People of a team, where a team is a group.
const TEAM: u32 = 20;
/// Who reads the domain.
const READER: &str = "reader";
/// So many changes lie between its people and the first read of a domain.
const NUMBERS: usize = 150;

/// Which kind of directory, by its name in a spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Ldap,
    ActiveDirectory,
    EntraId,
    Okta,
    OneLogin,
    GoogleWorkspace,
}

const KINDS: [(&str, Kind); 6] = [
    ("ldap", Kind::Ldap),
    ("activeDirectory", Kind::ActiveDirectory),
    ("entraId", Kind::EntraId),
    ("okta", Kind::Okta),
    ("oneLogin", Kind::OneLogin),
    ("googleWorkspace", Kind::GoogleWorkspace),
];

impl FromStr for Kind {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let kind = KINDS.iter().find(|(name, _)| *name == text);
        kind.map(|(_, kind)| *kind)
            .with_context(|| format!("no such kind of directory: {text}"))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KINDS.iter().find(|(_, kind)| kind == self);
        f.write_str(name.map_or("", |(name, _)| name))
    }
}

/// A running directory with its people.
pub struct Directory {
    company: Company,
    people: u32,
    server: Server,
}

enum Server {
    Ldap(Box<Slapd>),
    ActiveDirectory(Box<Samba>),
    EntraId(SimulatedEntra, Vec<simulators::entra_id::Id>),
    /// With the API token, and everybody's ids.
    Okta(SimulatedOkta, String, Vec<String>),
    OneLogin(SimulatedOneLogin, one_login::Config, Vec<u64>),
    GoogleWorkspace(SimulatedGoogle, Vec<String>),
}

impl Directory {
    pub async fn start(kind: Kind, people: u32) -> Result<Self> {
        let company = Company::new(people, people / TEAM);
        let mails = || {
            let employees = company.employees();
            employees.map(|employee| employee.person.mail.unwrap_or_default())
        };
        let server = match kind {
            Kind::Ldap => {
                let folder = tempfile::tempdir()?;
                let ldif = folder.path().join("company.ldif");
                company.save(&ldif)?;
                let slapd = Slapd::options().tells_changes().ldif_file(&ldif).start()?;
                Server::Ldap(Box::new(slapd))
            }
            Kind::ActiveDirectory => {
                let mut ldif = Ldif::empty(Samba::DOMAIN);
                let reader = Account::new(READER).with_password();
                reader.add_to(&mut ldif, &format!("CN=Users,{}", Samba::DOMAIN));
                let samba = Samba::options().allow_plaintext().prefork();
                let samba = samba.ldif(ldif.text());
                let crowd = Crowd {
                    people: people as usize,
                    team: TEAM as usize,
                };
                let samba = samba.crowd(crowd).start()?;
                // All of them were made under one number, where in a domain that grew each has its own.
                let reader = format!("CN={READER},CN=Users,{}", Samba::DOMAIN);
                let later: String = (0..NUMBERS)
                    .map(|at| {
                        format!("dn: {reader}\nchangetype: modify\nreplace: info\ninfo: {at}\n\n")
                    })
                    .collect();
                samba.modify_by_ldap(&later)?;
                Server::ActiveDirectory(Box::new(samba))
            }
            Kind::EntraId => {
                let config = simulators::entra_id::Config {
                    latency: LATENCY,
                    limits: Some(simulators::entra_id::Limits::large_tenant()),
                    ..simulators::entra_id::Config::default()
                };
                let tenant = SimulatedEntra::start(config).await?;
                let (users, _) = tenant.add_company(&company);
                Server::EntraId(tenant, users)
            }
            Kind::Okta => {
                let config = okta::Config {
                    latency: LATENCY,
                    rate_limits: Some(okta::RateLimits::DEFAULT),
                    ..okta::Config::default()
                };
                let token = config.api_token.clone();
                let server = SimulatedOkta::start(config).await?;
                let ids: Vec<_> = mails()
                    .map(|mail| server.user(okta::UserSeed::new(&mail)))
                    .collect();
                for team in company.all_teams() {
                    let members = team.people.iter().map(|&one| &ids[one as usize]);
                    server.group(okta::GroupSeed::new(&team.name).members(members));
                }
                Server::Okta(server, token, ids)
            }
            Kind::OneLogin => {
                let config = one_login::Config {
                    latency: LATENCY,
                    rate_limit: Some(one_login::RateLimit::DEFAULT),
                    ..one_login::Config::default()
                };
                let server = SimulatedOneLogin::start(config.clone()).await?;
                let ids: Vec<_> = mails()
                    .map(|mail| server.user(one_login::UserSeed::new(&mail)))
                    .collect();
                for team in company.all_teams() {
                    let members = team.people.iter().map(|&one| ids[one as usize]);
                    server.role(one_login::RoleSeed::new(&team.name).members(members));
                }
                Server::OneLogin(server, config, ids)
            }
            Kind::GoogleWorkspace => {
                let config = google_workspace::Config {
                    latency: LATENCY,
                    quota: Some(google_workspace::Quota::DEFAULT),
                    ..google_workspace::Config::default()
                };
                let server = SimulatedGoogle::start(config).await?;
                let admin = google_workspace::UserSeed::new("admin@example.com");
                server.user(admin.admin());
                let ids: Vec<_> = mails()
                    .map(|mail| server.user(google_workspace::UserSeed::new(&mail)))
                    .collect();
                for team in company.all_teams() {
                    let members = team.people.iter().map(|&one| ids[one as usize].clone());
                    let address = format!("{}@example.com", team.name);
                    let group = google_workspace::GroupSeed::new(&address, &team.name);
                    server.group(group.users(members));
                }
                Server::GoogleWorkspace(server, ids)
            }
        };
        Ok(Self {
            company,
            people,
            server,
        })
    }

    pub fn people(&self) -> u32 {
        self.people
    }

    /// Where the operator finds a vendor whose address no resource names.
    pub fn vendor_urls(&self) -> Vec<String> {
        match &self.server {
            Server::EntraId(tenant, _) => {
                let url = tenant.url();
                vec![
                    format!("entra-authority={url}"),
                    format!("entra-graph={url}"),
                ]
            }
            Server::GoogleWorkspace(server, _) => {
                let url = server.url();
                vec![
                    format!("google-token={url}/token"),
                    format!("google-directory={url}"),
                ]
            }
            _ => vec![],
        }
    }

    /// The source of a spec, and its Secret `dir-NAME`, as JSON.
    pub fn manifest(&self, name: &str) -> (String, String) {
        let secret = format!("dir-{name}");
        let reference = json!({"name": secret});
        let (source, data) = match &self.server {
            Server::Ldap(slapd) => (
                json!({"ldap": {
                    "url": slapd.url(),
                    "baseDn": slapd.suffix(),
                    "bindSecretRef": reference,
                    "users": {"disabled": {"attribute": "employeeType", "values": ["left"]}},
                }}),
                json!({"bindDn": slapd.root_dn(), "password": Slapd::ROOT_PASSWORD}),
            ),
            Server::ActiveDirectory(samba) => (
                json!({"activeDirectory": {
                    "controllers": [format!("{}:389", samba.address())],
                    "security": "Plaintext",
                    "bindSecretRef": reference,
                }}),
                json!({
                    "username": format!("{READER}@{}", Samba::REALM),
                    "password": Samba::PASSWORD,
                }),
            ),
            Server::EntraId(tenant, _) => {
                let config = tenant.config();
                let value = config.secret.as_ref().map(|secret| secret.value.clone());
                (
                    json!({"entraId": {
                        "tenantId": config.tenant_id,
                        "clientId": config.client_id,
                        "credentials": {"clientSecretRef": reference},
                    }}),
                    json!({"clientSecret": value.unwrap_or_default()}),
                )
            }
            Server::Okta(server, token, _) => (
                json!({"okta": {
                    "orgUrl": server.url(),
                    "credentials": {"apiTokenSecretRef": reference},
                }}),
                json!({"token": token}),
            ),
            Server::OneLogin(server, config, _) => (
                json!({"oneLogin": {"apiUrl": server.url(), "credentialsSecretRef": reference}}),
                json!({"clientId": config.client_id, "clientSecret": config.client_secret}),
            ),
            Server::GoogleWorkspace(server, _) => (
                json!({"googleWorkspace": {
                    "domains": server.config().domains,
                    "adminEmail": "admin@example.com",
                    "credentials": {"serviceAccountKeySecretRef": reference},
                }}),
                json!({"key.json": server.key_file()}),
            ),
        };
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": secret},
            "stringData": data,
        });
        (source.to_string(), secret.to_string())
    }

    /// The address of the person with this number.
    pub fn email(&self, number: u32) -> String {
        match &self.server {
            Server::ActiveDirectory(_) => format!("staff{number:06}@example.com"),
            _ => {
                let person = self.company.employee(number).person;
                person.mail.unwrap_or_default()
            }
        }
    }

    /// The DN of the person with this number.
    fn dn(&self, number: u32) -> String {
        match &self.server {
            Server::ActiveDirectory(_) => {
                format!("CN=staff{number:06},OU=Staff,{}", Samba::DOMAIN)
            }
            _ => self.company.person_dn(number),
        }
    }

    fn replace(&self, number: u32, attribute: &str, value: &str) -> String {
        let dn = self.dn(number);
        format!("dn: {dn}\nchangetype: modify\nreplace: {attribute}\n{attribute}: {value}\n\n")
    }

    /// Disables the account of the person with this number.
    pub fn disable(&self, number: u32) -> Result<()> {
        let at = number as usize;
        match &self.server {
            Server::Ldap(slapd) => slapd.modify(&self.replace(number, "employeeType", "left"))?,
            Server::ActiveDirectory(samba) => {
                samba.modify_by_ldap(&self.replace(number, "userAccountControl", "546"))?;
            }
            Server::EntraId(tenant, ids) => tenant.change(|admin| admin.disable(ids[at])),
            Server::Okta(server, _, ids) => {
                if !server.set_status(&ids[at], okta::Status::Suspended) {
                    bail!("no such account: {}", ids[at]);
                }
            }
            Server::OneLogin(server, _, ids) => {
                let user = one_login::UserSeed::new(&self.email(number)).id(ids[at]);
                server.user(user.with("status", 2).with("updated_at", now()));
            }
            Server::GoogleWorkspace(server, ids) => {
                let user = google_workspace::UserSeed::new(&self.email(number)).id(&ids[at]);
                server.user(user.suspended());
            }
        }
        Ok(())
    }

    /// Changes something of the person with this number that the sync doesn't read.
    pub fn touch(&self, number: u32) -> Result<()> {
        let at = number as usize;
        let text = format!("seen {}", fastrand::u32(..));
        match &self.server {
            Server::Ldap(slapd) => slapd.modify(&self.replace(number, "description", &text))?,
            Server::ActiveDirectory(samba) => {
                samba.modify_by_ldap(&self.replace(number, "description", &text))?;
            }
            Server::EntraId(tenant, ids) => {
                tenant.change(|admin| admin.set_department(ids[at], &text));
            }
            Server::Okta(server, _, ids) => {
                // It counts as a change of the account.
                server.set_status(&ids[at], okta::Status::Active);
            }
            Server::OneLogin(server, _, ids) => {
                let user = one_login::UserSeed::new(&self.email(number)).id(ids[at]);
                server.user(user.with("comment", text).with("updated_at", now()));
            }
            Server::GoogleWorkspace(server, ids) => {
                let user = google_workspace::UserSeed::new(&self.email(number)).id(&ids[at]);
                server.user(user.department(&text));
            }
        }
        Ok(())
    }

    /// Adds somebody new.
    pub fn join(&self, number: u32) -> Result<()> {
        let name = format!("newcomer{number}");
        let email = format!("{name}@example.com");
        match &self.server {
            Server::Ldap(slapd) => slapd.modify(&format!(
                "dn: uid={name},ou=people,{}\nchangetype: add\nobjectClass: inetOrgPerson\n\
                 cn: {name}\nsn: {name}\nmail: {email}\n\n",
                slapd.suffix()
            ))?,
            Server::ActiveDirectory(samba) => samba.modify_by_ldap(&format!(
                "dn: CN={name},OU=Staff,{}\nchangetype: add\nobjectClass: user\n\
                 sAMAccountName: {name}\nmail: {email}\nuserAccountControl: 544\n\n",
                Samba::DOMAIN
            ))?,
            Server::EntraId(tenant, _) => {
                let user = simulators::entra_id::UserSeed::new(&name);
                tenant.add_user(user.mail(Some(&email)));
            }
            Server::Okta(server, ..) => {
                let id = server.user(okta::UserSeed::new(&email));
                server.set_status(&id, okta::Status::Active);
            }
            Server::OneLogin(server, ..) => {
                let user = one_login::UserSeed::new(&email);
                server.user(user.with("updated_at", now()));
            }
            Server::GoogleWorkspace(server, _) => {
                server.user(google_workspace::UserSeed::new(&email));
            }
        }
        Ok(())
    }
}

fn now() -> String {
    Timestamp::now().to_string()
}
