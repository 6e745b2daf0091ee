//! A real `quiver-server` with folders of its own, and what can be seen of it from outside.

mod accounts;
mod folders;
mod starts;

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use tempfile::TempDir;

use crate::binary;
use crate::deadline::{PATIENCE, within};
use crate::disk::with_a_disk;
pub use crate::disk::{is_root, small_disks};
use crate::fault::Faults;
use crate::log::Log;
use crate::process::{Finished, Memory, Process, Signal};
use crate::tree::names;
pub use accounts::{add_account, set_account};

/// Whom an unprivileged server runs as: nobody, by number.
pub(crate) const NOBODY: u32 = 65_534;

/// A running server. Dropped, it is killed, and its folders are gone. Its log must be free of errors
/// then: no story makes a server panic or fail.
#[derive(Debug)]
pub struct Server {
    process: Process,
    log: Log,
    address: SocketAddr,
    fingerprint: String,
    folder: TempDir,
    options: Options,
}

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    max_clients: Option<u32>,
    accounts: Option<Vec<(String, String)>>,
    uploaders: Vec<String>,
    /// Where to listen, if not at a port of the system's choice.
    listen: Option<SocketAddr>,
    /// The folder that is a disk of its own, and its size as mount(8) takes it.
    disk: Option<(&'static str, String)>,
    environment: Vec<(String, String)>,
    arguments: Vec<OsString>,
    unprivileged: bool,
    alarms_allowed: bool,
    faults: Faults,
}

impl Server {
    /// Starts a server that lets everyone in, with an empty folder of files.
    ///
    /// # Panics
    /// Where it does not start.
    pub async fn start() -> Self {
        Self::options().start().await
    }

    /// For a server that is different.
    #[must_use]
    pub fn options() -> Options {
        Options::default()
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where its metrics can be read.
    ///
    /// # Panics
    /// Where they cannot.
    pub async fn metrics(&self) -> SocketAddr {
        let said = self.log.wait_for("metrics at http://").await.message;
        let address = said.strip_prefix("metrics at http://").and_then(|url| url.split_once('/'));
        address.expect("a URL").0.parse().unwrap()
    }

    /// Its certificate's fingerprint, as it says at its start.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// What is stored there: the names but for those of parts, in order.
    ///
    /// # Panics
    /// Where the folder cannot be read.
    #[must_use]
    pub fn stored(&self) -> Vec<String> {
        let mut names = names(&self.files());
        names.retain(|name| !name.starts_with(".quiver-"));
        names
    }

    /// The folder above that one, of which nothing else is served.
    #[must_use]
    pub fn outside(&self) -> &Path {
        self.folder.path()
    }

    /// Its certificate.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("certs/server.pem")
    }

    /// Its password file, where it has one.
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        password_file(self.folder.path())
    }

    /// Puts a file into the folder it serves.
    ///
    /// # Panics
    /// Where the disk says no.
    pub fn offer(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.files().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// What it holds in memory.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.process.memory()
    }

    /// How long its threads have had a processor.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        self.process.processor_time()
    }

    /// How many descriptors it has open.
    #[must_use]
    pub fn descriptors(&self) -> usize {
        self.process.descriptors()
    }

    /// From now on the system lets no file of its grow beyond so many bytes.
    ///
    /// # Panics
    /// Where it does not run.
    pub fn limit_its_files(&self, bytes: u64) {
        self.process.limit_its_files(bytes);
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Kills it and starts it again, with the same settings and folders, at another port. Its log begins anew.
    ///
    /// # Panics
    /// When it does not end, or not start.
    pub async fn is_killed_and_starts_again(&mut self) {
        self.signal(Signal::KILL);
        self.ended(PATIENCE).await;
        let alarms = self.log.alarms();
        assert!(alarms.is_empty(), "the server was not well: {}", alarms.join("\n"));
        let process = Process::start(&mut self.options.command(self.folder.path()));
        (self.process, self.log, self.address, self.fingerprint) = listening(process).await;
    }

    /// The same in its place: at the same port.
    ///
    /// # Panics
    /// As that.
    pub async fn restart(&mut self) {
        self.options.listen = Some(self.address);
        self.is_killed_and_starts_again().await;
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end within `patience`.
    pub async fn ended(&mut self, patience: Duration) -> ExitStatus {
        self.process.ended(patience).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("----- the end of the server's log -----\n{}\n-----", self.log.tail());
            return;
        }
        let alarms = self.log.alarms();
        assert!(
            self.options.alarms_allowed || alarms.is_empty(),
            "the server was not well: {}",
            alarms.join("\n")
        );
    }
}

