//! The table of attacks: who tries what with which manifests, and what comes of it.

use directory_sync_testing::manifests::{config_map, secret};

use super::place::{
    LIMITED, ORGANIZATION as THEIR_ORGANIZATION, RELEASE, THEIR_KEY, THEIR_PASSWORD, VICTIM,
};
use super::servers::Servers;
use crate::canary::{ACCOUNT, KEY, PASSWORD, manifests};
use crate::echo::sources;
use crate::misuse::attacks as misuse;

/// Who applies a row's manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// Somebody with the cluster role `edit` in the namespace.
    Editor,
    /// Somebody who may write DirectorySyncs there, and read no Secret. What else is in the manifests was
    /// there before.
    Writer,
}

/// What comes of an attack.
#[derive(Debug)]
pub enum Result {
    /// The API server refuses a manifest, and says this.
    Refused(&'static str),
    /// Each resource is not ready for this reason, and its message says this.
    Says(&'static str, &'static str),
    /// It is tried, for as long as it takes: what counts is that nobody else is harmed.
    GoesOn,
}

/// One attack.
pub struct Row {
    pub attack: &'static str,
    pub author: Author,
    /// Whether the namespace may have connections without encryption.
    pub insecure: bool,
    /// In the namespace `identity`, which stands for the row's own.
    pub manifests: String,
    pub result: Result,
}

impl Row {
    /// The namespace of the row with this number.
    pub fn namespace(&self, number: usize) -> String {
        match self.attack == ELSEWHERE {
            true => LIMITED.to_owned(),
            false => format!("hostile-{number}"),
        }
    }
}

const ELSEWHERE: &str = "a server that the operator's flags don't name for the namespace";

/// An organization of one's own, by the number of the row.
fn numbered(manifests: &str, number: usize) -> String {
    let id = format!("0c5e3f8e-6ac9-4a7b-9d6c-{number:012x}");
    manifests.replace("0c5e3f8e-6ac9-4a7b-9d6c-0dd0ca4a0e11", &id)
}

/// Everything there is, for the rows to be written in a few words each.
struct Table<'s> {
    servers: &'s Servers,
    rows: Vec<Row>,
}

impl Table<'_> {
    /// Of somebody who may edit, with plain connections allowed: an organization at `organization`, a
    /// source and objects.
    fn editor(
        &mut self,
        attack: &'static str,
        organization: &str,
        source: &str,
        objects: &str,
        result: Result,
    ) {
        let manifests = manifests(organization, source, objects);
        self.row(attack, Author::Editor, true, manifests, result);
    }

    /// Of somebody with no right on Secrets.
    fn writer(&mut self, attack: &'static str, source: &str, objects: &str, result: Result) {
        let manifests = manifests(&self.servers.open, source, objects);
        self.row(attack, Author::Writer, true, manifests, result);
    }

    fn row(
        &mut self,
        attack: &'static str,
        author: Author,
        insecure: bool,
        manifests: String,
        result: Result,
    ) {
        let manifests = numbered(&manifests, self.rows.len());
        self.rows.push(Row {
            attack,
            author,
            insecure,
            manifests,
            result,
        });
    }

    /// An LDAP directory without a password at `url`.
    fn directory(&mut self, attack: &'static str, url: &str, result: Result) {
        let open = self.servers.open.clone();
        self.editor(attack, &open, &ldap(url, ""), "", result);
    }

    /// An organization at `url`, written as its server's address.
    fn organization(&mut self, attack: &'static str, url: &str, result: Result) {
        let manifests = manifests(url, &ldap("ldap://127.0.0.1:9", ""), "")
            .replace("serverUrl:", "allowPlaintext: true, serverUrl:");
        self.row(attack, Author::Editor, true, manifests, result);
    }
}

fn ldap(url: &str, more: &str) -> String {
    format!("ldap: {{url: \"{url}\", baseDn: \"dc=example,dc=com\", allowPlaintext: true{more}}}")
}

fn okta(url: &str) -> String {
    format!("okta: {{orgUrl: \"{url}\", credentials: {{apiTokenSecretRef: {{name: own}}}}}}")
}

fn own() -> String {
    secret(
        "own",
        &[
            ("token", PASSWORD),
            ("bindDn", &format!("cn={ACCOUNT}")),
            ("password", PASSWORD),
        ],
    )
}

