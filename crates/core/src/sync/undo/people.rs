//! Takes back what was done with members.

use super::draft::Draft;
use super::groups::{ID_AGAIN, OTHER_ID};
use crate::directory::{Email, ExternalId};
use crate::organization::model::{Member, MemberRole, MemberStatus};
use crate::organization::role::AccessRole;
use crate::sync::history::{Person, Record};
use crate::sync::plan::{Change, Kind, MemberAction, RoleChange, Subject};

const GONE: &str = "isn't a member any more";

impl Draft<'_> {
    /// A member gets the former external id back.
    pub(super) fn relink(&mut self, record: &Record) {
        let Some((person, member)) = self.has_id_of(record) else {
            return;
        };
        let now = member.external_id.as_ref().map(ExternalId::as_str);
        let from = record.from.as_deref().and_then(ExternalId::of_member);
        let (Some(from), true) = (from, now == person.external_id.as_deref()) else {
            let is_back = now.is_some() && now == record.from.as_deref();
            self.leave(record, if is_back { ID_AGAIN } else { OTHER_ID });
            return;
        };
        if self.members.has_external_id(from.as_str()) || !self.given_back.insert(from.clone()) {
            let why = "another member has the former external id by now";
            self.leave(record, why);
            return;
        }
        let Some(current) = member.external_id.clone() else {
            return;
        };
        self.relinked.insert(member.id, from.clone());
        let subject = Subject::person(from, member.email.clone(), Some(member.id));
        self.member_change(subject, MemberAction::Relink { from: current });
    }

    /// The member whom a run gave an external id, if it may be changed. Whoever left since needs none.
    fn has_id_of<'r>(&mut self, record: &'r Record) -> Option<(&'r Person, Member)> {
        let person = record.person.as_ref()?;
        let found = match self.selected.adoption {
            // An invitation that was replaced made another member of the same person.
            true => self.members.find_in_group(person).cloned(),
            false => Some(self.still_member(record)?.1),
        };
        let member = found?;
        if member.role == MemberRole::Owner {
            self.leave(record, "is an owner, who is never changed");
            return None;
        }
        Some((person, member))
    }

    /// A member who had no external id has none again.
    pub(super) fn unlink(&mut self, record: &Record) {
        let Some((person, member)) = self.has_id_of(record) else {
            return;
        };
        let given = person.external_id.as_deref();
        match &member.external_id {
            Some(now) if Some(now.as_str()) == given => {
                let subject = Subject::person(now.clone(), member.email.clone(), Some(member.id));
                self.member_change(subject, MemberAction::Unlink);
            }
            Some(_) => self.leave(record, "has got another external id since"),
            None => {}
        }
    }

    /// An undo took somebody's external id out: they get it again.
    pub(super) fn link_again(&mut self, record: &Record) {
        let Some((person, member)) = self.still_member(record) else {
            return;
        };
        let id = person
            .external_id
            .as_deref()
            .and_then(ExternalId::of_member);
        let (Some(id), None) = (id, &member.external_id) else {
            self.leave(record, "has got an external id since");
            return;
        };
        if self.members.has_external_id(id.as_str()) || !self.given_back.insert(id.clone()) {
            self.leave(record, "another member has the external id by now");
            return;
        }
        self.relinked.insert(member.id, id.clone());
        let subject = Subject::person(id, member.email.clone(), Some(member.id));
        self.member_change(subject, MemberAction::Link);
    }

    pub(super) fn access(&mut self, record: &Record) {
        if let Some(why) = self.changed_later(record) {
            self.leave(record, why);
            return;
        }
        match record.action {
            Kind::Revoke => self.restore(record),
            Kind::Restore => self.revoke(record),
            Kind::Remove => self.invite_again(record),
            Kind::Invite if record.from.is_some() => self.invite_at_former_address(record),
            _ => self.take_back_invitation(record),
        }
    }

    /// Why somebody's access isn't what the run made of it.
    pub(super) fn changed_later(&self, record: &Record) -> Option<String> {
        let later = self.selected.later.of(record.person.as_ref()?)?;
        let run = &later.run;
        if later.is_undo {
            return Some(format!("was taken back by run {run}"));
        }
        let did = match later.action {
            Kind::Revoke => "revoked",
            Kind::Restore => "restored",
            Kind::Remove => "removed",
            _ => "invited",
        };
        Some(format!(
            "run {run} has {did} them since: undo that run first"
        ))
    }

    /// The member that a record is about. Says so where there is none.
    fn still_member<'r>(&mut self, record: &'r Record) -> Option<(&'r Person, Member)> {
        let person = record.person.as_ref()?;
        let found = self.members.find(person).cloned();
        if found.is_none() {
            self.leave(record, GONE);
        }
        Some((person, found?))
    }

    fn subject(&self, member: &Member) -> Option<Subject> {
        let id = self.final_id_of(member.id)?;
        Some(Subject::person(id, member.email.clone(), Some(member.id)))
    }

    fn restore(&mut self, record: &Record) {
        let Some((_, member)) = self.still_member(record) else {
            return;
        };
        if member.status != MemberStatus::Revoked {
            self.leave(record, "has access again");
            return;
        }
        let Some(subject) = self.subject(&member) else {
            self.leave(record, "has no external id of their own any more");
            return;
        };
        let kind = record.evidence.as_ref().map(|evidence| evidence.kind);
        self.note_evidence(&subject.external_id.clone(), kind);
        self.member_change(subject, MemberAction::Restore);
    }

    /// A member gets the role back that they had.
    pub(super) fn set_role(&mut self, record: &Record) {
        let Some((_, member)) = self.still_member(record) else {
            return;
        };
        let role = record.role.as_ref();
        let roles = role.and_then(|role| Some((role.from.known()?, role.to.known()?)));
        let Some((before, after)) = roles else {
            self.leave(record, "the history doesn't have the role before");
            return;
        };
        if AccessRole::of(&member) != Some(after) {
            self.leave(record, "has got another role since");
            return;
        }
        let subject = self.subject(&member);
        let is_busy = |change: &Change| change.subject.id == Some(member.id);
        let (Some(subject), false) = (subject, self.changes.iter().any(is_busy)) else {
            self.leave(
                record,
                "something else of theirs is taken back first: undo again",
            );
            return;
        };
        let lost = after.exceeds(before);
        let change = RoleChange {
            doubt: None,
            from: after,
            to: before,
            through: vec![],
            evidence: lost.then(|| self.evidence()),
        };
        self.member_change(subject, MemberAction::SetRole(Box::new(change)));
    }

    fn revoke(&mut self, record: &Record) {
        let Some((_, member)) = self.still_member(record) else {
            return;
        };
        let why = match (member.status, member.role) {
            (MemberStatus::Revoked, _) => Some("is revoked already"),
            (MemberStatus::Other(_) | MemberStatus::Withheld, _) => {
                Some("has a status that this version doesn't know")
            }
            (_, MemberRole::Owner) => Some("is an owner by now, whose access is never taken away"),
            _ => None,
        };
        let subject = self.subject(&member);
        let (None, Some(subject)) = (why, subject) else {
            let why = why.unwrap_or("has no external id of their own any more");
            self.leave(record, why);
            return;
        };
        let evidence = self.evidence();
        self.member_change(subject, MemberAction::Revoke { evidence });
    }

    /// A removed member is new to Bitwarden: only an invitation brings them back.
    fn invite_again(&mut self, record: &Record) {
        let Some(person) = &record.person else { return };
        let email = person.email.as_deref().map(Email::of_member);
        let id = person
            .external_id
            .as_deref()
            .and_then(ExternalId::of_member);
        let (Some(email), Some(id)) = (email, id) else {
            self.leave(record, "the history doesn't have their address");
            return;
        };
        if self.members.has_external_id(id.as_str()) || self.members.with_email(&email).is_some() {
            self.leave(record, "is a member again");
            return;
        }
        let kind = record.evidence.as_ref().map(|evidence| evidence.kind);
        self.note_evidence(&id, kind);
        self.coming.insert(id.clone());
        let staged = !self.sides.policy.onboarding.invite;
        let action = MemberAction::Invite { staged, from: None };
        self.member_change(Subject::person(id, email, None), action);
    }

    /// Why an invitation isn't open any more, or isn't the one that the run sent.
    fn not_as_invited(&self, record: &Record, member: &Member) -> Option<&'static str> {
        let invited = record
            .person
            .as_ref()?
            .email
            .as_deref()
            .map(Email::of_member);
        match member.status {
            MemberStatus::Invited | MemberStatus::Staged
                if invited.as_ref() != Some(&member.email) =>
            {
                Some("has another address by now")
            }
            MemberStatus::Invited | MemberStatus::Staged if member.role != MemberRole::USER => {
                Some("has got another role since")
            }
            MemberStatus::Invited | MemberStatus::Staged => None,
            MemberStatus::Revoked => Some("was revoked since"),
            _ => Some("has accepted the invitation: revoke or remove them in Bitwarden"),
        }
    }

    fn take_back_invitation(&mut self, record: &Record) {
        let found = self.invited(record);
        let Some((_, member)) = found else { return };
        let why = self.not_as_invited(record, &member);
        let id = member.external_id.clone();
        let (None, Some(id)) = (why, id) else {
            self.leave(record, why.unwrap_or(GONE));
            return;
        };
        self.leaving.insert(member.id);
        let evidence = self.evidence();
        let subject = Subject::person(id, member.email.clone(), Some(member.id));
        self.member_change(subject, MemberAction::Remove { evidence });
    }

    /// The member that an invitation made. An invitation at another address made another one than the one
    /// that the record names.
    fn invited<'r>(&mut self, record: &'r Record) -> Option<(&'r Person, Member)> {
        let person = record.person.as_ref()?;
        let id = person.external_id.as_deref()?;
        let found = self.members.with_external_id(id).cloned();
        if found.is_none() {
            self.leave(record, GONE);
        }
        Some((person, found?))
    }

    fn invite_at_former_address(&mut self, record: &Record) {
        let Some((_, member)) = self.invited(record) else {
            return;
        };
        let why = self.not_as_invited(record, &member);
        let former = record.from.as_deref().map(Email::of_member);
        let (None, Some(former), Some(id)) = (why, former, member.external_id.clone()) else {
            self.leave(record, why.unwrap_or(GONE));
            return;
        };
        if self.members.with_email(&former).is_some() {
            self.leave(record, "another member has the former address by now");
            return;
        }
        let action = MemberAction::Invite {
            staged: false,
            from: Some(member.email.clone()),
        };
        self.member_change(Subject::person(id, former, Some(member.id)), action);
    }
}
