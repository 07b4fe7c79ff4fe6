//! Who is in the directory and in the organization when the demo begins.

use std::ops::Range;

use simulators::lab::{Company, Employee, Ldif, Person};
use simulators::organization::{GroupSeed, MemberSeed, Seed};

pub const SUFFIX: &str = "dc=example,dc=com";
/// The account that the operator reads the directory with.
pub const READER: &str = "cn=reader,dc=example,dc=com";
/// People in the directory who are to become members.
pub const PEOPLE: u32 = 200;
/// Groups in the directory.
pub const GROUPS: usize = TEAMS.len();

/// Owns the organization; not in the directory.
pub const OWNER: &str = "owner@example.com";
/// Invited by hand, and in a group that the directory has as well.
pub const GUEST: &str = "auditor@partner.example";
/// Came from the directory, whose account is disabled since.
pub const LEAVER: &str = "pat.former@example.com";
const LEAVER_ID: &str = "00000001-0000-4000-8000-00000000ffff";
/// The group that the organization has under an older name, with both its names.
pub const RENAMED: (&str, &str) = ("Human Resources", "people");

/// Are in the organization already, with their IDs in the directory. On the first day limits are a share
/// of these, so that there are enough for two dismissals.
pub const MANAGED: [u32; 11] = [5, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27];
/// Is in the organization already, invited by hand.
pub const UNLINKED: u32 = 14;
/// The person whom a later scene disables in the directory.
pub const DISABLED: u32 = 8;

/// The value of `pwdAccountLockedTime` that isn't the time of a lockout that passes (slapo-ppolicy(5)).
const DISABLED_BY_AN_ADMINISTRATOR: &str = "000001010000Z";

/// The email of a service account, which the filter leaves out.
pub const ROBOT: &str = "svc-backup@example.com";

/// A team: its name, the people directly in it (of a department, in the order of their numbers),
/// and the teams directly in it.
struct Team(
    &'static str,
    Option<(u32, Range<u32>)>,
    &'static [&'static str],
);

const DEPARTMENTS: u32 = 8;

/// `everyone` nests four deep; `on-call` is in `engineering` twice over, a diamond.
#[rustfmt::skip]
const TEAMS: [Team; 20] = [
    Team("everyone", None, &["product", "finance", "legal", "marketing", "operations", "people", "sales"]),
    Team("product", None, &["engineering", "research"]),
    Team("engineering", Some((0, 22..25)), &["platform", "backend", "frontend"]),
    Team("platform", Some((0, 0..8)), &["on-call"]),
    Team("backend", Some((0, 8..16)), &["on-call"]),
    Team("frontend", Some((0, 16..22)), &[]),
    Team("on-call", Some((0, 6..10)), &[]),
    Team("security-review", Some((2, 0..2)), &["platform", "backend"]),
    Team("research", Some((6, 0..25)), &["data"]),
    Team("data", Some((6, 0..6)), &[]),
    Team("finance", Some((1, 0..25)), &["treasury"]),
    Team("treasury", Some((1, 0..5)), &[]),
    Team("legal", Some((2, 0..25)), &[]),
    Team("marketing", Some((3, 0..25)), &["brand"]),
    Team("brand", Some((3, 0..7)), &[]),
    Team("operations", Some((4, 0..25)), &["facilities"]),
    Team("facilities", Some((4, 0..6)), &[]),
    Team("people", Some((5, 0..25)), &["recruiting"]),
    Team("recruiting", Some((5, 0..6)), &[]),
    Team("sales", Some((7, 0..25)), &[]),
];

pub fn employee(number: u32) -> Employee {
    Company::new(PEOPLE, 0).employee(number)
}

pub fn email(number: u32) -> String {
    format!("{}@example.com", employee(number).person.uid)
}

pub fn dn(number: u32) -> String {
    Company::new(PEOPLE, 0).person_dn(number)
}

fn team_id(team: usize) -> String {
    format!("00000002-0000-4000-8000-{team:012x}")
}

