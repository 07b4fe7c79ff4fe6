//! What runs write into the ledger: before they change anything, and once they have.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::origin::Came;
use super::{
    ActiveHad, Asked, EvidenceKind, Hold, Invited, KEPT, Key, LOSSES_MAX, Ledger, Loss, NO_MEMBER,
    PENDING_MAX, REVOKED_MAX, Replaced, RevocationState, Revoked, Uncounted, What, hourly, key,
    key_of, member_key, member_number, name_key,
};
use crate::directory::ExternalId;
use crate::sync::change_set::ChangeSet;
use crate::sync::fingerprint::FingerprintSet;
use crate::sync::limits::WINDOW;
use crate::sync::memberships::FailedChanges;
use crate::sync::plan::{
    Action, Change, GroupAction, Kind, MemberAction, Plan, Revocations as _, RuleId,
};

impl Ledger {
    /// Notes what is about to be done. To be kept before the first change is made: a process that
    /// ends in the middle has then used up what it may have taken away.
    pub(crate) fn record_start(
        &mut self,
        plan: &Plan,
        used: Option<&Hold>,
        open: Option<&Hold>,
        now: Timestamp,
    ) {
        *self = self.at(now);
        self.replaced = Replaced::default();
        self.notice(plan);
        self.expect_fewer(plan);
        self.keep_revoked(plan);
        self.keep_given(plan);
        self.keep_given_access(plan);
        self.part_from_ids(plan);
        self.carry_groups(plan);
        self.note_undone(plan);
        self.start_invitations(plan);
        self.keep_approved(plan);
        if let Some(hold) = used {
            self.use_approval(hold);
            if plan.settles_not_read {
                let not_read: HashSet<Key> = plan.disabled_by_other_rules().collect();
                let settled = self.revoked.iter_mut();
                let settled = settled.filter(|one| not_read.contains(&one.person));
                settled.for_each(|one| one.settled = true);
            }
        }
        self.set_open(open);
        if self.is_to_be_filled(plan) && !plan.directory_is_empty {
            self.first_sync_until = self.latest + WINDOW.as_secs();
        }
        let approved = self.approved_of(plan, used);
        let losses = losses_by(plan, &approved, |_| true);
        let mut revoked: Vec<Revoked> = vec![];
        let first_sync = self.is_first_sync();
        let asked = |change| match was_asked(plan, &approved, change) {
            _ if first_sync => Asked::FirstSync,
            true => Asked::Approved,
            false => Asked::Nobody,
        };
        let mut invited: Vec<(Asked, Key)> = vec![];
        for change in &plan.changes {
            let id = change.external_id();
            match change.member() {
                Some(
                    action
                    @ (MemberAction::Revoke { evidence } | MemberAction::Remove { evidence }),
                ) => {
                    let kind = EvidenceKind::from(evidence);
                    let by_rule = match kind {
                        EvidenceKind::Disabled => Some(plan.rule()),
                        EvidenceKind::Absent => self.disabled_by(id),
                    };
                    let state = match action {
                        MemberAction::Revoke { .. } => Some(RevocationState::Maybe),
                        _ => by_rule.map(|_| RevocationState::Former),
                    };
                    // Whoever was disabled before stays so, as far as is known, though it is another
                    // evidence on which they lose access now.
                    let kind = by_rule.map_or(kind, |_| EvidenceKind::Disabled);
                    revoked.extend(state.map(|state| Revoked {
                        at: self.latest,
                        person: key(id),
                        member: change.subject.id.map_or(NO_MEMBER, member_number),
                        kind,
                        rule: by_rule.unwrap_or(RuleId::UNKNOWN),
                        state,
                        settled: false,
                    }));
                }
                Some(MemberAction::Invite { .. } | MemberAction::Restore) => {
                    invited.extend(comes_in(plan, change).then(|| (asked(change), key(id))));
                }
                // Who revoked them isn't carried to the new id, which may be another person's.
                Some(MemberAction::Relink { from }) => {
                    revoked.extend(self.disabled_by(from).map(|rule| Revoked {
                        at: self.latest,
                        person: key(id),
                        member: NO_MEMBER,
                        kind: EvidenceKind::Disabled,
                        rule,
                        state: RevocationState::Former,
                        settled: false,
                    }));
                }
                _ => {}
            }
        }
        self.note_given(plan, &approved);
        self.note_given_access(plan);
        self.note_gained_access(plan, &approved);
        let without_access = self.removed_without_access(plan);
        self.add_losses(losses);
        self.mark_outside_base(&without_access);
        self.add_revoked(revoked);
        self.expect_back(plan);
        if !invited.is_empty() && (!first_sync || self.adopted) {
            // Whoever a stopped run didn't invite is among these.
            let again: HashSet<Key> = invited.iter().map(|(_, person)| *person).collect();
            for pending in self.invited.iter_mut().filter(|one| !one.done) {
                let not_invited = pending.pending.iter().filter(|one| again.contains(*one));
                let not_invited = u32::try_from(not_invited.count()).unwrap_or(u32::MAX);
                pending.people = pending.people.saturating_sub(not_invited);
                pending.done = true;
                pending.pending.clear();
            }
            let (at, ahead) = (self.latest, self.ahead());
            for asked in [Asked::FirstSync, Asked::Approved, Asked::Nobody] {
                let people = invited.iter().filter(|(of, _)| *of == asked);
                let mut pending: Vec<Key> = people.map(|(_, person)| *person).collect();
                let people = u32::try_from(pending.len()).unwrap_or(u32::MAX);
                if pending.len() > PENDING_MAX {
                    pending.clear();
                }
                self.invited.extend((people > 0).then_some(Invited {
                    at,
                    ahead,
                    people,
                    done: false,
                    pending,
                    asked,
                }));
            }
        }
    }

