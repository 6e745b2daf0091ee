//! Faults of the kernel and of file systems: a program of ours runs under strace, which answers the named system
//! calls with errors. Knows nothing of what the programs do.
//!
//! The tracer is detached: the process that is started is the program itself, with its number and its signals.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Errors for system calls, each `CALLS:error=ERROR` as strace's `inject` takes it: `renameat2,linkat:error=EIO`.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    injected: Vec<String>,
    /// Files and folders, by their handles.
    handles: Vec<PathBuf>,
    /// As the program names them.
    names: Vec<OsString>,
    /// Where the tracer writes what it saw, if anywhere.
    log: Option<PathBuf>,
}

impl Faults {
    /// These errors, in every call.
    #[must_use]
    pub fn of(injected: &[&str]) -> Self {
        let injected = injected.iter().map(ToString::to_string).collect();
        Self { injected, ..Self::default() }
    }

    /// In calls alone with an open handle of this file or folder itself. What is relative is looked up from the
    /// folder that the program starts in.
    #[must_use]
    pub fn at(mut self, path: impl Into<PathBuf>) -> Self {
        self.handles.push(path.into());
        self
    }

    /// In calls alone that name a file or folder by exactly these words.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.names.push(name.into());
        self
    }

    /// With a line in this file for each of the calls, which says `INJECTED` of those that failed on purpose.
    #[must_use]
    pub fn logged_to(mut self, log: impl Into<PathBuf>) -> Self {
        self.log = Some(log.into());
        self
    }

    /// The beginning of a command line whose rest is the program; empty where there are no faults.
    fn words(&self, folder: &Path) -> Vec<OsString> {
        if self.injected.is_empty() {
            return Vec::new();
        }
        let mut words: Vec<OsString> =
            ["strace", "-D", "-f", "-qqq", "-o"].map(OsString::from).to_vec();
        words.push(self.log.as_deref().unwrap_or(Path::new("/dev/null")).into());
        let calls: Vec<&str> =
            self.injected.iter().filter_map(|fault| fault.split(':').next()).collect();
        words.extend(["-e".into(), format!("trace={}", calls.join(",")).into()]);
        for fault in &self.injected {
            words.extend(["-e".into(), format!("inject={fault}").into()]);
        }
        for path in &self.handles {
            words.extend(["-P".into(), folder.join(path).into()]);
        }
        for name in &self.names {
            words.extend(["-P".into(), name.clone()]);
        }
        words
    }

    /// The same command, under these faults. Ask [`faults_possible`] first.
    #[must_use]
    pub fn upon(&self, command: &Command) -> Command {
        let mut words = self.words(command.get_current_dir().unwrap_or(Path::new("")));
        words.push(command.get_program().to_owned());
        words.extend(command.get_args().map(ToOwned::to_owned));
        let mut faulty = Command::new(&words[0]);
        faulty.args(&words[1..]);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => faulty.env(name, value),
                None => faulty.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            faulty.current_dir(folder);
        }
        faulty
    }
}

/// Whether faults can be had; says so where they cannot. In continuous integration they must.
///
/// # Panics
/// Where they must and cannot.
#[must_use]
pub fn faults_possible() -> bool {
    let mut tried = Faults::of(&["flock:error=ENOLCK"]).upon(&Command::new("true"));
    let output = tried.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let works = output.is_ok_and(|status| status.success());
    assert!(works || std::env::var_os("CI").is_none(), "strace is missing or may trace nothing");
    if !works {
        eprintln!("SKIPPED: injecting faults takes strace, and the permission to trace");
    }
    works
}
