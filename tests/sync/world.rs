//! A company in a directory and an organization that has everything to catch up on.

use std::net::SocketAddr;
use std::time::Duration;

use directory_sync::api::spec::LdapDisabled;
use directory_sync::http::{ClientSettings, Retry};
use directory_sync::organization::{ClientId, OrganizationClient, Region, Settings};
use directory_sync::source::Source;
use directory_sync::source::ldap::{Bind, GroupSettings, LdapSettings, LdapSource, ServerUrl};
use directory_sync::sync::guard::Approval;
use directory_sync::sync::planned::Planned;
use directory_sync::sync::policy::{
    Access, Glob, GroupFilter, Limit, Offboarding, OffboardingAction, Onboarding, Policy, Restore,
    UserFilter,
};
use directory_sync::sync::progress::Progress;
use directory_sync::sync::report::{Mode, Report};
use directory_sync::sync::run::{RunError, RunOptions, State, plan};
use simulators::lab::{Ldif, Person, Slapd};
use simulators::organization::{
    CollectionAccess, Config, GroupSeed, MemberSeed, SimulatedOrganization, Status,
};
use tokio_util::sync::CancellationToken;

pub const SUFFIX: &str = "dc=example,dc=com";
const PEOPLE: &str = "ou=people";
const GROUPS: &str = "ou=groups";

/// The id of person or group `number`.
pub fn uuid(number: u32) -> String {
    format!("00000000-0000-4000-8000-{number:012}")
}

pub fn email(uid: &str) -> String {
    format!("{uid}@example.com")
}

/// Numbers of people: 1–12 were members all along, 13–14 were invited by hand, 15–17 are known by
/// the DN that an older tool used as their id, 18–19 came back and are revoked, 20–21 are blocked
/// and still members, 22 is blocked and was never a member, 23–48 are new.
fn uid(number: u32) -> String {
    format!("p{number:02}")
}

pub fn directory() -> Ldif {
    let mut ldif = Ldif::new(SUFFIX);
    ldif.unit("", "people");
    ldif.unit("", "groups");
    for number in 1..=48 {
        let dn = ldif.dn("uid", &uid(number), PEOPLE);
        let (uid, id, mail) = (uid(number), uuid(number), email(&uid(number)));
        let mut attributes = vec![
            ("objectClass", "inetOrgPerson"),
            ("uid", uid.as_str()),
            ("cn", uid.as_str()),
            ("sn", "Example"),
            ("mail", mail.as_str()),
            ("entryUUID", id.as_str()),
        ];
        if (20..=22).contains(&number) {
            attributes.push(("employeeType", "blocked"));
        }
        ldif.entry(&dn, &attributes);
    }
    let person = |ldif: &Ldif, number| ldif.dn("uid", &uid(number), PEOPLE);
    let people = |ldif: &Ldif, numbers: &mut dyn Iterator<Item = u32>| -> Vec<String> {
        numbers.map(|number| person(ldif, number)).collect()
    };
    let group = |ldif: &mut Ldif, number: u32, name: &str, members: Vec<String>| {
        let (id, parent) = (uuid(900 + number), GROUPS);
        ldif.group_of_names(parent, name, Some(&id), &members)
    };
    let backend = people(&ldif, &mut (1..=4).chain(23..=28));
    let backend = group(&mut ldif, 1, "backend", backend);
    let frontend = people(&ldif, &mut (3..=6).chain(29..=33));
    let frontend = group(&mut ldif, 2, "frontend", frontend);
    let mut all = people(&ldif, &mut (13..=15));
    all.extend([backend, frontend]);
    group(&mut ldif, 3, "engineering", all);
    let ops = people(&ldif, &mut (7..=9));
    group(&mut ldif, 4, "operations", ops);
    let sales = people(&ldif, &mut (10..=11).chain(34..=36));
    group(&mut ldif, 5, "sales", sales);
    let shared = people(&ldif, &mut (1..=2).chain(37..=39));
    group(&mut ldif, 6, "shared", shared);
    let moved = people(&ldif, &mut (16..=19).chain(40..=41));
    group(&mut ldif, 7, "moved", moved);
    let blocked = people(&ldif, &mut (20..=22).chain(12..=12));
    group(&mut ldif, 8, "project", blocked);
    ldif
}

