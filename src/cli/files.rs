//! Files that commands keep for themselves: they are opened so that nothing that stands in their place can
//! hold a command up, or lead it elsewhere.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Opens a file with these options. What isn't a regular file is refused: a named pipe or a device would keep
/// a command waiting for ever, and what is written through a link ends up in another file.
///
/// # Errors
/// What the system says, or what it is instead of a file.
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let file = options
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => not_a_file("it is a symbolic link"),
            // A named pipe that nobody reads.
            Some(libc::ENXIO) => not_a_file("it is no regular file"),
            _ => error,
        })?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(not_a_file("it is no regular file")),
    }
}

fn not_a_file(why: &str) -> io::Error {
    io::Error::other(format!("{why}; delete it or move it away"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    #[test]
    fn only_a_regular_file_is_opened_and_nothing_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "text").unwrap();
        symlink(path("file"), path("link")).unwrap();
        let made = Command::new("mkfifo").arg(path("pipe")).status();
        assert!(made.unwrap().success());
        std::fs::create_dir(path("folder")).unwrap();
        let read = |path: &Path| open(path, OpenOptions::new().read(true));
        let append = |path: &Path| open(path, OpenOptions::new().append(true).create(true));
        for way in [read, append] {
            assert!(way(&path("file")).is_ok());
            assert!(way(&path("link")).unwrap_err().to_string().contains("link"));
            let pipe = way(&path("pipe")).unwrap_err().to_string();
            assert!(pipe.contains("no regular file"), "{pipe}");
            assert!(way(&path("folder")).is_err());
            let device = way(Path::new("/dev/null")).unwrap_err().to_string();
            assert!(device.contains("no regular file"), "{device}");
        }
        assert_eq!(
            read(&path("none")).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
