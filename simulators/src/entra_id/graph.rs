//! The calls of Graph: which there are, what they cost, who may make them, what they answer.

use std::sync::Arc;

use axum::extract::Query;
use axum::http::{HeaderMap, StatusCode, Uri};
use parking_lot::MutexGuard;
use serde_json::{Value, json};

use super::answers::Reply;
use super::config::{Secret, permission};
use super::delta::{self, Delta};
use super::filter::Filter;
use super::metadata::TypeName;
use super::model::{Id, Kind};
use super::render;
use super::server::{Server, Token};
use super::store::Store;

/// A list of which pages are still to come.
#[derive(Clone, Debug)]
pub(super) struct Listing {
    path: String,
    ids: Arc<Vec<Id>>,
    at: usize,
    top: usize,
    select: Option<Vec<String>>,
    shape: Shape,
    advanced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Objects of one kind, users or groups, without `@odata.type`.
    Plain,
    /// Objects of several kinds, each saying of which it is.
    Mixed,
    /// Assignments of an application to the objects.
    Assignments,
}

/// The parameters of a request.
struct Asked {
    parameters: Vec<(String, String)>,
    eventual: bool,
}

impl Asked {
    fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.parameters.iter().filter(|(known, _)| known == name);
        found.next().map(|(_, value)| value.as_str())
    }

    fn select(&self) -> Option<Vec<String>> {
        let names = self.get("$select")?.split(',');
        Some(names.map(|name| name.trim().to_owned()).collect())
    }

    fn advanced(&self) -> bool {
        self.eventual && self.get("$count") == Some("true")
    }
}

/// What a path means.
enum Route {
    Users,
    User(String),
    Agents,
    DeletedUsers,
    Unit(String),
    Groups,
    Group(String),
    Members(String),
    TransitiveMembers(String),
    UnitMembers(String),
    Application(String),
    Assigned(String),
    /// An app registration, by its application id.
    Registration(String),
    Delta(Kind),
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        let path = path.strip_prefix("/v1.0/")?;
        let parts: Vec<&str> = path.split('/').collect();
        Some(match parts.as_slice() {
            ["users"] => Self::Users,
            ["users", "microsoft.graph.agentUser"] => Self::Agents,
            ["directory", "deletedItems", "microsoft.graph.user"] => Self::DeletedUsers,
            ["directory", "administrativeUnits", id] => Self::Unit((*id).to_owned()),
            ["groups"] => Self::Groups,
            ["users", "delta"] => Self::Delta(Kind::User),
            ["groups", "delta"] => Self::Delta(Kind::Group),
            ["users", id] => Self::User((*id).to_owned()),
            ["groups", id] => Self::Group((*id).to_owned()),
            ["groups", id, "members"] => Self::Members((*id).to_owned()),
            ["groups", id, "transitiveMembers"] => Self::TransitiveMembers((*id).to_owned()),
            ["directory", "administrativeUnits", id, "members"] => {
                Self::UnitMembers((*id).to_owned())
            }
            ["servicePrincipals", id, "appRoleAssignedTo"] => Self::Assigned((*id).to_owned()),
            [one] if one.starts_with("applications(") => {
                let id = one
                    .strip_prefix("applications(appId='")?
                    .strip_suffix("')")?;
                Self::Registration(id.to_owned())
            }
            [one] => {
                let id = one
                    .strip_prefix("servicePrincipals(appId='")?
                    .strip_suffix("')")?;
                Self::Application(id.to_owned())
            }
            _ => return None,
        })
    }

    /// Of which type the answer's objects are.
    fn kind(&self) -> TypeName {
        match self {
            Self::Users | Self::User(_) | Self::DeletedUsers | Self::Delta(Kind::User) => {
                TypeName::USER
            }
            Self::Agents => TypeName::AGENT,
            Self::Groups | Self::Group(_) | Self::Delta(_) => TypeName::GROUP,
            Self::Members(_) | Self::TransitiveMembers(_) | Self::UnitMembers(_) => {
                TypeName::MEMBER
            }
            Self::Unit(_) => TypeName::UNIT,
            Self::Application(_) => TypeName::APPLICATION,
            Self::Assigned(_) => TypeName::ASSIGNMENT,
            Self::Registration(_) => TypeName::REGISTRATION,
        }
    }

    /// The parameters of a request that mean something there.
    fn parameters(&self) -> &'static [&'static str] {
        match self {
            Self::Delta(_) => &["$select", "$skiptoken", "$deltatoken"],
            Self::User(_)
            | Self::Group(_)
            | Self::Unit(_)
            | Self::Application(_)
            | Self::Registration(_) => &["$select"],
            _ => &["$select", "$top", "$count", "$filter", "$skiptoken"],
        }
    }

    /// Any of these will do.
    fn permissions(&self) -> &'static [&'static str] {
        match self {
            Self::Users
            | Self::User(_)
            | Self::Agents
            | Self::DeletedUsers
            | Self::Delta(Kind::User) => &[permission::USERS, permission::DIRECTORY],
            Self::Unit(_) | Self::UnitMembers(_) => {
                &[permission::ADMINISTRATIVE_UNITS, permission::DIRECTORY]
            }
            Self::Application(_) | Self::Assigned(_) | Self::Registration(_) => {
                &[permission::APPLICATIONS, permission::DIRECTORY]
            }
            _ => &[permission::GROUP_MEMBERS, permission::DIRECTORY],
        }
    }

    /// In resource units, before what the parameters add or take away.
    fn cost(&self) -> u32 {
        match self {
            Self::Users => 2,
            Self::Members(_) => 3,
            Self::TransitiveMembers(_) => 5,
            _ => 1,
        }
    }
}

