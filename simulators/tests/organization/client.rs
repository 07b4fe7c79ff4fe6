//! A plain HTTP client, ignorant of the product's.

use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use simulators::organization::{Config, MemberSeed, SimulatedOrganization};

/// An organization with one owner (`owner@example.com`, no external id), and a token for it.
pub struct Signed {
    pub organization: SimulatedOrganization,
    pub http: reqwest::Client,
    pub token: String,
}

/// A status and a body (null where it isn't JSON).
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

impl Answer {
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }
}

pub async fn cloud() -> Signed {
    signed(Config::cloud()).await
}

pub async fn signed(config: Config) -> Signed {
    let organization = SimulatedOrganization::start(config).await.unwrap();
    organization.seed_member(MemberSeed::new("owner@example.com").owner());
    // Every test after the first finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut signed = Signed {
        organization,
        http,
        token: String::new(),
    };
    signed.sign_in().await;
    signed.organization.clear_requests();
    signed
}

impl Signed {
    pub fn form(&self) -> Vec<(&'static str, String)> {
        vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", self.organization.client_id()),
            ("client_secret", self.organization.client_secret()),
            ("scope", "api.organization".to_owned()),
            ("device_identifier", "test".to_owned()),
            ("device_name", "test".to_owned()),
            ("device_type", "14".to_owned()),
        ]
    }

    pub async fn ask_for_token(&self, form: &[(&str, String)]) -> Answer {
        let url = format!("{}/connect/token", self.organization.identity_url());
        read(self.http.post(url).form(form).send().await.unwrap()).await
    }

    pub async fn sign_in(&mut self) {
        let answer = self.ask_for_token(&self.form()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        self.token = answer.body["access_token"].as_str().unwrap().to_owned();
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/public{path}", self.organization.api_url());
        self.http.request(method, url).bearer_auth(&self.token)
    }

    pub async fn get(&self, path: &str) -> Answer {
        read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        let request = self.request(Method::POST, path).json(&body);
        read(request.send().await.unwrap()).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        let request = self.request(Method::PUT, path).json(&body);
        read(request.send().await.unwrap()).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        read(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    pub async fn import(&self, body: Value) -> Answer {
        self.post("/organization/import", body).await
    }

    /// An import of members alone, without overwriting.
    pub async fn import_members(&self, members: Value) -> Answer {
        let body = json!({"groups": [], "members": members, "overwriteExisting": false});
        self.import(body).await
    }

    /// An import of groups alone.
    pub async fn import_groups(&self, groups: Value) -> Answer {
        let body = json!({"groups": groups, "members": [], "overwriteExisting": false});
        self.import(body).await
    }

    pub fn emails(&self) -> Vec<String> {
        self.organization.snapshot().members.into_keys().collect()
    }

    /// The emails of a group's members.
    pub fn in_group(&self, name: &str) -> Vec<String> {
        let snapshot = self.organization.snapshot();
        snapshot.group(name).unwrap().members.clone()
    }
}

pub async fn read(response: Response) -> Answer {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or_default();
    Answer { status, body }
}
