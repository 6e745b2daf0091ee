//! The real `quiver`, as a process or at a terminal, with a home directory and a current folder of its own.
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
use crate::deadline::TIMEOUT;
use crate::nat_lab::Host;
use crate::process::{Process, ProgramOutput};
use crate::server::{NOBODY, Server, is_root};
use crate::terminal::Terminal;
pub use crate::tree::names;
use crate::wire::Key;

/// Variables that a test must not inherit from the environment it runs in.
const INHERITED_VARIABLES: [&str; 8] = [
    "QUIVER_SERVER",
    "QUIVER_CERT",
    "QUIVER_NAME",
    "QUIVER_LOG",
    "RUST_LOG",
    "NO_COLOR",
    "XDG_RUNTIME_DIR",
    "TERM",
];

/// A user's home directory, empty at first, and a working folder. A drop removes both.
#[derive(Debug)]
pub struct Home {
    root: TempDir,
}

/// A command line of `quiver`, before it runs.
#[derive(Debug)]
pub struct QuiverCommand {
    root: PathBuf,
    folder: PathBuf,
    arguments: Vec<OsString>,
    environment: Vec<(String, OsString)>,
    /// The host of a NAT lab that it runs on.
    host: Option<Host>,
}

impl Home {
    /// Creates a new one.
    ///
    /// # Panics
    /// If a folder cannot be created.
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

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.path().join("config/quiver/config.toml")
    }

    /// The file with the fingerprints of known servers.
    #[must_use]
    pub fn known_servers(&self) -> PathBuf {
        self.root.path().join("state/quiver/known_servers")
    }

    /// The fingerprint of the client's key, which exists once the client has connected.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn client_fingerprint(&self) -> String {
        let folder = self.root.path().join("data/quiver/identity");
        Key::load(&folder.join("client.pem"), &folder.join("client.key")).fingerprint()
    }

    /// The folder that contains all others.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The sorted names in the folder `quiver` is run in, with hidden ones.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        names(&self.folder())
    }

    /// The partial files in that folder.
    #[must_use]
    pub fn partial_files(&self) -> Vec<PathBuf> {
        let is_partial_file =
            |name: &String| name.starts_with(".quiver-") && name.ends_with(".part");
        self.names().into_iter().filter(is_partial_file).map(|name| self.file(name)).collect()
    }

    /// The length of the only partial file in bytes; 0 if there is none.
    ///
    /// # Panics
    /// If there are several.
    #[must_use]
    pub fn partial_length(&self) -> u64 {
        let files = self.partial_files();
        assert!(files.len() < 2, "{files:?}");
        files.first().and_then(|file| fs::metadata(file).ok()).map_or(0, |file| file.len())
    }

    /// The journal's files.
    #[must_use]
    pub fn journal(&self) -> Vec<PathBuf> {
        let folder = self.root.path().join("state/quiver/transfers");
        let names = if folder.exists() { names(&folder) } else { Vec::new() };
        names.into_iter().map(|name| folder.join(name)).collect()
    }

    /// `quiver` with arguments.
    #[must_use]
    pub fn quiver<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> QuiverCommand {
        QuiverCommand {
            root: self.root.path().to_owned(),
            folder: self.folder(),
            arguments: arguments.into_iter().map(|word| word.as_ref().to_owned()).collect(),
            environment: Vec::new(),
            host: None,
        }
    }

    /// `quiver --server ... --cert ... --name NAME` and more arguments.
    #[must_use]
    pub fn quiver_as<S: AsRef<OsStr>>(
        &self,
        server: &Server,
        name: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> QuiverCommand {
        self.quiver(["--name", name])
            .server(server.address(), &server.certificate())
            .arguments(arguments)
    }
}

impl Default for Home {
    fn default() -> Self {
        Self::new()
    }
}

impl QuiverCommand {
    /// Adds arguments.
    #[must_use]
    pub fn arguments<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// The server's address and the file of its certificate.
    #[must_use]
    pub fn server(self, address: SocketAddr, certificate: &Path) -> Self {
        self.server_address(address).arguments([OsStr::new("--cert"), certificate.as_os_str()])
    }

    /// The server's address without a certificate.
    #[must_use]
    pub fn server_address(self, address: SocketAddr) -> Self {
        self.arguments(["--server".to_owned(), address.to_string()])
    }

