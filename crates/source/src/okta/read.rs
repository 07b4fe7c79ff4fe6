//! Reads people, groups and memberships of an organization into one directory.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};

use super::error::{Purpose, is_gone};
use super::limit::RateLimitBucket;
use super::memberships::{GroupRead, Members, MembershipCache, Recall};
use super::pages::{List, ListError, Organization};
use super::settings::{GroupScope, OktaSettings, UserScope};
use super::wire::{self, Group, Id, User};
use crate::ReadProgress;
use crate::complete::Complete;
use crate::directory::{Account, AccountState, Directory, DirectoryBuilder};
use crate::http::ApiError;
use crate::text::sanitize;

/// Groups whose members are read at once. Okta lets 75 requests of all clients be under way.
const SIDE_BY_SIDE: usize = 12;
const AT_ONCE_MAX: usize = 75;

/// Page sizes: the largest that Okta serves, and of groups fewer, for those take long to collect. Of
/// members Okta recommends 200 a page; requests are what is limited, and 1,000 take a fifth of them.
const USERS: &str = "200";
const GROUPS: &str = "1000";
const MEMBERS: &str = "1000";
const ASSIGNED_USERS: &str = "500";
const ASSIGNED_GROUPS: &str = "200";

/// Reads everything in the source's scope.
///
/// # Errors
/// Whatever leaves one of the lists incomplete.
pub(super) async fn read(
    organization: &Organization,
    settings: &OktaSettings,
    cache: &MembershipCache,
    progress: &ReadProgress,
) -> Result<Complete<Directory>, ApiError> {
    let recall = cache.recall(&settings.membership_cache);
    // Each id is held once, however many groups name it.
    let ids_of_members = Mutex::new(HashSet::new());
    let users = read_users(organization, settings, progress);
    let groups = async {
        match &settings.groups {
            Some(scope) => {
                let groups = GroupsOf {
                    organization,
                    settings,
                    recall: &recall,
                    ids: &ids_of_members,
                    progress,
                };
                groups.read(scope).await
            }
            None => Ok(vec![]),
        }
    };
    let assigned = async {
        match &settings.application_id {
            Some(id) => ids(organization, &assigned_users(organization, id))
                .await
                .map(Some),
            None => Ok(None),
        }
    };
    let (users, mut groups, assigned) = tokio::try_join!(users, groups, assigned)?;
    let people: HashSet<&str> = users.iter().map(|user| &*user.id).collect();
    let (lost, kept): (Vec<_>, Vec<_>) = groups
        .into_iter()
        .partition(|read| recall.has_lost(read, &people));
    groups = kept;
    for read in lost {
        let group = read.group;
        groups.extend(members(organization, group, &ids_of_members).await?);
    }
    cache.keep(&recall, &groups, &people);

    let mut builder = DirectoryBuilder::new();
    builder.account_rule("status", &wire::describe(&settings.statuses));
    for user in &users {
        add_user(&mut builder, settings, user, assigned.as_ref());
    }
    for GroupRead { group, members, .. } in groups {
        let key = builder.key(&group.id);
        let members = members.iter().map(|id| builder.key(id)).collect();
        let name = group.profile.name.unwrap_or_default();
        builder.group(&[key], &group.id, &name, members);
    }
    Ok(builder.finish())
}

/// Adds the person whom an account is, where it counts; `assigned` are those who have the application.
pub(super) fn add_user(
    builder: &mut DirectoryBuilder,
    settings: &OktaSettings,
    user: &User,
    assigned: Option<&HashSet<String>>,
) {
    let email = user.profile.email.as_deref().unwrap_or_default();
    let login = user.profile.login.as_deref().unwrap_or(&user.id);
    let Ok(meaning) = wire::meaning(&settings.statuses, &user.status) else {
        let key = builder.key(&user.id);
        let why = format!(
            "has the status {:?}, which this version doesn't know; the member keeps what they \
             have: update the operator, or leave such accounts out with users.search",
            sanitize(&user.status)
        );
        builder.undecided_user(&[key], &user.id, email, login, why);
        return;
    };
    let Some(state) = meaning else { return };
    // Deactivating somebody ends their assignments: the status comes first.
    if state == AccountState::Active
        && assigned.is_some_and(|assigned| !assigned.contains(&user.id))
    {
        return;
    }
    let key = builder.key(&user.id);
    let changed = user
        .status_changed
        .as_deref()
        .and_then(|time| time.parse().ok());
    let account = Account::new(state, "status", &user.status).changed(changed);
    builder.user(&[key], &user.id, email, account, login);
}

