//! Single members: what an import can't do, one paced request (or two) each.

use std::collections::HashSet;

use reqwest::Method;
use uuid::Uuid;

use crate::OrganizationClient;
use crate::OrganizationError;
use crate::directory::{Email, ExternalId};
use crate::error::{COLLECTIONS_UNKNOWN, NO_SUCH_CALL};
use crate::http::Idempotency;
use crate::http::process_limits::BoundedValue;
use crate::model::{Member, MemberRole, MemberStatus};
use crate::role::{AccessRole, Permissions};
use crate::text::sanitize;
use crate::wire::{FullMember, MemberUpdate, NewMember};
use crate::{Made, NotMade};

/// One member with access to thousands of collections.
const MEMBER_MAX: u64 = 16 << 20;

/// What Bitwarden says of an address that is a member's, 2026.8.0.
const INVITED_ALREADY: &str = "already been invited";

/// What changes of a member.
struct MemberChange<'a> {
    r#type: i64,
    external_id: Option<&'a str>,
    permissions: &'a Option<BoundedValue>,
}

impl OrganizationClient {
    /// Ends a member's access; account, data and memberships stay, the seat is free. Done as well
    /// when it was so already, or the member is gone.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`] with the server's reason, or because the server is too old.
    pub async fn revoke(&self, member: Uuid) -> Result<(), OrganizationError> {
        self.can("revoke a single member")?;
        let endpoint = "POST /public/members/{id}/revoke";
        let path = format!("/public/members/{member}/revoke");
        match self.done(&self.call(Method::POST, &path, endpoint)).await {
            // Who isn't there has no access. But an old server doesn't have the call.
            Err(OrganizationError::Gone { .. }) => match self.member(member).await {
                Ok(now) if now.status() == MemberStatus::Revoked => Ok(()),
                Ok(now) => Err(too_old("revoking", &now, member)),
                Err(OrganizationError::Gone { .. }) => Ok(()),
                Err(error) => Err(error),
            },
            // Refused also where it is done already, by an earlier try of ours or by a person.
            Err(refused @ OrganizationError::Refused { .. }) => match self.member(member).await {
                Ok(now) if now.status() == MemberStatus::Revoked => Ok(()),
                Err(OrganizationError::Gone { .. }) => Ok(()),
                Ok(_) => Err(refused),
                Err(error) => Err(error),
            },
            other => other,
        }
    }

    /// Gives a revoked member the access back. Done as well when it was so already.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`] with the server's reason (no seat, a policy),
    /// [`OrganizationError::Gone`].
    pub async fn restore(&self, member: Uuid) -> Result<(), OrganizationError> {
        self.can("restore a single member")?;
        let endpoint = "POST /public/members/{id}/restore";
        let path = format!("/public/members/{member}/restore");
        match self.done(&self.call(Method::POST, &path, endpoint)).await {
            Err(OrganizationError::Gone { .. }) => {
                let now = self.member(member).await?;
                if now.status() == MemberStatus::Revoked {
                    Err(too_old("restoring", &now, member))
                } else {
                    Ok(())
                }
            }
            Err(refused @ OrganizationError::Refused { .. }) => {
                if self.member(member).await?.status() == MemberStatus::Revoked {
                    Err(refused)
                } else {
                    Ok(())
                }
            }
            other => other,
        }
    }

    /// Removes a member. Done as well when the member is gone.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`] with the server's reason.
    pub async fn remove(&self, member: Uuid) -> Result<(), OrganizationError> {
        self.can("remove a single member")?;
        let endpoint = "DELETE /public/members/{id}";
        let path = format!("/public/members/{member}");
        match self.done(&self.call(Method::DELETE, &path, endpoint)).await {
            Err(OrganizationError::Gone { .. }) => Ok(()),
            other => other,
        }
    }

