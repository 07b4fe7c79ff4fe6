//! A tenant that is brought up to date is the one that a whole read gives.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use directory_sync::directory::{Directory, ReadNow};
use directory_sync::source::entra_id::{EntraIdSource, GroupSelection, GroupSettings, GroupTypes};
use directory_sync::source::{
    KeptDirectories, ReadProgress, Reading, Source, Update, Version, kept_bytes,
};
use directory_sync_testing::{content, number};
use serde_json::{Value, json};
use simulators::entra_id::{
    Config, DeltaLoss, GroupSeed, Id, Kind, PageSizes, SimulatedEntra, UserSeed, permission,
};
use simulators::fault::{Fault, Way};
use simulators::lab::Company;

use crate::harness::*;

fn keeping(setup: &EntraSetup) -> EntraIdSource {
    let memory = Arc::new(KeptDirectories::new(64 << 20));
    source(setup.clone()).unwrap().keeping(&memory)
}

async fn read_all(source: &EntraIdSource) -> (Directory, Option<Version>) {
    match source.read(None, &ReadProgress::default()).await.unwrap() {
        Reading::Full { directory, version } => (directory.into_inner(), version),
        Reading::Unchanged => panic!("nothing was known"),
    }
}

async fn update(source: &EntraIdSource, known: Option<&Version>) -> Option<Update> {
    source.read_changes(known, &ReadProgress::default()).await
}

/// What came of reading changes, and what of it was itself read.
async fn read_changes(source: &EntraIdSource) -> Option<(Directory, ReadNow)> {
    match update(source, None).await? {
        Update::Changed { directory, .. } => Some(directory.into_parts()),
        Update::Unchanged => panic!("no version was given"),
    }
}

fn ids<'a>(ids: impl IntoIterator<Item = &'a Id>) -> BTreeSet<String> {
    ids.into_iter().map(ToString::to_string).collect()
}

/// The people and the groups that were themselves read.
fn read_of(read_now: &ReadNow) -> [BTreeSet<String>; 2] {
    [&read_now.users, &read_now.groups].map(|ids| ids.iter().map(ToString::to_string).collect())
}

/// A tenant in which people and groups come, go and change at random.
struct Model<'t> {
    tenant: &'t SimulatedEntra,
    random: fastrand::Rng,
    people: Vec<Id>,
    groups: Vec<Id>,
    /// Groups that say who is read: these are never deleted.
    scope: Vec<Id>,
    /// Microsoft 365 groups: these can be brought back, and are in no other group.
    unified: Vec<Id>,
    /// Who was deleted, and in which sequence.
    deleted: BTreeMap<Id, u64>,
    sequence: u64,
    next: u32,
    /// Whether somebody is back who was deleted in an earlier sequence.
    restored: bool,
    changes: Vec<String>,
}

impl<'t> Model<'t> {
    fn new(tenant: &'t SimulatedEntra, seed: u64, scope: &[Id]) -> Self {
        Self {
            tenant,
            random: fastrand::Rng::with_seed(seed),
            people: vec![],
            groups: vec![],
            scope: scope.to_vec(),
            unified: vec![],
            deleted: BTreeMap::new(),
            sequence: 0,
            next: 0,
            restored: false,
            changes: vec![],
        }
    }

    fn any(random: &mut fastrand::Rng, of: &[Id]) -> Option<Id> {
        of.get(random.usize(..of.len().max(1))).copied()
    }

    fn person(&mut self) -> Option<Id> {
        Self::any(&mut self.random, &self.people)
    }

    fn group(&mut self) -> Option<Id> {
        match self.random.u8(..4) {
            0 => Self::any(&mut self.random, &self.unified),
            _ => Self::any(&mut self.random, &self.groups),
        }
    }

    fn member(&mut self) -> Option<Id> {
        match self.random.u8(..4) {
            0 => Self::any(&mut self.random, &self.groups),
            _ => self.person(),
        }
    }

