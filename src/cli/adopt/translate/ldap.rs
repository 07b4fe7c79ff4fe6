//! LDAP directories and Active Directory.

use serde_json::{Value, json};

use super::{Data, Translator};
use crate::cli::adopt::settings::Kept;

/// Object classes of people that Active Directory's source selects by itself.
const AD_PEOPLE: [&str; 3] = ["user", "person", "organizationalperson"];

/// Further classes of accounts that it reads.
const AD_SUBCLASSES: [&str; 1] = ["inetorgperson"];

impl Translator<'_> {
    pub(super) fn ldap(&mut self) {
        let directory = self.directory();
        // The connector tells changes by them; everything is read here each time.
        self.sync()
            .pass_over(&["creationDateAttribute", "revisionDateAttribute"]);
        let is_ad = directory.flag("ad", true);
        let source = if is_ad { "activeDirectory" } else { "ldap" };
        self.row(
            directory.name("ad"),
            is_ad,
            format!("`source.{source}`"),
            "",
        );
        match is_ad {
            true => self.active_directory(),
            false => self.plain_ldap(),
        }
    }

    fn plain_ldap(&mut self) {
        let (directory, sync) = (self.directory(), self.sync());
        directory.pass_over(&["domain"]);
        let Some(host) = self.host() else { return };
        let (encrypted, start_tls) = self.encryption();
        let port = directory.number("port").unwrap_or(389);
        let (scheme, default) = match encrypted && !start_tls {
            true => ("ldaps", 636),
            false => ("ldap", 389),
        };
        let host = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]"),
            false => host,
        };
        let url = match port == default {
            true => format!("{scheme}://{host}"),
            false => format!("{scheme}://{host}:{port}"),
        };
        self.put(directory.name("hostname"), "source.ldap.url", url, "");
        if encrypted && start_tls {
            self.put(directory.name("startTls"), "source.ldap.startTls", true, "");
        }
        if !encrypted {
            self.put(
                directory.name("ssl"),
                "source.ldap.allowPlaintext",
                true,
                "passwords and everybody's data travel unencrypted, as they did: use LDAPS or StartTLS",
            );
        }
        self.tls("source.ldap", start_tls);
        self.account("ldap", "source.ldap", "bindDn", |name| name);
        match directory.text("rootPath") {
            Some(root) => self.root(&root, "source.ldap.baseDn"),
            None => self.refused.push(format!(
                "{}: it is empty, and a DirectorySync needs a base to search below: set it in the \
                 connector's settings",
                directory.name("rootPath")
            )),
        }
        if !directory.flag("pagedSearch", true) {
            self.put(directory.name("pagedSearch"), "source.ldap.pageSize", 0, "");
        }
        if let Some(base) = self.below_root("userPath") {
            self.put(sync.name("userPath"), "source.ldap.users.baseDn", base, "");
        }
        if let Some(base) = self.below_root("groupPath") {
            self.put(
                sync.name("groupPath"),
                "source.ldap.groups.baseDn",
                base,
                "",
            );
        }
        let people = self.class_filter("userObjectClass", "userFilter");
        self.set("source.ldap.users.filter", people);
        let groups = self.class_filter("groupObjectClass", "groupFilter");
        self.set("source.ldap.groups.filter", groups);
        match self.choices.keep_ids {
            true => {
                self.set("source.ldap.users.idAttribute", "dn");
                self.row(
                    "external ID",
                    "DN",
                    "`source.ldap.users.idAttribute: dn`",
                    "kept by `--keep-ids`: whoever is renamed or moved is a new person, as before",
                );
            }
            false => self.row(
                "external ID",
                "DN",
                "`entryUUID` (default)",
                "members and groups get it in place of the DN, once; renaming or moving somebody changes \
                 nothing from then on. A server without entryUUID needs `source.ldap.preset`",
            ),
        }
        if let Some(attribute) = sync.text("userEmailAttribute") {
            let path = "source.ldap.users.emailAttribute";
            self.put(sync.name("userEmailAttribute"), path, attribute, "");
        }
        if sync.flag("useEmailPrefixSuffix", false) {
            let prefix = sync.text("emailPrefixAttribute");
            let suffix = sync.text("emailSuffix");
            match (prefix, suffix) {
                (Some(prefix), Some(suffix)) => {
                    let path = "source.ldap.users.emailPrefixAttribute";
                    let remark = "used for people without an email";
                    self.put(sync.name("emailPrefixAttribute"), path, prefix, remark);
                    let path = "source.ldap.users.emailSuffix";
                    self.put(sync.name("emailSuffix"), path, suffix, "");
                }
                _ => self.half_of_an_email(),
            }
        }
        sync.pass_over(&["emailPrefixAttribute", "emailSuffix"]);
        if let Some(attribute) = sync.text("groupNameAttribute") {
            let path = "source.ldap.groups.nameAttribute";
            self.put(sync.name("groupNameAttribute"), path, attribute, "");
        }
        if let Some(attribute) = sync.text("memberAttribute") {
            let path = "source.ldap.groups.memberAttribute";
            self.put(sync.name("memberAttribute"), path, attribute, "");
        }
        self.out.differences.extend([
            "The connector compares DNs letter by letter: members of a group that are written in another \
             case or with other spaces were missing, and are in the group here.",
            "The connector sees no disabled accounts on LDAP. Set `source.ldap.users.disabled` or a \
             `preset` to have them recognized.",
        ]);
    }

    fn active_directory(&mut self) {
        let (directory, sync) = (self.directory(), self.sync());
        directory.pass_over(&["pagedSearch"]);
        sync.pass_over(&["memberAttribute"]);
        let Some(host) = self.host() else { return };
        let (encrypted, start_tls) = self.encryption();
        let port = directory.number("port").unwrap_or(389);
        let (security, default) = match (encrypted, start_tls) {
            (true, false) => ("Ldaps", 636),
            (true, true) => ("StartTls", 389),
            (false, _) => ("Plaintext", 389),
        };
        let controller = match port == default {
            true => host,
            false => format!("{host}:{port}"),
        };
        self.put(
            directory.name("hostname"),
            "source.activeDirectory.controllers",
            json!([controller]),
            "`domain` in its place finds all controllers by DNS",
        );
        let remark = match encrypted {
            true => "",
            false => {
                "passwords travel unencrypted, as they did, and controllers refuse that unless told otherwise"
            }
        };
        let path = "source.activeDirectory.security";
        self.put(directory.name("ssl"), path, security, remark);
        if matches!(port, 3268 | 3269) {
            self.put(
                directory.name("port"),
                "source.activeDirectory.globalCatalog",
                true,
                "only memberships of universal groups are complete there",
            );
        }
        self.tls("source.activeDirectory", start_tls);
        let domain = directory.text("domain");
        self.account("ad", "source.activeDirectory", "username", |name| {
            let is_whole = name.contains(['\\', '@', '=']);
            match domain.filter(|_| !is_whole) {
                Some(domain) => format!("{name}@{domain}"),
                None => name,
            }
        });
        if let Some(root) = directory.text("rootPath") {
            self.root(&root, "source.activeDirectory.baseDn");
        }
        for (key, side) in [("userPath", "users"), ("groupPath", "groups")] {
            if let Some(base) = self.below_root(key) {
                let path = format!("source.activeDirectory.{side}.searchBases");
                self.put(sync.name(key), &path, json!([base]), "");
            }
        }
        self.ad_filter("users", "userObjectClass", "userFilter", &AD_PEOPLE);
        self.ad_filter("groups", "groupObjectClass", "groupFilter", &["group"]);
        self.ad_email();
        if let Some(attribute) = sync.text("groupNameAttribute") {
            let path = "source.activeDirectory.groups.nameAttribute";
            self.put(sync.name("groupNameAttribute"), path, attribute, "");
        }
        self.out.differences.extend([
            "Computers, service accounts and built-in accounts (Administrator, Guest, krbtgt) are never \
             people here.",
            "Groups with more than 1,500 members are read whole.",
            "`groups.includePrimary` counts members of a primary group (Domain Users), which neither \
             side does by default.",
        ]);
    }

    fn host(&mut self) -> Option<String> {
        let host = self.directory().text("hostname");
        if host.is_none() {
            let name = self.directory().name("hostname");
            self.refused.push(format!(
                "{name}: it is empty: set it in the connector's settings"
            ));
        }
        host
    }

    /// Whether the connection is encrypted, and whether by StartTLS.
    fn encryption(&self) -> (bool, bool) {
        let directory = self.directory();
        let encrypted = directory.flag("ssl", false);
        (encrypted, directory.flag("startTls", false) && encrypted)
    }

    fn tls(&mut self, source: &str, start_tls: bool) {
        let directory = self.directory();
        directory.pass_over(&["tlsCaPath", "sslCaPath", "sslCertPath", "sslKeyPath"]);
        let ca = if start_tls { "tlsCaPath" } else { "sslCaPath" };
        if let Some(path) = directory.text(ca) {
            let name = self.secret_name("ca");
            let text = std::fs::read_to_string(&path).ok();
            if text.is_none() {
                self.out.gaps.push(format!(
                    "ConfigMap {name}, key ca.crt: the CA's certificates from {path}, which can't be read \
                     here"
                ));
            }
            self.out.config_maps.push(Data {
                name: name.clone(),
                kind: None,
                entries: vec![("ca.crt", text)],
            });
            self.set(&format!("{source}.tls.caBundleRef"), json!({"name": name}));
            let ours = format!("`{source}.tls.caBundleRef`");
            self.row(directory.name(ca), path, ours, "");
        }
        let (certificate, key) = (directory.text("sslCertPath"), directory.text("sslKeyPath"));
        if let (Some(certificate), Some(key)) = (certificate, key) {
            let name = self.secret_name("client-certificate");
            let read = |path: &str| std::fs::read_to_string(path).ok();
            let entries = vec![("tls.crt", read(&certificate)), ("tls.key", read(&key))];
            for ((entry, text), path) in entries.iter().zip([&certificate, &key]) {
                if text.is_none() {
                    self.out.gaps.push(format!(
                        "Secret {name}, key {entry}: from {path}, which can't be read here"
                    ));
                }
            }
            self.out.secrets.push(Data {
                name: name.clone(),
                kind: Some("kubernetes.io/tls"),
                entries,
            });
            let path = format!("{source}.tls.clientCertificateSecretRef");
            self.set(&path, json!({"name": name}));
            self.row(
                directory.name("sslCertPath"),
                certificate,
                format!("`{path}`"),
                "",
            );
        }
        if directory.flag("sslAllowUnauthorized", false) {
            self.put(
                directory.name("sslAllowUnauthorized"),
                &format!("{source}.tls.insecureSkipVerify"),
                true,
                "certificates aren't verified, as before: name the CA in `tls.caBundleRef` in its place",
            );
        }
    }

    /// The account to read with; `whole` makes its name one that the source takes.
    fn account(
        &mut self,
        secret: &'static str,
        source: &str,
        key: &'static str,
        whole: impl FnOnce(String) -> String,
    ) {
        let directory = self.directory();
        directory.pass_over(&["username", "password"]);
        let current = directory.flag("currentUser", false);
        let username = directory.text("username").filter(|_| !current);
        if username.is_none() && !current && source == "source.ldap" {
            self.row(
                directory.name("username"),
                "",
                "",
                "read anonymously, as before",
            );
            return;
        }
        if current {
            self.row(
                directory.name("currentUser"),
                true,
                format!("`{source}.bindSecretRef`"),
                "there is no account of Windows to use in a cluster: make one to read with, with a password",
            );
        }
        let password = match current {
            true => Kept::Nowhere,
            false => self.from.directory_secret.clone(),
        };
        let username = username.map(whole);
        self.row(
            directory.name("username"),
            username.as_deref().unwrap_or_default(),
            format!("`{source}.bindSecretRef`, key `{key}`"),
            "",
        );
        let username = username.map_or(Kept::Nowhere, Kept::Here);
        let name = self.secret_name(secret);
        self.set(&format!("{source}.bindSecretRef"), json!({"name": name}));
        self.secret(
            secret,
            vec![
                (
                    key,
                    username,
                    "directory-account",
                    "the account to read with",
                ),
                (
                    "password",
                    password,
                    "directory",
                    "the password of the account to read with",
                ),
            ],
        );
    }

    /// The base of everything. The connector takes of it what begins with the first `dc=`.
    fn root(&mut self, root: &str, path: &str) {
        let name = self.directory().name("rootPath");
        let (base, remark) = match domain_components(root) {
            Some(base) if base == root => (base, ""),
            Some(base) => (
                base,
                "the connector searches below these parts of it, and leaves out those before",
            ),
            None => {
                self.out.differences.push(
                    "The connector passes over a `rootPath` without `dc=`, and takes `userPath` and `groupPath` \
                     as they are; without these it names no base to the server. Here people and groups are \
                     searched below `rootPath` where there is no such path.",
                );
                (root, "")
            }
        };
        self.put(name, path, base, remark);
    }

    /// A path of the connector's with the root that it puts behind it.
    fn below_root(&mut self, key: &str) -> Option<String> {
        let path = self.sync().text(key)?;
        let root = self.directory().text("rootPath").unwrap_or_default();
        let root = domain_components(&root).unwrap_or_default();
        let is_whole = root.is_empty()
            || path
                .to_ascii_lowercase()
                .ends_with(&root.to_ascii_lowercase());
        Some(match is_whole {
            true => path,
            false => format!("{path},{root}"),
        })
    }

    /// An LDAP filter of an object class and a filter.
    fn class_filter(&mut self, class: &str, filter: &str) -> String {
        let sync = self.sync();
        let (class_name, filter_name) = (sync.name(class), sync.name(filter));
        let class = sync.text(class);
        let remark = match class {
            Some(_) => "",
            None => "without a class the connector takes every entry",
        };
        let by_class = match &class {
            Some(class) => format!("(objectClass={class})"),
            None => "(objectClass=*)".to_owned(),
        };
        self.row(
            class_name,
            class.as_deref().unwrap_or_default(),
            format!("`{by_class}`"),
            remark,
        );
        match self.ldap_filter(filter) {
            None => by_class,
            Some(filter) => {
                let whole = format!("(&{by_class}{filter})");
                self.row(filter_name, filter, format!("`{whole}`"), "");
                whole
            }
        }
    }

    /// A filter of the connector's with its parentheses.
    fn ldap_filter(&self, key: &str) -> Option<String> {
        let filter = self.sync().text(key)?;
        Some(match filter.starts_with('(') {
            true => filter,
            false => format!("({filter})"),
        })
    }

    fn ad_filter(&mut self, side: &str, class: &str, filter: &str, usual: &[&str]) {
        let sync = self.sync();
        let (class_name, filter_name) = (sync.name(class), sync.name(filter));
        let path = format!("source.activeDirectory.{side}.filter");
        let class = sync.text(class);
        let other = class
            .as_ref()
            .filter(|class| !usual.contains(&class.to_ascii_lowercase().as_str()));
        let filter = self.ldap_filter(filter);
        let is_read =
            |class: &&String| AD_SUBCLASSES.contains(&class.to_ascii_lowercase().as_str());
        if let Some(class) = other.filter(|class| !is_read(class)) {
            let why = match side {
                "users" => {
                    "only accounts (objectClass user and inetOrgPerson) are read, and no contacts"
                }
                _ => "only groups (objectClass group) are read",
            };
            self.refuse(class_name, class, why);
            return self.ad_filter_of(&path, filter_name, filter, None);
        }
        let by_class = other.map(|class| format!("(objectClass={class})"));
        if let Some(class) = &class {
            let ours = match by_class {
                Some(_) => format!("`{path}`"),
                None => "what the source reads anyway".to_owned(),
            };
            self.row(class_name, class, ours, "");
        }
        self.ad_filter_of(&path, filter_name, filter, by_class);
    }

    fn ad_filter_of(
        &mut self,
        path: &str,
        name: String,
        filter: Option<String>,
        by_class: Option<String>,
    ) {
        if let Some(filter) = &filter {
            self.row(name, filter, format!("`{path}`"), "");
        }
        let whole = match (by_class, filter) {
            (Some(class), Some(filter)) => format!("(&{class}{filter})"),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return,
        };
        self.set(path, whole);
    }

    fn ad_email(&mut self) {
        let sync = self.sync();
        let users = "source.activeDirectory.users";
        let attribute = sync.text("userEmailAttribute");
        let put_together = sync.flag("useEmailPrefixSuffix", false);
        let lower = attribute.as_deref().unwrap_or("mail").to_ascii_lowercase();
        let name = sync.name("userEmailAttribute");
        match lower.as_str() {
            "mail" => {}
            "userprincipalname" if !put_together => {
                let path = format!("{users}.email");
                self.put(name, &path, "UserPrincipalName", "");
            }
            _ => {
                let path = format!("{users}.emailAttribute");
                self.put(name, &path, attribute.map_or(Value::Null, Value::from), "");
            }
        }
        if !put_together {
            sync.pass_over(&["emailPrefixAttribute", "emailSuffix"]);
            return;
        }
        let prefix = sync.text("emailPrefixAttribute");
        match sync.text("emailSuffix") {
            Some(suffix) => {
                self.set(&format!("{users}.email"), "MailOrPrefixAndSuffix");
                if let Some(prefix) = prefix {
                    let path = format!("{users}.emailPrefixAttribute");
                    self.put(sync.name("emailPrefixAttribute"), &path, prefix, "");
                }
                let path = format!("{users}.emailSuffix");
                let remark = "used for people without an email (`email: MailOrPrefixAndSuffix`)";
                self.put(sync.name("emailSuffix"), &path, suffix, remark);
            }
            None => self.half_of_an_email(),
        }
    }

    fn half_of_an_email(&mut self) {
        let name = self.sync().name("useEmailPrefixSuffix");
        self.refuse(
            name,
            "true",
            "emails are put together of a prefix and a suffix, and one of them is empty",
        );
    }
}

/// What begins with the first `dc=`.
fn domain_components(root: &str) -> Option<&str> {
    let start = root.to_ascii_lowercase().find("dc=")?;
    root.get(start..)
}