    /// Keeps of approvals that are being used what a plan still asks for.
    pub(crate) fn keep_approved(&mut self, plan: &Plan) {
        if !self.in_progress().is_empty() {
            let left = FingerprintSet::with_all_withdrawals(&plan.changes);
            self.end_undone_approvals(&left);
            self.finish_approved_except(&left);
        }
    }

    /// What of a plan was approved, now or before.
    fn approved_of(&self, plan: &Plan, used: Option<&Hold>) -> FingerprintSet {
        let mut approved = self.in_progress();
        if let Some(hold) = used {
            approved = approved.union(&hold.changes);
        }
        approved.and_what_follows(&plan.changes)
    }

    /// Notes what came of it: everything that [`Ledger::before`] noted, but for what `failed`. Of that, what was
    /// known before is known again.
    pub(crate) fn record_end(
        &mut self,
        plan: &Plan,
        used: Option<&Hold>,
        holding: bool,
        failed: &FailedChanges,
    ) {
        let at = self.latest;
        let approved = self.approved_of(plan, used);
        self.end_given(plan, &approved, failed);
        self.end_given_access(plan, failed);
        self.end_gained_access(plan, &approved, failed);
        let kept = kept(plan, &approved, failed);
        let refused = |what: &What| kept.contains(what);
        self.losses
            .retain(|loss| loss.done || loss.at != at || !refused(&loss.what));
        self.losses
            .iter_mut()
            .filter(|loss| loss.at == at)
            .for_each(|loss| loss.done = true);
        // Who is known for another reason stays so, whatever failed.
        let (mut not_done, mut done) = (HashSet::new(), HashSet::new());
        for change in &plan.changes {
            if matches!(change.kind(), Kind::Revoke | Kind::Remove | Kind::Relink) {
                let id = key(change.external_id());
                match failed.changes.has(change) {
                    true => not_done.insert(id),
                    false => done.insert(id),
                };
            }
        }
        let not_done: HashSet<Key> = &not_done - &done;
        self.revoked
            .retain(|one| one.at != at || !not_done.contains(&one.person));
        let before = std::mem::take(&mut self.replaced);
        let losses = before.losses.into_iter().filter(|one| refused(&one.what));
        let room = LOSSES_MAX.saturating_sub(self.losses.len());
        self.losses.extend(losses.take(room));
        let revoked = before.revoked.into_iter();
        let revoked = revoked.filter(|one| not_done.contains(&one.person));
        let room = REVOKED_MAX.saturating_sub(self.revoked.len());
        self.revoked.extend(revoked.take(room));
        let begun = self.revoked.iter_mut().filter(|one| one.at == at);
        for one in begun.filter(|one| one.state == RevocationState::Maybe) {
            one.state = RevocationState::Revoked;
        }
        let mut back: HashSet<Key> = HashSet::new();
        let (mut invited, mut refused) = (0, 0);
        let mut not_in = [0_u32; 2];
        for change in &plan.changes {
            let id = change.external_id();
            let failed = failed.changes.has(change);
            if failed && comes_in(plan, change) {
                not_in[usize::from(was_asked(plan, &approved, change))] += 1;
            }
            match change.member() {
                Some(MemberAction::Invite { .. }) => {
                    let new = plan.invites_new(change);
                    invited += usize::from(new);
                    refused += usize::from(new && failed);
                    if !failed {
                        back.insert(key(id));
                    }
                }
                Some(MemberAction::Restore | MemberAction::Link | MemberAction::Remove { .. })
                    if !failed =>
                {
                    back.insert(key(id));
                }
                _ => {}
            }
        }
        if !back.is_empty() {
            let removed: HashSet<Key> = plan
                .changes
                .iter()
                .filter(|change| change.kind() == Kind::Remove)
                .map(|change| key(change.external_id()))
                .collect();
            let stays_known = |one: &Revoked| {
                one.state == RevocationState::Former && removed.contains(&one.person)
            };
            let undo = plan.undoes.is_some();
            self.revoked.retain_mut(|one| {
                !back.contains(&one.person) || stays_known(one) || undo && one.stays_disabled()
            });
            let back = back.difference(&removed).copied().collect();
            self.mark_outside_base(&back);
        }
        for one in self
            .invited
            .iter_mut()
            .filter(|one| one.at == at && !one.done)
        {
            one.done = true;
            one.pending.clear();
            let not_in = match one.asked {
                Asked::Nobody => not_in[0],
                Asked::Approved => not_in[1],
                Asked::FirstSync => not_in[0] + not_in[1],
            };
            one.people = one.people.saturating_sub(not_in);
        }
        self.invited.retain(|one| !one.done || one.people > 0);
        hourly::merge_invited(&mut self.invited);
        self.end_invitations(plan, failed);
        self.expect_more(plan, failed);
        let everybody_is_in = refused == 0 && !holding;
        if self.first_sync_until > 0
            && everybody_is_in
            && (invited > 0 || !back.is_empty() || plan.counts.managed_members > 0)
        {
            self.first_sync_until = 0;
        }
        self.finish_approved(holding);
    }

