//! What a command came to.

/// How a command ended, and what it wrote.
#[derive(Debug)]
pub struct Ran {
    /// The exit code of the process.
    pub code: i32,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Ran {
    /// From what the process left.
    pub fn of(output: std::process::Output) -> Self {
        Self {
            code: output.status.code().expect("it wasn't killed"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The exit code is `code`.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self}");
        self
    }

    /// Standard output has this part.
    #[track_caller]
    pub fn prints(self, part: &str) -> Self {
        assert!(
            self.stdout.contains(part),
            "{part:?} isn't on stdout of {self}"
        );
        self
    }

    /// Standard error has this part.
    #[track_caller]
    pub fn complains(self, part: &str) -> Self {
        assert!(
            self.stderr.contains(part),
            "{part:?} isn't on stderr of {self}"
        );
        self
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            code,
            stdout,
            stderr,
        } = self;
        write!(
            f,
            "a run that ended with {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}"
        )
    }
}
