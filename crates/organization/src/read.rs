//! The whole organization in two requests.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use futures::{StreamExt, stream};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::OrganizationClient;
use crate::OrganizationError;
use crate::complete::Complete;
use crate::directory::{Email, ExternalId};
use crate::http::HttpError;
use crate::http::process_limits::BoundedList;
use crate::model::{Content, Group, Member, MemberStatus, Organization};
use crate::problem::{Problem, ProblemReason};
use crate::wire::{List, Listed, ServerConfig};

/// A million members with their collections stay well below; the process's own limit may be smaller.
const LIST_MAX: u64 = 1 << 30;
/// Group reads that are under way at once; the limit of the server sets the speed.
pub(super) const SIDE_BY_SIDE: usize = 8;

impl OrganizationClient {
    /// Reads all members and all groups (without their members): two requests side by side, and
    /// none where the server was recognised as one that can't be read.
    ///
    /// # Errors
    /// Any doubt that a list is whole is an error.
    pub async fn read(&self) -> Result<Organization, OrganizationError> {
        self.read_with(false).await
    }

    /// The same with all `collections`, where they are asked for: one more request.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub async fn read_with(&self, collections: bool) -> Result<Organization, OrganizationError> {
        let organization = self.read_lists().await?;
        let Organization::Read(content) = organization else {
            return Ok(organization);
        };
        if !collections {
            return Ok(Organization::Read(content));
        }
        let mut content = content.into_inner();
        let all = match self.all_collections().await {
            // It is about collections alone.
            Err(error @ OrganizationError::Refused { .. }) => {
                let message = format!("access.collections: {error}");
                let problem = Problem::new(ProblemReason::Refused, message, []);
                content.problems.push(problem);
                None
            }
            all => all?,
        };
        content.collections = all.map(|all| all.into_iter().map(|one| one.collection).collect());
        Ok(Organization::Read(Complete::after_last_page(content)))
    }

    async fn read_lists(&self) -> Result<Organization, OrganizationError> {
        if self.write_only.load(Ordering::Relaxed) {
            self.still_vaultwarden().await?;
            return Ok(Organization::WriteOnly);
        }
        let both = futures::future::try_join(
            self.list::<Member>("members", "/public/members", "GET /public/members"),
            self.list::<Group>("groups", "/public/groups", "GET /public/groups"),
        );
        match both.await {
            Ok((mut members, mut groups)) => {
                self.readable.store(true, Ordering::Relaxed);
                let problems = self.withhold_secrets(&mut members, &mut groups);
                Ok(Organization::Read(Complete::after_last_page(Content {
                    members,
                    groups,
                    collections: None,
                    problems,
                })))
            }
            Err(error) if is_not_found(&error) => self.recognise(error).await,
            Err(error) => Err(self.list_error(error)),
        }
    }

    /// Names and addresses are shown, so what holds a value of a Secret is taken out of both lists. What
    /// a person is told of it.
    fn withhold_secrets(&self, members: &mut [Member], groups: &mut [Group]) -> Vec<Problem> {
        let Some(values) = self.remote.secrets.values() else {
            return vec![];
        };
        let is_secret = |text: &str| values.are_in(text);
        let holds = |id: &Option<ExternalId>| id.as_ref().is_some_and(|id| is_secret(id.as_str()));
        let mut found_members = vec![];
        for (member, number) in members.iter_mut().zip(1..) {
            let id_is_secret = holds(&member.external_id);
            let email_is_secret = is_secret(member.email.as_str());
            if id_is_secret {
                // Nobody knows whose it is.
                (member.external_id, member.status) = (None, MemberStatus::Withheld);
            }
            if email_is_secret {
                // By their id they are who they are: a disabled account is disabled whatever its email is.
                member.email = Email::withheld();
            }
            if id_is_secret || email_is_secret {
                found_members.push((number, member.id));
            }
        }
        let mut found_groups = vec![];
        for (group, number) in groups.iter_mut().zip(1..) {
            let id_is_secret = holds(&group.external_id);
            let name_is_secret = is_secret(&group.name);
            if id_is_secret {
                group.external_id = None;
            }
            if name_is_secret {
                group.name = WITHHELD.into();
            }
            if id_is_secret || name_is_secret {
                found_groups.push((number, group.id));
            }
        }
        let members = secret_in_list("members", "an address", found_members, is_secret);
        let groups = secret_in_list("groups", "a name", found_groups, is_secret);
        members.into_iter().chain(groups).collect()
    }

    /// Reads a list that the API answers in one piece, without pages.
    async fn list<T>(
        &self,
        what: &'static str,
        path: &str,
        endpoint: &'static str,
    ) -> Result<Vec<T>, ListError>
    where
        T: Send + 'static,
        Listed<T>: DeserializeOwned,
    {
        let call = self.call(Method::GET, path, endpoint);
        let list: List<Listed<T>> = self.remote.json(&call, LIST_MAX).await?;
        if list.continuation_token.is_some() {
            let why = "the answer ends with a continuation token".to_owned();
            return Err(OrganizationError::Incomplete { what, why }.into());
        }
        Ok(list.data.into_iter().map(|Listed(item)| item).collect())
    }

    /// The token works and a list isn't there: Vaultwarden, if it says so itself. A gateway that
    /// has lost its way to an official server must not pass for it, because what may be sent
    /// unread to the one takes people's access at the other.
    async fn recognise(&self, error: ListError) -> Result<Organization, OrganizationError> {
        let worked_before = self.readable.load(Ordering::Relaxed);
        let error = self.list_error(error);
        let wrong = |found: &str| OrganizationError::WrongAddress {
            what: format!("{error}, and {found}"),
            worked_before,
        };
        if worked_before {
            return Err(wrong("it was there before"));
        }
        if self.settings.region.is_cloud() {
            return Err(wrong("Bitwarden's cloud always has it"));
        }
        match self.config().await {
            Ok(config) => {
                if !config.is_vaultwarden() {
                    return Err(wrong("the server doesn't call itself Vaultwarden"));
                }
                self.write_only.store(true, Ordering::Relaxed);
                Ok(Organization::WriteOnly)
            }
            Err(error) if is_status(&error, StatusCode::NOT_FOUND) => {
                Err(wrong("/config isn't there either"))
            }
            Err(error) => Err(self.error(error)),
        }
    }

    /// The ids of a group's members.
    ///
    /// # Errors
    /// [`OrganizationError::Gone`] when the group isn't there any more, and as for [`Self::read`].
    pub async fn member_ids(&self, group: Uuid) -> Result<Vec<Uuid>, OrganizationError> {
        self.can("read a group's members")?;
        let path = format!("/public/groups/{group}/member-ids");
        let call = self.call(Method::GET, &path, "GET /public/groups/{id}/member-ids");
        let BoundedList(ids) = self.json(&call, LIST_MAX).await?;
        Ok(ids)
    }

    /// The IDs of the groups that a member is in.
    ///
    /// # Errors
    /// [`OrganizationError::Gone`] when the member isn't there any more, and as for [`Self::read`].
    pub async fn group_ids(&self, member: Uuid) -> Result<Vec<Uuid>, OrganizationError> {
        self.can("read a member's groups")?;
        let path = format!("/public/members/{member}/group-ids");
        let call = self.call(Method::GET, &path, "GET /public/members/{id}/group-ids");
        let BoundedList(ids) = self.json(&call, LIST_MAX).await?;
        Ok(ids)
    }

    /// The members of many groups, read side by side as fast as the server's limit allows (the
    /// cloud's is 200 a minute). `progress` counts how many are done. Groups that are gone are
    /// left out.
    ///
    /// # Errors
    /// As for [`Self::read`]; the first error ends it.
    pub async fn memberships(
        &self,
        groups: &[Uuid],
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<HashMap<Uuid, Vec<Uuid>>, OrganizationError> {
        let mut found = HashMap::with_capacity(groups.len());
        let mut answers = stream::iter(groups.iter().copied())
            .map(|group| async move { (group, self.member_ids(group).await) })
            .buffer_unordered(SIDE_BY_SIDE);
        let mut done = 0;
        while let Some((group, members)) = answers.next().await {
            match members {
                Ok(members) => {
                    found.insert(group, members);
                }
                Err(OrganizationError::Gone { .. }) => {}
                Err(error) => return Err(error),
            }
            done += 1;
            progress(done);
        }
        Ok(found)
    }

    pub(super) async fn config(&self) -> Result<ServerConfig, HttpError> {
        let call = self.call(Method::GET, "/config", "GET /config");
        self.remote.json(&call, 1 << 20).await
    }

    /// A run that has nothing to send would otherwise not notice that the server is down, replaced
    /// or doesn't accept the key any more.
    async fn still_vaultwarden(&self) -> Result<(), OrganizationError> {
        let config = self.config().await.map_err(|error| self.error(error))?;
        if config.is_vaultwarden() {
            return Ok(());
        }
        self.write_only.store(false, Ordering::Relaxed);
        Err(OrganizationError::WrongAddress {
            what: format!(
                "{}/config doesn't say Vaultwarden any more, as it did before",
                self.api
            ),
            worked_before: true,
        })
    }

    /// Whether new members can be created without an invitation. Where they can't, the server
    /// ignores the wish silently and invites.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub async fn stages_members(&self) -> Result<bool, OrganizationError> {
        if self.write_only.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let config = self.config().await.map_err(|error| self.error(error))?;
        Ok(config.stages_members())
    }

    fn list_error(&self, error: ListError) -> OrganizationError {
        match error {
            ListError::Http(error) => self.error(*error),
            ListError::Organization(error) => *error,
        }
    }
}