    /// Notes which of the changes that a run began it made, where it ended before it could note what
    /// came of all. The other revocations aren't known to be ours. Whoever has their access back isn't
    /// somebody whom we revoked any more.
    pub(crate) fn record_done(&mut self, done: &[&Change], undo: bool) {
        let made = FingerprintSet::of(done.iter().copied());
        self.finish_approved_of(&made.union(&FingerprintSet::of_joins(done.iter().copied())));
        self.record_restored(done, undo);
        let revoked = done.iter().filter(|change| change.kind() == Kind::Revoke);
        let revoked = revoked.map(|change| change.external_id());
        self.set_revocations(revoked, RevocationState::Revoked);
    }

    /// Notes of a run that ended early, or is under way, which of these `changes` of roles and access it made: those
    /// that are `done`, and no others.
    pub(crate) fn record_access<'a>(
        &mut self,
        changes: impl Iterator<Item = &'a Change>,
        done: &ChangeSet,
    ) {
        for change in changes {
            let came = match done.has(change) {
                true => Came::Made,
                false => Came::NotMade,
            };
            self.end_given_by(change, came);
            self.end_given_access_by(change, came);
        }
        self.forget_given_access();
    }

    /// Whoever is found revoked after that may have been by hand.
    fn record_restored(&mut self, done: &[&Change], undo: bool) {
        let restored = done.iter().filter(|change| change.kind() == Kind::Restore);
        let restored: HashSet<Key> = restored.map(|change| key(change.external_id())).collect();
        if !restored.is_empty() {
            self.revoked
                .retain_mut(|one| !restored.contains(&one.person) || undo && one.stays_disabled());
            self.mark_outside_base(&restored);
        }
    }

    /// Notes whose revocations were requested, or the one that is requested next, without an answer so far.
    pub(crate) fn record_requested<'a>(&mut self, people: impl Iterator<Item = &'a ExternalId>) {
        self.set_revocations(people, RevocationState::Requested);
    }

    /// Notes to whom access is given back next, or was without an answer so far.
    pub(crate) fn record_restoring<'a>(&mut self, people: impl Iterator<Item = &'a ExternalId>) {
        let people: HashSet<Key> = people.map(key).collect();
        if people.is_empty() {
            return;
        }
        self.revoked.retain_mut(|one| {
            if !people.contains(&one.person) {
                return true;
            }
            // By which rule their account was disabled stays known.
            one.state = RevocationState::Former;
            one.kind == EvidenceKind::Disabled
        });
    }

    fn set_revocations<'a>(
        &mut self,
        people: impl Iterator<Item = &'a ExternalId>,
        state: RevocationState,
    ) {
        let people: HashSet<Key> = people.map(key).collect();
        let begun = self.revoked.iter_mut();
        let begun = begun.filter(|one| one.state == RevocationState::Maybe);
        for one in begun.filter(|one| people.contains(&one.person)) {
            one.state = state;
        }
    }

    /// Forgets that we revoked whoever was read as not revoked, or as no member: somebody gave them
    /// their access back, and a revocation that comes later isn't ours. Of those whose account was
    /// disabled that much stays known.
    ///
    /// Whoever is active and stays revoked is to be removed, if ever, that long after they are disabled
    /// or gone again.
    pub(crate) fn keep_revoked(&mut self, plan: &Plan) {
        if plan.is_partial {
            return;
        }
        self.keep_disabled(plan);
        self.note_attribute(plan);
        let Some(revoked) = &plan.revoked else { return };
        if self.revoked.is_empty() {
            return;
        }
        let revoked = revoked.iter().map(|(id, member)| (key(id), *member));
        let revoked: HashMap<Key, Uuid> = revoked.collect();
        let mut back: HashSet<Key> = HashSet::new();
        self.revoked.retain_mut(|one| {
            let still = revoked.get(&one.person);
            if one.state == RevocationState::Former
                || still.is_some_and(|member| one.is_member(Some(*member)))
            {
                return true;
            }
            back.insert(one.person);
            one.state = RevocationState::Former;
            one.kind == EvidenceKind::Disabled
        });
        self.mark_outside_base(&back);
        let latest = self.latest;
        let requested = self.revoked.iter_mut();
        for one in requested.filter(|one| one.state == RevocationState::Requested) {
            one.state = match one.is_ours(latest) {
                true => RevocationState::Revoked,
                false => RevocationState::Maybe,
            };
        }
        let active: HashSet<Key> = plan.active_revoked.iter().map(key).collect();
        if active.is_empty() {
            return;
        }
        for one in self.revoked.iter_mut() {
            // Once a day: an unchanged ledger isn't written.
            if one.is_ours(latest) && one.at < latest && active.contains(&one.person) {
                one.at = latest.saturating_add(WINDOW.as_secs());
            }
        }
    }

    /// Notes who is disabled without having access, and by which rule: whoever reads them as active by
    /// another one doesn't know whether they are. Of those whom somebody else revoked, as many are noted
    /// as there is room for. So are those who aren't members, where somebody who lost access as disabled
    /// isn't in the directory under the same id any more: they may be among these.
    fn keep_disabled(&mut self, plan: &Plan) {
        let rule = plan.rule();
        let (inside, outside) = (&plan.disabled_revoked, &plan.disabled_outside);
        if rule == RuleId::UNKNOWN || (inside.is_empty() && outside.is_empty()) {
            return;
        }
        let mut unknown: HashMap<Key, usize> = inside.iter().map(key).zip(0..).collect();
        let differs = |one: &Revoked| one.kind != EvidenceKind::Disabled || one.rule != rule;
        if self.revoked.iter().any(differs) {
            let outside: HashSet<Key> = outside.iter().map(key).collect();
            for one in &mut self.revoked {
                if unknown.contains_key(&one.person) || outside.contains(&one.person) {
                    (one.kind, one.rule) = (EvidenceKind::Disabled, rule);
                    one.settled = false;
                }
            }
        }
        let latest = self.latest;
        let former = |one: &&mut Revoked| {
            // Once a day: an unchanged ledger isn't written.
            one.state == RevocationState::Former
                && one.at.saturating_add(WINDOW.as_secs()) <= latest
        };
        let mut former = self.revoked.iter_mut().filter(former).peekable();
        if former.peek().is_some() {
            let outside: HashSet<Key> = outside.iter().map(key).collect();
            for one in former.filter(|one| outside.contains(&one.person)) {
                one.at = latest;
            }
        }
        let lately = latest.saturating_sub(KEPT);
        if plan.disabled_and_not_read.iter().any(|one| one.at > lately) {
            let mut outside: Vec<Key> = outside.iter().map(key).collect();
            outside.sort_unstable();
            unknown.extend(outside.into_iter().zip(inside.len()..));
        }
        for one in &self.revoked {
            unknown.remove(&one.person);
        }
        let mut unknown: Vec<(usize, Key)> = unknown
            .into_iter()
            .map(|(person, at)| (at, person))
            .collect();
        unknown.sort_unstable();
        let room = REVOKED_MAX.saturating_sub(self.revoked.len());
        let at = self.latest;
        let unknown = unknown.into_iter().take(room);
        self.revoked.extend(unknown.map(|(_, person)| Revoked {
            at,
            person,
            member: NO_MEMBER,
            kind: EvidenceKind::Disabled,
            rule,
            state: RevocationState::Former,
            settled: false,
        }));
    }

    /// Notes that active people have the attribute that tells disabled accounts.
    fn note_attribute(&mut self, plan: &Plan) {
        let Some(rule) = plan
            .account_rule
            .as_ref()
            .filter(|rule| rule.active_have_it)
        else {
            return;
        };
        let latest = self.latest;
        // Once a day: an unchanged ledger isn't written.
        let is_known = |known: &ActiveHad| {
            known.rule == rule.id && latest < known.at.saturating_add(WINDOW.as_secs())
        };
        if !self.active_had.as_ref().is_some_and(is_known) {
            self.active_had = Some(ActiveHad {
                rule: rule.id,
                at: latest,
            });
        }
    }

    /// Whoever may get access back by this plan doesn't count as being without it: a run that is
    /// stopped may have given it.
    fn expect_back(&mut self, plan: &Plan) {
        let back = plan.changes.iter().filter(|change| {
            matches!(
                change.member(),
                Some(
                    MemberAction::Invite { .. }
                        | MemberAction::Link
                        | MemberAction::Relink { .. }
                        | MemberAction::Restore
                )
            )
        });
        let back = back.map(|change| key(change.external_id())).collect();
        self.mark_outside_base(&back);
        if !self.losses.is_empty() {
            self.expect_back_in_groups(plan);
        }
    }

    fn expect_back_in_groups(&mut self, plan: &Plan) {
        let mut added: HashSet<(Key, Key)> = HashSet::new();
        for change in &plan.changes {
            if let Some(add) = change.group().and_then(GroupAction::added) {
                let group = key(change.external_id());
                added.extend(add.iter().map(|person| (key(person), group)));
            }
        }
        for loss in &mut self.losses {
            if let What::Membership { person, group } = loss.what
                && added.contains(&(person, group))
            {
                loss.outside_base = true;
            }
        }
    }

    /// Whom this plan removes from the organization who was revoked before, and not within the last
    /// day by us: they had no access when the day began.
    fn removed_without_access(&self, plan: &Plan) -> HashSet<Key> {
        let removed = plan
            .changes
            .iter()
            .filter(|change| change.kind() == Kind::Remove)
            .map(Change::external_id);
        let mut people: HashSet<Key> = removed.filter(|id| plan.was_revoked(id)).map(key).collect();
        if !people.is_empty() {
            let since = self.latest.saturating_sub(WINDOW.as_secs());
            for loss in self.losses.iter().filter(|loss| loss.at > since) {
                if let What::Access { person } = &loss.what
                    && !loss.outside_base
                {
                    people.remove(person);
                }
            }
        }
        people
    }

    /// What these people lost doesn't make larger what limits are a share of.
    fn mark_outside_base(&mut self, people: &HashSet<Key>) {
        if people.is_empty() {
            return;
        }
        for loss in &mut self.losses {
            if let What::Access { person } = loss.what
                && people.contains(&person)
            {
                loss.outside_base = true;
            }
        }
    }

    /// What was lost under an id that this plan gives to a member who didn't have it counts by itself:
    /// it was somebody else's, or theirs as another member.
    pub(crate) fn part_from_ids(&mut self, plan: &Plan) {
        if plan.revoked.is_none() || (self.losses.is_empty() && self.shared.losses.is_empty()) {
            return;
        }
        let given = plan
            .changes
            .iter()
            .filter(|change| matches!(change.kind(), Kind::Invite | Kind::Link | Kind::Relink));
        let given: HashSet<Key> = given.map(|change| key(change.external_id())).collect();
        for loss in self.losses.iter_mut().chain(&mut self.shared.losses) {
            if let What::Access { person } | What::Membership { person, .. } = &mut loss.what
                && given.contains(person)
            {
                *person = former_key(*person, loss.at);
                // Whoever it was may have access again, and be in the group.
                loss.outside_base = true;
            }
        }
    }

    /// Who left a group left it also under the id that it gets by this plan, or under which it is made
    /// again by its name: it has no fresh limit. What is known of the one before stays, in case the
    /// group keeps it.
    pub(crate) fn carry_groups(&mut self, plan: &Plan) {
        if self.losses.is_empty() && self.floors.is_empty() {
            return;
        }
        let relinked = plan
            .changes
            .iter()
            .filter_map(|change| match change.group() {
                Some(GroupAction::Relink { from: Some(from) }) => {
                    Some((key(from), key(change.external_id())))
                }
                _ => None,
            });
        let mut relinked: HashMap<Key, Key> = relinked.collect();
        relinked.extend(self.made_again(plan));
        if relinked.is_empty() {
            return;
        }
        for (from, to) in &relinked {
            self.carry_floor(*from, *to);
        }
        let known: HashSet<(What, EvidenceKind)> = self
            .losses
            .iter()
            .map(|loss| (loss.what, loss.kind))
            .collect();
        let carried = self.losses.iter().filter_map(|loss| {
            let What::Membership { person, group } = loss.what else {
                return None;
            };
            let group = *relinked.get(&group)?;
            let what = What::Membership { person, group };
            (!known.contains(&(what, loss.kind))).then_some(Loss { what, ..*loss })
        });
        let carried: Vec<Loss> = carried.collect();
        self.losses.extend(carried);
    }

    /// The groups that a plan makes, by the id that a group of that name had when it lost members.
    fn made_again(&self, plan: &Plan) -> HashMap<Key, Key> {
        let made = plan
            .changes
            .iter()
            .filter(|change| matches!(change.group(), Some(GroupAction::Create { .. })));
        let made = made.map(|change| {
            let name = name_key(change.subject.label());
            (name, key(change.external_id()))
        });
        let made: HashMap<Key, Key> = made.collect();
        let named = self.losses.iter().filter_map(|loss| match loss.what {
            What::Name { group, name } => Some((group, *made.get(&name)?)),
            _ => None,
        });
        named.filter(|(from, to)| from != to).collect()
    }

    pub(super) fn add_losses(&mut self, losses: Vec<(What, EvidenceKind)>) {
        // The same loss on other evidence counts against another limit, too.
        let new: HashSet<(What, EvidenceKind)> = losses.iter().copied().collect();
        let again = self
            .losses
            .extract_if(.., |loss| new.contains(&(loss.what, loss.kind)));
        self.replaced.losses.extend(again);
        let mut seen = HashSet::new();
        let (at, ahead) = (self.latest, self.ahead());
        for (what, kind) in losses {
            if seen.insert((what, kind)) {
                self.losses.push(Loss {
                    at,
                    ahead,
                    what,
                    kind,
                    done: false,
                    outside_base: false,
                });
            }
        }
        let surplus = self.losses.len().saturating_sub(LOSSES_MAX);
        if surplus == 0 {
            return;
        }
        self.losses.sort_by_key(|loss| loss.at);
        let dropped = self.losses.drain(..surplus);
        let dropped = dropped.filter(|loss| !matches!(loss.what, What::Name { .. }));
        let dropped: Vec<Loss> = dropped.collect();
        for kind in [EvidenceKind::Disabled, EvidenceKind::Absent] {
            let mut by_hour: HashMap<i64, (i64, i64, u32)> = HashMap::new();
            for loss in dropped.iter().filter(|loss| loss.kind == kind) {
                let hour = by_hour.entry(loss.at / 3600).or_default();
                hour.0 = hour.0.max(loss.at);
                hour.1 = hour.1.max(loss.ahead);
                hour.2 = hour.2.saturating_add(1);
            }
            let uncounted = by_hour.into_values();
            self.uncounted
                .extend(uncounted.map(|(at, ahead, losses)| Uncounted {
                    at,
                    ahead,
                    kind,
                    losses,
                }));
        }
        hourly::merge_losses(&mut self.uncounted);
    }

    pub(super) fn add_revoked(&mut self, revoked: Vec<Revoked>) {
        // Whoever is being removed may stay, as somebody whom we revoked.
        let kind = |one: &Revoked| (one.person, one.state == RevocationState::Former);
        let new: HashSet<(Key, bool)> = revoked.iter().map(kind).collect();
        let again = self.revoked.extract_if(.., |one| new.contains(&kind(one)));
        self.replaced.revoked.extend(again);
        self.revoked.extend(revoked);
        let mut surplus = self.revoked.len().saturating_sub(REVOKED_MAX);
        // Those first of whom less depends on it.
        self.revoked.retain(|one| {
            let drop = surplus > 0 && one.state == RevocationState::Former;
            surplus -= usize::from(drop);
            !drop
        });
        self.revoked.drain(..surplus);
    }

    /// Whether something is held.
    pub fn is_holding(&self) -> bool {
        self.has_open()
    }
}

