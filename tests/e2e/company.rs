//! A company's directory and its organization, outside the cluster as they would be.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use simulators::fault::{Fault, Way, Work};
use simulators::lab::{Ldif, Node, Person, Slapd};
use simulators::organization::{Config, MemberSeed, SimulatedOrganization, Status};

use crate::cluster::{NAME, NAMESPACE, WAIT_TIMEOUT};

const SUFFIX: &str = "dc=example,dc=com";
const DIRECTORY: &str = "ldap.example.test";
const VAULT: &str = "vault.example.test";
const OWNER: &str = "owner@example.com";

pub struct Company {
    directory: Slapd,
    organization: SimulatedOrganization,
}

impl Company {
    /// Three people, `p00` to `p02`, in a directory whose certificate only the company's own
    /// authority vouches for; an organization with an owner alone. Pods find both by name.
    pub async fn new(node: &Node) -> Self {
        let mut ldif = Ldif::new(SUFFIX);
        ldif.unit("", "people");
        ldif.unit("", "groups");
        let people: Vec<_> = (0..3)
            .map(|number| ldif.person("ou=people", &Person::new(&format!("p{number:02}"))))
            .collect();
        ldif.group_of_names("ou=groups", "everyone", None, &people);
        let directory = Slapd::options()
            .ldif(ldif.text())
            .name(DIRECTORY)
            .start()
            .unwrap();
        let organization = SimulatedOrganization::start(Config::cloud()).await.unwrap();
        organization.seed_member(MemberSeed::new(OWNER).owner());
        for name in [DIRECTORY, VAULT] {
            node.publish(name, Node::ADDRESS).unwrap();
        }
        Self {
            directory,
            organization,
        }
    }

    /// What the resource refers to.
    pub fn secrets(&self) -> Value {
        let secret = |name: &str, data: Value| {
            json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {"name": name, "namespace": NAMESPACE}, "stringData": data,
            })
        };
        let bind = json!({"bindDn": self.directory.root_dn(), "password": Slapd::ROOT_PASSWORD});
        let organization = json!({
            "clientId": self.organization.client_id(),
            "clientSecret": self.organization.client_secret(),
        });
        let authority = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "corp-ca", "namespace": NAMESPACE},
            "data": {"ca.crt": self.directory.authority().pem()},
        });
        json!({"apiVersion": "v1", "kind": "List", "items": [
            secret("ldap-bind", bind), secret("bitwarden-org", organization), authority,
        ]})
    }

    pub fn resource(&self) -> Value {
        let port = self.organization.url();
        let port = port.rsplit(':').next().unwrap();
        json!({
            "apiVersion": "directorysync.dev/v1alpha1", "kind": "DirectorySync",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {
                "interval": "1h",
                "organization": {
                    "serverUrl": format!("http://{VAULT}:{port}"),
                    "allowPlaintext": true,
                    "credentialsSecretRef": {"name": "bitwarden-org"},
                },
                "source": {"ldap": {
                    "url": format!("ldaps://{DIRECTORY}:{}", self.directory.tls_port()),
                    "tls": {"caBundleRef": {"name": "corp-ca"}},
                    "bindSecretRef": {"name": "ldap-bind"},
                    "baseDn": SUFFIX,
                }},
                "offboarding": {"absent": "Revoke", "limit": 5},
            },
        })
    }

    /// What no log may contain.
    pub fn secret_words(&self) -> [String; 2] {
        [
            self.organization.client_secret(),
            Slapd::ROOT_PASSWORD.to_owned(),
        ]
    }

    pub fn hire(&self, who: &str) {
        let mut changes = Ldif::empty(SUFFIX);
        changes.person("ou=people", &Person::new(who));
        self.directory.modify(changes.text()).unwrap();
    }

    pub fn fire(&self, who: &str) {
        let dn = format!("uid={who},ou=people,{SUFFIX}");
        self.directory.delete(&[dn]).unwrap();
    }

    /// These people and the owner are in the organization, and nobody else but revoked ones.
    #[track_caller]
    pub fn organization_is_as_the_directory(&self, people: &[&str]) {
        let members = self.organization.snapshot().members;
        let present = members.iter().filter(|(_, m)| m.status != Status::Revoked);
        let present: BTreeSet<_> = present.map(|(email, _)| email.clone()).collect();
        let mut expected: BTreeSet<_> = people.iter().map(|who| email(who)).collect();
        expected.insert(OWNER.to_owned());
        assert_eq!(present, expected);
        assert!(self.organization.snapshot().groups.len() == 1);
    }

    #[track_caller]
    pub fn nobody_was_invited_twice(&self) {
        let invitations = self.organization.invitations();
        assert!(!invitations.is_empty());
        assert!(
            invitations.values().all(|&mails| mails == 1),
            "{invitations:?}"
        );
    }

    #[track_caller]
    pub fn all_requests_came_from(&self, address: &str) {
        let requests = self.organization.requests();
        let peers: BTreeSet<_> = requests.iter().map(|r| r.peer.to_string()).collect();
        assert_eq!(peers, BTreeSet::from([address.to_owned()]));
    }

    #[track_caller]
    pub fn nothing_was_written(&self) {
        let mut requests = self.organization.requests();
        requests.retain(|request| request.is_write());
        assert!(requests.is_empty(), "{requests:?}");
    }

    pub fn forget_requests(&self) {
        self.organization.clear_requests();
    }

    /// The next import is carried out, but whoever sent it waits in vain to hear so.
    pub fn lose_the_answer_to_the_next_import(&self) {
        let fault = Fault::new(Way::Hang)
            .work(Work::Done)
            .method("POST")
            .path("/api/public/organization/import");
        self.organization.faults().inject(fault);
    }

    pub async fn until_invited(&self, who: &str) {
        let email = email(who);
        let asking = async {
            while !self.organization.invitations().contains_key(&email) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let invited = tokio::time::timeout(WAIT_TIMEOUT, asking).await;
        assert!(invited.is_ok(), "{email} was never invited");
    }
}

fn email(who: &str) -> String {
    format!("{who}@example.com")
}