const ENTRA: &str = "entraId: {tenantId: 11111111-1111-1111-1111-111111111111, \
                     clientId: 22222222-2222-2222-2222-222222222222, ";

/// All rows.
pub fn all(servers: &Servers) -> Vec<Row> {
    let mut table = Table {
        servers,
        rows: vec![],
    };
    the_operators_own(&mut table);
    secrets_of_others(&mut table);
    misused_secrets(&mut table);
    servers_that_repeat(&mut table);
    servers_inside(&mut table);
    servers_that_harm(&mut table);
    organizations_of_others(&mut table);
    table.rows
}

fn the_operators_own(table: &mut Table<'_>) {
    let servers = table.servers;
    let open = servers.open.as_str();
    let refused = || Result::Says("SourceRefused", "--own-identity-for");
    let file = &servers.operators_file;
    for (attack, more) in [
        ("the operator's own identity", String::new()),
        (
            "a file of the operator as its token",
            format!("tokenFile: \"{file}\""),
        ),
        (
            "the operator's account as a file",
            "tokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token".to_owned(),
        ),
    ] {
        let source = format!("{ENTRA}credentials: {{workloadIdentity: {{{more}}}}}}}");
        table.editor(attack, open, &source, "", refused());
    }
    let source = format!(
        "{ENTRA}authorityUrl: \"{open}\", graphUrl: \"{open}\", credentials: {{workloadIdentity: {{}}}}}}"
    );
    table.editor(
        "a server of one's own as the authority for the operator's token",
        open,
        &source,
        "",
        refused(),
    );
    let google = |more: &str| {
        format!(
            "googleWorkspace: {{adminEmail: a@example.com, credentials: {{workloadIdentity: {{\
             audience: //iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/a/providers/b, \
             serviceAccountEmail: a@b.iam.gserviceaccount.com{more}}}}}}}"
        )
    };
    table.editor(
        "the operator's own identity for Google",
        open,
        &google(""),
        "",
        refused(),
    );
    table.editor(
        "a server of one's own as Google's token service",
        open,
        &google(&format!(", stsUrl: \"{open}\", iamUrl: \"{open}\"")),
        "",
        refused(),
    );
    let external = format!(
        "{{\"type\": \"external_account\", \"token_url\": \"{open}/token\", \"audience\": \"a\", \
         \"credential_source\": {{\"file\": \"{file}\"}}}}"
    );
    table.editor(
        "a key file of Google that names a file of the operator",
        open,
        "googleWorkspace: {domains: [example.com], adminEmail: a@example.com, \
         credentials: {serviceAccountKeySecretRef: {name: own, key: file}}}",
        &secret("own", &[("file", &external)]),
        Result::Says("InvalidReference", "isn't a service account's key"),
    );
    let account = |name: &str| {
        format!("{ENTRA}credentials: {{workloadIdentity: {{serviceAccountName: \"{name}\"}}}}}}")
    };
    table.editor(
        "a ServiceAccount of the namespace, where the chart doesn't allow it",
        open,
        &account("default"),
        "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default, namespace: identity}\n",
        Result::Says("SourceRefused", "workloadIdentity.tokenRequests=true"),
    );
    table.editor(
        "the operator's ServiceAccount by a path",
        open,
        &account(&format!("../../{RELEASE}/serviceaccounts/directory-sync")),
        "",
        Result::Refused("the name of a ServiceAccount in this namespace"),
    );
    table.writer(
        "a ServiceAccount whose tokens its author may not request",
        &account("default"),
        "",
        Result::Refused("you may not"),
    );
    let status = format!(
        "apiVersion: directorysync.dev/v1alpha1\nkind: DirectorySync/status\nmetadata: {{name: staff, namespace: identity}}\n\
         status: {{claim: {{organizationId: {THEIR_ORGANIZATION}}}}}\n"
    );
    table.row(
        "a status of one's own writing",
        Author::Editor,
        true,
        status,
        Result::Refused("forbidden"),
    );
    let lease = format!(
        "apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {{name: directory-sync-organization-{THEIR_ORGANIZATION}, namespace: {RELEASE}}}\n"
    );
    table.row(
        "a Lease that says who manages an organization",
        Author::Editor,
        true,
        lease,
        Result::Refused("forbidden"),
    );
    let elsewhere = manifests(open, &ldap("ldap://127.0.0.1:9", ""), "")
        .split("---")
        .next()
        .unwrap()
        .replace("namespace: identity", &format!("namespace: {VICTIM}"));
    table.row(
        "a resource in the namespace of another team",
        Author::Editor,
        true,
        elsewhere,
        Result::Refused("forbidden"),
    );
}