impl Route {
    /// Refuses what Graph would, before anybody looks for it.
    fn check(&self, asked: &Asked) -> Result<(), Reply> {
        let unknown = |(name, _): &&(String, String)| {
            name.starts_with('$') && !self.parameters().contains(&name.as_str())
        };
        if asked.parameters.iter().any(|parameter| unknown(&parameter)) {
            return Err(Reply::bad("Request_UnsupportedQuery", "Unsupported Query."));
        }
        let in_delta = matches!(self, Self::Delta(_));
        let names = asked.select().unwrap_or_default();
        self.kind().check_select(&names, in_delta)?;
        // What isn't a filter at all is told by whoever applies it.
        match asked.get("$filter").and_then(Filter::parse) {
            Some(filter) => self.kind().check_filter(&filter),
            None => Ok(()),
        }
    }
}

/// A client secret as Graph lists it: without its text.
fn listed(secret: &Secret) -> Value {
    let hint: String = secret.value.chars().take(3).collect();
    json!({
        "customKeyIdentifier": null,
        "displayName": "directory-sync",
        "endDateTime": secret.ends,
        "hint": hint,
        "keyId": "f0b0b335-1d71-4883-8f98-567911bfdca6",
        "secretText": null,
        "startDateTime": "2025-01-01T00:00:00Z",
    })
}

