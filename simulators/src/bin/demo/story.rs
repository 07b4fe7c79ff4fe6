//! The steps of the demo. Everything that it says is checked.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use simulators::organization::{MemberSnapshot, Role, Snapshot, Status};

use crate::cast;
use crate::screen::Screen;
use crate::stage::{Stage, condition};

const LIST: &str = "kubectl -n identity get dsync";

pub fn run(screen: &Screen, stage: &Stage, program: &Path) -> Result<()> {
    look_around(screen, stage)?;
    install(screen, stage, program)?;
    let digest = preview(screen, stage)?;
    sync(screen, stage, &digest)?;
    let digest = accident(screen, stage)?;
    approve(screen, stage, &digest)?;
    nothing_to_do(screen, stage)
}

fn look_around(screen: &Screen, stage: &Stage) -> Result<()> {
    screen.step("Before: the directory and the organization differ");
    screen.say(&format!(
        "The directory has {} people in eight departments, {} groups (up to four levels deep, one of\n\
         them nested twice in the same group), a service account, and an account without an email.\n\
         The organization:",
        cast::PEOPLE,
        cast::GROUPS
    ));
    screen.gap();
    screen.output(&table(
        &stage.organization.snapshot(),
        &everyone_named(),
        &[cast::RENAMED.0],
    ));
    screen.gap();
    screen.say(&format!(
        "{} and {} are in the directory.\n\
         {} is disabled there. Owner and auditor were never in it.\n\
         The group is called \"{}\" in the directory now.",
        cast::email(cast::MANAGED[0]),
        cast::email(cast::UNLINKED),
        cast::LEAVER,
        cast::RENAMED.1
    ));
    Ok(())
}

fn install(screen: &Screen, stage: &Stage, program: &Path) -> Result<()> {
    screen.step("Install the operator");
    screen.command(&format!(
        "export KUBECONFIG={}",
        stage.folder.join("kubeconfig").display()
    ));
    stage.type_in(screen, "kubectl apply --server-side -k deploy/")?;
    stage.wait_for_the_resource()?;
    screen.gap();
    screen.say(
        "This cluster has no nodes, so the operator runs next to the API server, as its service account.",
    );
    stage.start_operator(screen, program)?;
    screen.holds("ready");

    let account = "--as=system:serviceaccount:directory-sync:directory-sync";
    for (verb, expected) in [("get", true), ("list", false)] {
        let mut ask = stage.api.kubectl();
        ask.args(["auth", "can-i", verb, "secrets", "-n", "identity", account]);
        let may = ask.output().context("run kubectl")?.status.success();
        ensure!(
            may == expected,
            "the operator's right to {verb} Secrets isn't {expected}"
        );
    }
    screen.holds("it can read a Secret that a resource names, and can't list Secrets");
    Ok(())
}

/// The digest of the invitations that are held.
fn preview(screen: &Screen, stage: &Stage) -> Result<String> {
    screen.step("Preview");
    stage.type_in(screen, "kubectl create namespace identity")?;
    let create = format!(
        "kubectl -n identity create secret generic bitwarden-org \\\n    \
         --from-literal=clientId={} \\\n    --from-literal=clientSecret={}",
        stage.organization.client_id(),
        stage.organization.client_secret()
    );
    stage.type_in(screen, &create)?;
    let create = format!(
        "kubectl -n identity create secret generic ldap-bind \\\n    \
         --from-literal=bindDn={} --from-literal=password={}",
        cast::READER,
        stage.reader_password
    );
    stage.type_in(screen, &create)?;
    let ca = stage.folder.join("ca.crt");
    let create = "kubectl -n identity create configmap corp-ca --from-file";
    stage.type_in(screen, &format!("{create}={}", ca.display()))?;

    let overlay = overlay(stage)?;
    screen.gap();
    screen.say("The example from the repository, with the addresses of the servers above:");
    stage.type_in(screen, &format!("kubectl apply -k {overlay}"))?;
    wait_ready(screen, stage)?;
    let status = stage.wait_for_status("the preview", |status| {
        condition(status, "RemovalsHeld").is_some()
    })?;
    let held = &status["heldRemovals"];
    ensure!(
        held["total"] == newcomers() && held["members"] == 0,
        "the preview holds {} changes, {} of them removals",
        held["total"],
        held["members"]
    );
    stage.type_in(screen, LIST)?;
    let plan = r"kubectl -n identity get configmap staff-plan -o jsonpath='{.data.plan\.md}'";
    let plan = stage.ask(screen, plan)?;
    screen.output(&abridged(&plan));
    for named in [cast::LEAVER, cast::RENAMED.0, cast::RENAMED.1] {
        ensure!(
            plan.contains(named),
            "the plan doesn't name {named}:\n{plan}"
        );
    }
    ensure!(
        !plan.contains(cast::ROBOT),
        "the plan names the excluded {}",
        cast::ROBOT
    );
    ensure!(
        stage.organization.history().is_empty(),
        "a preview changed the organization"
    );
    screen.gap();
    screen.holds("nothing was changed");
    screen.gap();
    screen.say(&format!(
        "{} members have IDs of the directory's entries: this organization was synced before. It would\n\
         grow sixteen-fold at once, so the {} invitations wait for somebody who knows that this is right.\n\
         (An empty organization is filled without a question.)",
        cast::MANAGED.len() + 1,
        newcomers()
    ));
    let digest = held["digest"].as_str();
    let digest = digest.context("the held invitations have no digest")?;
    Ok(digest.to_owned())
}

