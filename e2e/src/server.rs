//! A real `quiver-server` with folders of its own: its settings, start, log, resources and exit.

mod accounts;
mod folders;
mod start;

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use tempfile::TempDir;

use crate::binary;
use crate::deadline::{TIMEOUT, wait_within};
use crate::disk::command_with_disk;
pub use crate::disk::{is_root, small_disks_available};
use crate::fault::Faults;
use crate::log::ServerLog;
use crate::nat_lab::Host;
use crate::process::{Memory, Process, ProgramOutput, Signal};
use crate::tree::names;
pub use accounts::{add_account, set_account};

/// The user and group id of an unprivileged server: nobody.
pub(crate) const NOBODY: u32 = 65_534;

/// A running server. A drop kills it and removes its folders, and panics if the log has errors: a story must
/// not make the server panic or fail.
#[derive(Debug)]
pub struct Server {
    process: Process,
    log: ServerLog,
    address: SocketAddr,
    fingerprint: String,
    folder: TempDir,
    options: ServerOptions,
}

/// The settings of a server before its start.
#[derive(Debug, Clone, Default)]
pub struct ServerOptions {
    max_clients: Option<u32>,
    accounts: Option<Vec<(String, String)>>,
    uploaders: Vec<String>,
    /// The address to listen at; `None` for a port of the system's choice.
    listen: Option<SocketAddr>,
    /// The folder that is a small disk, and its size as mount(8) takes it.
    disk: Option<(&'static str, String)>,
    environment: Vec<(String, String)>,
    arguments: Vec<OsString>,
    is_unprivileged: bool,
    may_log_errors: bool,
    faults: Faults,
    /// The host of a NAT lab that it runs on.
    host: Option<Host>,
}

impl Server {
    /// Starts a server without accounts and with an empty served folder.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        Self::options().start().await
    }

    /// The default settings, to be changed before the start.
    #[must_use]
    pub fn options() -> ServerOptions {
        ServerOptions::default()
    }

    /// The address it listens at.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of its metrics page.
    ///
    /// # Panics
    /// If it has no metrics page.
    pub async fn metrics_address(&self) -> SocketAddr {
        let message = self.log.wait_for("metrics at http://").await.message;
        let address =
            message.strip_prefix("metrics at http://").and_then(|url| url.split_once('/'));
        address.expect("a URL").0.parse().unwrap()
    }

    /// Its certificate's fingerprint, as it logs it when it starts.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The sorted names in the served folder, without partial files.
    ///
    /// # Panics
    /// If the folder cannot be read.
    #[must_use]
    pub fn stored_names(&self) -> Vec<String> {
        let mut names = names(&self.files());
        names.retain(|name| !name.starts_with(".quiver-"));
        names
    }

    /// The folder that contains the served folder and is not served itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// The file of its certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("certs/server.pem")
    }

    /// Its password file, if it has accounts.
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        password_file(self.folder.path())
    }

    /// Writes a file into the served folder.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn add_file(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.files().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &ServerLog {
        &self.log
    }

    /// Its memory.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.process.memory()
    }

    /// The processor time of its threads.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        self.process.processor_time()
    }

    /// The number of its open file descriptors.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        self.process.descriptors()
    }

    /// Limits the size of the files it writes from now on (RLIMIT_FSIZE).
    ///
    /// # Panics
    /// If it does not run.
    pub fn limit_file_size(&self, bytes: u64) {
        self.process.limit_file_size(bytes);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Kills it and starts it again at another port, with the same settings and folders and an empty log.
    ///
    /// # Panics
    /// If it does not exit or does not start.
    pub async fn restart_at_new_port(&mut self) {
        self.signal(Signal::KILL);
        self.wait_for_exit(TIMEOUT).await;
        let errors = self.log.error_lines();
        assert!(errors.is_empty(), "the server logged errors: {}", errors.join("\n"));
        let process = Process::start(&mut self.options.command(self.folder.path()));
        (self.process, self.log, self.address, self.fingerprint) =
            wait_until_listening(process).await;
    }

    /// Kills it and starts it again at the same port, with the same settings and folders and an empty log.
    ///
    /// # Panics
    /// If it does not exit or does not start.
    pub async fn restart(&mut self) {
        self.options.listen = Some(self.address);
        self.restart_at_new_port().await;
    }

    /// Waits for it to exit.
    ///
    /// # Panics
    /// If it does not exit within `limit`.
    pub async fn wait_for_exit(&mut self, limit: Duration) -> ExitStatus {
        self.process.wait_for_exit(limit).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("----- the end of the server's log -----\n{}\n-----", self.log.tail());
            return;
        }
        let errors = self.log.error_lines();
        assert!(
            self.options.may_log_errors || errors.is_empty(),
            "the server logged errors: {}",
            errors.join("\n")
        );
    }
}

impl ServerOptions {
    /// Runs it on a host of a NAT lab, and lets it listen at that host's address.
    #[must_use]
    pub fn on_host(mut self, host: &Host) -> Self {
        self.host = Some(host.clone());
        self
    }