/// The directory: everyone by department, the teams, a service account, an entry without an email,
/// and the reader.
pub fn directory(reader_password: &str) -> String {
    let mut ldif = Ldif::new(SUFFIX);
    ldif.unit("", "people");
    ldif.unit("", "teams");
    for department in 0..DEPARTMENTS {
        ldif.unit("ou=people", employee(department).department);
    }
    for number in 0..PEOPLE {
        let Employee { person, department } = employee(number);
        ldif.person(&format!("ou={department},ou=people"), &person);
    }
    let robot = Person {
        given_name: "Backup".to_owned(),
        family_name: "Robot".to_owned(),
        ..Person::new("svc-backup")
    };
    ldif.person("ou=people", &robot);
    let screen = Person {
        given_name: "Lobby".to_owned(),
        family_name: "Screen".to_owned(),
        mail: None,
        ..Person::new("lobby-screen")
    };
    ldif.person("ou=people", &screen);
    let leaver = [
        ("objectClass", "inetOrgPerson"),
        ("uid", "pat.former"),
        ("cn", "Pat Former"),
        ("sn", "Former"),
        ("mail", LEAVER),
        ("entryUUID", LEAVER_ID),
        ("pwdAccountLockedTime", DISABLED_BY_AN_ADMINISTRATOR),
    ];
    ldif.entry(&format!("uid=pat.former,ou=people,{SUFFIX}"), &leaver);
    for (at, Team(name, people, teams)) in TEAMS.iter().enumerate() {
        let people = people.clone().into_iter().flat_map(|(department, places)| {
            places.map(move |place| dn(department + place * DEPARTMENTS))
        });
        let teams = teams.iter().map(|name| team_dn(name));
        let members: Vec<_> = people.chain(teams).collect();
        ldif.group_of_names("ou=teams", name, Some(&team_id(at)), &members);
    }
    ldif.account("reader", reader_password);
    ldif.text().to_owned()
}

pub fn team_dn(name: &str) -> String {
    format!("cn={name},ou=teams,{SUFFIX}")
}

/// The organization: an owner, a guest, a leaver, some people of the company, and a group.
pub fn organization() -> Seed {
    let renamed = TEAMS.iter().position(|team| team.0 == RENAMED.1);
    let renamed = renamed.expect("the renamed group is one of the teams");
    let managed = MANAGED.map(|number| {
        let id = employee(number).person.entry_uuid.unwrap_or_default();
        MemberSeed::new(&email(number)).external_id(&id)
    });
    let others = [
        MemberSeed::new(OWNER).owner(),
        MemberSeed::new(GUEST),
        MemberSeed::new(LEAVER).external_id(LEAVER_ID),
        MemberSeed::new(&email(UNLINKED)),
    ];
    Seed {
        members: others.into_iter().chain(managed).collect(),
        groups: vec![
            GroupSeed::new(RENAMED.0)
                .external_id(&team_id(renamed))
                .members([GUEST.to_owned(), email(MANAGED[0])]),
        ],
    }
}

/// The people who are deleted: every third, none of whom has another part in the demo.
pub fn deleted() -> Vec<u32> {
    (0..PEOPLE).filter(|number| number % 3 == 1).collect()
}

/// LDIF that disables an account.
pub fn disabling(number: u32) -> String {
    format!(
        "dn: {}\nchangetype: modify\nadd: pwdAccountLockedTime\n\
         pwdAccountLockedTime: {DISABLED_BY_AN_ADMINISTRATOR}\n",
        dn(number)
    )
}

/// The person who joins the company during the demo.
pub fn newcomer() -> Person {
    Person {
        given_name: "Nadia".to_owned(),
        family_name: "Novak".to_owned(),
        ..Person::new("nadia.novak")
    }
}

/// LDIF that adds the newcomer, and puts them into a team.
pub fn joining() -> String {
    let mut ldif = Ldif::empty(SUFFIX);
    let dn = ldif.person("ou=Sales,ou=people", &newcomer());
    format!(
        "{}dn: {}\nchangetype: modify\nadd: member\nmember: {dn}\n",
        ldif.text(),
        team_dn("sales")
    )
}
