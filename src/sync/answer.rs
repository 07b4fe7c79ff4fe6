//! Answers a question about one person or group: reads both sides and plans, exactly as a run does, and
//! explains what came of it. Changes nothing, and keeps nothing.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use tracing::{Instrument as _, info_span};
use uuid::Uuid;

use crate::directory::Lookup;
use crate::organization::model::Organization;
use crate::organization::{OrganizationClient, OrganizationError};
use crate::source::{Reading, Source};
use crate::sync::explain::{Decided, Explanation, Found, MemberGroups, Question, Sides};
use crate::sync::history::History;
use crate::sync::memberships::MembershipCache;
use crate::sync::policy::Policy;
use crate::sync::progress::Phase;
use crate::sync::run::{
    Comparison, FEW_GROUPS, Planning, RunError, RunOptions, State, Worked, run_blocking,
};

/// What of a directory may be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disclosure {
    /// What a plan could hold: entries that the source's filters let through.
    AsRead,
    /// Entries that they leave out, too: whoever asks has the source's credentials.
    Everything,
}

/// A question, and what may be said of it.
pub struct Asked<'a> {
    /// Whom it is about.
    pub question: &'a Question,
    /// What of the directory may be told.
    pub disclosure: Disclosure,
    /// Who was in which group, and when, where runs go by nothing of it: the groups that the question isn't
    /// about needn't be asked for again.
    pub compared: Option<(MembershipCache, Timestamp)>,
}

/// Explains what the next run would make of whom is asked for. `state` is what runs remember: a copy,
/// because what is noted in it is true of a run only.
///
/// # Errors
/// As for [`plan`](crate::sync::run::plan).
pub async fn answer(
    source: &dyn Source,
    client: &OrganizationClient,
    policy: &Policy,
    state: State,
    options: &RunOptions<'_>,
    asked: Asked<'_>,
) -> Result<Explanation, RunError> {
    let planning = Planning {
        source,
        client,
        policy,
        options,
        durations: vec![],
    };
    let answering = execute(planning, state, asked);
    options.unless_stopped(answering).await
}

async fn execute(
    mut planning: Planning<'_>,
    mut state: State,
    Asked {
        question,
        disclosure,
        compared,
    }: Asked<'_>,
) -> Result<Explanation, RunError> {
    // Both sides are read in full, whatever is known of an earlier read.
    state.in_sync = None;
    // What came of earlier changes is for the next run to note.
    state.history = History::default();
    planning.begin(&mut state);
    let (source, client, policy) = (planning.source, planning.client, planning.policy);
    let collections = planning.needs_collections(&state);
    let (reading, organization) = planning.read(None, collections).await?;
    let directory = match reading {
        Reading::Full { directory, .. } => directory,
        Reading::Unchanged => planning.read_directory().await?,
    };
    // Both sides were read: without this the answer only says less.
    let looked_up = source
        .look_up(question.as_str())
        .instrument(info_span!("look_up"))
        .await;
    let mut lookup = looked_up.unwrap_or_else(|error| {
        tracing::warn!(%error, "the directory couldn't be asked for one entry");
        Lookup::Unsupported
    });
    if disclosure == Disclosure::AsRead {
        lookup = only_what_was_read(lookup, &directory);
    }
    let sides = Sides {
        directory: &directory,
        organization: &organization,
        sent: state.memberships.sent(),
        policy,
    };
    let found = run_blocking(|| Found::new(question, &sides, lookup));
    let member_groups = member_groups(client, &found, &organization).await?;
    let mut beside =
        found.groups_to_read(&member_groups, &organization, &policy.external_id_prefix);
    beside.sort_unstable();
    let joining = found.groups_to_join(&organization, &policy.external_id_prefix);
    let inside = member_groups.values().flatten();
    let own: HashSet<Uuid> = beside
        .iter()
        .chain(&joining)
        .chain(inside)
        .copied()
        .collect();
    // What a command saw in other groups spares it to ask for them; those of the question are read.
    let compared = compared.filter(|(groups, _)| !groups.knows_no_group());
    let as_of = compared.map(|(mut groups, at)| {
        groups.keep_for(&client.describe());
        let own = std::mem::take(&mut state.memberships);
        state.memberships = own.with_groups_of(groups);
        at
    });
    if as_of.is_some() {
        beside = own.iter().copied().collect();
        beside.sort_unstable();
    }
    beside.truncate(FEW_GROUPS);
    let roster = planning.resolve(directory)?;
    // The groups of the question first. All are compared only where they make a difference to the answer:
    // that may take a request for each.
    let comparison = Comparison {
        beside: &beside,
        only: (own.len() <= FEW_GROUPS).then_some(&own),
        read: HashMap::new(),
    };
    let explain = |worked: &Worked, state: &State| {
        let decided = Decided {
            roster: &roster,
            organization: &organization,
            policy,
            guarded: &worked.guarded,
            ledger: &state.ledger.at(Timestamp::now()),
            member_groups: &member_groups,
            group_members: &worked.memberships,
            // A command compares all groups in each run.
            read_for_this: match as_of {
                Some(_) => &[],
                None => &worked.read_beside,
            },
        };
        run_blocking(|| found.explain(&decided, &source.describe(), &client.describe()))
    };
    let worked = planning.plan(&mut state, &roster, &organization, comparison);
    let worked = worked.await?;
    let mut explanation = explain(&worked, &state);
    if worked.leaves_out && explanation.rests_on_all_groups() {
        let comparison = Comparison {
            beside: &beside,
            only: None,
            read: worked.memberships,
        };
        let worked = planning.plan(&mut state, &roster, &organization, comparison);
        explanation = explain(&worked.await?, &state);
    }
    if let Some(at) = as_of.filter(|_| explanation.rests_on_all_groups()) {
        explanation.notes.push(format!(
            "what others lose, which limits count, is told by the groups as they were at {}, when a command \
             compared them all; the next sync compares them again",
            at.strftime("%Y-%m-%dT%H:%M:%SZ")
        ));
    }
    Ok(explanation)
}

/// Without entries that the source's filters leave out.
fn only_what_was_read(lookup: Lookup, directory: &crate::directory::Directory) -> Lookup {
    let Lookup::Found(entries) = lookup else {
        return lookup;
    };
    let was_read = |id: &crate::directory::ExternalId| {
        directory.users.iter().any(|user| user.id == *id)
            || directory.groups.iter().any(|group| group.id == *id)
    };
    let entries: Vec<_> = entries
        .into_iter()
        .filter(|entry| entry.id.as_ref().is_some_and(was_read))
        .collect();
    match entries.is_empty() {
        // That there is none, and that it is left out, look the same.
        true => Lookup::Unsupported,
        false => Lookup::Found(entries),
    }
}

async fn member_groups(
    client: &OrganizationClient,
    found: &Found,
    organization: &Organization,
) -> Result<MemberGroups, RunError> {
    let mut groups = HashMap::new();
    if matches!(organization, Organization::WriteOnly) {
        return Ok(groups);
    }
    for member in found.members() {
        match client.group_ids(member).await {
            Ok(ids) => {
                groups.insert(member, ids);
            }
            Err(OrganizationError::Gone { .. }) => {}
            Err(error) => return Err(RunError::organization(Phase::ReadMemberships, error)),
        }
    }
    Ok(groups)
}
