//! The real `quiver`, as a process or at a terminal, with a home and a current folder of its own.
//!
//! Knows nothing of any server but its address and its certificate's file.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::fs::{File, Permissions};
use std::io::PipeWriter;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use portable_pty::CommandBuilder;
use tempfile::TempDir;

use crate::binary;
use crate::deadline::PATIENCE;
use crate::process::{Finished, Process};
use crate::server::{NOBODY, Server, is_root};
use crate::terminal::Terminal;
pub use crate::tree::names;

/// What may come from whoever runs the tests, and must not.
const VARIABLES: [&str; 7] = [
    "QUIVER_SERVER",
    "QUIVER_CERT",
    "QUIVER_NAME",
    "RUST_LOG",
    "NO_COLOR",
    "XDG_RUNTIME_DIR",
    "TERM",
];

/// One person's machine: a home that is empty at first, and a folder to work in. Both are gone when
/// dropped.
#[derive(Debug)]
pub struct Home {
    root: TempDir,
}

/// A command line of `quiver`, before it runs.
#[derive(Debug)]
pub struct Quiver {
    root: PathBuf,
    folder: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
}

impl Home {
    /// A new one.
    ///
    /// # Panics
    /// Where the disk says no.
    #[must_use]
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("quiver-home-").tempdir().unwrap();
        for folder in ["work", "state", "config", "data"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        Self { root }
    }

