//! Servers that behave as the vendors' do, and launchers of the real parts, for tests and the demo.

mod concurrency;
pub mod entra_id;
pub mod fault;
mod filter;
pub mod front;
pub mod google_workspace;
pub mod lab;
pub mod ldap_proxy;
pub mod okta;
pub mod one_login;
pub mod organization;
pub mod request_log;
pub mod wire;