pub async fn organization(config: Config) -> SimulatedOrganization {
    let organization = SimulatedOrganization::start(config).await.unwrap();
    let vault = || CollectionAccess::to("9c1f5f0e-3a3c-4a55-8f52-0f1f4a6c7e10");
    let member = |number: u32| MemberSeed::new(&email(&uid(number)));
    let mut seeds = vec![
        MemberSeed::new("owner@example.com").owner(),
        MemberSeed::new("old.owner@example.com")
            .owner()
            .external_id("gone-owner"),
        MemberSeed::new("contractor@elsewhere.test").collection(vault()),
        member(18).external_id(&uuid(18)).status(Status::Revoked),
        member(19).external_id(&uuid(19)).status(Status::Revoked),
    ];
    seeds.extend(
        (1..=12)
            .chain(20..=21)
            .map(|n| member(n).external_id(&uuid(n)).collection(vault())),
    );
    seeds.extend((13..=14).map(|n| member(n).collection(vault())));
    seeds.extend((15..=17).map(|n| {
        let dn = format!("uid={},ou=staff,{SUFFIX}", uid(n));
        member(n).external_id(&dn).collection(vault())
    }));
    seeds.extend(
        (1..=3).map(|n| {
            MemberSeed::new(&format!("leaver{n}@example.com")).external_id(&uuid(800 + n))
        }),
    );
    for seed in seeds {
        organization.seed_member(seed);
    }
    let of = |numbers: &[u32]| -> Vec<String> { numbers.iter().map(|n| email(&uid(*n))).collect() };
    let group = |number: u32, name: &str| GroupSeed::new(name).external_id(&uuid(900 + number));
    let leaver = || "leaver1@example.com".to_owned();
    let contractor = || "contractor@elsewhere.test".to_owned();
    for seed in [
        group(1, "backend")
            .members(of(&[1, 2, 12]))
            .collection(vault()),
        group(4, "ops (old name)")
            .members(of(&[7, 8, 9]))
            .collection(vault()),
        group(5, "sales").members(of(&[10, 11]).into_iter().chain([leaver()])),
        group(6, "shared")
            .members(of(&[1, 5]).into_iter().chain([contractor()]))
            .collection(vault()),
        GroupSeed::new("moved")
            .external_id("cn=moved,ou=staff")
            .members(of(&[16]))
            .collection(vault()),
        GroupSeed::new("closed")
            .external_id(&uuid(990))
            .members(of(&[1, 2])),
        GroupSeed::new("By hand").members([contractor()]),
    ] {
        organization.seed_group(seed);
    }
    organization
}

/// Everything that a sync may take away is allowed to go.
pub fn policy() -> Policy {
    Policy {
        never_send: Some(Default::default()),
        doubts: vec![],
        external_id_prefix: String::new(),
        users: UserFilter::default(),
        groups: GroupFilter {
            exclude: vec![Glob::new("no-such-*")],
            prune: true,
            ..GroupFilter::default()
        },
        access: Access::default(),
        onboarding: Onboarding {
            invite: true,
            restore: Restore::All,
            confirm_within: Onboarding::CONFIRM_WITHIN,
            reinvite: None,
            withdraw_after: None,
            limit: Limit::Percent(100.0),
        },
        offboarding: Offboarding {
            remove_after: None,
            approvals_expire_after: Offboarding::APPROVALS_EXPIRE_AFTER,
            disabled: OffboardingAction::Revoke,
            deleted: OffboardingAction::Revoke,
            absent: OffboardingAction::Remove,
            limit: Limit::Percent(100.0),
            disabled_limit: Limit::Percent(100.0),
        },
    }
}

pub fn source(address: SocketAddr) -> LdapSource {
    source_with(address, LONG_TIMEOUT)
}

/// A source that gives a silent server up after `timeout`.
pub fn source_with(address: SocketAddr, timeout: Duration) -> LdapSource {
    let root = Bind::Simple {
        dn: format!("cn=root,{SUFFIX}"),
        password: Slapd::ROOT_PASSWORD.to_owned().into(),
    };
    source_as(root, address, timeout)
}