    /// The folder `quiver` is run in.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.root.path().join("work")
    }

    /// A file or folder in the folder `quiver` is run in.
    #[must_use]
    pub fn file(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder().join(name)
    }

    /// Where configuration is.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.path().join("config/quiver/config.toml")
    }

    /// Where confirmed servers are remembered.
    #[must_use]
    pub fn known_servers(&self) -> PathBuf {
        self.root.path().join("state/quiver/known_servers")
    }

    /// The folder that all of the others are in.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// What is in the folder `quiver` is run in, hidden names too, in order.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        names(&self.folder())
    }

    /// The parts in that folder.
    #[must_use]
    pub fn parts(&self) -> Vec<PathBuf> {
        let is_part = |name: &String| name.starts_with(".quiver-") && name.ends_with(".part");
        self.names().into_iter().filter(is_part).map(|name| self.file(name)).collect()
    }

    /// How many bytes are in the only part; 0 where there is none.
    ///
    /// # Panics
    /// Where there are several.
    #[must_use]
    pub fn part_length(&self) -> u64 {
        let parts = self.parts();
        assert!(parts.len() < 2, "{parts:?}");
        parts.first().and_then(|part| fs::metadata(part).ok()).map_or(0, |part| part.len())
    }

    /// The journal's files.
    #[must_use]
    pub fn journal(&self) -> Vec<PathBuf> {
        let folder = self.root.path().join("state/quiver/transfers");
        let is_there = folder.exists();
        let names = if is_there { names(&folder) } else { Vec::new() };
        names.into_iter().map(|name| folder.join(name)).collect()
    }

    /// `quiver` with arguments.
    #[must_use]
    pub fn quiver<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Quiver {
        Quiver {
            root: self.root.path().to_owned(),
            folder: self.folder(),
            arguments: arguments.into_iter().map(|word| word.as_ref().to_owned()).collect(),
            environment: Vec::new(),
        }
    }

    /// `quiver --server ... --cert ... --name NAME` and more arguments.
    #[must_use]
    pub fn with<S: AsRef<OsStr>>(
        &self,
        server: &Server,
        name: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Quiver {
        self.quiver(["--name", name]).server(server.address(), &server.certificate()).and(arguments)
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl Quiver {
    /// More arguments.
    #[must_use]
    pub fn and<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// The server, and its certificate's file.
    #[must_use]
    pub fn server(self, address: SocketAddr, certificate: &Path) -> Self {
        self.at(address).and([OsStr::new("--cert"), certificate.as_os_str()])
    }

    /// The server alone.
    #[must_use]
    pub fn at(self, address: SocketAddr) -> Self {
        self.and(["--server".to_owned(), address.to_string()])
    }

    /// A variable of the environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Starts it with a pipe as its standard input, for commands one by one.
    ///
    /// # Panics
    /// Where no pipe can be had.
    #[must_use]
    pub fn with_a_pipe(&self) -> (Process, PipeWriter) {
        let (input, writer) = std::io::pipe().unwrap();
        let mut command = self.command();
        let process = Process::start_as_is(command.stdin(input).stdout(Stdio::piped()));
        (process, writer)
    }

    /// In another folder.
    #[must_use]
    pub fn within(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// Starts it as a process, with nothing on its standard input.
    #[must_use]
    pub fn start(&self) -> Process {
        Process::start(&mut self.command())
    }

    /// Runs it to its end, with nothing on its standard input.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn run(&self) -> Finished {
        finish(self.start()).await
    }

    /// Runs it to its end with these bytes on its standard input.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn run_with_input(&self, input: &str) -> Finished {
        let file = self.root.join("input");
        fs::write(&file, input).unwrap();
        let input = File::open(&file).unwrap();
        fs::remove_file(&file).unwrap();
        finish(Process::start_as_is(self.command().stdin(input).stdout(Stdio::piped()))).await
    }

    /// Runs it to its end with a file as its standard output.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn run_into(&self, output: File) -> Finished {
        finish(Process::start_as_is(self.command().stdin(Stdio::null()).stdout(output))).await
    }

    /// Starts it at a terminal.
    #[must_use]
    pub fn at_a_terminal(&self) -> Terminal {
        let mut command = CommandBuilder::new(binary::client());
        command.args(&self.arguments);
        command.cwd(&self.folder);
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        for (name, value) in self.variables() {
            command.env(name, value);
        }
        Terminal::start(command)
    }

    /// The command, for what the other ways cannot do.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary::client());
        command.args(&self.arguments).current_dir(&self.folder);
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command.envs(self.variables());
        command
    }

    /// The same, as somebody who may do what everybody may: as nobody, where these tests run as root. The home is
    /// opened to them, but for what has narrower rights of its own.
    ///
    /// # Panics
    /// Where the disk says no.
    #[must_use]
    pub fn unprivileged(&self) -> Command {
        if !is_root() {
            return self.command();
        }
        fs::set_permissions(&self.root, Permissions::from_mode(0o755)).unwrap();
        for folder in ["state", "data"] {
            chown(self.root.join(folder), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        // Nobody may read neither the folder with the program nor the server's.
        let program = self.root.join("quiver");
        fs::copy(binary::client(), &program).unwrap();
        let nobody = NOBODY.to_string();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups", "--"]);
        command.arg(&program);
        for argument in &self.arguments {
            let is_certificate = Path::new(argument).file_name() == Some(OsStr::new("server.pem"));
            if is_certificate {
                let copy = self.root.join("server.pem");
                fs::copy(argument, &copy).unwrap();
                command.arg(copy);
            } else {
                command.arg(argument);
            }
        }
        command.current_dir(&self.folder);
        for variable in VARIABLES {
            command.env_remove(variable);
        }
        command.envs(self.variables());
        command
    }

    fn variables(&self) -> Vec<(String, OsString)> {
        let folders =
            [("XDG_STATE_HOME", "state"), ("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data")];
        let mut variables = vec![
            ("HOME".to_owned(), self.root.clone().into_os_string()),
            ("TERM".to_owned(), "xterm-256color".into()),
        ];
        variables
            .extend(folders.map(|(name, folder)| (name.to_owned(), self.root.join(folder).into())));
        variables.extend(self.environment.iter().cloned());
        variables
    }
}

/// Waits for the end of a program, and for all it said.
///
/// # Panics
/// When it does not end.
pub async fn finish(mut process: Process) -> Finished {
    let status = process.ended(PATIENCE).await;
    let text = |lines: Vec<String>| lines.iter().map(|line| format!("{line}\n")).collect();
    Finished {
        status,
        stdout: text(process.stdout.so_far()),
        stderr: text(process.stderr.so_far()),
    }
}
