//! People: which accounts are read, and what is taken from them.

use std::collections::HashSet;
use std::sync::Mutex;

use uuid::Uuid;

use super::batch::Part;
use super::error::{accounts_hidden, is_unknown_type};
use super::graph::{AGENTS, DELETED_USERS, Graph, List, TOP, USER, USERS};
use super::kept::Keeping;
use super::scope::Scope;
use super::settings::UserSettings;
use super::wire::{DeletedUser, Reference, User};
use crate::ReadProgress;
use crate::api::spec::EntraIdEmail;
use crate::directory::{Account, AccountState, DirectoryBuilder};
use crate::http::ApiError;

/// The properties that a user is made of. All but licences can be followed by a delta.
pub(super) fn properties(settings: &UserSettings) -> &'static str {
    if settings.assigned_licenses.is_empty() {
        "id,mail,userPrincipalName,accountEnabled,userType"
    } else {
        "id,mail,userPrincipalName,accountEnabled,userType,assignedLicenses"
    }
}

const AGENT: &str = "#microsoft.graph.agentUser";

/// The AI agents among the users, by id.
///
/// Their type derives from a user's and they are listed with people; a list of the derived type
/// tells them for certain. A cloud that doesn't know the type has none.
async fn agents(graph: &Graph) -> Result<HashSet<Uuid>, ApiError> {
    let list = List::new(&AGENTS, "/users/microsoft.graph.agentUser")
        .select("id")
        .with("$top", TOP)
        .names("type agentUser");
    match graph.all::<Reference>(&list).await {
        Ok(agents) => Ok(agents.into_iter().map(|agent| agent.id).collect()),
        Err(error) if is_unknown_type(&error) => Ok(HashSet::new()),
        Err(error) => Err(error),
    }
}

/// Reads who was deleted within the last 30 days.
///
/// # Errors
/// Whatever leaves the list incomplete.
pub(super) async fn read_deleted(
    graph: &Graph,
    mut each: impl FnMut(DeletedUser),
) -> Result<(), ApiError> {
    let list = List::new(
        &DELETED_USERS,
        "/directory/deletedItems/microsoft.graph.user",
    )
    .select("id,mail,userPrincipalName,userType,deletedDateTime")
    .with("$top", TOP);
    graph
        .each(&list, |page: Vec<DeletedUser>| {
            page.into_iter().for_each(&mut each);
            Ok(())
        })
        .await
}

/// Puts somebody who was deleted into the builder, where it is one of those that are read.
pub(super) fn add_deleted(
    builder: &mut DirectoryBuilder,
    settings: &UserSettings,
    user: &DeletedUser,
) {
    if !is_of_kind(user.user_type.as_deref(), settings) {
        return;
    }
    let id = user.id.to_string();
    let name = user.user_principal_name.as_deref().unwrap_or_default();
    let prefix = user.id.simple().to_string();
    let name = name.strip_prefix(prefix.as_str()).unwrap_or(name);
    let email = email(user.mail.as_deref(), name, settings.email);
    let when = user.deleted_date_time.as_deref().unwrap_or("(none)");
    let account =
        Account::new(AccountState::Deleted, "deletedDateTime", when).changed(when.parse().ok());
    let key = builder.key(&id);
    builder.user(&[key], &id, email, account, name);
}

/// Which of the users that Graph lists are read.
pub(super) struct Selection<'a> {
    settings: &'a UserSettings,
    agents: HashSet<Uuid>,
}

/// Somebody who is read, and what is taken from their entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Person<'u> {
    pub id: Uuid,
    pub mail: Option<&'u str>,
    pub principal_name: Option<&'u str>,
    pub enabled: bool,
}

impl<'a> Selection<'a> {
    /// With the AI agents as they are now, where these are left out.
    ///
    /// # Errors
    /// Where the list of them can't be read.
    pub async fn read(graph: &Graph, settings: &'a UserSettings) -> Result<Self, ApiError> {
        let agents = match settings.types.agents {
            true => HashSet::new(),
            false => agents(graph).await?,
        };
        Ok(Self { settings, agents })
    }

    /// The person in `scope` whose entry this is; `None` where it isn't one that is read.
    ///
    /// # Errors
    /// An account of which nobody says whether it is disabled is neither.
    pub fn person<'u>(
        &self,
        user: &'u User,
        scope: &Scope,
    ) -> Result<Option<Person<'u>>, ApiError> {
        let enabled = user.account_enabled.ok_or_else(accounts_hidden)?;
        let is_agent = !self.settings.types.agents
            && (self.agents.contains(&user.id) || user.odata_type.as_deref() == Some(AGENT));
        let is_read = !is_agent && is_in(user, enabled, self.settings, scope);
        Ok(is_read.then_some(Person {
            id: user.id,
            mail: user.mail.as_deref(),
            principal_name: user.user_principal_name.as_deref(),
            enabled,
        }))
    }
}

impl Person<'_> {
    /// Puts the person into the builder.
    pub fn add(&self, builder: &mut DirectoryBuilder, settings: &UserSettings) {
        let account = match self.enabled {
            true => Account::ACTIVE,
            false => Account::new(AccountState::Disabled, "accountEnabled", "false"),
        };
        let id = self.id.to_string();
        let key = builder.key(&id);
        let name = self.principal_name.unwrap_or_default();
        let email = email(self.mail, name, settings.email);
        let entry = self.principal_name.unwrap_or(&id);
        builder.user(&[key], &id, email, account, entry);
    }
}