fn sync(screen: &Screen, stage: &Stage, digest: &str) -> Result<()> {
    screen.step("Approve the invitations, and sync");
    annotate(screen, stage, "approve-removals", digest)?;
    let patch =
        r#"kubectl -n identity patch dsync staff --type=merge -p '{"spec":{"mode":"Apply"}}'"#;
    stage.type_in(screen, patch)?;
    wait_ready(screen, stage)?;
    let status = stage.wait_for_status("the first sync", |status| {
        condition(status, "RemovalsHeld").is_none()
            && condition(status, "Ready").is_some_and(|ready| ready["reason"] != "Previewed")
            && status["heldRemovals"].is_null()
    })?;
    stage.type_in(screen, LIST)?;
    let problems = format!(
        r#"{LIST} staff -o jsonpath='{{range .status.problems[*]}}{{.reason}}: {{.sample[0]}}{{"\n"}}{{end}}'"#
    );
    let problems = stage.type_in(screen, &problems)?;
    ensure!(
        status["problems"][0]["reason"] == "NoEmail" && problems.contains("lobby-screen"),
        "the entry without an email isn't reported: {}",
        status["problems"]
    );

    let now = stage.organization.snapshot();
    screen.gap();
    screen.say("The organization:");
    screen.gap();
    let groups = [
        "everyone",
        "product",
        "engineering",
        "on-call",
        cast::RENAMED.1,
    ];
    screen.output(&table(&now, &everyone_named(), &groups));
    screen.gap();

    let invited = stage.organization.invitations();
    ensure!(
        invited.len() == newcomers() && invited.values().all(|mails| *mails == 1),
        "{} people were sent invitations",
        invited.len()
    );
    screen.holds(&format!("{} people were invited, each once", invited.len()));
    let linked = member(&now, &cast::email(cast::UNLINKED))?;
    ensure!(
        linked.external_id.is_some(),
        "the member invited by hand wasn't linked"
    );
    screen.holds(&format!(
        "{} was linked, not invited again",
        cast::email(cast::UNLINKED)
    ));
    ensure!(
        member(&now, cast::LEAVER)?.status == Status::Revoked,
        "the leaver has access still"
    );
    screen.holds(&format!("{} was revoked; the account stays", cast::LEAVER));
    untouched(&now)?;
    screen.holds("owner and auditor are unchanged");
    let renamed = now
        .group(cast::RENAMED.1)
        .context("the group wasn't renamed")?;
    ensure!(
        now.group(cast::RENAMED.0).is_none() && renamed.members.iter().any(|m| m == cast::GUEST),
        "the renamed group lost the auditor, or is there twice"
    );
    screen.holds(&format!(
        "\"{}\" was renamed to \"{}\", and the auditor is still in it",
        cast::RENAMED.0,
        cast::RENAMED.1
    ));
    let everyone = now.group("everyone").map_or(0, |group| group.members.len());
    ensure!(
        everyone == cast::PEOPLE as usize && now.groups.len() == cast::GROUPS,
        "`everyone` has {everyone} members, and there are {} groups",
        now.groups.len()
    );
    screen.holds(
        "nested groups are resolved: `everyone` has no direct members, and now contains everyone",
    );
    ensure!(
        now.member(cast::ROBOT).is_none(),
        "{} became a member",
        cast::ROBOT
    );
    screen.holds("the service account is left out by the filter");
    Ok(())
}