async fn read_users(
    organization: &Organization,
    settings: &OktaSettings,
    progress: &ReadProgress,
) -> Result<Vec<User>, ApiError> {
    let mut users: Vec<User> = vec![];
    for list in user_lists(organization, settings) {
        let pages = organization.read(&list, |page: Vec<User>| {
            progress.add_users(page.len());
            users.extend(page);
            Ok(())
        });
        pages
            .await
            .map_err(|error| error.into_failure(list.purpose))?;
    }
    Ok(users)
}

/// The lists that together hold everybody in scope: Okta leaves deactivated accounts out unless
/// they are asked for.
pub(super) fn user_lists<'a>(
    organization: &Organization,
    settings: &OktaSettings,
) -> Vec<List<'a>> {
    let deactivated = r#"status eq "DEPROVISIONED""#;
    let (name, field, expression) = match &settings.users {
        UserScope::Everyone => ("filter", None, None),
        UserScope::Filter(text) => ("filter", Some("users.filter"), Some(text)),
        UserScope::Search(text) => ("search", Some("users.search"), Some(text)),
    };
    let list = |expression: Option<&str>| {
        let mut query = vec![("limit", USERS)];
        query.extend(expression.map(|text| (name, text)));
        List {
            url: organization.url(&["users"], &query),
            endpoint: "GET /api/v1/users",
            bucket: RateLimitBucket::Users,
            purpose: user_purpose(field),
        }
    };
    let mut lists = vec![list(expression.map(String::as_str))];
    if matches!(
        wire::meaning(&settings.statuses, "DEPROVISIONED"),
        Ok(Some(_))
    ) {
        let both = expression.map(|text| format!("({text}) and {deactivated}"));
        lists.push(list(Some(both.as_deref().unwrap_or(deactivated))));
    }
    lists
}

/// What a refusal of a list of people means, which has the expression of this field.
pub(super) fn user_purpose(field: Option<&'static str>) -> Purpose<'static> {
    Purpose::List {
        scope: "okta.users.read",
        expression: field,
    }
}

/// The list of groups.
pub(super) fn group_list<'a>(organization: &Organization, scope: &GroupScope) -> List<'a> {
    let mut query = vec![("limit", GROUPS)];
    query.extend(scope.search.as_deref().map(|search| ("search", search)));
    List {
        url: organization.url(&["groups"], &query),
        endpoint: "GET /api/v1/groups",
        bucket: RateLimitBucket::Groups,
        purpose: Purpose::List {
            scope: "okta.groups.read",
            expression: scope.search.as_ref().map(|_| "groups.search"),
        },
    }
}

/// The list of a group's members.
pub(super) fn member_list<'a>(organization: &Organization, group: &str) -> List<'a> {
    List {
        url: organization.url(&["groups", group, "users"], &[("limit", MEMBERS)]),
        endpoint: "GET /api/v1/groups/{id}/users",
        bucket: RateLimitBucket::Groups,
        purpose: Purpose::List {
            scope: "okta.groups.read",
            expression: None,
        },
    }
}

/// The list of people assigned to an application.
pub(super) fn assigned_users<'a>(organization: &Organization, application: &'a str) -> List<'a> {
    let query = [("limit", ASSIGNED_USERS)];
    List {
        url: organization.url(&["apps", application, "users"], &query),
        endpoint: "GET /api/v1/apps/{id}/users",
        bucket: RateLimitBucket::Apps,
        purpose: Purpose::Application(application),
    }
}