fn secrets_of_others(table: &mut Table<'_>) {
    let payroll = secret(
        "payroll",
        &[("password", THEIR_PASSWORD), ("key", THEIR_PASSWORD)],
    );
    let refused = || Result::Refused("you may not get secrets/");
    let organization = secret(
        "bitwarden",
        &[
            ("clientId", THEIR_PASSWORD),
            ("clientSecret", THEIR_PASSWORD),
        ],
    );
    table.writer(
        "a Secret that its author may not read as the organization's key",
        &ldap("ldap://127.0.0.1:9", ""),
        &organization,
        refused(),
    );
    table.writer(
        "… as the password of a directory",
        &ldap("ldap://127.0.0.1:9", ", bindSecretRef: {name: payroll}"),
        &payroll,
        refused(),
    );
    table.writer(
        "… as a bind DN that a message would show",
        &ldap(
            "ldap://127.0.0.1:9",
            ", bindSecretRef: {name: payroll, bindDnKey: password}",
        ),
        &payroll,
        refused(),
    );
    table.writer(
        "… as certificates of a CA",
        "ldap: {url: \"ldaps://127.0.0.1:9\", baseDn: dc=example, tls: {caBundleRef: {kind: Secret, name: payroll, key: key}}}",
        &payroll,
        refused(),
    );
    table.writer(
        "… as a token for a server of one's own",
        &okta(&table.servers.open.clone()).replace("name: own", "name: payroll, key: password"),
        &payroll,
        refused(),
    );
    table.writer(
        "… as a client certificate",
        "ldap: {url: \"ldaps://127.0.0.1:9\", baseDn: dc=example, tls: {clientCertificateSecretRef: {name: payroll}}}",
        &payroll,
        refused(),
    );
    let open = table.servers.open.clone();
    for (attack, name) in [
        (
            "a Secret of another namespace by a path",
            "../../victim/secrets/payroll",
        ),
        (
            "a Secret of another namespace by its namespace",
            "victim/payroll",
        ),
        (
            "a Secret of another namespace in percent signs",
            "..%2f..%2fvictim%2fsecrets%2fpayroll",
        ),
        (
            "a list of all Secrets by a question mark",
            "payroll?watch=true",
        ),
    ] {
        let source = okta(&open).replace("name: own", &format!("name: \"{name}\", key: password"));
        table.editor(
            attack,
            &open,
            &source,
            "",
            Result::Refused("the name of a Secret in this namespace"),
        );
    }
    let source = okta(&open).replace("name: own", "name: payroll, key: password");
    table.editor(
        "a Secret that is in another namespace only",
        &open,
        &source,
        "",
        Result::Says("ReferenceNotFound", "payroll"),
    );
    let source = "ldap: {url: \"ldaps://127.0.0.1:9\", baseDn: dc=example, tls: {caBundleRef: {name: payroll, key: key}}}";
    table.editor(
        "a ConfigMap that is in another namespace only",
        &open,
        source,
        "",
        Result::Says("ReferenceNotFound", "payroll"),
    );
}

/// Those of `misuse`, which run on the command line there.
fn misused_secrets(table: &mut Table<'_>) {
    let open = table.servers.open.clone();
    for (attack, source, objects, says) in misuse() {
        // The API server says it first, or the operator when it is in the resource's namespace.
        let result = match attack {
            _ if attack.contains("nested deeper") => Result::Refused("Too long"),
            _ if attack.contains("operator's own token") => {
                Result::Says("SourceRefused", "--own-identity-for")
            }
            // Nobody listens there, so what it is comes to nobody's eyes.
            _ if attack.contains("as the DN") => Result::Says("SourceUnavailable", "refused"),
            _ if attack.contains("Entra") => Result::Says("InvalidSpec", "holds no certificate"),
            _ => Result::Says("InvalidReference", says),
        };
        table.editor(
            attack,
            &open,
            &source.replace("URL", &open),
            &objects,
            result,
        );
    }
}