/// Whether somebody comes in by a change who makes no limit larger within the day.
fn comes_in(plan: &Plan, change: &Change) -> bool {
    match change.kind() {
        Kind::Invite => plan.invites_new(change) || plan.undoes.is_some(),
        // Who gets access back by an undo is part of what limits were a share of before.
        Kind::Restore => plan.undoes.is_none(),
        _ => false,
    }
}

/// Whether somebody approved a change, or looked at the undo that it is of: it isn't what an accident invites.
fn was_asked(plan: &Plan, approved: &FingerprintSet, change: &Change) -> bool {
    plan.undoes.is_some() || approved.has(change)
}

/// What those changes of a plan that are `made` take from people without an approval.
fn losses_by(
    plan: &Plan,
    approved: &FingerprintSet,
    made: impl Fn(&Change) -> bool,
) -> Vec<(What, EvidenceKind)> {
    let mut losses: Vec<(What, EvidenceKind)> = vec![];
    // Who leaves the organization leaves its groups by that.
    let mut leaving: HashMap<&ExternalId, EvidenceKind> = HashMap::new();
    for change in plan.changes.iter().filter(|change| made(change)) {
        let id = change.external_id();
        match &change.action {
            Action::Member(
                action @ (MemberAction::Revoke { evidence } | MemberAction::Remove { evidence }),
            ) if !approved.has(change) => {
                let (person, kind) = (key(id), EvidenceKind::from(evidence));
                losses.push((What::Access { person }, kind));
                if matches!(action, MemberAction::Remove { .. }) {
                    leaving.insert(id, kind);
                }
            }
            Action::Member(MemberAction::SetRole(role))
                if role.takes_away() && !approved.has(change) =>
            {
                losses.push((What::Role { person: key(id) }, EvidenceKind::Absent));
            }
            Action::Group(GroupAction::Update(update)) => {
                let group = key(id);
                losses.extend(name_of(change, !update.remove.is_empty()));
                for leaving in &update.remove {
                    if !approved.has_withdrawal(id, &leaving.external_id) {
                        let person = key(&leaving.external_id);
                        let kind = EvidenceKind::from(&leaving.evidence);
                        losses.push((What::Membership { person, group }, kind));
                    }
                }
            }
            Action::Group(GroupAction::SetCollections(access)) if !approved.has(change) => {
                let ended = access.is_of_ended_group();
                let ended = ended.then(|| What::Ended { group: key(id) });
                losses.extend(ended.map(|what| (what, EvidenceKind::Absent)));
                let losing = access.losing_keys();
                losses.extend(losing.map(|person| (What::Role { person }, EvidenceKind::Absent)));
            }
            Action::Group(GroupAction::Delete(deletion)) if !approved.has(change) => {
                let group = key(id);
                losses.push((What::Group { group }, EvidenceKind::Absent));
                losses.extend(name_of(change, true));
                let managed = deletion.members.iter().flatten().map(key);
                let members = managed.chain(deletion.unmanaged.iter().copied().map(member_key));
                let members = members.map(|person| What::Membership { person, group });
                losses.extend(members.map(|what| (what, EvidenceKind::Absent)));
            }
            _ => {}
        }
    }
    for group in &plan.groups {
        let of = key(&group.external_id);
        if !group.leaving.is_empty() {
            let name = name_key(&group.name);
            losses.push((What::Name { group: of, name }, EvidenceKind::Absent));
        }
        losses.extend(group.leaving.iter().filter_map(|id| {
            let (person, group) = (key(id), of);
            Some((What::Membership { person, group }, *leaving.get(id)?))
        }));
    }
    losses
}

