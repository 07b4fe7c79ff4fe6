//! Keeps a Bitwarden organization's members and groups in step with a company directory.