fn servers_that_repeat(table: &mut Table<'_>) {
    let servers = table.servers;
    let open = servers.open.as_str();
    for (attack, encoding) in [
        ("a server that repeats its token as it is", "Lists as it is"),
        ("… in JSON escapes", "Lists JSON escapes in JSON escapes"),
        ("… in Base64", "Lists Base64"),
        ("… in UTF-16 in Base64", "Lists Base64 of UTF-16"),
        ("… in hexadecimal", "Lists hexadecimal"),
        ("… in decimal", "Lists decimal bytes"),
    ] {
        let url = servers.of(encoding);
        table.editor(
            attack,
            open,
            &okta(url),
            &own(),
            Result::Says("SourceRefused", "400"),
        );
    }
    table.editor(
        "a server whose people and groups have its token as names, ids and addresses",
        open,
        &okta(servers.of("names")),
        &own(),
        Result::Says("SucceededWithProblems", "SecretInEntry (2)"),
    );
    for (attack, encoding) in [
        (
            "an organization that repeats its key as it is",
            "Tokens as it is",
        ),
        (
            "an organization that repeats its key in percent signs",
            "Tokens percent signs twice",
        ),
        (
            "an organization that repeats its key between soft hyphens",
            "Tokens soft hyphens",
        ),
    ] {
        let url = servers.of(encoding);
        table.editor(
            attack,
            url,
            &okta(open),
            &own(),
            Result::Says("OrganizationRefused", "API key was refused"),
        );
    }
    let url = servers.of("Tokens HTML entities");
    let [_, (_, one_login, secrets), ..] = sources(url);
    table.editor(
        "a server that repeats its client secret in HTML entities",
        open,
        &one_login,
        &secrets,
        Result::Says("SourceRefused", "OneLogin refuses the credentials"),
    );
    let bind = ldap(servers.of("LDAP repeats"), ", bindSecretRef: {name: own}");
    table.editor(
        "an LDAP server that repeats a password",
        open,
        &bind,
        &own(),
        Result::Says("SourceRefused", "binding to"),
    );
}

