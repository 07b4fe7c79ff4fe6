//! A source's settings with its credentials.

use std::ops::{Deref, DerefMut};

/// A source's settings with its credentials, which the product keeps apart: a test changes the
/// settings as if they were all.
#[derive(Debug, Clone)]
pub struct Setup<Settings, Credentials> {
    /// What is read, and how.
    pub settings: Settings,
    /// How requests to the source are authenticated.
    pub credentials: Credentials,
}

impl<Settings, Credentials> Deref for Setup<Settings, Credentials> {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl<Settings, Credentials> DerefMut for Setup<Settings, Credentials> {
    fn deref_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }
}