/// Reads everybody in scope into the builder, and keeps them.
pub(super) async fn read(
    graph: &Graph,
    settings: &UserSettings,
    scope: &Scope,
    (builder, keeping): (&Mutex<DirectoryBuilder>, &mut Keeping),
    progress: &ReadProgress,
) -> Result<(), ApiError> {
    let selection = Selection::read(graph, settings).await?;
    let mut list = List::new(&USERS, "/users")
        .select(properties(settings))
        .with("$top", TOP);
    if let Some(filter) = &settings.filter {
        list = list.with("$filter", filter);
    }
    graph
        .each(&list, |page: Vec<User>| {
            let mut builder = builder.lock().expect("no reader panics with the builder");
            progress.add_users(page.len());
            for user in &page {
                if let Some(person) = selection.person(user, scope)? {
                    person.add(&mut builder, settings);
                    keeping.keep(|kept| kept.add_user(person));
                }
            }
            Ok(())
        })
        .await
}

/// The users with these IDs as they are now, in their order; `None` of those who aren't there.
///
/// # Errors
/// Where that can't be told of each.
pub(super) async fn read_again(
    graph: &Graph,
    settings: &UserSettings,
    ids: &[Uuid],
) -> Result<Vec<Option<User>>, ApiError> {
    let part = |id: &Uuid| Part {
        path: format!("/users/{id}?$select={}", properties(settings)),
        resource: &USER,
        names: None,
    };
    let parts: Vec<Part> = ids.iter().map(part).collect();
    graph.objects_if_there(&parts).await
}

/// Adds the person whose account is disabled, where it is one of those that are read; nobody otherwise.
pub(super) fn add_disabled(builder: &mut DirectoryBuilder, settings: &UserSettings, user: &User) {
    let is_agent = !settings.types.agents && user.odata_type.as_deref() == Some(AGENT);
    if is_agent
        || user.account_enabled != Some(false)
        || !is_of_kind(user.user_type.as_deref(), settings)
    {
        return;
    }
    let person = Person {
        id: user.id,
        mail: user.mail.as_deref(),
        principal_name: user.user_principal_name.as_deref(),
        enabled: false,
    };
    person.add(builder, settings);
}

fn is_of_kind(user_type: Option<&str>, settings: &UserSettings) -> bool {
    match user_type {
        Some(kind) if kind.eq_ignore_ascii_case("Guest") => settings.types.guests,
        // Accounts from before 2014 have no type.
        Some(_) | None => settings.types.members || settings.types.agents,
    }
}

fn is_in(user: &User, enabled: bool, settings: &UserSettings, scope: &Scope) -> bool {
    let listed =
        |list: &Option<HashSet<Uuid>>| list.as_ref().is_none_or(|list| list.contains(&user.id));
    let left_out = scope
        .not_member_of
        .as_ref()
        .is_some_and(|list| list.contains(&user.id));
    let licensed = settings.assigned_licenses.is_empty()
        || user
            .assigned_licenses
            .iter()
            .any(|license| settings.assigned_licenses.contains(&license.sku_id));
    let chosen = listed(&scope.member_of)
        && listed(&scope.users_in_units)
        && listed(&scope.assigned)
        && licensed;
    // A disabled account commonly lost its groups and licences as well.
    is_of_kind(user.user_type.as_deref(), settings) && !left_out && (chosen || !enabled)
}

/// The email by the rule; empty where there is none.
pub(super) fn email<'u>(
    mail: Option<&'u str>,
    principal_name: &'u str,
    rule: EntraIdEmail,
) -> &'u str {
    let mail = mail.unwrap_or_default().trim();
    let principal_name = principal_name.trim();
    match rule {
        EntraIdEmail::Mail => mail,
        EntraIdEmail::UserPrincipalName if principal_name.to_uppercase().contains("#EXT#") => "",
        EntraIdEmail::UserPrincipalName => principal_name,
        EntraIdEmail::MailOrUserPrincipalName => {
            let internal = mail.to_lowercase().contains("onmicrosoft.com");
            let chosen = match mail.is_empty() || internal {
                true => principal_name,
                false => mail,
            };
            match chosen.contains('#') {
                true => "",
                false => chosen,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_email_is_where_the_rule_looks() {
        let of = |mail: Option<&str>, name: &str, rule| email(mail, name, rule).to_owned();
        let default = EntraIdEmail::MailOrUserPrincipalName;
        let name = "ada@example.com";
        assert_eq!(of(Some("a@example.org"), name, default), "a@example.org");
        assert_eq!(of(None, name, default), name);
        assert_eq!(of(Some(" "), name, default), name);
        assert_eq!(of(Some("a@x.OnMicrosoft.com"), name, default), name);
        let guest = "ada_example.org#EXT#@x.onmicrosoft.com";
        assert_eq!(of(None, guest, default), "");
        assert_eq!(
            of(Some("ada@example.org"), guest, default),
            "ada@example.org"
        );
        assert_eq!(of(Some("a#b@example.org"), name, default), "");
        assert_eq!(
            of(Some("a#b@example.org"), name, EntraIdEmail::Mail),
            "a#b@example.org"
        );
        assert_eq!(of(None, name, EntraIdEmail::Mail), "");
        assert_eq!(
            of(Some("a@example.org"), name, EntraIdEmail::UserPrincipalName),
            name
        );
        assert_eq!(of(None, guest, EntraIdEmail::UserPrincipalName), "");
    }
}