fn servers_inside(table: &mut Table<'_>) {
    let servers = table.servers;
    let (http, ldap_url) = servers.inside;
    let open = servers.open.as_str();
    let port = http.rsplit(':').next().unwrap();
    let denied = || Result::Says("OrganizationRefused", "denied network");
    table.organization(
        "a server inside of the cluster as the organization's",
        http,
        denied(),
    );
    for (attack, host) in [
        ("… its address as one number", "2130706434"),
        ("… its address in hexadecimal", "0x7f.0.0.2"),
        ("… its address in two parts", "127.2"),
        ("… its address in octal", "0177.0.0.2"),
        ("… its address as IPv6", "[::ffff:127.0.0.2]"),
        ("… its address by NAT64", "[64:ff9b::7f00:2]"),
    ] {
        table.organization(attack, &format!("http://{host}:{port}"), denied());
    }
    let never = || Result::Says("OrganizationRefused", "never connects");
    table.organization(
        "the metadata service of a cloud",
        "http://169.254.169.254",
        never(),
    );
    table.organization(
        "the metadata service by IPv6",
        "http://[fd00:ec2::254]",
        never(),
    );
    table.organization(
        "every address of the operator's machine",
        &format!("http://0.0.0.0:{port}"),
        never(),
    );
    table.organization(
        "a server inside of the cluster behind the name of a user",
        &format!("{open}@127.0.0.2:{port}"),
        Result::Refused("without user"),
    );
    table.directory(
        "a directory inside of the cluster",
        ldap_url,
        Result::Says("SourceRefused", "denied network"),
    );
    let urls = format!(
        "ldap: {{urls: [\"ldap://127.0.0.1:9\", \"{ldap_url}\"], baseDn: dc=example, allowPlaintext: true}}"
    );
    table.editor(
        "… as the second of two",
        open,
        &urls,
        "",
        Result::Says("SourceRefused", "denied network"),
    );
    let controllers = format!(
        "activeDirectory: {{controllers: [\"{}\"], security: Plaintext, bindSecretRef: {{name: own}}}}",
        ldap_url.trim_start_matches("ldap://")
    );
    let user = secret(
        "own",
        &[("username", "a@example.com"), ("password", PASSWORD)],
    );
    table.editor(
        "… as a domain controller",
        open,
        &controllers,
        &user,
        Result::Says("SourceRefused", "denied network"),
    );
    table.editor(
        "… as a vendor",
        open,
        &okta(http),
        &own(),
        Result::Says("SourceRefused", "denied network"),
    );
    table.organization(
        "a redirect into the cluster",
        servers.of("redirects"),
        Result::Says("OrganizationRefused", "302"),
    );
    table.editor(
        "a list that goes on inside of the cluster",
        open,
        &okta(servers.of("next page")),
        &own(),
        Result::Says("SourceIncomplete", "isn't below orgUrl"),
    );
    table.directory(
        "a referral into the cluster",
        servers.of("LDAP refers"),
        Result::Says("SourceIncomplete", "held elsewhere"),
    );
    let (url, ca) = &servers.api_server;
    let ca = config_map("ca", &[("ca.crt", ca)]);
    let api = manifests(url, &ldap("ldap://127.0.0.1:9", ""), &ca).replace(
        "serverUrl:",
        "tls: {caBundleRef: {name: ca, key: ca.crt}}, serverUrl:",
    );
    table.row(
        "the API server as the organization's",
        Author::Editor,
        true,
        api,
        Result::Says("OrganizationRefused", "(Unauthorized)"),
    );
    table.editor(
        ELSEWHERE,
        open,
        &ldap("ldap://127.0.0.1:9", ""),
        "",
        Result::Refused("may not name the server 127.0.0.1"),
    );
    let plain = manifests(
        "http://vault.example.com",
        &ldap("ldaps://127.0.0.1:9", ""),
        "",
    )
    .replace("serverUrl:", "allowPlaintext: true, serverUrl:");
    table.row(
        "no encryption where the namespace isn't labelled for it",
        Author::Editor,
        false,
        plain,
        Result::Refused("allow-insecure"),
    );
    let plain = manifests(
        open,
        "activeDirectory: {domain: corp.example.com, security: Plaintext, bindSecretRef: {name: own}}",
        &secret(
            "own",
            &[("username", "a@example.com"), ("password", PASSWORD)],
        ),
    );
    table.row(
        "no encryption to domain controllers where the namespace isn't labelled for it",
        Author::Editor,
        false,
        plain,
        Result::Refused("allow-insecure"),
    );
    let unverified = manifests(
        open,
        "ldap: {url: \"ldaps://127.0.0.1:9\", baseDn: dc=example, tls: {insecureSkipVerify: true}}",
        "",
    );
    table.row(
        "no verification where the namespace isn't labelled for it",
        Author::Editor,
        false,
        unverified,
        Result::Refused("allow-insecure"),
    );
}

