//! The examples of docs/onboarding.md, on a real directory.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use simulators::organization::{MemberSeed, Status};

use crate::lab::{Lab, Ran, entry_uuid};

/// What the page puts below `onboarding:`, each line once.
fn examples() -> Vec<String> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/onboarding.md");
    let page = std::fs::read_to_string(page).unwrap();
    let blocks = page.split("```yaml\n").skip(1);
    let blocks = blocks.map(|block| block.split("```").next().unwrap());
    let lines = blocks.filter_map(|block| block.split_once("  onboarding:\n"));
    lines
        .flat_map(|(_, lines)| lines.lines().map(str::to_owned))
        .collect()
}

#[tokio::test]
async fn the_examples_of_the_page_on_onboarding_are_accepted_and_who_is_not_in_yet_is_counted() {
    let lab = Lab::new().await;
    let chidi = MemberSeed::new("chidi@example.com").external_id(&entry_uuid("chidi"));
    lab.organization.seed_member(chidi.status(Status::Accepted));
    let examples = examples();
    assert_eq!(examples.len(), 3, "{examples:?}");
    let resource = format!("{}  onboarding:\n{}\n", lab.resource(), examples.join("\n"));
    lab.write("staff.yaml", &resource);

    lab.run("sync -f staff.yaml -f secrets.yaml -q --yes")
        .await
        .ends_with(0)
        .prints("2 Invite");
    let plan = lab.run("plan -f staff.yaml -f secrets.yaml -q").await;
    plan.ends_with(0)
        .prints("not in yet: 2 invited, 1 to be confirmed");
    lab.run("explain -f staff.yaml -f secrets.yaml ada@example.com")
        .await
        .ends_with(0);
}

#[tokio::test]
async fn an_invitation_that_would_be_withdrawn_before_it_expires_is_refused() {
    let lab = Lab::new().await;
    let resource = format!("{}  onboarding: {{withdrawAfter: 5d}}\n", lab.resource());
    lab.write("staff.yaml", &resource);
    lab.run("plan -f staff.yaml -f secrets.yaml -q")
        .await
        .ends_with(1)
        .complains("write a number of days between 6d and 3650d: 30d");
}

const SYNC: &str = "sync -f staff.yaml -f secrets.yaml -q --yes";

/// A company whose invitations are sent again and withdrawn, and the time in it.
struct Later {
    lab: Lab,
    hours: u32,
}

impl Later {
    async fn new(onboarding: &str) -> Self {
        let lab = Lab::new().await;
        let resource = lab.resource().replace("limit: 0", "limit: 100%");
        lab.write(
            "staff.yaml",
            &format!("{resource}  onboarding: {onboarding}\n"),
        );
        Self { lab, hours: 0 }
    }

    /// Both clocks go on to this hour, in steps that the record of removals believes, with a sync after each.
    /// What the last one printed; `None` where clocks can't be moved on this machine.
    async fn sync_at(&mut self, test: &str, hours: u32) -> Option<Ran> {
        loop {
            let step = (hours - self.hours).min(48);
            self.hours += step;
            let passed = Duration::from_secs(u64::from(step) * 3600);
            self.lab.organization.pass(passed);
            let ran = self.lab.run_ahead(test, SYNC, self.hours).await?;
            if self.hours == hours {
                return Some(ran.ends_with(0));
            }
        }
    }

    fn accepts(&self, who: &str) -> bool {
        let email = format!("{who}@example.com");
        self.lab.organization.accept_and_confirm(&email)
    }

    /// How many mails each has got.
    fn mails(&self) -> [u32; 3] {
        let mails = self.lab.organization.invitations();
        ["ada", "bob", "chidi"].map(|who| mails[&format!("{who}@example.com")])
    }
}