impl Server {
    /// Answers a GET that came with a good token.
    pub fn graph(&self, base: &str, target: &str, headers: &HeaderMap) -> Reply {
        let Ok(uri) = target.replace(' ', "%20").parse::<Uri>() else {
            return Reply::bad("BadRequest", "The URI is malformed.");
        };
        let Ok(Query(parameters)) = Query::<Vec<(String, String)>>::try_from_uri(&uri) else {
            return Reply::bad("BadRequest", "The query is malformed.");
        };
        let level = headers.get("consistencylevel");
        let asked = Asked {
            parameters,
            eventual: level.is_some_and(|level| level == "eventual"),
        };
        let path = uri.path();
        let Some(route) = Route::of(path) else {
            let message = format!("Resource not found for the segment '{path}'.");
            return Reply::bad("BadRequest", &message);
        };
        if matches!(route, Route::UnitMembers(_)) && asked.get("$select").is_some() {
            let message = "The query option '$select' isn't supported for this request.";
            return Reply::bad("Request_UnsupportedQuery", message);
        }
        if let Err(refusal) = route.check(&asked) {
            return refusal;
        }
        let cheaper = u32::from(asked.get("$select").is_some())
            + u32::from(asked.top().is_some_and(|top| top < 20));
        let units = route.cost().saturating_sub(cheaper).max(1);
        let limits = self.dials.lock().limits;
        let limit_headers = match self.throttle.lock().admit(limits, units) {
            Ok(limit_headers) => limit_headers,
            Err(refusal) => return refusal,
        };
        let permissions = self.dials.lock().permissions.clone();
        // An application needs no permission to read itself.
        let own = matches!(&route, Route::Registration(id) if *id == self.config.client_id);
        let mut reply = if own || route.permissions().iter().any(|p| permissions.contains(p)) {
            let reply = self.permitted(base, path, &route, &asked);
            // What a page after the first was asked for is in its token.
            match asked.get("$skiptoken").or(asked.get("$deltatoken")) {
                None => route.kind().check_answer(reply, asked.select().as_deref()),
                Some(_) => reply,
            }
        } else {
            let message = "Insufficient privileges to complete the operation.";
            Reply::error(
                StatusCode::FORBIDDEN,
                "Authorization_RequestDenied",
                message,
            )
        };
        reply.headers.extend(limit_headers);
        reply
    }

