//! What a complete read of an Active Directory domain costs, and what one costs that finds it
//! unchanged, against Samba; through the limits of a Windows controller, too.
//!
//! `cargo bench --bench active_directory [USERS]`; 5,000 users unless told, because Samba takes
//! long to be filled with more. Needs root.

#![expect(clippy::unwrap_used, reason = "a bench that fails may as well panic")]

use std::net::SocketAddr;
use std::time::Instant;

use directory_sync::source::active_directory::{
    Account, ActiveDirectorySettings, ActiveDirectorySource, Controller, Security, Where,
};
use directory_sync::source::{ReadProgress, Reading, Source, Version};
use simulators::lab::{self, Ldif, Samba};
use simulators::ldap_proxy::LdapProxy;

const MEMBERS_A_GROUP: usize = 50;
const BATCH: usize = 1_000;

#[tokio::main]
async fn main() {
    if !Samba::can_start("the bench of Active Directory") {
        return;
    }
    let users = std::env::args().find_map(|arg| arg.parse().ok());
    let users: usize = users.unwrap_or(5_000);
    let started = Instant::now();
    let samba = Samba::options().allow_plaintext().start().unwrap();
    fill(&samba, users);
    println!("{users} users put into Samba in {:.1?}", started.elapsed());

    let address = SocketAddr::from((samba.address(), 389));
    let mut known = None;
    for _ in 0..3 {
        known = measured("Samba", source(address), None).await;
    }
    measured("Samba, unchanged", source(address), known.as_ref()).await;
    let proxy = LdapProxy::with_windows_limits(address).await.unwrap();
    measured("with Windows' limits", source(proxy.address()), None).await;
    println!("  {} requests", proxy.requests());
}

/// Everybody in one group, and each fiftieth part of them in one of its own.
fn fill(samba: &Samba, users: usize) {
    let mut ldif = Ldif::empty(Samba::DOMAIN);
    let reader = lab::Account::new("reader").with_password();
    reader.add_to(&mut ldif, &format!("CN=Users,{}", Samba::DOMAIN));
    let staff = ldif.unit("", "Staff");
    let mut all = vec![];
    for n in 0..users {
        all.push(lab::Account::new(&format!("staff{n:06}")).add_to(&mut ldif, &staff));
        // What one transaction takes on disk grows much faster than the entries in it.
        if n % BATCH == BATCH - 1 {
            samba.add(&ldif.take_text()).unwrap();
        }
    }
    let mut group = |name: &str, members: &[String]| {
        let mut attributes = vec![("objectClass", "group"), ("sAMAccountName", name)];
        attributes.extend(members.iter().map(|member| ("member", member.as_str())));
        ldif.entry(&format!("CN={name},{staff}"), &attributes);
    };
    for (n, members) in all.chunks(MEMBERS_A_GROUP).enumerate() {
        group(&format!("team{n:05}"), members);
    }
    group("everyone", &all);
    samba.add(&ldif.take_text()).unwrap();
}

fn source(address: SocketAddr) -> ActiveDirectorySource {
    let controller = Controller {
        host: address.ip().to_string(),
        port: Some(address.port()),
    };
    let account = Account {
        name: format!("reader@{}", Samba::REALM),
        password: Samba::PASSWORD.into(),
    };
    let mut settings = ActiveDirectorySettings::new(Where::Controllers(vec![controller]), account);
    settings.security = Security::Plaintext;
    ActiveDirectorySource::new(settings).unwrap()
}

async fn measured(
    what: &str,
    source: ActiveDirectorySource,
    known: Option<&Version>,
) -> Option<Version> {
    let started = Instant::now();
    let reading = source.read(known, &ReadProgress::default()).await.unwrap();
    let took = started.elapsed();
    match reading {
        Reading::Unchanged => {
            println!("{what}: {took:.1?}");
            None
        }
        Reading::Full { directory, version } => {
            let memberships: usize = directory.groups.iter().map(|g| g.users.len()).sum();
            println!(
                "{what}: {took:.1?}: {} users, {} groups, {memberships} memberships",
                directory.users.len(),
                directory.groups.len(),
            );
            version
        }
    }
}