/// The same as somebody else.
pub fn source_as(bind: Bind, address: SocketAddr, timeout: Duration) -> LdapSource {
    let server = ServerUrl {
        ldaps: false,
        host: address.ip().to_string(),
        port: address.port(),
    };
    let mut settings = LdapSettings::new(vec![server], SUFFIX);
    settings.bind = bind;
    settings.page_size = 10;
    settings.idle_timeout = timeout;
    settings.connect_timeout = timeout;
    settings.users.disabled = Some(LdapDisabled {
        attribute: "employeeType".into(),
        values: Some(vec!["blocked".into()]),
    });
    settings.groups = Some(GroupSettings::default());
    LdapSource::new(settings).unwrap()
}

/// For servers that answer, on a busy machine too.
pub const LONG_TIMEOUT: Duration = Duration::from_secs(30);
/// For a server that won't answer.
pub const SHORT_TIMEOUT: Duration = Duration::from_millis(700);

pub fn client(organization: &SimulatedOrganization, retry: Retry) -> OrganizationClient {
    client_with(organization, retry, LONG_TIMEOUT)
}

/// A client that gives a silent server up after `timeout`.
pub fn client_with(
    organization: &SimulatedOrganization,
    retry: Retry,
    timeout: Duration,
) -> OrganizationClient {
    let mut settings = Settings::new(
        Region::server(&organization.url()).unwrap(),
        ClientId::parse(&organization.client_id()).unwrap(),
        organization.client_secret().into(),
    );
    settings.connection = ClientSettings {
        idle_timeout: timeout,
        ..settings.connection
    };
    settings.retry = retry;
    OrganizationClient::new(settings).unwrap()
}

/// Gives up at the first failure, as if the process had been killed there.
pub const NO_RETRY: Retry = Retry {
    times: 0,
    first_delay: Duration::ZERO,
    longest_delay: Duration::ZERO,
    longest_wait: Duration::ZERO,
};

/// Tries again at once.
pub const QUICK_RETRY: Retry = Retry {
    times: 3,
    first_delay: Duration::from_millis(1),
    longest_delay: Duration::from_millis(2),
    longest_wait: Duration::from_secs(5),
};

/// One run as an operator or a command would start it.
pub struct Sync<'a> {
    pub source: &'a dyn Source,
    pub client: &'a OrganizationClient,
    pub policy: Policy,
    pub state: State,
    /// Whether to compare everything, whatever is remembered.
    pub full_resync: bool,
    pub stop: CancellationToken,
    /// Asks for an end between two changes.
    pub make_way: Option<CancellationToken>,
}

impl<'a> Sync<'a> {
    pub fn new(source: &'a dyn Source, client: &'a OrganizationClient) -> Self {
        Self {
            source,
            client,
            policy: policy(),
            state: State::default(),
            full_resync: false,
            stop: CancellationToken::new(),
            make_way: None,
        }
    }

    pub async fn run(&mut self) -> Result<Report, RunError> {
        self.go(Mode::Apply, None).await
    }

    pub async fn go(
        &mut self,
        mode: Mode,
        approval: Option<&Approval>,
    ) -> Result<Report, RunError> {
        let planned = self.plan(approval).await?;
        match mode {
            Mode::Preview => Ok(planned.preview(&mut self.state)),
            Mode::Apply => self.apply(planned).await,
        }
    }

    pub async fn plan(&mut self, approval: Option<&Approval>) -> Result<Planned, RunError> {
        let progress = Progress::default();
        let options = RunOptions {
            approval,
            full_resync: self.full_resync,
            ..RunOptions::new(&progress, &self.stop)
        };
        let (source, client) = (self.source, self.client);
        plan(source, client, &self.policy, &mut self.state, &options).await
    }

    pub async fn apply(&mut self, planned: Planned) -> Result<Report, RunError> {
        let progress = Progress::default();
        let options = RunOptions {
            make_way: self.make_way.as_ref(),
            ..RunOptions::new(&progress, &self.stop)
        };
        planned.apply(&mut self.state, &options).await
    }
}

/// A directory that many tests read and none changes.
pub fn slapd() -> Slapd {
    Slapd::options().ldif(directory().text()).start().unwrap()
}

pub fn address(slapd: &Slapd) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], slapd.port()))
}

pub fn newcomer(uid: &str, id: u32) -> Person {
    Person {
        entry_uuid: Some(uuid(id)),
        ..Person::new(uid)
    }
}
