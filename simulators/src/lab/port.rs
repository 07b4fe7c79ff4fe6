//! Ports for servers that can't be told "any free one and say which".

use std::fs::{File, TryLockError};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt as _;
use std::process;
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use super::LabError;

/// Below the range from which Linux picks the near end of outgoing connections (32768 and up), so
/// that no connection of anybody's takes a port between our looking and the server's binding.
const PORTS: RangeInclusive<u16> = 20_000..=31_999;

/// Locks on the files that stand for claimed ports; held until the process ends.
static CLAIMS: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port of 127.0.0.1 that nobody listens on and that no other process using this function gets
/// while this one lives.
///
/// # Errors
/// When the whole range is taken, or the folder of claims can't be written.
pub fn free_port() -> Result<u16, LabError> {
    // One folder a user, since nobody may write into another's.
    let user = std::fs::metadata("/proc/self").map_or(0, |this| this.uid());
    let folder = std::env::temp_dir().join(format!("directory-sync-ports-{user}"));
    std::fs::create_dir_all(&folder).map_err(LabError::io(format!("make {}", folder.display())))?;
    let span = PORTS.len();
    // Starting points differ by process, which spares most of the failed tries.
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.subsec_nanos());
    let start = (process::id() as usize * 97 + now as usize) % span;
    for port in PORTS.cycle().skip(start).take(span) {
        if let Some(claim) = claim(&folder.join(port.to_string()))?
            && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
        {
            CLAIMS
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .push(claim);
            return Ok(port);
        }
    }
    Err(LabError::NoPort(PORTS))
}

fn claim(path: &std::path::Path) -> Result<Option<File>, LabError> {
    let tried = || format!("lock {}", path.display());
    let file = File::create(path).map_err(LabError::io(tried()))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(LabError::Io {
            what: tried(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ports_given_out_are_free_and_all_different() {
        let ports: Vec<_> = (0..50).map(|_| free_port().unwrap()).collect();
        assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), ports.len());
        for port in ports {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }

    #[test]
    fn a_claimed_port_is_refused_to_the_next_one_who_asks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("20000");
        let first = claim(&path).unwrap();
        assert!(first.is_some());
        assert!(claim(&path).unwrap().is_none());
        drop(first);
        assert!(claim(&path).unwrap().is_some());
    }
}
