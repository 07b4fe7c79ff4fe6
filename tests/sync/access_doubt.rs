//! Stories of runs that end at each of their requests while they give or take back a role, or a group's access to a
//! collection, and of what people do by hand before the next one: nobody loses what a person gave, and what may be a
//! run's is never left untold.

use std::collections::BTreeSet;

use directory_sync::organization::collection::{AccessChange, CollectionAccess};
use directory_sync::organization::role::AccessRole;
use directory_sync::problem::ProblemReason;
use directory_sync::sync::ledger::Ledger;
use directory_sync::sync::progress::Progress;
use directory_sync::sync::report::Report;
use directory_sync::sync::run::{RunOptions, plan};
use jiff::Timestamp;
use simulators::fault::{Fault, Way, Work};
use simulators::organization::{Request, Role};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::access_failures::{INFRA, admins, kept, scene, view};
use crate::scene::{Scene, email, people};

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    Role,
    Collection,
}

/// What happened to the run in the middle.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    /// It lost the server, and the process goes on.
    Failed,
    Killed,
    /// And the record was deleted, too.
    KilledAndForgotten,
}

/// What a person does before the next run.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Hand {
    Nothing,
    Gives,
    Takes,
    /// Takes and gives: another run sees it in between.
    GivesAnew,
}

#[derive(Debug, Clone, Copy)]
struct Story {
    what: What,
    /// The run that ends in the middle was to give it; else to take it back.
    giving: bool,
    request: u64,
    work: Work,
    end: End,
    hand: Hand,
}

impl Scene {
    fn has(&self, what: What) -> bool {
        match what {
            What::Role => self.role_of("ann") == Role::Admin,
            What::Collection => self.collections_of("eng") == 1,
        }
    }

    /// Has the rules give it, or not any more.
    fn declare(&mut self, what: What, given: bool) {
        match what {
            What::Role => {
                self.policy.access.roles = vec![admins()];
                let inside: &[&str] = if given { &["ann"] } else { &[] };
                self.company.groups[0].2 = people(inside);
            }
            What::Collection => {
                let group = if given { "eng" } else { "ops" };
                self.policy.access.collections = vec![view(group)];
            }
        }
    }

    /// Gives or takes it by hand. Whether that makes a difference.
    async fn by_hand(&self, what: What, gives: bool) -> bool {
        if self.has(what) == gives {
            return false;
        }
        match what {
            What::Role => {
                let ann = self.organization.member_id(&email("ann")).unwrap();
                let ann: Uuid = ann.to_string().parse().unwrap();
                let (user, admin) = (AccessRole::User, AccessRole::Admin);
                let (from, to) = if gives { (user, admin) } else { (admin, user) };
                self.client.set_role(ann, from, to).await.unwrap();
            }
            What::Collection => {
                let eng = self.organization.group_id("eng").unwrap();
                let eng: Uuid = eng.to_string().parse().unwrap();
                let id: Uuid = INFRA.parse().unwrap();
                let view = CollectionAccess {
                    id,
                    read_only: true,
                    ..CollectionAccess::default()
                };
                let change = AccessChange {
                    id,
                    external_id: None,
                    from: (!gives).then_some(view),
                    to: gives.then_some(view),
                };
                self.client.set_collections(eng, &[change]).await.unwrap();
            }
        }
        assert_eq!(self.has(what), gives);
        true
    }
}

/// Whether whoever reads the report is told that something of it isn't known.
fn is_told(report: &Report, what: What) -> bool {
    let own = match what {
        What::Role => "ann",
        What::Collection => "eng",
    };
    kept(report).contains(&own.to_owned())
}

/// Whether the report says that the record is lost.
fn tells_of_lost_record(report: &Report) -> bool {
    let kept = report.problems.iter();
    let mut kept = kept.filter(|one| one.reason == ProblemReason::AccessKept);
    kept.any(|one| one.external_ids.is_empty())
}

impl Story {
    /// Up to the run that is to end in the middle, whose requests are the first after this.
    async fn begin(self) -> Scene {
        let mut scene = scene().await;
        scene.policy.access.limit = 100;
        if !self.giving {
            scene.declare(self.what, true);
            scene.run().await.unwrap();
            assert!(scene.has(self.what));
        }
        scene.declare(self.what, self.giving);
        scene.organization.clear_requests();
        scene
    }