#[tokio::test]
async fn invitations_are_sent_again_before_they_expire_so_often_and_withdrawn_after_30_days() {
    let test = "invitations_are_sent_again_before_they_expire_so_often_and_withdrawn_after_30_days";
    let story = async || {
        let mut later = Later::new("{reinvite: {after: 72h, times: 3}, withdrawAfter: 30d}").await;
        later.sync_at(test, 0).await?;
        assert_eq!(later.mails(), [1, 1, 1]);
        later.sync_at(test, 71).await?;
        assert_eq!(later.mails(), [1, 1, 1]);
        assert!(later.accepts("ada"));
        later.sync_at(test, 100).await?.prints("2 Reinvite");
        assert_eq!(later.mails(), [1, 2, 2]);
        // The first link has expired by now, and the second hasn't.
        later.sync_at(test, 150).await?;
        assert_eq!(later.mails(), [1, 2, 2]);
        assert!(later.accepts("bob"));
        later.sync_at(test, 400).await?;
        assert_eq!(later.mails(), [1, 2, 4], "three times, and no more");
        later.sync_at(test, 700).await?;
        assert_eq!(later.mails(), [1, 2, 4]);
        assert!(!later.accepts("chidi"), "the last link has expired");
        let plan = later
            .lab
            .run_ahead(test, "plan -f staff.yaml -f secrets.yaml -q", later.hours)
            .await?;
        plan.ends_with(0)
            .prints("not in yet: 1 invited (1 expired)");
        let explained = "explain -f staff.yaml -f secrets.yaml -q chidi@example.com";
        let explained = later.lab.run_ahead(test, explained, later.hours).await?;
        explained.ends_with(0).prints("invited");

        later.sync_at(test, 721).await?.prints("1 Remove");
        let members = later.lab.organization.snapshot().members;
        assert!(!members.contains_key("chidi@example.com"));
        assert_eq!(members["bob@example.com"].status, Status::Confirmed);
        let ran = later.sync_at(test, 800).await?;
        ran.prints("nobody accepted");
        assert_eq!(later.mails(), [1, 2, 4], "nobody is invited anew by itself");
        Some(())
    };
    story().await;
}

#[tokio::test]
async fn an_invitation_that_has_expired_is_sent_again_with_a_link_that_works() {
    let test = "an_invitation_that_has_expired_is_sent_again_with_a_link_that_works";
    let story = async || {
        let mut later = Later::new("{reinvite: {after: 6d, times: 1}}").await;
        later.sync_at(test, 0).await?;
        later.sync_at(test, 121).await?;
        assert!(!later.accepts("bob"), "the link has expired");
        assert_eq!(later.mails(), [1, 1, 1]);
        later.lab.organization.revoke("ada@example.com");
        later.sync_at(test, 145).await?.prints("2 Reinvite");
        assert_eq!(later.mails(), [1, 2, 2], "not to whoever was revoked");
        assert!(later.accepts("bob"));
        later.sync_at(test, 400).await?;
        assert_eq!(later.mails(), [1, 2, 2]);
        Some(())
    };
    story().await;
}

/// Until some hours after six on the next Monday morning.
fn hours_until_monday() -> u32 {
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let today = now.start_of_day().unwrap();
    let monday = today.nth_weekday(1, Weekday::Monday).unwrap();
    let hours = now.duration_until(&monday).as_hours() + 12;
    u32::try_from(hours).unwrap()
}

#[tokio::test]
async fn a_sync_once_a_week_sends_an_invitation_again_in_each_and_withdraws_in_time() {
    let test = "a_sync_once_a_week_sends_an_invitation_again_in_each_and_withdraws_in_time";
    let story = async || {
        let lab = Lab::new().await;
        let resource = lab.resource().replace("limit: 0", "limit: 100%");
        let onboarding = "{reinvite: {after: 72h, times: 3}, withdrawAfter: 30d}";
        let weekly = format!("{resource}  schedule: 0 6 * * 1\n  onboarding: {onboarding}\n");
        lab.write("staff.yaml", &weekly);
        let mails = || lab.organization.invitations()["bob@example.com"];
        // A sync on another day of the week is none that the schedule explains.
        let monday = hours_until_monday();
        for week in 0..=4 {
            let hours = monday + week * 7 * 24;
            let ran = lab.run_ahead(test, SYNC, hours).await?.ends_with(0);
            assert_eq!(mails(), (week + 1).min(4), "week {week}: {ran}");
        }
        lab.run_ahead(test, SYNC, monday + 5 * 7 * 24)
            .await?
            .ends_with(0)
            .prints("3 Remove");
        Some(())
    };
    story().await;
}
