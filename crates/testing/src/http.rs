//! What stands in for the network's slowness and for other people's clients.

use std::time::Duration;

use directory_sync::http::Retry;

/// As many tries as the product makes, with next to no time between them.
pub fn hurried() -> Retry {
    Retry {
        first_delay: Duration::from_millis(2),
        longest_delay: Duration::from_millis(10),
        ..Retry::default()
    }
}

/// An HTTP client that knows nothing of the product's.
pub fn client() -> reqwest::Client {
    // Every test after the first finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client without settings can be made")
}