    /// Whether it ended in doubt that a person has to settle.
    async fn tell(self) -> bool {
        let Self { what, hand, .. } = self;
        let mut scene = self.begin().await;
        let mut told = false;
        let fault = Fault::new(Way::CutConnection).work(self.work);
        scene
            .organization
            .faults()
            .inject(fault.on_request(self.request));
        let _ = scene.try_run(None).await;
        scene.organization.faults().clear();
        match self.end {
            End::Failed => {
                let Scene { kept, state, .. } = &mut scene;
                kept.keep(state);
            }
            End::Killed => scene.kill(),
            End::KilledAndForgotten => {
                scene.kept.ledger = Ledger::begin_careful(Timestamp::now()).to_bytes();
                scene.kill();
            }
        }
        let persons = match hand {
            Hand::Nothing => false,
            Hand::Gives => scene.by_hand(what, true).await,
            Hand::Takes => {
                scene.by_hand(what, false).await;
                false
            }
            Hand::GivesAnew => {
                scene.by_hand(what, false).await;
                scene.declare(what, false);
                scene.run().await.unwrap();
                scene.by_hand(what, true).await;
                true
            }
        };
        if self.giving && hand != Hand::GivesAnew {
            // As long as the rule gives it there is nothing to tell, and it is there.
            scene.declare(what, true);
            let report = scene.run().await.unwrap();
            assert!(scene.has(what), "{self:?}");
            assert!(!is_told(&report, what), "{self:?}");
            told |= tells_of_lost_record(&report);
            scene.declare(what, false);
        }
        let mut last = None;
        for _ in 0..2 {
            last = Some(scene.run().await.unwrap());
        }
        let last = last.unwrap();
        if persons {
            assert!(scene.has(what), "{self:?}: what a person gave is theirs");
        }
        if scene.has(what) {
            told |= is_told(&last, what) || tells_of_lost_record(&last);
            assert!(
                told || persons,
                "{self:?}: what a run may have given is told"
            );
        }
        if hand == Hand::Takes && self.end != End::KilledAndForgotten {
            assert!(!scene.has(what), "{self:?}");
        }
        is_told(&last, what)
    }
}

#[tokio::test]
async fn nobody_loses_what_a_person_gave_whichever_request_a_run_ends_at() {
    let mut told = 0;
    let mut stories = 0;
    for what in [What::Role, What::Collection] {
        for giving in [true, false] {
            let story = |request| Story {
                what,
                giving,
                request,
                work: Work::Done,
                end: End::Failed,
                hand: Hand::Nothing,
            };
            let mut undisturbed = story(0).begin().await;
            undisturbed.run().await.unwrap();
            let requests = undisturbed.organization.requests();
            let put = |one: &Request| one.method == "PUT";
            let first = requests.iter().position(put).unwrap();
            let last = requests.iter().rposition(put).unwrap() + 2;
            let mut told_at = BTreeSet::new();
            // From the one before to the one after: before and after those nothing is changed.
            for request in first as u64..=last as u64 {
                for work in Work::BOTH {
                    for end in [End::Failed, End::Killed, End::KilledAndForgotten] {
                        let all = [Hand::Nothing, Hand::Gives, Hand::Takes, Hand::GivesAnew];
                        // Where nothing is known nothing more depends on.
                        let hands = if end == End::KilledAndForgotten {
                            &all[..2]
                        } else {
                            &all
                        };
                        for &hand in hands {
                            let story = Story {
                                work,
                                end,
                                hand,
                                ..story(request)
                            };
                            stories += 1;
                            if Box::pin(story.tell()).await {
                                told += 1;
                                told_at.insert((end == End::Failed, request));
                            }
                        }
                    }
                }
            }
            // In doubt is the change without an answer, of one group or another that changes at the same time. A
            // process that was killed may have sent it, or only read before.
            let of = |failed: bool| told_at.iter().filter(|(one, _)| *one == failed).count();
            let most = if what == What::Role { (1, 2) } else { (2, 4) };
            let (failed, killed) = (of(true), of(false));
            let is_little = (1..=most.0).contains(&failed) && (1..=most.1).contains(&killed);
            assert!(is_little, "{what:?}, giving {giving}: {told_at:?}");
        }
    }
    assert!(stories > 150 && told > 0, "{told} of {stories}");
}

#[tokio::test]
async fn what_a_person_gave_between_plan_and_request_stays_and_is_told() {
    for what in [What::Role, What::Collection] {
        let mut scene = scene().await;
        scene.declare(what, true);
        let (progress, stop) = (Progress::default(), CancellationToken::new());
        let options = RunOptions::new(&progress, &stop);
        let Scene {
            company,
            client,
            policy,
            state,
            ..
        } = &mut scene;
        let planned = plan(company, client, policy, state, &options).await;
        let planned = planned.unwrap();
        assert!(scene.by_hand(what, true).await);
        let report = planned.apply(&mut scene.state, &options).await.unwrap();
        assert_eq!(report.failed.len(), 0, "{what:?}");
        scene.declare(what, false);
        for _ in 0..2 {
            let report = scene.run().await.unwrap();
            assert!(scene.has(what), "{what:?}");
            assert!(is_told(&report, what), "{what:?}");
        }
    }
}
