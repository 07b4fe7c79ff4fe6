//! The controllers of a domain, as DNS lists them.

use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{RData, RecordType};

use super::error::ActiveDirectoryFailure;
use super::settings::{Controller, Domain};
use crate::text::sanitize;

/// More than these aren't tried.
const MOST: usize = 20;

/// The domain's controllers (or its forest's global catalogs) in the order in which to try them.
///
/// Their ports are left to the settings: the records know those without TLS only.
///
/// # Errors
/// When DNS fails, or lists none.
pub async fn controllers(
    domain: &Domain,
    global_catalog: bool,
    time_limit: Duration,
) -> Result<Vec<Controller>, ActiveDirectoryFailure> {
    // MS-ADTS 6.3.2.3. The name is absolute: no search list may lead it astray.
    if !global_catalog {
        let record = format!("_ldap._tcp.dc._msdcs.{}.", domain.name);
        return ask(domain, record, time_limit).await;
    }
    // Catalogs are listed at the forest's root, which may be a domain above the one that is named.
    let mut first = None;
    for name in above(&domain.name) {
        match ask(domain, format!("_gc._tcp.{name}."), time_limit).await {
            Err(
                failure @ ActiveDirectoryFailure::Discovery {
                    nothing_there: true,
                    ..
                },
            ) => {
                first.get_or_insert(failure);
            }
            found_or_failed => return found_or_failed,
        }
    }
    Err(first.expect("a domain's name isn't empty"))
}

/// A domain and those above it that may be a forest's root: a name of one label can't.
fn above(domain: &str) -> impl Iterator<Item = &str> {
    let above = domain.match_indices('.').map(|(at, _)| &domain[at + 1..]);
    std::iter::once(domain).chain(above.filter(|name| name.contains('.')))
}

/// The controllers that the record names, in the order in which to try them.
async fn ask(
    domain: &Domain,
    record: String,
    time_limit: Duration,
) -> Result<Vec<Controller>, ActiveDirectoryFailure> {
    let failed = |why: String, nothing_there| ActiveDirectoryFailure::Discovery {
        domain: domain.name.clone(),
        record: record.clone(),
        why: sanitize(&why),
        nothing_there,
    };
    let lookup = async {
        let resolver = resolver(domain)?;
        resolver.lookup(record.as_str(), RecordType::SRV).await
    };
    let answer = tokio::time::timeout(time_limit, lookup)
        .await
        .map_err(|_| {
            failed(
                format!("no answer for {} s", time_limit.as_secs_f32()),
                false,
            )
        })?
        .map_err(|error| {
            let nothing_there = error.is_no_records_found();
            failed(error.to_string(), nothing_there)
        })?;
    let records = answer.answers().iter().filter_map(|r| match &r.data {
        RData::SRV(record) => Some(record.clone()),
        _ => None,
    });
    let controllers: Vec<_> = in_turn(records.collect())
        .into_iter()
        .map(|record| Controller {
            host: record.target.to_utf8().trim_end_matches('.').to_owned(),
            port: None,
        })
        .filter(|controller| is_host(&controller.host))
        .take(MOST)
        .collect();
    if controllers.is_empty() {
        return Err(failed("no controller in the answer".to_owned(), true));
    }
    Ok(controllers)
}

fn resolver(domain: &Domain) -> Result<TokioResolver, hickory_resolver::net::NetError> {
    let Some(server) = domain.name_server else {
        return TokioResolver::builder_tokio()?.build();
    };
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.into());
    let config = ResolverConfig::from_parts(None, vec![], vec![server]);
    TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build()
}

/// By priority, and by chance with their weights within one (RFC 2782).
fn in_turn(mut records: Vec<SRV>) -> Vec<SRV> {
    // A weighted order without replacement: the one with the highest `u^(1/w)` comes first.
    let mut keyed: Vec<_> = records
        .drain(..)
        .map(|record| {
            let weight = f64::from(record.weight).max(0.01);
            let chance = fastrand::f64().powf(1.0 / weight);
            (record, chance)
        })
        .collect();
    keyed.sort_by(|(one, a), (other, b)| one.priority.cmp(&other.priority).then(b.total_cmp(a)));
    keyed.into_iter().map(|(record, _)| record).collect()
}

/// What an answer names must be a host, and nothing else may get into an address.
fn is_host(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;

    use super::*;

    fn record(priority: u16, weight: u16, host: &str) -> SRV {
        SRV::new(priority, weight, 389, Name::from_ascii(host).unwrap())
    }

    #[test]
    fn the_forests_root_is_looked_for_above_the_domain() {
        let tried: Vec<_> = above("eu.corp.example.com").collect();
        assert_eq!(
            tried,
            ["eu.corp.example.com", "corp.example.com", "example.com"]
        );
    }

    #[test]
    fn the_lowest_priority_comes_first_and_the_heavier_more_often() {
        let mut heavy_first = 0;
        for _ in 0..1_000 {
            let order = in_turn(vec![
                record(10, 100, "far.example."),
                record(0, 1, "light.example."),
                record(0, 99, "heavy.example."),
            ]);
            assert_eq!(order[2].target.to_utf8(), "far.example.");
            heavy_first += usize::from(order[0].target.to_utf8() == "heavy.example.");
        }
        assert!((900..1_000).contains(&heavy_first), "{heavy_first}");
    }
}