    fn permitted(&self, base: &str, path: &str, route: &Route, asked: &Asked) -> Reply {
        if let Some(token) = asked.get("$skiptoken").or(asked.get("$deltatoken"))
            && token != "latest"
        {
            return self.go_on(base, path, token, asked);
        }
        let store = match route {
            Route::Delta(_) => self.store.lock(),
            _ => self.seen(),
        };
        let sees_hidden = self.sees_hidden();
        let ids = match route {
            Route::Delta(kind) => {
                let delta = if asked.get("$deltatoken").is_some() {
                    Delta::latest(&store, *kind, asked.select(), sees_hidden)
                } else {
                    Delta::first(&store, *kind, asked.select(), sees_hidden)
                };
                let latest = asked.get("$deltatoken").is_some();
                drop(store);
                if latest {
                    let link = self.remember(Token::Delta(delta));
                    let link = format!("{base}{path}?$deltatoken={link}");
                    return Reply::ok(json!({"value": [], "@odata.deltaLink": link}));
                }
                return self.delta_page(base, path, delta);
            }
            Route::User(id) => {
                let found = id.parse().ok().filter(|id| store.users.contains_key(id));
                return match found
                    .and_then(|id| entry(&store, id, Shape::Plain, asked.select().as_deref()))
                {
                    Some(object) => Reply::ok(object),
                    None => Reply::not_found(id),
                };
            }
            Route::Group(id) => {
                let found = id.parse().ok().filter(|id: &Id| id.kind == Kind::Group);
                return match found
                    .and_then(|id| render::object(&store, id, asked.select().as_deref()))
                {
                    Some(object) => Reply::ok(Value::Object(object)),
                    None => Reply::not_found(id),
                };
            }
            Route::Application(app_id) => {
                let mut all = store.applications.iter();
                return match all.find(|(_, app)| app.app_id.eq_ignore_ascii_case(app_id)) {
                    Some((id, app)) => {
                        let object = json!({"id": id.to_string(), "appId": app.app_id});
                        Reply::ok(render::selected(object, asked.select().as_deref()))
                    }
                    None => Reply::not_found(app_id),
                };
            }
            Route::Registration(app_id) => {
                if *app_id != self.config.client_id {
                    return Reply::not_found(app_id);
                }
                let secrets: Vec<Value> = self.dials.lock().secret.iter().map(listed).collect();
                let object = json!({
                    "id": "0c9d5a0e-2b7f-4f6e-9d0b-6a2f1c3e4d5f",
                    "appId": app_id,
                    "passwordCredentials": secrets,
                });
                return Reply::ok(render::selected(object, asked.select().as_deref()));
            }
            Route::Unit(id) => {
                let found = id
                    .parse()
                    .ok()
                    .filter(|id: &Id| store.units.contains_key(id));
                return match found {
                    Some(unit) => {
                        let hidden = store.hidden_units.contains(&unit);
                        let visibility = hidden.then_some("HiddenMembership");
                        let object = json!({"id": unit.to_string(), "visibility": visibility});
                        Reply::ok(render::selected(object, asked.select().as_deref()))
                    }
                    None => Reply::not_found(id),
                };
            }
            Route::Agents => {
                let agents = store.users.iter().filter(|(_, user)| user.agent);
                agents.map(|(id, _)| *id).collect()
            }
            Route::DeletedUsers => store.deleted.keys().copied().collect(),
            Route::Users | Route::Groups => {
                let kind = match route {
                    Route::Users => Kind::User,
                    _ => Kind::Group,
                };
                match filtered(&store, kind, asked) {
                    Ok(ids) => ids,
                    Err(refusal) => return refusal,
                }
            }
            Route::Members(id) => match group(&store, id) {
                Some(group) if hides(&store, group) && !sees_hidden => vec![],
                Some(group) => store.groups[&group].members.clone(),
                None => return Reply::not_found(id),
            },
            Route::TransitiveMembers(id) => match group(&store, id) {
                Some(group) if hides(&store, group) && !sees_hidden => vec![],
                Some(group) => store.transitive(group),
                None => return Reply::not_found(id),
            },
            Route::UnitMembers(id) => {
                let unit = id.parse().ok();
                match unit.and_then(|id: Id| store.units.get_key_value(&id)) {
                    Some((unit, _)) if store.hidden_units.contains(unit) && !sees_hidden => vec![],
                    Some((_, members)) => members.clone(),
                    None => return Reply::not_found(id),
                }
            }
            Route::Assigned(id) => {
                match id
                    .parse()
                    .ok()
                    .and_then(|id: Id| store.applications.get(&id))
                {
                    Some(app) => app.assigned.clone(),
                    None => return Reply::not_found(id),
                }
            }
        };
        drop(store);
        let sizes = self.dials.lock().pages;
        let shape = match route {
            Route::Users | Route::Agents | Route::DeletedUsers | Route::Groups => Shape::Plain,
            Route::Assigned(_) => Shape::Assignments,
            _ => Shape::Mixed,
        };
        let top = match asked.top() {
            Some(top) if top == 0 || top > sizes.most => {
                return Reply::bad("Request_BadRequest", "Invalid page size specified.");
            }
            Some(top) => top,
            None => sizes.usual,
        };
        let listing = Listing {
            path: path.to_owned(),
            ids: Arc::new(ids),
            at: 0,
            top,
            select: asked.select(),
            shape,
            advanced: asked.get("$filter").is_some() && asked.advanced(),
        };
        let count = asked.advanced().then_some(listing.ids.len());
        self.list_page(base, listing, count)
    }

    fn go_on(&self, base: &str, path: &str, token: &str, asked: &Asked) -> Reply {
        match self.token(token) {
            Some(Token::Listing(listing)) if listing.path == path => {
                if listing.advanced && !asked.eventual {
                    let message = "The header ConsistencyLevel is missing.";
                    return Reply::bad("Request_UnsupportedQuery", message);
                }
                self.list_page(base, listing, None)
            }
            Some(Token::Delta(delta)) => self.delta_page(base, path, delta),
            Some(Token::Lost(loss)) => delta::lost(loss, &format!("{base}{path}")),
            _ => Reply::bad(
                "Directory_ExpiredPageToken",
                "The page token is expired or invalid.",
            ),
        }
    }