impl Options {
    /// How many clients may be connected; 3 where nothing is said.
    #[must_use]
    pub fn max_clients(mut self, clients: u32) -> Self {
        self.max_clients = Some(clients);
        self
    }

    /// A password file with this account too.
    #[must_use]
    pub fn account(mut self, name: &str, password: &str) -> Self {
        self.accounts.get_or_insert_default().push((name.to_owned(), password.to_owned()));
        self
    }

    /// A password file with this account too, which may store files.
    #[must_use]
    pub fn uploader(mut self, name: &str, password: &str) -> Self {
        self.uploaders.push(name.to_owned());
        self.account(name, password)
    }

    /// A variable of its environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// One more argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// As a user whom files can be hidden from, also where the tests run as root.
    #[must_use]
    pub fn unprivileged(mut self) -> Self {
        self.unprivileged = true;
        self
    }

    /// System calls of its fail. See [`faults_possible`](crate::faults_possible).
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// A story in which the server has reason to log errors.
    #[must_use]
    pub fn with_alarms(mut self) -> Self {
        self.alarms_allowed = true;
        self
    }

    /// Starts it and waits until it listens.
    ///
    /// # Panics
    /// When it does not.
    pub async fn start(self) -> Server {
        self.start_after(|_| {}).await
    }

    /// Starts one that is expected to refuse, and waits for its end. `spoil` is shown its folder first,
    /// in which `files`, `certs` and, with accounts, `passwords` are.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn refuses_to_start(self, spoil: impl FnOnce(&Path)) -> Finished {
        let folder = self.prepare();
        spoil(folder.path());
        let mut process = Process::start(&mut self.command(folder.path()));
        let status = process.ended(PATIENCE).await;
        let (stdout, stderr) = (process.stdout.so_far(), process.stderr.so_far());
        Finished { status, stdout: stdout.join("\n"), stderr: stderr.join("\n") }
    }

    fn prepare(&self) -> TempDir {
        let folder = tempfile::Builder::new().prefix("quiver-e2e-").tempdir().unwrap();
        fs::create_dir(files(folder.path())).unwrap();
        if let Some((place, _)) = &self.disk {
            fs::create_dir_all(folder.path().join(place)).unwrap();
        }
        for (name, password) in self.accounts.iter().flatten() {
            let may = if self.uploaders.contains(name) { &["--may", "upload"][..] } else { &[] };
            let added = set_account(&password_file(folder.path()), name, password, may);
            assert!(added.status.success(), "{}", added.stderr);
        }
        if self.drops_root() {
            // It must reach its folders and its own program, wherever that was built.
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
        } else if let Some((place, size)) = &self.disk {
            let mut command = with_a_disk(size, &folder.join(place));
            command.arg(binary::server());
            command
        } else {
            Command::new(binary::server())
        };
        let listen = self.listen.unwrap_or_else(|| (Ipv4Addr::LOCALHOST, 0).into());
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
        self.faults.upon(&command)
    }

    fn drops_root(&self) -> bool {
        self.unprivileged && is_root()
    }
}

/// Waits until a server listens; where, and its fingerprint.
async fn listening(process: Process) -> (Process, Log, SocketAddr, String) {
    let log = Log::new(process.stderr.clone());
    let mut fingerprint = None;
    let listening = process.stderr.wait(|line| {
        let message = serde_json::from_str::<serde_json::Value>(line).ok()?;
        let message = message.get("message")?.as_str()?;
        if let Some(text) = message.strip_prefix("fingerprint ") {
            fingerprint = Some(text.to_owned());
        }
        message.strip_prefix("listening on ").map(|address| address.parse().unwrap())
    });
    let address = within(PATIENCE, "the server to listen", listening).await;
    let address = address.unwrap_or_else(|| panic!("no server: {}", log.tail()));
    let fingerprint = fingerprint.expect("a server says its fingerprint before it listens");
    (process, log, address, fingerprint)
}

fn files(folder: &Path) -> PathBuf {
    folder.join(folders::FILES)
}

fn password_file(folder: &Path) -> PathBuf {
    folder.join("passwords")
}