    /// Sends an invitation again that isn't accepted. At most once: where no answer comes, the request isn't
    /// repeated, because each is a mail. Done as well where the person has accepted meanwhile.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`] with the server's reason; [`OrganizationError::Gone`].
    pub async fn reinvite(&self, member: Uuid) -> Result<(), OrganizationError> {
        self.can("send an invitation again")?;
        let endpoint = "POST /public/members/{id}/reinvite";
        let path = format!("/public/members/{member}/reinvite");
        let call = self.call(Method::POST, &path, endpoint);
        let call = call.idempotency(Idempotency::NonIdempotent);
        let failed = match self.done(&call).await {
            Err(error @ (OrganizationError::Refused { .. } | OrganizationError::Gone { .. })) => {
                error
            }
            other => return other,
        };
        match self.member(member).await {
            Ok(now) if now.status() == MemberStatus::Invited => Err(match failed {
                OrganizationError::Gone { .. } => OrganizationError::Refused {
                    what: format!("sending the invitation of {} again", name(&now, member)),
                    answer: NO_SUCH_CALL.into(),
                },
                refused => refused,
            }),
            // Nobody is left who could accept it.
            Ok(_) | Err(OrganizationError::Gone { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Withdraws an invitation that isn't accepted. The member is read right before: whoever has accepted
    /// meanwhile stays. Done as well when the member is gone.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`] with the server's reason, and where the invitation isn't open any
    /// more.
    pub async fn withdraw_invitation(
        &self,
        member: Uuid,
        external_id: &ExternalId,
    ) -> Result<(), OrganizationError> {
        self.can("withdraw an invitation")?;
        let now = match self.member(member).await {
            Err(OrganizationError::Gone { .. }) => return Ok(()),
            other => other?,
        };
        let open = now.status() == MemberStatus::Invited
            && now.role() == MemberRole::USER
            && now.external_id.as_deref() == Some(external_id.as_str());
        if !open {
            return Err(OrganizationError::Refused {
                what: format!("withdrawing the invitation of {}", name(&now, member)),
                answer: "the member isn't as it was when the plan was made".into(),
            });
        }
        self.remove(member).await
    }

    /// Gives a member another external id; role, permissions, collections and groups stay.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`], also for an owner; [`OrganizationError::NotApplied`] when
    /// the answer shows something else; [`OrganizationError::Gone`].
    pub async fn relink(
        &self,
        member: Uuid,
        external_id: &ExternalId,
    ) -> Result<(), OrganizationError> {
        self.change_external_id(member, None, Some(external_id))
            .await
    }

    /// Takes a member's external id out; everything else of theirs stays. Done as well where they have none
    /// any more.
    ///
    /// # Errors
    /// As for [`Self::relink`]; [`OrganizationError::Refused`] also where they have got another one meanwhile.
    pub async fn unlink(
        &self,
        member: Uuid,
        external_id: &ExternalId,
    ) -> Result<(), OrganizationError> {
        self.change_external_id(member, Some(external_id), None)
            .await
    }

    /// `from`: the only one that is replaced; `None`: whatever they have.
    async fn change_external_id(
        &self,
        member: Uuid,
        from: Option<&ExternalId>,
        to: Option<&ExternalId>,
    ) -> Result<(), OrganizationError> {
        self.can("give a member another external id")?;
        let before = self.member(member).await?;
        let has = of_member(&before);
        let to = to.map(ExternalId::as_str);
        if has == to {
            return Ok(());
        }
        let what = || match to {
            Some(_) => format!("the new external id of {}", name(&before, member)),
            None => format!("taking out the external id of {}", name(&before, member)),
        };
        let refused = |answer: String| OrganizationError::Refused {
            what: what(),
            answer,
        };
        if before.role() == MemberRole::Owner {
            return Err(refused("owners are never changed".into()));
        }
        if from.is_some() && has != from.map(ExternalId::as_str) {
            return Err(refused(format!(
                "somebody else has given them the external id {} since the plan was made",
                has.map_or_else(|| "none".into(), sanitize)
            )));
        }
        let change = MemberChange {
            r#type: before.r#type,
            external_id: to,
            permissions: &before.permissions,
        };
        let after = self.update(member, &before, change, &what).await?;
        let now = of_member(&after);
        if now != to {
            let seen = format!(
                "its external id is {}",
                now.map_or_else(|| "none".into(), sanitize)
            );
            return Err(OrganizationError::NotApplied { what: what(), seen });
        }
        Ok(())
    }

    /// Gives a member another role; external id, collections and groups stay. Done as well where it has that
    /// role already.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`], also for an owner and for a member whose role isn't `from` any more;
    /// [`OrganizationError::NotApplied`] when the answer shows something else; [`OrganizationError::Gone`].
    pub async fn set_role(
        &self,
        member: Uuid,
        from: AccessRole,
        to: AccessRole,
    ) -> Result<Made, NotMade> {
        self.can("give a member another role")?;
        let before = self.member(member).await?;
        let now = before.access_role();
        if now == Some(to) {
            return Ok(Made::Already);
        }
        let what = || format!("the role {to} of {}", name(&before, member));
        let refused = |answer: String| {
            Err(NotMade::from(OrganizationError::Refused {
                what: what(),
                answer,
            }))
        };
        if before.role() == MemberRole::Owner {
            return refused("owners are never changed".into());
        }
        if now != Some(from) {
            let now = now.map_or_else(|| "another one".to_owned(), |role| role.to_string());
            return refused(format!(
                "somebody else has given them the role {now} since the plan was made"
            ));
        }
        let permissions = before.permissions_for(to);
        let change = MemberChange {
            r#type: to.number(),
            // An external id that is left out is taken away.
            external_id: of_member(&before),
            permissions: &permissions,
        };
        let after = self.update(member, &before, change, &what).await;
        let after = after.map_err(NotMade::after_request)?;
        match after.access_role() {
            Some(now) if now == to => Ok(Made::Now),
            now => {
                let now = now.map_or_else(|| "another one".to_owned(), |role| role.to_string());
                let seen = format!("the role is {now}");
                let error = OrganizationError::NotApplied { what: what(), seen };
                Err(NotMade::from(error))
            }
        }
    }

    /// Replaces what is known of a member, who was read right before: collections go back as they came, and
    /// groups aren't sent. The member as it is afterwards.
    async fn update(
        &self,
        member: Uuid,
        before: &FullMember,
        change: MemberChange<'_>,
        what: &(dyn Fn() -> String + Sync),
    ) -> Result<FullMember, OrganizationError> {
        // Sending fewer than the member has would take the rest away.
        let collections = before.collections.as_deref();
        let collections = collections.ok_or_else(|| OrganizationError::Refused {
            what: what(),
            answer: COLLECTIONS_UNKNOWN.into(),
        })?;
        let update = MemberUpdate {
            r#type: change.r#type,
            external_id: change.external_id,
            permissions: change.permissions,
            collections,
            groups: None,
        };
        let path = format!("/public/members/{member}");
        let call = self
            .call(Method::PUT, &path, "PUT /public/members/{id}")
            .json(&update)
            .map_err(|error| self.error(error))?;
        let after = self.json(&call, MEMBER_MAX).await;
        let after: FullMember = after.map_err(|error: OrganizationError| error.after_read(what))?;
        let left = after.collections.as_ref().map(Vec::len);
        if left.is_some_and(|left| left < collections.len()) {
            let seen = "collections are missing: give them back in Bitwarden".into();
            return Err(OrganizationError::NotApplied { what: what(), seen });
        }
        Ok(after)
    }

    /// Withdraws an invitation that is still open and invites the same person at another address, with
    /// the same role and the same of the `managed` groups. A member's address can't be changed otherwise,
    /// and two members with one external id would break every import: the old one goes first.
    ///
    /// Between the two calls nobody but the old member knows what was given by hand. A process that
    /// ends there would lose it, so such an invitation is left to a person.
    ///
    /// # Errors
    /// [`OrganizationError::Refused`] with the server's reason, where the invitation isn't open any
    /// more, and where it has access that was given by hand; [`OrganizationError::Gone`]. Once the old
    /// one is withdrawn, the person is new to the next run, which invites them.
    pub async fn replace_invitation(
        &self,
        member: Uuid,
        external_id: &ExternalId,
        [from, to]: [&Email; 2],
        managed: &HashSet<Uuid>,
    ) -> Result<(), OrganizationError> {
        self.can("replace an invitation")?;
        let before = self.member(member).await?;
        let refused = |answer: &str| OrganizationError::Refused {
            what: format!("the invitation of {to} in place of {from}"),
            answer: answer.into(),
        };
        let open = before.status() == MemberStatus::Invited
            && before.role() == MemberRole::USER
            && before.email.as_deref().map(Email::of_member).as_ref() == Some(from)
            && before.external_id.as_deref() == Some(external_id.as_str());
        if !open {
            return Err(refused("the member isn't as it was when the plan was made"));
        }
        let collections = before.collections.as_deref();
        let collections = collections.ok_or_else(|| refused(COLLECTIONS_UNKNOWN))?;
        let path = format!("/public/members/{member}/group-ids");
        let call = self.call(Method::GET, &path, "GET /public/members/{id}/group-ids");
        let groups: Vec<Uuid> = self.json(&call, MEMBER_MAX).await?;
        let by_hand = groups
            .iter()
            .filter(|group| !managed.contains(group))
            .count();
        if !collections.is_empty() || by_hand > 0 {
            return Err(refused(&format!(
                "it has access that was given by hand ({} collections, {by_hand} groups), which a new \
                 one hasn't: withdraw it in Bitwarden, and once a sync has invited the new address, \
                 give the access there",
                collections.len()
            )));
        }
        self.remove(member).await?;
        let invitation = NewMember {
            email: to.as_str(),
            r#type: before.r#type,
            external_id: external_id.as_str(),
            collections,
            groups: &groups,
        };
        let call = self
            .call(Method::POST, "/public/members", "POST /public/members")
            .json(&invitation)
            .map_err(|error| self.error(error))?;
        match self.done(&call).await {
            // By an earlier try of ours: nobody had the address when the plan was made. Whether the
            // member is there is looked at after the run.
            Err(OrganizationError::Refused { answer, .. }) if answer.contains(INVITED_ALREADY) => {
                Ok(())
            }
            other => other,
        }
    }

    /// One member as a list shows them; `None` where there is no such member, or a text of theirs isn't
    /// shown because it holds a value of a Secret.
    ///
    /// # Errors
    /// When the server can't be asked.
    pub async fn read_member(&self, member: Uuid) -> Result<Option<Member>, OrganizationError> {
        self.can("read a single member")?;
        let read = match self.member(member).await {
            Ok(read) => read,
            Err(OrganizationError::Gone { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let values = self.remote.secrets.values();
        let texts = [&read.email, &read.external_id];
        let mut texts = texts.into_iter().flatten();
        if values.is_some_and(|values| texts.any(|text| values.are_in(text))) {
            return Ok(None);
        }
        let external_id = read.external_id.as_deref();
        Ok(Some(Member {
            id: member,
            external_id: external_id.and_then(|id| ExternalId::parse(id).ok()),
            email: Email::of_member(read.email.as_deref().unwrap_or_default()),
            status: read.status(),
            role: read.role(),
            permissions: read
                .access_role()
                .map_or(Permissions::NONE, AccessRole::permissions),
        }))
    }

    async fn member(&self, member: Uuid) -> Result<FullMember, OrganizationError> {
        let path = format!("/public/members/{member}");
        let call = self.call(Method::GET, &path, "GET /public/members/{id}");
        self.json(&call, MEMBER_MAX).await
    }
}

/// The call isn't there, the member is. Source: the server's public `MembersController`, which has
/// both calls since 2026.2.0.
fn too_old(doing: &str, member: &FullMember, id: Uuid) -> OrganizationError {
    OrganizationError::Refused {
        what: format!("{doing} {}", name(member, id)),
        answer: "this server doesn't have the call; update it to Bitwarden 2026.2.0 or newer"
            .into(),
    }
}

/// The external id of a member; servers have an empty one for none.
fn of_member(member: &FullMember) -> Option<&str> {
    member.external_id.as_deref().filter(|id| !id.is_empty())
}

fn name(member: &FullMember, id: Uuid) -> String {
    match &member.email {
        Some(email) => sanitize(email),
        None => format!("member {id}"),
    }
}
