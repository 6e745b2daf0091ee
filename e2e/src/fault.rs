//! Faults of the kernel and of file systems: a program of ours runs under strace, which makes the named system
//! calls fail. Knows nothing of what the programs do.
//!
//! The tracer is detached: the started process is the program itself, with its own process id and signals.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Injected errors of system calls, each `CALLS:error=ERROR` as strace's `inject` takes it:
/// `renameat2,linkat:error=EIO`.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    injected: Vec<String>,
    /// Files and folders whose open handles fail.
    handles: Vec<PathBuf>,
    /// Files and folders that fail where the program names them.
    names: Vec<OsString>,
    /// The tracer's log of the traced calls, if any.
    log: Option<PathBuf>,
}

impl Faults {
    /// These errors, in each call.
    #[must_use]
    pub fn inject(injected: &[&str]) -> Self {
        let injected = injected.iter().map(ToString::to_string).collect();
        Self { injected, ..Self::default() }
    }

    /// Only in calls with an open handle of this file or folder itself. A relative path starts at the program's
    /// current folder.
    #[must_use]
    pub fn on_handle(mut self, path: impl Into<PathBuf>) -> Self {
        self.handles.push(path.into());
        self
    }

    /// Only in calls that name a file or folder with exactly this string.
    #[must_use]
    pub fn on_name(mut self, name: &str) -> Self {
        self.names.push(name.into());
        self
    }

    /// With a line in this file for each traced call; the line of an injected failure contains `INJECTED`.
    #[must_use]
    pub fn log_to(mut self, log: impl Into<PathBuf>) -> Self {
        self.log = Some(log.into());
        self
    }

    /// The arguments in front of the program's command line; empty if there are no faults.
    fn strace_arguments(&self, folder: &Path) -> Vec<OsString> {
        if self.injected.is_empty() {
            return Vec::new();
        }
        let mut arguments: Vec<OsString> =
            ["strace", "-D", "-f", "-qqq", "-o"].map(OsString::from).to_vec();
        arguments.push(self.log.as_deref().unwrap_or(Path::new("/dev/null")).into());
        let calls: Vec<&str> =
            self.injected.iter().filter_map(|fault| fault.split(':').next()).collect();
        arguments.extend(["-e".into(), format!("trace={}", calls.join(",")).into()]);
        for fault in &self.injected {
            arguments.extend(["-e".into(), format!("inject={fault}").into()]);
        }
        for path in &self.handles {
            arguments.extend(["-P".into(), folder.join(path).into()]);
        }
        for name in &self.names {
            arguments.extend(["-P".into(), name.clone()]);
        }
        arguments
    }

    /// The same command, with these faults. Check [`faults_available`] first.
    #[must_use]
    pub fn wrap(&self, command: &Command) -> Command {
        let mut arguments =
            self.strace_arguments(command.get_current_dir().unwrap_or(Path::new("")));
        arguments.push(command.get_program().to_owned());
        arguments.extend(command.get_args().map(ToOwned::to_owned));
        let mut faulty = Command::new(&arguments[0]);
        faulty.args(&arguments[1..]);
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

/// Whether faults can be injected; prints a note if not.
///
/// # Panics
/// If they cannot be injected in continuous integration.
#[must_use]
pub fn faults_available() -> bool {
    let mut probe = Faults::inject(&["flock:error=ENOLCK"]).wrap(&Command::new("true"));
    let output = probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let works = output.is_ok_and(|status| status.success());
    assert!(works || std::env::var_os("CI").is_none(), "strace is missing or may trace nothing");
    if !works {
        eprintln!("SKIPPED: injecting faults takes strace, and the permission to trace");
    }
    works
}