/// The digest of the removals that are held.
fn accident(screen: &Screen, stage: &Stage) -> Result<String> {
    let gone = cast::deleted();
    screen.step("An accident");
    let disabled = cast::employee(cast::DISABLED).person;
    screen.say(&format!(
        "An administrator disables one account ({}). Someone joins. And a clean-up\n\
         script deletes {} of {} people.",
        disabled.uid,
        gone.len(),
        cast::PEOPLE
    ));
    let before = stage.organization.snapshot();
    type_ldif(screen, stage, &cast::disabling(cast::DISABLED))?;
    type_ldif(screen, stage, &cast::joining())?;
    let dns: Vec<_> = gone.iter().map(|number| cast::dn(*number)).collect();
    screen.command(&format!("ldapdelete {} … {} more", dns[0], dns.len() - 1));
    stage.slapd.delete(&dns)?;

    request(screen, stage, "after-the-accident")?;
    let status = stage.wait_for_status("the held removals", |status| {
        condition(status, "RemovalsHeld").is_some()
            && status["lastHandledSyncRequest"] == "after-the-accident"
    })?;
    stage.type_in(screen, LIST)?;
    let why = r#"-o jsonpath='{.status.conditions[?(@.type=="RemovalsHeld")].message}'"#;
    let why = stage.ask(screen, &format!("{LIST} staff {why}"))?;
    screen.output(&wrapped(&why));
    let sample = r#"-o jsonpath='{range .status.heldRemovals.sample[*]}{@}{"\n"}{end}'"#;
    stage.type_in(screen, &format!("{LIST} staff {sample}"))?;
    let events = "kubectl -n identity events --for=directorysync.directorysync.dev/staff";
    let events = stage.ask(screen, events)?;
    screen.output(&wrapped(&events));
    ensure!(
        events.contains("RemovalsHeld") || events.contains("LimitExceeded"),
        "no event tells of the held removals"
    );
    screen.gap();

    let held = &status["heldRemovals"];
    ensure!(
        held["members"] == gone.len(),
        "{} members are held, not {}",
        held["members"],
        gone.len()
    );
    let now = stage.organization.snapshot();
    let disabled = cast::email(cast::DISABLED);
    for (email, then) in &before.members {
        ensure!(
            *email == disabled || now.member(email) == Some(then),
            "{email} changed, though removals are held"
        );
    }
    screen.holds(&format!(
        "{} people would lose access; their removals are held",
        gone.len()
    ));
    ensure!(
        member(&now, &disabled)?.status == Status::Revoked,
        "{disabled} has access still"
    );
    screen.holds(&format!(
        "a disabled account is revoked all the same: {disabled}"
    ));
    let newcomer = format!("{}@example.com", cast::newcomer().uid);
    ensure!(
        member(&now, &newcomer)?.status == Status::Invited,
        "the newcomer wasn't invited"
    );
    screen.holds(&format!("everything else is done: {newcomer} is invited"));
    let digest = held["digest"]
        .as_str()
        .context("the held removals have no digest")?;
    Ok(digest.to_owned())
}