    fn list_page(&self, base: &str, mut listing: Listing, count: Option<usize>) -> Reply {
        let end = listing.ids.len().min(listing.at + listing.top);
        let store = self.seen();
        let select = listing.select.as_deref();
        let value: Vec<Value> = listing.ids[listing.at..end]
            .iter()
            .filter_map(|&id| entry(&store, id, listing.shape, select))
            .collect();
        drop(store);
        let mut body = json!({"value": value});
        if let Some(count) = count {
            body["@odata.count"] = json!(count);
        }
        if end < listing.ids.len() {
            listing.at = end;
            let path = listing.path.clone();
            let token = self.remember(Token::Listing(listing));
            body["@odata.nextLink"] = json!(format!("{base}{path}?$skiptoken={token}"));
        }
        Reply::ok(body)
    }

    fn delta_page(&self, base: &str, path: &str, delta: Delta) -> Reply {
        let (sizes, noisy) = {
            let dials = self.dials.lock();
            (dials.pages, dials.noisy)
        };
        let page = delta.page(&self.store.lock(), &sizes, noisy);
        let token = self.remember(Token::Delta(page.next));
        let mut body = json!({"value": page.value});
        if page.is_last {
            body["@odata.deltaLink"] = json!(format!("{base}{path}?$deltatoken={token}"));
        } else {
            body["@odata.nextLink"] = json!(format!("{base}{path}?$skiptoken={token}"));
        }
        Reply::ok(body)
    }

    /// What the replica knows that answers.
    fn seen(&self) -> MutexGuard<'_, Store> {
        let is_behind = self.dials.lock().is_behind;
        match is_behind {
            true => self.replica.lock(),
            false => self.store.lock(),
        }
    }

    fn sees_hidden(&self) -> bool {
        self.dials
            .lock()
            .permissions
            .contains(permission::HIDDEN_MEMBERS)
    }
}

impl Asked {
    fn top(&self) -> Option<usize> {
        self.get("$top").map(|top| top.parse().unwrap_or(0))
    }
}

fn group(store: &Store, id: &str) -> Option<Id> {
    let id: Id = id.parse().ok()?;
    store.groups.contains_key(&id).then_some(id)
}

fn hides(store: &Store, group: Id) -> bool {
    store.groups[&group].hidden
}

fn filtered(store: &Store, kind: Kind, asked: &Asked) -> Result<Vec<Id>, Reply> {
    let all: Vec<Id> = match kind {
        Kind::User => store.users.keys().copied().collect(),
        _ => store.groups.keys().copied().collect(),
    };
    let Some(text) = asked.get("$filter") else {
        return Ok(all);
    };
    let Some(filter) = Filter::parse(text) else {
        return Err(Reply::bad("Request_BadRequest", "Invalid filter clause."));
    };
    if filter.advanced && !asked.advanced() {
        let message = "Unsupported or invalid query filter clause specified.";
        return Err(Reply::bad("Request_UnsupportedQuery", message));
    }
    Ok(all
        .into_iter()
        .filter(|&id| filter.fits(&render::whole(store, id)))
        .collect())
}

fn entry(store: &Store, id: Id, shape: Shape, select: Option<&[String]>) -> Option<Value> {
    if shape == Shape::Assignments {
        let assignment = json!({
            "principalId": id.to_string(),
            "principalType": match id.kind {
                Kind::User => "User",
                Kind::Group => "Group",
                _ => "ServicePrincipal",
            },
        });
        return Some(render::selected(assignment, select));
    }
    let mut object = render::object(store, id, select)?;
    // A type that derives from the list's own is named (OData JSON format, 4.5.3).
    if shape == Shape::Plain && store.users.get(&id).is_some_and(|user| user.agent) {
        object.insert("@odata.type".into(), json!("#microsoft.graph.agentUser"));
    }
    if shape == Shape::Mixed {
        object.insert("@odata.type".into(), json!(id.kind.odata_type()));
    }
    Some(Value::Object(object))
}