    /// One change, where there is somebody for it.
    fn step(&mut self) -> Option<()> {
        let kind = self.random.u8(..26);
        self.next += 1;
        let name = format!("n{}", self.next);
        let tenant = self.tenant;
        let about = match kind {
            0..3 => self.add_person(&name),
            3 => {
                let members: BTreeSet<Id> = (0..4).filter_map(|_| self.member()).collect();
                let group = tenant.add_group(&name, members);
                self.groups.push(group);
                group
            }
            4 => {
                let members: BTreeSet<Id> = (0..4).filter_map(|_| self.person()).collect();
                let seed = GroupSeed::new(&name, members);
                let seed = match self.random.bool() {
                    true => seed.hidden(),
                    false => seed.unified(),
                };
                let group = tenant.seed_group(seed);
                self.unified.push(group);
                group
            }
            5..7 => {
                let person = self.person()?;
                self.people.retain(|other| *other != person);
                self.deleted.insert(person, self.sequence);
                tenant.change(|hand| hand.delete(person));
                person
            }
            7 => {
                let group = self.group()?;
                self.groups.retain(|other| *other != group);
                if self.unified.contains(&group) {
                    self.unified.retain(|other| *other != group);
                    self.deleted.insert(group, self.sequence);
                }
                tenant.change(|hand| hand.delete(group));
                group
            }
            8..10 => {
                let deleted: Vec<Id> = self.deleted.keys().copied().collect();
                let back = Self::any(&mut self.random, &deleted)?;
                self.restored |= self.deleted.remove(&back)? < self.sequence;
                tenant.change(|hand| hand.restore(back));
                match back.kind {
                    Kind::Group => self.unified.push(back),
                    _ => self.people.push(back),
                }
                back
            }
            10 | 11 => {
                let person = self.person()?;
                tenant.change(|hand| hand.disable(person));
                person
            }
            12 => {
                let person = self.person()?;
                tenant.change(|hand| hand.enable(person));
                person
            }
            13 | 14 => {
                let person = self.person()?;
                let mail = format!("m{}@example.com", self.random.u8(..20));
                let mail = self.random.bool().then_some(mail);
                tenant.change(|hand| hand.set_mail(person, mail.as_deref()));
                person
            }
            15 => {
                let person = self.person()?;
                let guest = self.random.bool();
                tenant.change(|hand| hand.set_guest(person, guest));
                person
            }
            16 => {
                let person = self.person()?;
                tenant.change(|hand| hand.set_department(person, &name));
                person
            }
            17 => {
                let group = self.group()?;
                tenant.change(|hand| hand.rename(group, &name));
                group
            }
            18..23 => {
                let (group, member) = self.pair()?;
                tenant.add_member(group, member);
                group
            }
            _ => {
                let (group, member) = self.pair()?;
                tenant.remove_member(group, member);
                group
            }
        };
        self.changes.push(format!("{kind} of {about}"));
        Some(())
    }

    fn pair(&mut self) -> Option<(Id, Id)> {
        let group = match self.random.bool() {
            true => Self::any(&mut self.random, &self.scope),
            false => None,
        };
        let group = group.or_else(|| self.group())?;
        let member = match self.unified.contains(&group) {
            true => self.person()?,
            false => self.member()?,
        };
        Some((group, member))
    }

    fn add_person(&mut self, name: &str) -> Id {
        let mail = format!("m{}@example.com", self.random.u8(..40));
        let seed = UserSeed::new(name).mail(Some(&mail));
        let seed = match self.random.u8(..8) {
            0 => seed.guest(),
            1 => seed.agent(),
            2 => seed.old(),
            3 => seed.disabled(),
            4 => UserSeed::new(name),
            _ => seed,
        };
        let person = self.tenant.add_user(seed);
        self.people.push(person);
        person
    }

    /// A random sequence of changes.
    fn sequence(&mut self) {
        self.sequence += 1;
        self.restored = false;
        self.changes.clear();
        for _ in 0..self.random.usize(1..7) {
            self.step();
        }
    }
}

/// Pages on which there is little.
fn small_pages() -> Config {
    Config {
        pages: PageSizes {
            usual: 2,
            most: 999,
            delta: 2,
            delta_members: 3,
        },
        ..Config::default()
    }
}