fn approve(screen: &Screen, stage: &Stage, digest: &str) -> Result<()> {
    screen.step("If it wasn't an accident: approve exactly these removals");
    let read = format!("{LIST} staff -o jsonpath='{{.status.heldRemovals.digest}}'");
    let read = stage.type_in(screen, &read)?;
    ensure!(read == digest, "the digest changed from {digest} to {read}");
    annotate(screen, stage, "approve-removals", digest)?;
    let done =
        r#"--for=jsonpath='{.status.conditions[?(@.type=="Ready")].reason}'=SucceededWithProblems"#;
    stage.type_in(
        screen,
        &format!("kubectl -n identity wait dsync/staff --timeout=60s \\\n    {done}"),
    )?;
    stage.wait_for_status("the approved removals", |status| {
        condition(status, "RemovalsHeld").is_none() && status["heldRemovals"].is_null()
    })?;
    stage.type_in(screen, LIST)?;

    let now = stage.organization.snapshot();
    screen.gap();
    screen.say("The organization:");
    screen.gap();
    let gone = cast::deleted();
    let mut named = everyone_named();
    named.insert(4, cast::email(cast::DISABLED));
    named.insert(5, cast::email(gone[0]));
    screen.output(&table(
        &now,
        &named,
        &["everyone", "product", cast::RENAMED.1],
    ));
    screen.gap();
    let removed = gone.iter().copied().chain([cast::DISABLED]);
    for number in removed {
        let email = cast::email(number);
        ensure!(
            member(&now, &email)?.status == Status::Revoked,
            "{email} has access still"
        );
    }
    let revoked = count(&now, Status::Revoked);
    ensure!(
        revoked == gone.len() + 2,
        "{revoked} members are revoked, not {}",
        gone.len() + 2
    );
    screen.holds(&format!(
        "{} people were revoked, and nobody else",
        gone.len()
    ));
    untouched(&now)?;
    screen.holds("owner and auditor are unchanged");
    Ok(())
}

fn nothing_to_do(screen: &Screen, stage: &Stage) -> Result<()> {
    screen.step("A sync without changes");
    stage.organization.clear_requests();
    let before = stage.organization.snapshot();
    request(screen, stage, "once-more")?;
    stage.wait_for_status("the sync without changes", |status| {
        status["lastHandledSyncRequest"] == "once-more"
    })?;
    let requests = stage.organization.requests();
    let writes = requests.iter().filter(|request| request.is_write()).count();
    ensure!(
        writes == 0 && stage.organization.snapshot() == before,
        "a sync without changes wrote {writes} times"
    );
    screen.gap();
    screen.holds(&format!(
        "{} requests to the organization, all groups compared, nothing written",
        requests.len()
    ));
    Ok(())
}

/// Asks for a run, and waits until it ended.
fn request(screen: &Screen, stage: &Stage, name: &str) -> Result<()> {
    annotate(screen, stage, "sync-requested-at", name)?;
    let wait = "kubectl -n identity wait dsync/staff --timeout=60s";
    let handled = format!("--for=jsonpath='{{.status.lastHandledSyncRequest}}'={name}");
    stage.type_in(screen, &format!("{wait} \\\n    {handled}"))?;
    Ok(())
}

fn annotate(screen: &Screen, stage: &Stage, annotation: &str, value: &str) -> Result<()> {
    let annotate = "kubectl -n identity annotate --overwrite dsync staff";
    let annotation = format!("directorysync.dev/{annotation}={value}");
    stage.type_in(screen, &format!("{annotate} \\\n    {annotation}"))?;
    Ok(())
}

fn wait_ready(screen: &Screen, stage: &Stage) -> Result<()> {
    let wait = "kubectl -n identity wait dsync/staff --for=condition=Ready --timeout=60s";
    stage.type_in(screen, wait)?;
    Ok(())
}

fn type_ldif(screen: &Screen, stage: &Stage, ldif: &str) -> Result<()> {
    screen.command(&format!("ldapmodify -a <<END\n{}\nEND", ldif.trim_end()));
    stage.slapd.modify(ldif)?;
    Ok(())
}

/// A kustomization that puts the parts' addresses into the quickstart, as anyone would with theirs.
fn overlay(stage: &Stage) -> Result<String> {
    let folder = stage.folder.join("quickstart");
    fs::create_dir_all(&folder)?;
    let depth = folder.components().count();
    let text = format!(
        "resources: [{up}examples/quickstart]\n\
         patches:\n\
         - patch: |\n\
         \x20   apiVersion: directorysync.dev/v1alpha1\n\
         \x20   kind: DirectorySync\n\
         \x20   metadata: {{name: staff, namespace: identity}}\n\
         \x20   spec:\n\
         \x20     organization: {{region: null, serverUrl: \"{organization}\"}}\n\
         \x20     source: {{ldap: {{url: \"{directory}\"}}}}\n",
        up = "../".repeat(depth),
        organization = stage.organization.url(),
        directory = stage.slapd.ldaps_url(),
    );
    fs::write(folder.join("kustomization.yaml"), text)?;
    Ok(folder.display().to_string())
}

/// How many people in the directory aren't members at first.
fn newcomers() -> usize {
    cast::PEOPLE as usize - cast::MANAGED.len() - 1
}

