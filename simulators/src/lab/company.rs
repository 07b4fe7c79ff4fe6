//! A company of any size: the same people and teams every time it is asked for.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::{Ldif, Person};

const DEPARTMENTS: [&str; 8] = [
    "Engineering",
    "Finance",
    "Legal",
    "Marketing",
    "Operations",
    "People",
    "Research",
    "Sales",
];

/// How a name is written, and how it appears in an address.
#[rustfmt::skip]
const GIVEN_NAMES: [(&str, &str); 32] = [
    ("Ada", "ada"), ("Björn", "bjoern"), ("Chidi", "chidi"), ("Dana", "dana"),
    ("Elif", "elif"), ("Farah", "farah"), ("Grace", "grace"), ("Hiro", "hiro"),
    ("Inés", "ines"), ("Jonas", "jonas"), ("Kofi", "kofi"), ("Łucja", "lucja"),
    ("Mei", "mei"), ("Noor", "noor"), ("Olga", "olga"), ("Priya", "priya"),
    ("Quinn", "quinn"), ("Rosa", "rosa"), ("Søren", "soeren"), ("Tariq", "tariq"),
    ("Uma", "uma"), ("Viktor", "viktor"), ("Wanda", "wanda"), ("Xenia", "xenia"),
    ("Yusuf", "yusuf"), ("Zoë", "zoe"), ("Amara", "amara"), ("Bruno", "bruno"),
    ("Clara", "clara"), ("Diego", "diego"), ("Emil", "emil"), ("Freya", "freya"),
];

#[rustfmt::skip]
const FAMILY_NAMES: [(&str, &str); 32] = [
    ("Adeyemi", "adeyemi"), ("Bauer", "bauer"), ("Castro", "castro"), ("Dubois", "dubois"),
    ("Eriksson", "eriksson"), ("Fischer", "fischer"), ("García", "garcia"), ("Haddad", "haddad"),
    ("Ito", "ito"), ("Jensen", "jensen"), ("Kowalska", "kowalska"), ("Lindqvist", "lindqvist"),
    ("Müller", "mueller"), ("Nakamura", "nakamura"), ("O'Brien", "obrien"), ("Petrov", "petrov"),
    ("Qureshi", "qureshi"), ("Rossi", "rossi"), ("Silva", "silva"), ("Tanaka", "tanaka"),
    ("Uchida", "uchida"), ("Varga", "varga"), ("Weber", "weber"), ("Xu", "xu"),
    ("Yılmaz", "yilmaz"), ("Zhang", "zhang"), ("Abbas", "abbas"), ("Berg", "berg"),
    ("Cohen", "cohen"), ("Diallo", "diallo"), ("Evans", "evans"), ("Ferrari", "ferrari"),
];

/// A company: people under `ou=<department>,ou=people`, teams (`groupOfNames`) under `ou=teams`.
#[derive(Debug, Clone)]
pub struct Company {
    /// The DN below which all entries are.
    pub suffix: String,
    /// The part of email addresses after the `@`.
    pub domain: String,
    /// The number of people to make.
    pub people: u32,
    /// How many teams. The first hundredth of them, at least one, are large: everyone is in one of
    /// those.
    pub teams: u32,
    /// In how many teams each person is directly.
    pub memberships: u32,
    /// How many of a hundred teams contain other teams, up to three deep and without cycles; 33 at
    /// most.
    pub nested_percent: u32,
}

/// One person of a [`Company`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Employee {
    /// What the directory says about them.
    pub person: Person,
    /// The unit they are in.
    pub department: &'static str,
}

/// One team of a [`Company`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// The team's name, its `cn`.
    pub name: String,
    /// The `entryUUID` of its group.
    pub entry_uuid: String,
    /// The people directly in it, by their number.
    pub people: Vec<u32>,
    /// The teams directly in it, by their number.
    pub teams: Vec<u32>,
}

impl Company {
    /// A company under `dc=example,dc=com` in which everyone is in four teams (or in all, where
    /// there are fewer) and one team in ten contains others.
    pub fn new(people: u32, teams: u32) -> Self {
        Self {
            suffix: "dc=example,dc=com".to_owned(),
            domain: "example.com".to_owned(),
            people,
            teams,
            memberships: 4,
            nested_percent: 10,
        }
    }

    /// The person with this number.
    pub fn employee(&self, number: u32) -> Employee {
        let at = number as usize;
        let (given, given_in_address) = GIVEN_NAMES[at % GIVEN_NAMES.len()];
        let row = at / GIVEN_NAMES.len();
        // Neighbours in one department have different family names, too.
        let (family, family_in_address) = FAMILY_NAMES[(row + at) % FAMILY_NAMES.len()];
        let again = row / FAMILY_NAMES.len();
        let suffix = if again == 0 {
            String::new()
        } else {
            format!(".{again}")
        };
        let uid = format!("{given_in_address}.{family_in_address}{suffix}");
        Employee {
            department: DEPARTMENTS[at % DEPARTMENTS.len()],
            person: Person {
                mail: Some(format!("{uid}@{}", self.domain)),
                uid,
                given_name: given.to_owned(),
                family_name: family.to_owned(),
                entry_uuid: Some(entry_uuid(1, number)),
            },
        }
    }

    /// Everyone, in the order of their numbers.
    pub fn employees(&self) -> impl Iterator<Item = Employee> {
        (0..self.people).map(|number| self.employee(number))
    }

    /// The DN of the person with this number.
    pub fn person_dn(&self, number: u32) -> String {
        let employee = self.employee(number);
        format!(
            "uid={},ou={},ou=people,{}",
            employee.person.uid, employee.department, self.suffix
        )
    }

