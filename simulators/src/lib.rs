//! Servers that behave as the vendors' do, and launchers of the real parts, for tests and the demo.

pub mod entra_id;
pub mod fault;
pub mod google_workspace;
pub mod lab;
pub mod ldap_proxy;
pub mod okta;
pub mod one_login;
pub mod organization;
pub mod wire;