/// Checks that owner and auditor are confirmed, in their role, without an external ID.
fn untouched(now: &Snapshot) -> Result<()> {
    for (email, role) in [(cast::OWNER, Role::Owner), (cast::GUEST, Role::User)] {
        let member = member(now, email)?;
        ensure!(
            member.status == Status::Confirmed
                && member.role == role
                && member.external_id.is_none(),
            "{email} was touched: {member:?}"
        );
    }
    Ok(())
}

fn member<'a>(now: &'a Snapshot, email: &str) -> Result<&'a MemberSnapshot> {
    let member = now.member(email);
    member.with_context(|| format!("{email} isn't in the organization"))
}

fn count(now: &Snapshot, status: Status) -> usize {
    let mut members = now.members.values();
    members
        .by_ref()
        .filter(|member| member.status == status)
        .count()
}

/// The members that the demo shows by name.
fn everyone_named() -> Vec<String> {
    let names = [cast::OWNER, cast::GUEST, cast::LEAVER];
    let mut all: Vec<_> = names.map(str::to_owned).into();
    all.extend([cast::MANAGED[0], cast::UNLINKED].map(cast::email));
    all
}

/// Some members and groups of the organization, and the number of others.
fn table(now: &Snapshot, emails: &[String], groups: &[&str]) -> String {
    let mut text = format!("{:28} {:10} {:6} EXTERNAL ID\n", "MEMBER", "STATUS", "ROLE");
    let mut line = |email: &str, member: &MemberSnapshot| {
        let id = member.external_id.as_deref().unwrap_or("-");
        let (status, role) = (format!("{:?}", member.status), format!("{:?}", member.role));
        let _infallible = writeln!(text, "{email:28} {status:10} {role:6} {id}");
    };
    let shown: Vec<_> = emails
        .iter()
        .filter_map(|email| now.members.get_key_value(email))
        .collect();
    shown.iter().for_each(|(email, member)| line(email, member));
    let rest = now.members.len() - shown.len();
    if rest > 0 {
        let tally: Vec<_> = [Status::Confirmed, Status::Invited, Status::Revoked]
            .into_iter()
            .filter_map(|status| {
                let all = count(now, status);
                let here = shown
                    .iter()
                    .filter(|(_, member)| member.status == status)
                    .count();
                (all > here)
                    .then(|| format!("{} {}", all - here, format!("{status:?}").to_lowercase()))
            })
            .collect();
        let _infallible = writeln!(text, "… and {rest} more: {}", tally.join(", "));
    }
    let _infallible = writeln!(text, "\n{:28} MEMBERS", "GROUP");
    for group in groups.iter().filter_map(|name| now.group(name)) {
        let _infallible = writeln!(text, "{:28} {:7}", group.name, group.members.len());
    }
    let rest = now.groups.len().saturating_sub(groups.len());
    if rest > 0 {
        let _infallible = writeln!(text, "… and {rest} more");
    }
    text
}

/// A plan with the first two rows of each of its tables.
fn abridged(plan: &str) -> String {
    const ROWS: usize = 2;
    let mut out = String::new();
    let mut rows = 0;
    let is_row = |line: &str| line.starts_with("| ") && !line.starts_with("| |");
    for line in plan.trim_end().lines() {
        if is_row(line) {
            rows += 1;
            // The table's head is a row as well.
            if rows > ROWS + 1 {
                continue;
            }
        } else if line.is_empty() && rows > ROWS + 1 {
            let _infallible = writeln!(out, "… {} more rows", rows - ROWS - 1);
            rows = 0;
        } else if line.is_empty() {
            rows = 0;
        }
        out.push_str(line);
        out.push('\n');
    }
    if rows > ROWS + 1 {
        let _infallible = writeln!(out, "… {} more rows", rows - ROWS - 1);
    }
    out
}

/// Long lines broken at spaces, so that a terminal doesn't break them inside words.
fn wrapped(text: &str) -> String {
    const WIDTH: usize = 100;
    let mut out = String::new();
    for line in text.lines() {
        let mut width = 0;
        for word in line.split_inclusive(' ') {
            let length = word.chars().count();
            if width > 0 && width + length > WIDTH {
                out.push_str("\n    ");
                width = 4;
            }
            out.push_str(word);
            width += length;
        }
        out.push('\n');
    }
    out
}