/// Others with `STORIES=2000 SEED=7`.
async fn equals_a_whole_read(
    tenant: &SimulatedEntra,
    setup: &EntraSetup,
    scope: &[Id],
    (seed, stories): (u64, u64),
    mut before_each: impl FnMut(&mut Model<'_>),
) {
    let source = keeping(setup);
    read_all(&source).await;
    let mut model = Model::new(tenant, seed, scope);
    let (mut incremental, mut whole) = (0, 0);
    for story in 0..stories {
        tenant.set_noisy(story % 3 == 0);
        model.sequence();
        before_each(&mut model);
        let expected = content(&read(setup.clone()).await);
        let changes = &model.changes;
        match read_changes(&source).await {
            Some((directory, _)) => {
                incremental += 1;
                assert_eq!(
                    content(&directory),
                    expected,
                    "seed {seed}, sequence {story}: {changes:?}"
                );
            }
            None => {
                whole += 1;
                assert!(model.restored, "seed {seed}, sequence {story}: {changes:?}");
                assert_eq!(content(&read_all(&source).await.0), expected);
            }
        }
    }
    println!("{incremental} incremental reads, {whole} whole ones because somebody was back");
    assert!(incremental > stories / 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_random_changes_it_equals_a_whole_read() {
    let tenant = tenant_with(small_pages()).await;
    let mut setup = settings(&tenant);
    // Else what earlier sequences changed were asked for with each.
    setup.replica_lag = Duration::ZERO;
    let stories = (number("SEED", 1), number("STORIES", 250));
    equals_a_whole_read(&tenant, &setup, &[], stories, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_random_changes_of_who_is_in_scope_it_equals_a_whole_read() {
    let tenant = tenant_with(small_pages()).await;
    let [staff, outer, external] = ["staff", "outer", "external"].map(|n| tenant.add_group(n, []));
    let by_id = |group: Id| {
        Some(GroupSelection {
            ids: vec![group.to_string()],
            ..GroupSelection::default()
        })
    };
    let mut setup = settings(&tenant);
    setup.replica_lag = Duration::ZERO;
    setup.users.types.guests = true;
    setup.users.member_of = by_id(outer);
    setup.users.not_member_of = by_id(external);
    tenant.add_member(outer, staff);
    let stories = (number("SEED", 2), number("STORIES", 250));
    let scope = [staff, outer, external];
    equals_a_whole_read(&tenant, &setup, &scope, stories, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_random_changes_of_what_is_in_units_it_equals_a_whole_read() {
    let tenant = tenant_with(small_pages()).await;
    // In a unit without groups there are few enough that nothing is kept.
    let staff = tenant.add_group("staff", []);
    let [unit, other] = [(); 2].map(|()| tenant.add_unit([staff]));
    let mut units = [unit, other].map(|unit| (unit, BTreeSet::from([staff])));
    let mut setup = settings(&tenant);
    setup.replica_lag = Duration::ZERO;
    setup.batched_groups = 0;
    setup.users.administrative_units = vec![unit.to_string()];
    let groups = setup.groups.as_mut().unwrap();
    groups.administrative_units = vec![unit.to_string()];
    groups.not_administrative_units = vec![other.to_string()];
    groups.types = Some(GroupTypes {
        security: true,
        microsoft_365: false,
    });
    let stories = (number("SEED", 3), number("STORIES", 250));
    equals_a_whole_read(&tenant, &setup, &[staff], stories, |model| {
        for (unit, members) in &mut units {
            for _ in 0..model.random.usize(0..4) {
                let moved = match model.random.bool() {
                    true => model.person(),
                    false => model.group(),
                };
                if let Some(moved) = moved
                    && !members.remove(&moved)
                {
                    members.insert(moved);
                }
            }
            tenant.set_unit(*unit, members.iter().copied());
        }
    })
    .await;
}

/// Ann and Bob, with Bob in Team, which is in All, and others who don't change.
struct Office {
    tenant: SimulatedEntra,
    ann: Id,
    bob: Id,
    team: Id,
    all: Id,
}

async fn office() -> Office {
    let tenant = tenant().await;
    let [ann, bob, cleo] = ["ann", "bob", "cleo"].map(|name| tenant.add_user(UserSeed::new(name)));
    let team = tenant.add_group("Team", [bob]);
    let all = tenant.add_group("All", [team, cleo]);
    tenant.add_group("Other", [cleo]);
    Office {
        tenant,
        ann,
        bob,
        team,
        all,
    }
}

impl Office {
    /// A source without patience for what is told again.
    async fn read(&self) -> EntraIdSource {
        let mut setup = settings(&self.tenant);
        setup.replica_lag = Duration::ZERO;
        let source = keeping(&setup);
        read_all(&source).await;
        source
    }

    async fn whole(&self) -> Vec<String> {
        content(&read(settings(&self.tenant)).await)
    }
}

#[tokio::test]
async fn what_was_read_is_told_and_what_does_not_matter_is_no_change() {
    let office = office().await;
    let tenant = &office.tenant;
    let source = keeping(&settings(tenant));
    let (_, version) = read_all(&source).await;
    let unchanged = async |known: &Option<Version>| {
        let update = update(&source, known.as_ref()).await;
        matches!(update, Some(Update::Unchanged))
    };
    assert!(unchanged(&version).await);
    tenant.change(|hand| hand.set_department(office.ann, "Elsewhere"));
    assert!(unchanged(&version).await);
    // There and back: it was told, and is as it was.
    tenant.change(|hand| hand.disable(office.ann));
    tenant.change(|hand| hand.enable(office.ann));
    assert!(unchanged(&version).await);

    let dan = tenant.add_user(UserSeed::new("dan"));
    let Some(Update::Changed {
        directory,
        version: later,
    }) = update(&source, version.as_ref()).await
    else {
        panic!("somebody is new");
    };
    let (directory, read_now) = directory.into_parts();
    assert_eq!(names(&directory), ["ann", "bob", "cleo", "dan"]);
    // Ann is asked for once more, because replicas may be behind.
    assert_eq!(read_of(&read_now)[0], ids(&[office.ann, dan]));
    assert!(unchanged(&Some(later)).await);
    assert!(!unchanged(&version).await);
    // Another whole read in between, for an explanation say: what was known before isn't what it saw.
    read_all(&source).await;
    assert!(!unchanged(&version).await);
    source.forget();
    assert!(update(&source, version.as_ref()).await.is_none());
}

#[tokio::test]
async fn whoever_is_new_in_a_group_is_read_themselves_unless_other_groups_say_who_is_in_it() {
    let office = office().await;
    let Office {
        tenant,
        ann,
        bob,
        team,
        all,
    } = &office;
    let source = office.read().await;
    tenant.add_member(*team, *ann);
    let (directory, read_now) = read_changes(&source).await.unwrap();
    assert_eq!(content(&directory), office.whole().await);
    assert_eq!(read_of(&read_now), [ids(&[*ann]), ids(&[*team])]);
    tenant.remove_member(*team, *bob);
    let (_, read_now) = read_changes(&source).await.unwrap();
    assert_eq!(read_of(&read_now), [ids(&[]), ids(&[*team])]);

    tenant.add_member(*all, *ann);
    let (directory, read_now) = read_changes(&source).await.unwrap();
    assert_eq!(content(&directory), office.whole().await);
    assert_eq!(read_of(&read_now), [ids(&[]), ids(&[])]);

    // A list is none of the groups that are read, and who is in it is in the group around it.
    let list = tenant.seed_group(GroupSeed::new("List", [*ann]).distribution());
    let mut setup = settings(tenant);
    setup.groups.as_mut().unwrap().types = Some(GroupTypes {
        security: true,
        microsoft_365: false,
    });
    let source = keeping(&setup);
    read_all(&source).await;
    let new = tenant.add_group("New", [*bob, list]);
    let (directory, read_now) = read_changes(&source).await.unwrap();
    assert_eq!(members(&directory, "New"), ["ann", "bob"]);
    assert!(!read_of(&read_now)[1].contains(&new.to_string()));
}

#[tokio::test]
async fn a_change_during_a_whole_read_is_in_the_next_one() {
    for (path, k) in [
        // After where changes will be told; before the first page, and the second.
        ("/v1.0/users", 1),
        ("/v1.0/users", 2),
        ("/v1.0/users/microsoft.graph.agentUser", 1),
        ("/v1.0/groups/delta", 1),
        ("/v1.0/groups/delta", 2),
    ] {
        let tenant = tenant_with(small_pages()).await;
        let people: Vec<Id> = (0..1_200)
            .map(|n| tenant.add_user(UserSeed::new(&format!("p{n}"))))
            .collect();
        let team = tenant.add_group("Team", people[..5].iter().copied());
        let (first, last) = (people[0], people[1_199]);
        tenant.before(path, k, move |hand| {
            hand.delete(first);
            hand.disable(last);
            hand.add_member(team, last);
            hand.add_user(UserSeed::new("new"));
        });
        let source = keeping(&settings(&tenant));
        read_all(&source).await;
        let whole = content(&read(settings(&tenant)).await);
        if let Some((directory, _)) = read_changes(&source).await {
            assert_eq!(content(&directory), whole, "{path} {k}");
        }
    }
}

#[tokio::test]
async fn a_user_who_is_gone_is_deleted_or_absent_as_in_a_whole_read() {
    let office = office().await;
    let source = office.read().await;
    let Office { tenant, bob, .. } = &office;
    tenant.change(|hand| hand.delete(*bob));
    let (directory, read_now) = read_changes(&source).await.unwrap();
    assert_eq!(content(&directory), office.whole().await);
    assert_eq!(read_of(&read_now), [ids(&[]), ids(&[])]);
    // In which groups they are again isn't told.
    tenant.change(|hand| hand.restore(*bob));
    assert!(read_changes(&source).await.is_none());
    read_all(&source).await;
    let (directory, _) = read_changes(&source).await.unwrap();
    assert_eq!(content(&directory), office.whole().await);
}

#[tokio::test]
async fn whoever_comes_into_a_list_that_no_delta_covers_or_leaves_it_is_read() {
    let office = office().await;
    let Office {
        tenant, ann, bob, ..
    } = &office;
    let unit = tenant.add_unit([*ann]);
    let mut setup = settings(tenant);
    setup.users.administrative_units = vec![unit.to_string()];
    let source = keeping(&setup);
    read_all(&source).await;
    tenant.set_unit(unit, [*bob]);
    let (directory, read_now) = read_changes(&source).await.unwrap();
    assert_eq!(content(&directory), content(&read(setup).await));
    assert_eq!(names(&directory), ["bob"]);
    assert_eq!(read_of(&read_now)[0], ids(&[*bob]));
}

#[tokio::test]
async fn what_a_replica_does_not_know_yet_is_asked_for_again() {
    let office = office().await;
    let Office {
        tenant, ann, team, ..
    } = &office;
    let source = keeping(&settings(tenant));
    let (_, version) = read_all(&source).await;
    tenant.fall_behind();
    tenant.change(|hand| hand.disable(*ann));
    tenant.change(|hand| hand.rename(*team, "Crew"));
    let dan = tenant.add_user(UserSeed::new("dan"));
    tenant.add_member(*team, dan);
    // As it was, by what the replica knows.
    let behind = update(&source, version.as_ref()).await;
    assert!(matches!(behind, Some(Update::Unchanged)), "{behind:?}");
    tenant.catch_up();
    let (directory, read_now) = read_changes(&source).await.unwrap();
    assert_eq!(content(&directory), office.whole().await);
    assert_eq!(read_of(&read_now)[0], ids(&[*ann, dan]));

    // Also where everything was read meanwhile, from such a replica.
    tenant.fall_behind();
    tenant.change(|hand| hand.enable(*ann));
    update(&source, None).await.unwrap();
    read_all(&source).await;
    tenant.catch_up();
    let (directory, _) = read_changes(&source).await.unwrap();
    assert_eq!(content(&directory), office.whole().await);
}

#[tokio::test]
async fn somebody_who_is_told_as_deleted_and_still_shown_has_everything_read() {
    let office = office().await;
    for gone in [office.ann, office.team] {
        let source = office.read().await;
        office.tenant.fall_behind();
        office.tenant.change(|hand| hand.delete(gone));
        assert!(read_changes(&source).await.is_none());
        office.tenant.catch_up();
    }
}

#[tokio::test]
async fn a_link_that_is_lost_has_everything_read() {
    for loss in [DeltaLoss::Gone, DeltaLoss::SyncStateNotFound] {
        let office = office().await;
        let source = office.read().await;
        office.tenant.lose_deltas(loss);
        assert!(read_changes(&source).await.is_none());
        assert!(read_changes(&source).await.is_none(), "nothing is left");
        read_all(&source).await;
        assert!(read_changes(&source).await.is_some());
    }
}

/// Somebody new in a group, somebody disabled, somebody gone: all that an incremental read asks for.
fn changes(office: &Office, round: &str) -> impl FnOnce() {
    let Office {
        tenant, ann, team, ..
    } = office;
    move || {
        let new = tenant.add_user(UserSeed::new(&format!("new{round}")));
        let gone = tenant.add_user(UserSeed::new(&format!("gone{round}")));
        tenant.add_member(*team, new);
        tenant.change(|hand| {
            hand.disable(*ann);
            hand.delete(gone);
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_request_fails_it_equals_a_whole_read_or_everything_is_read() {
    let office = office().await;
    let tenant = &office.tenant;
    let mut setup = settings(tenant);
    setup.connection.idle_timeout = Duration::from_millis(200);
    setup.replica_lag = Duration::ZERO;
    let source = keeping(&setup);
    read_all(&source).await;
    changes(&office, "")();
    tenant.clear_requests();
    read_changes(&source).await.unwrap();
    let requests = tenant.requests().len() as u64;
    let (mut incremental, mut whole) = (0, 0);
    for way in Way::ALL {
        let way = match way {
            Way::TooManyRequests { .. } => Way::TooManyRequests { retry_after: 0 },
            way => way,
        };
        for k in 1..=requests {
            for fault in [
                Fault::new(way).on_request(k),
                Fault::new(way).on_request(k).from_then_on(),
            ] {
                tenant.faults().clear();
                read_all(&source).await;
                changes(&office, &format!("{way:?}{k}"))();
                tenant.faults().inject(fault);
                let found = read_changes(&source).await;
                tenant.faults().clear();
                match found {
                    Some((directory, _)) => {
                        incremental += 1;
                        assert_eq!(content(&directory), office.whole().await, "{way:?} at {k}");
                    }
                    None => {
                        whole += 1;
                        assert!(
                            read_changes(&source).await.is_none(),
                            "nothing is left of it"
                        );
                    }
                }
            }
        }
    }
    println!("{requests} requests, {incremental} incremental reads, {whole} whole ones");
    assert!(requests >= 6 && incremental > 0 && whole > 0);
}

/// A way in which an answer may be other than it should.
type Spoil = fn(&mut Value);

/// The parts of a batch that are about users, or about groups.
fn parts(body: &mut Value) -> impl Iterator<Item = &mut Value> {
    body["responses"].as_array_mut().unwrap().iter_mut()
}

#[tokio::test]
async fn an_answer_that_leaves_a_doubt_has_everything_read() {
    let without_a_part: Spoil = |body| drop(body["responses"].as_array_mut().unwrap().pop());
    let hidden: Spoil =
        |body| parts(body).for_each(|part| part["body"]["accountEnabled"] = Value::Null);
    let another: Spoil = |body| {
        let other = "000000a1-5e17-4b0c-8000-0000000000ff";
        parts(body).for_each(|part| part["body"]["id"] = other.into());
    };
    let without_id: Spoil = |body| {
        parts(body).for_each(|part| drop(part["body"].as_object_mut().unwrap().remove("id")))
    };
    let refused: Spoil = |body| parts(body).for_each(|part| part["status"] = 403.into());
    // Somebody on the way to Graph that knows no such address.
    let unknown: Spoil = |body| {
        parts(body).for_each(|part| {
            part["status"] = 404.into();
            part["body"] = json!({"error": {"code": "UnknownHost", "message": ""}});
        });
    };
    let silent: Spoil = |body| {
        parts(body).for_each(|part| {
            part["status"] = 404.into();
            part.as_object_mut().unwrap().remove("body");
        });
    };
    let without_end: Spoil = |body| drop(body.as_object_mut().unwrap().remove("@odata.deltaLink"));
    let without_ids: Spoil = |body| {
        let items = body["value"].as_array_mut().unwrap().iter_mut();
        items.for_each(|item| drop(item.as_object_mut().unwrap().remove("id")));
    };
    let batch = "/v1.0/$batch";
    for (number, (path, k, spoil)) in [
        (batch, 1, without_a_part),
        (batch, 1, another),
        (batch, 1, without_id),
        (batch, 1, refused),
        (batch, 1, unknown),
        (batch, 1, silent),
        // The members of the group.
        (batch, 2, refused),
        (batch, 2, unknown),
        (batch, 2, without_a_part),
        // The people.
        (batch, 3, without_a_part),
        (batch, 3, hidden),
        (batch, 3, another),
        (batch, 3, without_id),
        (batch, 3, refused),
        (batch, 3, unknown),
        (batch, 3, silent),
        ("/v1.0/users/delta", 1, without_end),
        ("/v1.0/users/delta", 1, without_ids),
        ("/v1.0/groups/delta", 1, without_end),
        ("/v1.0/groups/delta", 1, without_ids),
    ]
    .into_iter()
    .enumerate()
    {
        let office = office().await;
        let source = office.read().await;
        office.tenant.add_member(office.team, office.ann);
        office.tenant.change(|hand| hand.disable(office.bob));
        office.tenant.spoil(path, k, spoil);
        assert!(read_changes(&source).await.is_none(), "{number}: {path}");
    }
}

#[tokio::test]
async fn very_many_changes_have_everything_read() {
    let office = office().await;
    let source = office.read().await;
    for number in 0..90 {
        office
            .tenant
            .add_user(UserSeed::new(&format!("new{number}")));
    }
    let (directory, _) = read_changes(&source).await.unwrap();
    assert_eq!(content(&directory), office.whole().await);
    for number in 0..110 {
        office
            .tenant
            .add_user(UserSeed::new(&format!("more{number}")));
    }
    office.tenant.clear_requests();
    assert!(read_changes(&source).await.is_none());
    let batches = |path: &str| path == "/v1.0/$batch";
    let requests = office.tenant.requests();
    assert!(!requests.iter().any(|request| batches(&request.path)));
}

#[tokio::test]
async fn agents_are_left_out_although_a_gateway_trims_their_type() {
    let office = office().await;
    let source = office.read().await;
    office.tenant.add_user(UserSeed::new("agent").agent());
    office.tenant.spoil("/v1.0/$batch", 1, |body| {
        parts(body).for_each(|part| {
            drop(part["body"].as_object_mut().unwrap().remove("@odata.type"));
        });
    });
    let (directory, read_now) = read_changes(&source).await.unwrap();
    assert_eq!(names(&directory), ["ann", "bob", "cleo"]);
    assert_eq!(read_of(&read_now)[0], ids(&[]));
}

#[tokio::test]
async fn nothing_is_kept_where_there_is_no_room_or_no_delta_tells() {
    let office = office().await;
    let tenant = &office.tenant;
    let is_kept = async |setup: EntraSetup, memory: u64| {
        let memory = Arc::new(KeptDirectories::new(memory));
        let source = source(setup).unwrap().keeping(&memory);
        read_all(&source).await;
        read_changes(&source).await.is_some()
    };
    let all = settings(tenant);
    assert!(is_kept(all.clone(), 64 << 20).await);
    assert!(!is_kept(all.clone(), 0).await, "nothing may be kept");
    assert!(!is_kept(all.clone(), 100).await, "there is no room");
    let mut people = all.clone();
    people.groups = None;
    assert!(is_kept(people, 64 << 20).await);
    let mut filtered = all.clone();
    filtered.users.filter = Some("accountEnabled eq true".into());
    assert!(!is_kept(filtered, 64 << 20).await);
    let mut licensed = all.clone();
    licensed.users.assigned_licenses =
        vec!["6fd2c87f-b296-42f0-b197-1e91e994b900".parse().unwrap()];
    assert!(!is_kept(licensed, 64 << 20).await);
    let mut chosen = all;
    chosen.groups = Some(GroupSettings {
        filter: Some("startswith(displayName,'T')".into()),
        ..GroupSettings::default()
    });
    assert!(!is_kept(chosen, 64 << 20).await);
}

#[tokio::test]
async fn after_an_hour_everything_is_read_unless_nothing_has_moved() {
    let office = office().await;
    let mut setup = settings(&office.tenant);
    setup.replica_lag = Duration::ZERO;
    let source = keeping(&setup);
    let (_, version) = read_all(&source).await;
    let hour = async || {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(60 * 60)).await;
        tokio::time::resume();
    };
    let whole = async |known: &Option<Version>| {
        let read = source.read(known.as_ref(), &ReadProgress::default()).await;
        matches!(read.unwrap(), Reading::Full { .. })
    };
    hour().await;
    assert!(update(&source, version.as_ref()).await.is_none());
    assert!(!whole(&version).await, "the deltas say so");

    let (_, version) = read_all(&source).await;
    office.tenant.change(|hand| hand.disable(office.ann));
    let Some(Update::Changed { version, .. }) = update(&source, version.as_ref()).await else {
        panic!("somebody was disabled");
    };
    hour().await;
    assert!(update(&source, Some(&version)).await.is_none());
    assert!(whole(&Some(version)).await);
}

/// What was brought up to date isn't what a whole read saw, also where that is asked for.
#[tokio::test]
async fn a_whole_read_begins_from_nothing() {
    let office = office().await;
    let source = office.read().await;
    office.tenant.change(|hand| hand.disable(office.ann));
    let Some(Update::Changed { version, .. }) = update(&source, None).await else {
        panic!("somebody was disabled");
    };
    let read = source.read(Some(&version), &ReadProgress::default()).await;
    assert!(matches!(read.unwrap(), Reading::Full { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_changed_among_many_takes_a_few_requests() {
    let tenant = tenant().await;
    let (people, groups) = tenant.add_company(&Company::new(10_000, 500));
    let source = keeping(&settings(&tenant));
    tenant.clear_requests();
    read_all(&source).await;
    let whole = tenant.requests().len();
    let count = async |what: &str| {
        let units = tenant.units();
        tenant.clear_requests();
        let (directory, _) = read_changes(&source).await.unwrap();
        let requests = tenant.requests().len();
        let units = tenant.units() - units;
        println!("{what}: {requests} requests, {units} units; whole: {whole}");
        assert_eq!(content(&directory), content(&read(settings(&tenant)).await));
        requests
    };
    assert_eq!(count("nothing").await, 2);
    tenant.change(|hand| hand.set_mail(people[0], Some("new@example.com")));
    assert_eq!(count("another address").await, 4);
    let new = tenant.add_user(UserSeed::new("new"));
    tenant.add_member(groups[7], new);
    assert_eq!(count("somebody joins a group").await, 6);
    assert!(whole > 20);
    println!("{} KiB are kept", kept_bytes() / 1024);
}

#[tokio::test]
async fn hidden_members_stay_hidden_and_are_read_once_they_are_shown() {
    let office = office().await;
    let source = office.read().await;
    let secret = office
        .tenant
        .seed_group(GroupSeed::new("Secret", [office.ann]).hidden());
    let (directory, _) = read_changes(&source).await.unwrap();
    assert_eq!(content(&directory), office.whole().await);
    office
        .tenant
        .set_permissions([permission::DIRECTORY, permission::HIDDEN_MEMBERS]);
    office.tenant.add_member(secret, office.bob);
    let (directory, read_now) = read_changes(&source).await.unwrap();
    assert_eq!(content(&directory), office.whole().await);
    assert_eq!(read_of(&read_now)[0], ids(&[office.ann, office.bob]));
}

#[tokio::test]
async fn a_group_with_a_new_group_in_it_says_not_alone_who_is_in_it() {
    let office = office().await;
    let Office {
        tenant, bob, team, ..
    } = &office;
    let source = office.read().await;
    // The outer one comes first: when it is read, the inner one isn't known.
    let outer = tenant.add_group("Outer", [*bob]);
    let inner = tenant.add_group("Inner", [*team]);
    tenant.add_member(outer, inner);
    let (directory, read_now) = read_changes(&source).await.unwrap();
    assert_eq!(content(&directory), office.whole().await);
    assert_eq!(read_of(&read_now)[1], ids(&[]));
}

#[tokio::test]
async fn a_group_that_comes_into_a_unit_or_leaves_it_is_as_in_a_whole_read() {
    let office = office().await;
    let Office {
        tenant, team, all, ..
    } = &office;
    let unit = tenant.add_unit([*team]);
    let mut setup = settings(tenant);
    setup.replica_lag = Duration::ZERO;
    // Else they are few enough to be read one by one, and nothing is kept.
    setup.batched_groups = 0;
    setup.groups.as_mut().unwrap().administrative_units = vec![unit.to_string()];
    let source = keeping(&setup);
    read_all(&source).await;
    for groups in [vec![*team, *all], vec![*all], vec![]] {
        tenant.set_unit(unit, groups);
        let (directory, read_now) = read_changes(&source).await.unwrap();
        assert_eq!(content(&directory), content(&read(setup.clone()).await));
        assert_eq!(read_of(&read_now)[1], ids(&[]));
    }
}

/// What changed right before a whole read, which a replica answered that was behind.
#[tokio::test]
async fn what_a_whole_read_may_have_missed_is_asked_for_again() {
    /// What comes before that whole read.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Before {
        Nothing,
        /// The deltas may have said that nothing moved.
        IsKnown,
        /// No delta could be asked.
        FailedUpdate,
        /// Only the deltas could be asked.
        FailedRead,
    }
    use Before::{FailedRead, FailedUpdate, IsKnown, Nothing};
    for before in [Nothing, IsKnown, FailedUpdate, FailedRead] {
        let office = office().await;
        let Office {
            tenant, ann, team, ..
        } = &office;
        let source = keeping(&settings(tenant));
        let (_, version) = read_all(&source).await;
        tenant.fall_behind();
        tenant.change(|hand| hand.disable(*ann));
        let known = version.filter(|_| matches!(before, IsKnown | FailedRead));
        let from = |k| Fault::new(Way::InternalError).on_request(k).from_then_on();
        match before {
            Nothing | IsKnown => {}
            FailedUpdate => {
                tenant.faults().inject(from(1));
                assert!(update(&source, None).await.is_none());
            }
            FailedRead => {
                tenant.faults().inject(from(3));
                let failed = source.read(known.as_ref(), &ReadProgress::default()).await;
                failed.unwrap_err();
            }
        }
        tenant.faults().clear();
        tenant.change(|hand| hand.rename(*team, "Crew"));
        let reading = source.read(known.as_ref(), &ReadProgress::default()).await;
        let Ok(Reading::Full { version, .. }) = reading else {
            panic!("{before:?}: something moved");
        };
        tenant.catch_up();
        let Some(Update::Changed { directory, .. }) = update(&source, version.as_ref()).await
        else {
            panic!("{before:?}: it was missed");
        };
        let (directory, read_now) = directory.into_parts();
        assert_eq!(content(&directory), office.whole().await, "{before:?}");
        assert_eq!(read_of(&read_now), [ids(&[*ann]), ids(&[*team])]);
    }
}

#[tokio::test]
async fn a_doubt_has_everything_read_although_the_deltas_tell_nothing_more() {
    let office = office().await;
    let tenant = &office.tenant;
    let source = keeping(&settings(tenant));
    tenant.change(|hand| hand.disable(office.ann));
    read_all(&source).await;
    tenant.change(|hand| hand.enable(office.ann));
    // It is told, and asked for again after this read.
    let (_, version) = read_all(&source).await;
    tenant.spoil("/v1.0/$batch", 1, |body| {
        parts(body).for_each(|part| part["body"]["accountEnabled"] = Value::Null);
    });
    assert!(update(&source, version.as_ref()).await.is_none());
    let read = source
        .read(version.as_ref(), &ReadProgress::default())
        .await;
    assert!(matches!(read.unwrap(), Reading::Full { .. }));
}

/// Whatever reads there were meanwhile, of which replica, and which of them failed.
#[tokio::test(flavor = "multi_thread")]
async fn once_replicas_have_caught_up_it_equals_a_whole_read() {
    let (seed, stories) = (number("SEED", 4), number("STORIES", 150));
    let mut incremental = 0;
    for story in 0..stories {
        let tenant = tenant_with(small_pages()).await;
        let setup = settings(&tenant);
        let mut model = Model::new(&tenant, seed * 100_000 + story, &[]);
        (0..4).for_each(|_| model.sequence());
        let source = keeping(&setup);
        let (_, mut known) = read_all(&source).await;
        let mut told = vec![];
        let mut is_any_back = false;
        for _ in 0..model.random.usize(1..5) {
            match model.random.u8(..3) {
                0 => tenant.fall_behind(),
                1 => tenant.catch_up(),
                _ => {}
            }
            model.sequence();
            told.append(&mut model.changes);
            is_any_back |= model.restored;
            if model.random.u8(..4) == 0 {
                let k = model.random.u64(1..6);
                let fault = Fault::new(Way::InternalError).on_request(k);
                tenant.faults().inject(fault.from_then_on());
            }
            let read = match model.random.bool() {
                true => update(&source, known.as_ref()).await,
                false => None,
            };
            told.push(format!("incremental read {:?}", read.is_some()));
            match read {
                Some(Update::Changed { version, .. }) => known = Some(version),
                Some(Update::Unchanged) => {}
                None => {
                    let known_or_not = known.as_ref().filter(|_| model.random.bool());
                    let read = source.read(known_or_not, &ReadProgress::default()).await;
                    told.push(format!("whole read {:?}", read.is_ok()));
                    match read {
                        Ok(Reading::Full { version, .. }) => known = version,
                        Ok(Reading::Unchanged) => {}
                        Err(_) => known = None,
                    }
                }
            }
            tenant.faults().clear();
        }
        tenant.catch_up();
        // In which groups somebody is again isn't told, and a whole read may have missed that they were gone.
        if let Some((directory, _)) = read_changes(&source).await
            && !is_any_back
        {
            incremental += 1;
            let expected = content(&read(setup).await);
            assert_eq!(
                content(&directory),
                expected,
                "seed {seed}, story {story}: {told:?}"
            );
        }
    }
    println!("{incremental} incremental reads");
    assert!(incremental > stories / 3);
}