fn servers_that_harm(table: &mut Table<'_>) {
    let servers = table.servers;
    let open = servers.open.as_str();
    for (attack, name, result) in [
        ("a server that drips", "drips", Result::GoesOn),
        ("a server that never answers", "is silent", Result::GoesOn),
        (
            "a server that asks to come again later",
            "comes again",
            Result::GoesOn,
        ),
        ("pages without end", "pages", Result::GoesOn),
        ("a group without end", "members", Result::GoesOn),
        (
            "a bomb of gzip",
            "bomb",
            Result::Says("SourceRefused", "larger than"),
        ),
        (
            "a list that is nested a million times",
            "deep",
            Result::Says("SourceUnavailable", ""),
        ),
        ("a token for 2^64 seconds", "long token", Result::GoesOn),
    ] {
        table.editor(attack, open, &okta(servers.of(name)), &own(), result);
    }
    for (attack, name) in [
        ("an organization that drips", "drips"),
        ("an organization that never answers", "is silent"),
    ] {
        table.organization(attack, servers.of(name), Result::GoesOn);
    }
    for (attack, name, result) in [
        (
            "an LDAP server that never answers",
            "LDAP is silent",
            Result::GoesOn,
        ),
        ("an LDAP server that drips", "LDAP drips", Result::GoesOn),
        (
            "an LDAP server with nested elements",
            "LDAP nests",
            Result::Says("SourceRefused", "nested in more than 32 levels"),
        ),
        (
            "an LDAP server that announces 2 GiB",
            "LDAP announces",
            Result::Says("SourceRefused", ""),
        ),
        (
            "an LDAP server with entries without end",
            "LDAP entries",
            Result::GoesOn,
        ),
    ] {
        table.directory(attack, servers.of(name), result);
    }
    // Each nearly fits, wherever it begins in the name.
    let pattern = format!("\"*{}b\"", "a".repeat(98));
    let patterns = vec![pattern; 50].join(", ");
    let patterns = manifests(open, &okta(servers.of("long name")), &own()).replacen(
        "spec:\n",
        &format!("spec:\n  groups: {{exclude: [{patterns}]}}\n"),
        1,
    );
    table.row(
        "patterns that take long to match, and a long name",
        Author::Editor,
        true,
        patterns,
        Result::Says("SucceededWithProblems", "GroupNameTooLong (1)"),
    );
    // More than may run at a time.
    let mut many = String::new();
    for number in 0..20 {
        let one = manifests(
            servers.of("is silent"),
            &ldap(servers.of("LDAP is silent"), ""),
            "",
        );
        let id = format!("0c5e3f8e-6ac9-4a7b-9d6c-0000beef{number:04x}");
        let one = one
            .replace("0c5e3f8e-6ac9-4a7b-9d6c-0dd0ca4a0e11", &id)
            .replace("name: staff", &format!("name: staff-{number}"))
            .replace("name: bitwarden", &format!("name: bitwarden-{number}"));
        many.push_str(&format!("---\n{one}"));
    }
    table.row(
        "twenty resources of one namespace whose servers never answer",
        Author::Editor,
        true,
        many,
        Result::GoesOn,
    );
}

fn organizations_of_others(table: &mut Table<'_>) {
    let servers = table.servers;
    let open = servers.open.as_str();
    let theirs = |id: &str, secret_value: &str| {
        secret(
            "bitwarden",
            &[("clientId", id), ("clientSecret", secret_value)],
        )
    };
    let id = format!("organization.{THEIR_ORGANIZATION}");
    let managed = || Result::Says("AlreadyManaged", "victim/staff");
    let directory = ldap("ldap://127.0.0.1:9", "");
    table.editor(
        "another team's organization with a made-up key",
        open,
        &directory,
        &theirs(&id, KEY),
        managed(),
    );
    table.editor(
        "another team's organization with its id in capitals",
        open,
        &directory,
        &theirs(
            &format!("organization.{}", THEIR_ORGANIZATION.to_uppercase()),
            KEY,
        ),
        managed(),
    );
    table.editor(
        "another team's organization with its key, at another address",
        open,
        &directory,
        &theirs(&id, THEIR_KEY),
        managed(),
    );
    let prefixed = manifests(open, &directory, &theirs(&id, KEY))
        .replace("serverUrl:", "externalIdPrefix: \"a:\", serverUrl:");
    table.row(
        "a part of another team's organization",
        Author::Editor,
        true,
        prefixed,
        managed(),
    );
    let cloud = manifests(open, &directory, &theirs(&id, KEY))
        .replace(&format!("serverUrl: \"{open}\""), "region: EU");
    table.row(
        "another team's organization by its region",
        Author::Editor,
        true,
        cloud,
        managed(),
    );
    let claimed = manifests(open, &directory, &theirs(&id, KEY)).replace(
        "spec:\n",
        &format!("status: {{claim: {{organizationId: {THEIR_ORGANIZATION}}}}}\nspec:\n"),
    );
    table.row(
        "another team's organization with a claim in the manifest",
        Author::Editor,
        true,
        claimed,
        managed(),
    );
    let plan = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: staff-plan\n  namespace: identity\n  ownerReferences: \
         [{{apiVersion: directorysync.dev/v1alpha1, kind: DirectorySync, name: staff, uid: {THEIR_ORGANIZATION}}}]\n\
         immutable: true\ndata: {{plan.md: \"mine\"}}\n"
    );
    table.editor(
        "a plan of one's own writing that can't be changed",
        open,
        &directory,
        &plan,
        Result::Says("SourceUnavailable", "127.0.0.1:9"),
    );
}
