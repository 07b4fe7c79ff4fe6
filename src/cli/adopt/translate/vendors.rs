//! Entra ID, Google Workspace, Okta and OneLogin.

use serde_json::{Value, json};

use super::Translator;
use crate::cli::adopt::filter::{self, Filter, Of, Rule};
use crate::cli::adopt::settings::Kept;

/// So many ids a field of Entra ID's source takes.
const IDS_MAX: usize = 100;
/// So many patterns a list takes.
const PATTERNS_MAX: usize = 1_000;

impl Translator<'_> {
    pub(super) fn entra_id(&mut self) {
        let directory = self.directory();
        let source = "source.entraId";
        let authority = directory.text("identityAuthority");
        if authority
            .as_deref()
            .is_some_and(|authority| authority.trim_end_matches('/').ends_with(".us"))
        {
            let path = format!("{source}.cloud");
            self.put(
                directory.name("identityAuthority"),
                &path,
                "USGovernment",
                "",
            );
        }
        self.required("tenant", "source.entraId.tenantId");
        self.required("applicationId", "source.entraId.clientId");
        let name = self.secret_name("entra");
        let path = format!("{source}.credentials.clientSecretRef");
        self.set(&path, json!({"name": name}));
        self.directory_secret(
            "entra",
            "clientSecret",
            &path,
            "the application's client secret",
        );
        self.set("source.entraId.users.types", json!(["Member", "Guest"]));
        self.row(
            "guests",
            "with an email",
            "`source.entraId.users.types: [Member, Guest]`",
            "the connector takes guests who have an email. AI agents, which it takes for people, aren't \
             read here",
        );
        if let Some(users) = self.filter("userFilter", false)
            && let Some(rule) = users.rule
        {
            let name = self.sync().name("userFilter");
            match (rule.of, rule.include) {
                (Of::Names, _) => self.names("userFilter", "users", rule),
                (Of::Groups, true) => {
                    self.ids(name, "source.entraId.users.memberOf.ids", rule);
                }
                (Of::Groups, false) => {
                    self.ids(name, "source.entraId.users.notMemberOf.ids", rule);
                }
                (Of::Units, _) => {
                    let why = "administrative units choose groups, not people";
                    self.refuse(name, &rule.values.join(","), why);
                }
            }
        }
        if let Some(groups) = self.filter("groupFilter", false) {
            self.only_their_members(&groups);
            if let Some(rule) = groups.rule {
                let name = self.sync().name("groupFilter");
                match (rule.of, rule.include) {
                    (Of::Names, _) => self.names("groupFilter", "groups", rule),
                    (Of::Units, true) => {
                        self.ids(name, "source.entraId.groups.administrativeUnits", rule);
                    }
                    (Of::Units, false) => {
                        self.ids(name, "source.entraId.groups.notAdministrativeUnits", rule);
                    }
                    (Of::Groups, _) => {
                        let why = "includeGroup and excludeGroup choose people, not groups";
                        self.refuse(name, &rule.values.join(","), why);
                    }
                }
            }
        }
        self.out.differences.push(
            "Of a Microsoft 365 tenant, people whom Entra ID lists as deleted (30 days) count as deleted \
             here, too.",
        );
    }

    pub(super) fn google_workspace(&mut self) {
        let directory = self.directory();
        let source = "source.googleWorkspace";
        let (domain, customer) = (directory.text("domain"), directory.text("customer"));
        match (domain, customer) {
            (domain, Some(customer)) => {
                let path = format!("{source}.customer");
                self.put(
                    directory.name("customer"),
                    &path,
                    customer,
                    "all its domains",
                );
                if let Some(domain) = domain {
                    self.refuse(
                        directory.name("domain"),
                        &domain,
                        "customer and domain can't both be set: the customer takes all its domains; to take \
                         one alone, leave the customer out in the connector's settings",
                    );
                }
            }
            (Some(domain), None) => {
                let path = format!("{source}.domains");
                self.put(directory.name("domain"), &path, json!([domain]), "");
            }
            (None, None) => {
                let ours = "`customer: my_customer` (default)";
                self.row(directory.name("domain"), "", ours, "");
            }
        }
        if let Some(admin) = directory.text("adminUser") {
            let path = format!("{source}.adminEmail");
            self.put(directory.name("adminUser"), &path, admin, "");
        }
        let email = directory.text("clientEmail");
        if email.is_none() {
            let name = directory.name("clientEmail");
            self.refused.push(format!(
                "{name}: it is empty: set it in the connector's settings"
            ));
        }
        // The key's file, as Google gives it.
        let key = match self.from.directory_secret.clone() {
            Kept::Here(key) => Kept::Here(service_account(email.as_deref(), &key)),
            other => other,
        };
        let name = self.secret_name("google");
        let path = format!("{source}.credentials.serviceAccountKeySecretRef");
        self.set(&path, json!({"name": name}));
        self.row(
            directory.name("clientEmail"),
            email.unwrap_or_default(),
            format!("`{path}`"),
            "the service account's key as a file, as Google gives it",
        );
        let what = "the service account's key: the JSON file, as Google gives it";
        self.secret("google", vec![("key.json", key, "directory", what)]);
        self.queried(|query, is_people| match is_people {
            true => Some(("source.googleWorkspace.users.query", json!(query))),
            false => Some(("source.googleWorkspace.groups.query", json!(query))),
        });
        self.out.differences.push(
            "People who were deleted within 20 days count as deleted, suspended and archived ones as \
             disabled.",
        );
    }

    pub(super) fn okta(&mut self) {
        self.required("orgUrl", "source.okta.orgUrl");
        let name = self.secret_name("okta");
        let path = "source.okta.credentials.apiTokenSecretRef";
        self.set(path, json!({"name": name}));
        self.directory_secret("okta", "token", path, "the API token");
        self.queried(|query, is_people| match is_people {
            true => Some(("source.okta.users.filter", json!(query))),
            false => Some(("source.okta.groups.search", json!(query))),
        });
        self.set(
            "source.okta.groups.types",
            json!(["OktaGroup", "AppGroup", "BuiltIn"]),
        );
        self.row(
            "built-in groups",
            "all groups",
            "`source.okta.groups.types`",
            "the connector takes all kinds of groups",
        );
    }

    pub(super) fn one_login(&mut self) {
        let (directory, sync) = (self.directory(), self.sync());
        let region = directory.text("region").unwrap_or_else(|| "us".to_owned());
        let path = "source.oneLogin.region";
        match region.to_ascii_lowercase().as_str() {
            "us" => self.put(directory.name("region"), path, "US", ""),
            "eu" => self.put(directory.name("region"), path, "EU", ""),
            _ => self.refuse(directory.name("region"), &region, "it is neither us nor eu"),
        }
        let client_id = directory.text("clientId");
        let name = self.secret_name("onelogin");
        let path = "source.oneLogin.credentialsSecretRef";
        self.set(path, json!({"name": name}));
        let shown = client_id.clone().unwrap_or_default();
        self.row(directory.name("clientId"), shown, format!("`{path}`"), "");
        let client_id = client_id.map_or(Kept::Nowhere, Kept::Here);
        directory.pass_over(&["clientSecret"]);
        let secret = self.from.directory_secret.clone();
        self.secret(
            "onelogin",
            vec![
                (
                    "clientId",
                    client_id,
                    "directory-account",
                    "the client's ID",
                ),
                ("clientSecret", secret, "directory", "the client's secret"),
            ],
        );
        let suffix = sync.text("emailSuffix");
        if sync.flag("useEmailPrefixSuffix", false)
            && let Some(suffix) = suffix
        {
            let path = "source.oneLogin.users.emailSuffix";
            let remark = "for a username that is no address, where there is no email";
            self.put(sync.name("emailSuffix"), path, suffix, remark);
        }
        self.queried(|query, is_people| {
            let all: Vec<Value> = form_urlencoded::parse(query.as_bytes())
                .map(|(attribute, value)| json!({"attribute": attribute, "value": value}))
                .collect();
            is_people.then_some(("source.oneLogin.users.attributes", Value::Array(all)))
        });
        self.out.differences.push(
            "The connector goes on with what it has when a page of OneLogin's fails; here such a read \
             changes nothing.",
        );
    }

    fn required(&mut self, key: &str, path: &str) {
        let name = self.directory().name(key);
        match self.directory().text(key) {
            Some(value) => self.put(name, path, value, ""),
            None => self.refused.push(format!(
                "{name}: it is empty: set it in the connector's settings"
            )),
        }
    }

    fn directory_secret(&mut self, secret: &str, key: &'static str, path: &str, what: &str) {
        let (inside, _) = self.from.kind.secret();
        let name = self.directory().name(inside);
        self.directory().pass_over(&[inside]);
        self.row(name, "(secret)", format!("`{path}`"), "");
        let kept = self.from.directory_secret.clone();
        self.secret(secret, vec![(key, kept, "directory", what)]);
    }

    fn filter(&mut self, key: &str, queries: bool) -> Option<Filter> {
        let name = self.sync().name(key);
        let text = self.sync().text(key)?;
        match filter::parse(&text, queries) {
            Ok(filter) => {
                if let Some(unused) = &filter.unused {
                    let remark = match queries {
                        true => {
                            "the connector doesn't look at what follows a second |, and nor is it used here"
                        }
                        false => {
                            "for Entra ID the connector doesn't look at what follows a |, and nor is it used \
                             here; if it is meant, add it to the resource"
                        }
                    };
                    self.row(name, unused, "not used", remark);
                }
                Some(filter)
            }
            Err(why) => {
                self.refuse(name, &text, &why);
                None
            }
        }
    }

    /// Filters of names and a query. `query` gives the field for a query of people or of groups; `None`:
    /// there is none.
    fn queried(&mut self, query: impl Fn(&str, bool) -> Option<(&'static str, Value)>) {
        for (key, side) in [("userFilter", "users"), ("groupFilter", "groups")] {
            let Some(found) = self.filter(key, true) else {
                continue;
            };
            let name = self.sync().name(key);
            if side == "groups" {
                self.only_their_members(&found);
            }
            if let Some(rule) = found.rule {
                match rule.of {
                    Of::Names => self.names(key, side, rule),
                    Of::Groups | Of::Units => {
                        let why = "only Entra ID has filters of groups and administrative units";
                        self.refuse(name.clone(), &rule.values.join(","), why);
                    }
                }
            }
            let Some(text) = found.query else { continue };
            match query(&text, side == "users") {
                Some((path, value)) => {
                    let remark = "passed on as it is";
                    self.row(name, text, format!("`{path}`"), remark);
                    self.set(path, value);
                }
                None => self.refuse(
                    name,
                    &text,
                    "there is no query for groups of this directory",
                ),
            }
        }
    }

    /// Names as patterns.
    fn names(&mut self, key: &str, side: &str, rule: Rule) {
        let name = self.sync().name(key);
        let list = if rule.include { "include" } else { "exclude" };
        let shown = rule.values.join(",");
        if rule.values.iter().any(|value| value.contains(['*', '?'])) {
            let why =
                "a name has * or ?, which stand for any text and any character in patterns here";
            self.refuse(name, &shown, why);
            return;
        }
        if rule.values.len() > PATTERNS_MAX || rule.values.is_empty() {
            let why = format!("a list of patterns has between 1 and {PATTERNS_MAX} entries");
            self.refuse(name, &shown, &why);
            return;
        }
        let path = format!("{side}.{list}");
        self.row(name, format!("{list}:{shown}"), format!("`{path}`"), "");
        self.set(&path, json!(rule.values));
    }

    fn ids(&mut self, name: String, path: &str, rule: Rule) {
        let shown = rule.values.join(",");
        if rule.values.is_empty() || rule.values.len() > IDS_MAX {
            let why = format!("{path} takes between 1 and {IDS_MAX} IDs");
            self.refuse(name, &shown, &why);
            return;
        }
        self.row(name, shown, format!("`{path}`"), "");
        self.set(path, json!(rule.values));
    }

    /// With a filter of groups the connector takes only people who are in one that is left.
    fn only_their_members(&mut self, groups: &Filter) {
        let name = self.sync().name("groupFilter");
        let is_left_out = self.choices.ignored.contains(&name);
        if groups.rule.is_none() || is_left_out || !self.sync().flag("groups", false) {
            return;
        }
        self.set("groups.onlyTheirMembers", true);
        self.row(
            name,
            "limits people",
            "`groups.onlyTheirMembers: true`",
            "the connector loses people who are in a group only through a nested one that its filter leaves \
             out; here they belong to it",
        );
    }
}

/// A service account's key file, of what the connector kept of it.
fn service_account(email: Option<&str>, key: &str) -> String {
    // Settings from a form have line breaks as two characters.
    let key = key.replace("\\n", "\n");
    let file = json!({
        "type": "service_account",
        "client_email": email,
        "private_key": key,
        "token_uri": "https://oauth2.googleapis.com/token",
    });
    file.to_string()
}