/// What nobody lost though a plan was to take it, because what would have taken it failed.
fn kept(plan: &Plan, approved: &FingerprintSet, failed: &FailedChanges) -> HashSet<What> {
    if failed.changes.is_empty() {
        return HashSet::new();
    }
    let what = |(what, _): (What, EvidenceKind)| what;
    let not_made = losses_by(plan, approved, |change| failed.changes.has(change));
    let made = losses_by(plan, approved, |change| !failed.changes.has(change));
    let mut kept: HashSet<What> = not_made.into_iter().map(what).collect();
    for (what, _) in made {
        kept.remove(&what);
    }
    // Who left the organization isn't in a group any more whose update failed.
    let removed = plan.changes.iter();
    let removed = removed.filter(|one| one.kind() == Kind::Remove && !failed.changes.has(one));
    let removed: HashSet<Key> = removed.map(|one| key(one.external_id())).collect();
    kept.retain(|what| match what {
        What::Membership { person, .. } => !removed.contains(person),
        _ => true,
    });
    kept
}

/// By its name a group is known again that gets another id.
fn name_of(change: &Change, loses: bool) -> Option<(What, EvidenceKind)> {
    let (group, name) = (key(change.external_id()), name_key(change.subject.label()));
    loses.then_some((What::Name { group, name }, EvidenceKind::Absent))
}

impl Revoked {
    /// Notes that an undo gives somebody back what they lost, and whether it has to stay known that their
    /// account was disabled: the directory hasn't said otherwise, and they may be a newcomer under another
    /// id.
    fn stays_disabled(&mut self) -> bool {
        self.state = RevocationState::Former;
        self.kind == EvidenceKind::Disabled
    }
}

/// In place of the key of somebody whose id is another member's now: one for each of their losses.
fn former_key(person: Key, at: i64) -> Key {
    let mut text = person.to_vec();
    text.extend(at.to_be_bytes());
    key_of(&text)
}

impl Change {
    /// What says that a member or a group goes; `None` for other changes.
    pub fn evidence(&self) -> Option<&crate::directory::Evidence> {
        match &self.action {
            Action::Member(
                MemberAction::Revoke { evidence } | MemberAction::Remove { evidence },
            ) => Some(evidence),
            Action::Group(GroupAction::Delete(deletion)) => Some(&deletion.evidence),
            Action::Group(GroupAction::SetCollections(access)) => access.evidence.as_ref(),
            Action::Member(MemberAction::SetRole(role)) => role.evidence.as_ref(),
            _ => None,
        }
    }
}