    /// The number of slots; 3 by default.
    #[must_use]
    pub fn max_clients(mut self, clients: u32) -> Self {
        self.max_clients = Some(clients);
        self
    }

    /// Adds an account to the password file.
    #[must_use]
    pub fn account(mut self, name: &str, password: &str) -> Self {
        self.accounts.get_or_insert_default().push((name.to_owned(), password.to_owned()));
        self
    }

    /// Adds an account that may store files to the password file.
    #[must_use]
    pub fn uploader(mut self, name: &str, password: &str) -> Self {
        self.uploaders.push(name.to_owned());
        self.account(name, password)
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Runs it as a user without root's permissions, even if the tests run as root.
    #[must_use]
    pub fn unprivileged(mut self) -> Self {
        self.is_unprivileged = true;
        self
    }

    /// Makes its system calls fail. Check [`faults_available`](crate::faults_available) first.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Allows errors in its log.
    #[must_use]
    pub fn allow_errors(mut self) -> Self {
        self.may_log_errors = true;
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// If it does not.
    pub async fn start(self) -> Server {
        self.start_with_folder(|_| {}).await
    }

    /// Starts a server that is expected to fail, and waits for it to exit. `prepare` is called with its folder
    /// first, which contains `files`, `certs` and, with accounts, `passwords`.
    ///
    /// # Panics
    /// If it does not exit.
    pub async fn expect_start_failure(self, prepare: impl FnOnce(&Path)) -> ProgramOutput {
        let folder = self.create_folder();
        prepare(folder.path());
        let mut process = Process::start(&mut self.command(folder.path()));
        let status = process.wait_for_exit(TIMEOUT).await;
        let (stdout, stderr) = (process.stdout.lines(), process.stderr.lines());
        ProgramOutput { status, stdout: stdout.join("\n"), stderr: stderr.join("\n") }
    }

    fn create_folder(&self) -> TempDir {
        let folder = tempfile::Builder::new().prefix("quiver-e2e-").tempdir().unwrap();
        fs::create_dir(files(folder.path())).unwrap();
        if let Some((name, _)) = &self.disk {
            fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        for (name, password) in self.accounts.iter().flatten() {
            let may = if self.uploaders.contains(name) { &["--may", "upload"][..] } else { &[] };
            let added = set_account(&password_file(folder.path()), name, password, may);
            assert!(added.status.success(), "{}", added.stderr);
        }
        if self.drops_root() {
            // The user nobody needs access to the server's folder and program.
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
            let copy = folder.path().join("quiver-server");
            fs::hard_link(binary::server(), &copy)
                .or_else(|_| fs::copy(binary::server(), &copy).map(drop))
                .unwrap();
        }
        folder
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = if self.drops_root() {
            let mut command = Command::new("setpriv");
            let nobody = NOBODY.to_string();
            command.args(["--reuid", &nobody, "--regid", &nobody, "--clear-groups", "--"]);
            command.arg(folder.join("quiver-server"));
            command
        } else if let Some((name, size)) = &self.disk {
            let mut command = command_with_disk(size, &folder.join(name));
            command.arg(binary::server());
            command
        } else {
            Command::new(binary::server())
        };
        let ip = self.host.as_ref().map_or(Ipv4Addr::LOCALHOST.into(), Host::address);
        let listen = self.listen.unwrap_or_else(|| (ip, 0).into());
        command.arg("--listen").arg(listen.to_string()).args(["--log-format", "json"]);
        command.arg("--files").arg(files(folder)).arg("--certs").arg(folder.join("certs"));
        if let Some(clients) = self.max_clients {
            command.arg("--max-clients").arg(clients.to_string());
        }
        if self.accounts.is_some() {
            command.arg("--passwords").arg(password_file(folder));
        }
        command.args(&self.arguments);
        command.env_remove("RUST_LOG").envs(self.environment.iter().cloned());
        command.current_dir(folder);
        let command = self.faults.wrap(&command);
        if let Some(host) = &self.host { host.command_inside(&command) } else { command }
    }

    fn drops_root(&self) -> bool {
        self.is_unprivileged && is_root()
    }
}

/// Waits until a server listens, and returns its log, address and fingerprint too.
async fn wait_until_listening(process: Process) -> (Process, ServerLog, SocketAddr, String) {
    let log = ServerLog::new(process.stderr.clone());
    let mut fingerprint = None;
    let listening = process.stderr.wait(|line| {
        let message = serde_json::from_str::<serde_json::Value>(line).ok()?;
        let message = message.get("message")?.as_str()?;
        if let Some(text) = message.strip_prefix("fingerprint ") {
            fingerprint = Some(text.to_owned());
        }
        message.strip_prefix("listening on ").map(|address| address.parse().unwrap())
    });
    let address = wait_within(TIMEOUT, "the server to listen", listening).await;
    let address = address.unwrap_or_else(|| panic!("the server did not start: {}", log.tail()));
    let fingerprint = fingerprint.expect("a server logs its fingerprint before it listens");
    (process, log, address, fingerprint)
}

fn files(folder: &Path) -> PathBuf {
    folder.join(folders::FILES)
}

fn password_file(folder: &Path) -> PathBuf {
    folder.join("passwords")
}