fn assigned_groups<'a>(organization: &Organization, application: &'a str) -> List<'a> {
    let query = [("limit", ASSIGNED_GROUPS)];
    List {
        url: organization.url(&["apps", application, "groups"], &query),
        endpoint: "GET /api/v1/apps/{id}/groups",
        bucket: RateLimitBucket::Apps,
        purpose: Purpose::Application(application),
    }
}

async fn ids(organization: &Organization, list: &List<'_>) -> Result<HashSet<String>, ApiError> {
    let mut ids = HashSet::new();
    let pages = organization.read(list, |page: Vec<Id>| {
        ids.extend(page.into_iter().map(|entry| entry.id));
        Ok(())
    });
    pages
        .await
        .map_err(|error| error.into_failure(list.purpose))?;
    Ok(ids)
}

/// Reads groups and who is in them.
struct GroupsOf<'a> {
    organization: &'a Organization,
    settings: &'a OktaSettings,
    /// What earlier reads know.
    recall: &'a Recall,
    ids: &'a Mutex<HashSet<Arc<str>>>,
    progress: &'a ReadProgress,
}

impl GroupsOf<'_> {
    /// Groups in scope with their members.
    async fn read(&self, scope: &GroupScope) -> Result<Vec<GroupRead>, ApiError> {
        let groups = self.in_scope(scope).await?;
        let share = usize::from(self.settings.rate_limit_share);
        let at_once = SIDE_BY_SIDE.min(AT_ONCE_MAX * share / 100);
        let read = stream::iter(groups)
            .map(|group| async move {
                let read = match self.recall.members(&group) {
                    Some(read) => Some(read),
                    None => members(self.organization, group, self.ids).await?,
                };
                self.progress.add_groups(1);
                Ok::<_, ApiError>(read)
            })
            .buffer_unordered(at_once.max(1));
        read.try_filter_map(|group| std::future::ready(Ok(group)))
            .try_collect()
            .await
    }

    async fn in_scope(&self, scope: &GroupScope) -> Result<Vec<Group>, ApiError> {
        let organization = self.organization;
        let list = group_list(organization, scope);
        let mut groups: Vec<Group> = vec![];
        let all = async {
            let pages = organization.read(&list, |page: Vec<Group>| {
                let wanted = page
                    .into_iter()
                    .filter(|group| group.is_one_of(&scope.types));
                groups.extend(wanted);
                Ok(())
            });
            pages
                .await
                .map_err(|error| error.into_failure(list.purpose))
        };
        let assigned = async {
            match &self.settings.application_id {
                Some(id) => ids(organization, &assigned_groups(organization, id))
                    .await
                    .map(Some),
                None => Ok(None),
            }
        };
        let ((), assigned) = tokio::try_join!(all, assigned)?;
        if let Some(assigned) = assigned {
            groups.retain(|group| assigned.contains(&group.id));
        }
        Ok(groups)
    }
}

/// A group with its members; `None` when Okta says that the group is gone by now.
async fn members(
    organization: &Organization,
    group: Group,
    ids: &Mutex<HashSet<Arc<str>>>,
) -> Result<Option<GroupRead>, ApiError> {
    let list = member_list(organization, &group.id);
    let asked = Instant::now();
    let mut members: Members = vec![];
    let pages = organization.read(&list, |page: Vec<Id>| {
        let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
        for member in page {
            let id = match ids.get(&*member.id) {
                Some(known) => known.clone(),
                None => {
                    let id: Arc<str> = member.id.into();
                    ids.insert(id.clone());
                    id
                }
            };
            members.push(id);
        }
        Ok(())
    });
    let read = pages.await;
    match read {
        Ok(()) => Ok(Some(GroupRead {
            group,
            members: Arc::new(members),
            remembered: false,
            asked,
        })),
        Err(ListError::Http(error)) if is_gone(&error) => Ok(None),
        Err(error) => Err(error.into_failure(list.purpose)),
    }
}
