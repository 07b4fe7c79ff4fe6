//! What a plan notes of what it has sent to a server that can't be read.

use crate::directory::ExternalId;
use crate::sync::hash::hash;
use crate::sync::plan::{Action, Change, GroupAction, MemberAction, Plan};
use crate::sync::sent::{Access, RowKind, SendResult, Sent, SentAccount, SentGroup, SentState};

impl SentState {
    /// Whether exactly this was refused before.
    pub fn was_refused(&self, change: &Change) -> bool {
        self.refused.get(&row(change)) == Some(&row_hash(change))
    }

    /// Notes what `plan` has sent.
    pub fn record(&mut self, plan: &Plan, outcome: SendResult<'_>) {
        let Some(sent) = &plan.sent else { return };
        self.lost &= plan.changes.is_empty();
        for email in &sent.forgotten {
            self.accounts.remove(email);
        }
        for change in &plan.changes {
            let failed = (outcome.failed)(change);
            if failed && outcome.refused {
                self.refused.insert(row(change), row_hash(change));
            } else if !failed {
                self.refused.remove(&row(change));
            }
            match &change.action {
                Action::Member(action) => {
                    self.record_member(change, action, failed, outcome.refused);
                }
                Action::Group(action) => self.record_group(change, action, sent, outcome),
            }
        }
        for (id, name) in &sent.renamed {
            if let Some(group) = self.groups.get_mut(id) {
                group.renamed = Some(name.clone());
            }
        }
        for id in &sent.gone {
            if let Some(group) = self.groups.get_mut(id) {
                group.gone = true;
            }
        }
    }

    fn record_member(
        &mut self,
        change: &Change,
        action: &MemberAction,
        failed: bool,
        refused: bool,
    ) {
        let Some(email) = change.subject.email() else {
            return;
        };
        let access = match action {
            MemberAction::Revoke { .. } | MemberAction::Remove { .. } if failed => {
                if let Some(account) = self.accounts.get_mut(email).filter(|_| !refused) {
                    account.access = Access::MaybeRevoked;
                }
                return;
            }
            MemberAction::Revoke { .. } | MemberAction::Remove { .. } => Access::Revoked,
            // It is planned again, and held as before: it gives access back.
            MemberAction::Relink { .. } if failed => return,
            // Sent again they would get access back although somebody revoked them by hand since.
            MemberAction::Restore if failed => Access::MaybeRestored,
            _ if failed => Access::Unsure,
            _ => Access::Given,
        };
        let account = SentAccount {
            external_id: change.external_id().clone(),
            access,
        };
        self.accounts.insert(email.clone(), account);
    }

    fn record_group(
        &mut self,
        change: &Change,
        action: &GroupAction,
        sent: &Sent,
        outcome: SendResult<'_>,
    ) {
        let id = change.external_id();
        let mut members: Vec<ExternalId> = match action {
            GroupAction::Create { add } => add.clone(),
            GroupAction::Update(update) => update.keep.iter().chain(&update.add).cloned().collect(),
            _ => return,
        };
        let failed = (outcome.failed)(change);
        let server_id = sent.server_ids.get(id);
        let before = self.groups.remove(id).or_else(|| {
            let group = self.groups.remove(server_id?)?;
            Some(SentGroup {
                server_id: server_id.cloned(),
                ..group
            })
        });
        let mut group =
            before.unwrap_or_else(|| SentGroup::new(change.subject.label(), Vec::new()));
        // Whom the server refused isn't in its groups either.
        let refused = |member: &ExternalId| outcome.refused && (outcome.has_person_failed)(member);
        members.retain(|member| !refused(member) || group.members.contains(member));
        if failed {
            members.append(&mut group.members);
        }
        members.sort_unstable();
        members.dedup();
        group.members = members;
        group.unsure = failed;
        group.gone = false;
        self.groups.insert(id.clone(), group);
    }
}

/// Which row a change is sent as.
fn row(change: &Change) -> (RowKind, ExternalId) {
    let kind = match change.action {
        Action::Member(_) => RowKind::Person,
        Action::Group(_) => RowKind::Group,
    };
    (kind, change.external_id().clone())
}

/// Identifies what a row says.
fn row_hash(change: &Change) -> u64 {
    let mut text = format!("{}\0{}", change.kind().name(), change.subject.label());
    let mut push = |id: &ExternalId| {
        text.push('\0');
        text.push_str(id.as_str());
    };
    match change.group() {
        Some(GroupAction::Create { add }) => add.iter().for_each(&mut push),
        Some(GroupAction::Update(update)) => {
            update.keep.iter().chain(&update.add).for_each(&mut push);
        }
        _ => {}
    }
    (hash(text.as_bytes()) >> 64) as u64
}