    /// The DN of the team with this number.
    pub fn team_dn(&self, number: u32) -> String {
        format!("cn={},ou=teams,{}", self.team_name(number), self.suffix)
    }

    /// Every team with its members, in the order of their numbers.
    pub fn all_teams(&self) -> Vec<Team> {
        let mut people = vec![Vec::new(); self.teams as usize];
        if self.teams > 0 {
            for person in 0..self.people {
                for team in self.teams_of(person) {
                    people[team as usize].push(person);
                }
            }
        }
        let with_members = (0..self.teams).zip(people);
        with_members
            .map(|(number, people)| Team {
                name: self.team_name(number),
                entry_uuid: entry_uuid(2, number),
                people,
                teams: self.teams_in(number),
            })
            .collect()
    }

    /// Writes the company as LDIF, without ever holding more than a team's worth of text.
    ///
    /// # Errors
    /// What the writer answers.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        let mut ldif = Ldif::new(&self.suffix);
        ldif.unit("", "people");
        ldif.unit("", "teams");
        for department in DEPARTMENTS {
            ldif.unit("ou=people", department);
        }
        for Employee { person, department } in self.employees() {
            ldif.person(&format!("ou={department},ou=people"), &person);
            out.write_all(ldif.take_text().as_bytes())?;
        }
        for team in self.all_teams() {
            let people = team.people.iter().map(|&person| self.person_dn(person));
            let teams = team.teams.iter().map(|&inner| self.team_dn(inner));
            let members: Vec<_> = people.chain(teams).collect();
            ldif.group_of_names("ou=teams", &team.name, Some(&team.entry_uuid), &members);
            out.write_all(ldif.take_text().as_bytes())?;
        }
        out.write_all(ldif.take_text().as_bytes())
    }

    /// Writes the company to an LDIF file.
    ///
    /// # Errors
    /// What the file system answers.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        let mut file = BufWriter::new(std::fs::File::create(path)?);
        self.write_to(&mut file)?;
        file.flush()
    }

    fn team_name(&self, number: u32) -> String {
        let department = DEPARTMENTS[number as usize % DEPARTMENTS.len()].to_lowercase();
        if number < self.large_teams() {
            format!("all-{department}-{number}")
        } else {
            format!("{department}-{number}")
        }
    }

    fn large_teams(&self) -> u32 {
        (self.teams / 100).max(1)
    }

    /// The teams that a person is directly in: a large one first, then scattered ones.
    fn teams_of(&self, person: u32) -> Vec<u32> {
        let wanted = self.memberships.min(self.teams) as usize;
        let mut teams = Vec::with_capacity(wanted);
        if wanted > 0 {
            teams.push(person % self.large_teams());
        }
        for turn in 1..wanted as u32 {
            let mut team = scatter(person.wrapping_mul(31).wrapping_add(turn)) % self.teams;
            while teams.contains(&team) {
                team = (team + 1) % self.teams;
            }
            teams.push(team);
        }
        teams
    }

    /// The teams directly in a team: its two successors, and for two of three nested ones the next
    /// nested one, which makes chains three deep.
    fn teams_in(&self, number: u32) -> Vec<u32> {
        if self.nested_percent == 0 {
            return Vec::new();
        }
        let step = (100 / self.nested_percent).max(3);
        if !number.is_multiple_of(step) {
            return Vec::new();
        }
        let mut teams = vec![number + 1, number + 2];
        if (number / step) % 3 != 2 {
            teams.push(number + step);
        }
        teams.retain(|&team| team < self.teams);
        teams
    }
}

/// A number that looks random and always comes out the same (Knuth's multiplicative hash).
fn scatter(number: u32) -> u32 {
    (number ^ (number >> 16)).wrapping_mul(2_654_435_761) >> 3
}

/// The UUID of the entry with this number; `kind` keeps people and teams apart.
fn entry_uuid(kind: u8, number: u32) -> String {
    format!("{kind:08x}-0000-4000-8000-{number:012x}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn everyone_has_an_address_of_their_own_and_the_memberships_asked_for() {
        let company = Company::new(5_000, 200);
        let addresses: HashSet<_> = company.employees().map(|e| e.person.mail).collect();
        assert_eq!(addresses.len(), 5_000);
        let teams = company.all_teams();
        assert_eq!(
            teams.iter().map(|team| team.people.len()).sum::<usize>(),
            4 * 5_000
        );
        for team in &teams {
            assert_eq!(
                team.people.iter().collect::<HashSet<_>>().len(),
                team.people.len()
            );
        }
    }

    #[test]
    fn one_team_in_ten_contains_others_three_deep_and_never_itself() {
        let teams = Company::new(100, 200).all_teams();
        assert_eq!(
            teams.iter().filter(|team| !team.teams.is_empty()).count(),
            20
        );
        fn depth(teams: &[Team], number: usize) -> usize {
            let inner = teams[number].teams.iter();
            inner
                .map(|&team| 1 + depth(teams, team as usize))
                .max()
                .unwrap_or(0)
        }
        assert_eq!(
            (0..teams.len()).map(|number| depth(&teams, number)).max(),
            Some(3)
        );
    }

    #[test]
    fn a_company_smaller_than_its_memberships_puts_everyone_everywhere() {
        let teams = Company::new(3, 2).all_teams();
        assert_eq!(
            teams
                .iter()
                .map(|team| team.people.len())
                .collect::<Vec<_>>(),
            [3, 3]
        );
    }
}