    /// An environment variable.
    #[must_use]
    pub fn environment(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs it on a host of a NAT lab.
    #[must_use]
    pub fn on_host(mut self, host: &Host) -> Self {
        self.host = Some(host.clone());
        self
    }

    /// Starts it with a pipe as its standard input, for one command after the other.
    ///
    /// # Panics
    /// If no pipe can be created.
    #[must_use]
    pub fn start_with_pipe(&self) -> (Process, PipeWriter) {
        let (input, writer) = std::io::pipe().unwrap();
        let mut command = self.command();
        let process = Process::start_with_stdio(command.stdin(input).stdout(Stdio::piped()));
        (process, writer)
    }

    /// Sets its current folder.
    #[must_use]
    pub fn in_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = folder.into();
        self
    }

    /// Starts it as a process with an empty standard input.
    #[must_use]
    pub fn start(&self) -> Process {
        Process::start(&mut self.command())
    }

    /// Runs it until it exits, with an empty standard input.
    ///
    /// # Panics
    /// If it does not exit within [`TIMEOUT`].
    pub async fn run(&self) -> ProgramOutput {
        finish(self.start()).await
    }

    /// Runs it until it exits, with these bytes on its standard input.
    ///
    /// # Panics
    /// If it does not exit within [`TIMEOUT`].
    pub async fn run_with_input(&self, input: impl AsRef<[u8]>) -> ProgramOutput {
        let file = self.root.join("input");
        fs::write(&file, input).unwrap();
        let input = File::open(&file).unwrap();
        fs::remove_file(&file).unwrap();
        finish(Process::start_with_stdio(self.command().stdin(input).stdout(Stdio::piped()))).await
    }

    /// Runs it until it exits, with a file as its standard output.
    ///
    /// # Panics
    /// If it does not exit within [`TIMEOUT`].
    pub async fn run_with_output(&self, output: File) -> ProgramOutput {
        finish(Process::start_with_stdio(self.command().stdin(Stdio::null()).stdout(output))).await
    }

    /// Starts it at a terminal.
    #[must_use]
    pub fn start_at_terminal(&self) -> Terminal {
        let program = self.command().get_program().to_owned();
        Terminal::start(self.builder(CommandBuilder::new(program)))
    }

    /// Starts it at a terminal with this many columns.
    #[must_use]
    pub fn start_at_terminal_of(&self, columns: u16) -> Terminal {
        let program = self.command().get_program().to_owned();
        Terminal::start_with_columns(self.builder(CommandBuilder::new(program)), columns)
    }

    /// Starts it at a terminal, with its standard output in a pipe to `cat`, which shows it there.
    #[must_use]
    pub fn start_at_terminal_through_cat(&self) -> Terminal {
        let mut shell = CommandBuilder::new("sh");
        shell.args(["-c", "\"$@\" | cat", "sh"]);
        shell.arg(self.command().get_program());
        Terminal::start(self.builder(shell))
    }

    /// A program with this one's arguments, folder and environment.
    fn builder(&self, mut builder: CommandBuilder) -> CommandBuilder {
        let command = self.command();
        builder.args(command.get_args());
        builder.cwd(&self.folder);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => builder.env(name, value),
                None => builder.env_remove(name),
            }
        }
        builder
    }

    /// The command, for settings that this type does not have.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary::client());
        command.args(&self.arguments).current_dir(&self.folder);
        for variable in INHERITED_VARIABLES {
            command.env_remove(variable);
        }
        command.envs(self.variables());
        if let Some(host) = &self.host { host.command_inside(&command) } else { command }
    }

    /// The command of an unprivileged user: the user nobody, if these tests run as root. That user gets access
    /// to the home directory, except to files with narrower permissions of their own.
    ///
    /// # Panics
    /// If the permissions cannot be changed.
    #[must_use]
    pub fn unprivileged(&self) -> Command {
        if !is_root() {
            return self.command();
        }
        fs::set_permissions(&self.root, Permissions::from_mode(0o755)).unwrap();
        for folder in ["state", "data"] {
            chown(self.root.join(folder), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        // The user nobody can read neither the folder with the program nor the server's folder.
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
        for variable in INHERITED_VARIABLES {
            command.env_remove(variable);
        }
        command.envs(self.variables());
        command
    }

    fn variables(&self) -> Vec<(String, OsString)> {
        let folders = [
            ("XDG_STATE_HOME", "state"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_DATA_HOME", "data"),
            ("XDG_CACHE_HOME", "cache"),
        ];
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

/// Waits for a program to exit, and returns its output.
///
/// # Panics
/// If it does not exit within [`TIMEOUT`].
pub async fn finish(mut process: Process) -> ProgramOutput {
    let status = process.wait_for_exit(TIMEOUT).await;
    let text = |lines: Vec<String>| lines.iter().map(|line| format!("{line}\n")).collect();
    ProgramOutput {
        status,
        stdout: text(process.stdout.lines()),
        stderr: text(process.stderr.lines()),
    }
}