/// Stands where a group's name isn't shown.
const WITHHELD: &str = "(withheld)";
/// So many members or groups are named.
const NAMED: usize = 5;

/// What a person is told of entries of a list that hold a value of a Secret: (number in the list, ID).
fn secret_in_list(
    list: &str,
    what: &str,
    found: Vec<(usize, Uuid)>,
    is_secret: impl Fn(&str) -> bool,
) -> Option<Problem> {
    if found.is_empty() {
        return None;
    }
    let named = found.iter().take(NAMED).map(|(number, id)| {
        // Lists have no certain order, so an ID tells more.
        let id = id.to_string();
        match is_secret(&id) {
            true => format!("number {number} of the list"),
            false => format!("the one with the ID {id}"),
        }
    });
    let named: Vec<String> = named.collect();
    let more = match found.len() > NAMED {
        true => format!(" and {} more", found.len() - NAMED),
        false => String::new(),
    };
    let message = format!(
        "Bitwarden's list of {list} has {} with {what} or an external ID that holds a value of one of the \
         resource's Secrets: {}{more}; that isn't shown, nobody is invited or linked by it, and who is known \
         by their external ID is managed by that; change it in Bitwarden, give the Secret a new value, and \
         check region or serverUrl",
        found.len(),
        named.join(", "),
    );
    Some(Problem::new(ProblemReason::SecretInEntry, message, []))
}

/// Keeps the status of a failed call until it is known whether it shows which server it is.
enum ListError {
    Http(Box<HttpError>),
    Organization(Box<OrganizationError>),
}

impl From<HttpError> for ListError {
    fn from(error: HttpError) -> Self {
        Self::Http(Box::new(error))
    }
}

impl From<OrganizationError> for ListError {
    fn from(error: OrganizationError) -> Self {
        Self::Organization(Box::new(error))
    }
}

fn is_not_found(error: &ListError) -> bool {
    matches!(error, ListError::Http(error) if is_status(error, StatusCode::NOT_FOUND))
}

pub(super) fn is_status(error: &HttpError, status: StatusCode) -> bool {
    let answer = error.failure.answer();
    answer.is_some_and(|answer| answer.status == status)
}
