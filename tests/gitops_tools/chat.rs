//! What a notification is sent to: a webhook, as chats have them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;

/// All messages so far, in their order.
type Messages = Arc<Mutex<Vec<Value>>>;

/// A webhook on loopback, as long as the runtime lives.
pub struct Chat {
    address: SocketAddr,
    messages: Messages,
}

impl Chat {
    pub async fn start() -> Self {
        let messages = Messages::default();
        let router = Router::new()
            .route("/", post(keep))
            .with_state(messages.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, messages }
    }

    /// What a Provider names.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The messages about an object of this name.
    pub fn about(&self, name: &str) -> Vec<Value> {
        let messages = self.messages.lock().unwrap();
        let about = |message: &&Value| message["involvedObject"]["name"] == name;
        messages.iter().filter(about).cloned().collect()
    }
}

async fn keep(State(messages): State<Messages>, Json(message): Json<Value>) {
    messages.lock().unwrap().push(message);
}
