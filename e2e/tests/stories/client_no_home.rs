//! A user without a home, without an entry in the password file, or with a home that cannot be used, as in a
//! container: what needs no stored key works, and what cannot be kept is said where it matters.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use portable_pty::CommandBuilder;
use quiver_e2e::process::{Process, ProgramOutput};
use quiver_e2e::quiver::finish;
use quiver_e2e::server::is_root;
use quiver_e2e::terminal::Terminal;
use quiver_e2e::{Home, Server, binary};

/// A user whom no password file knows.
const STRANGER: u32 = 54_321;

const NO_RESUME: &str = "note: a later run cannot resume interrupted uploads: ";
const NO_JOURNAL: &str = "note: quiver resume cannot find interrupted transfers: ";

/// That stranger, who may write to one folder and nowhere else.
struct Stranger {
    home: Home,
    program: PathBuf,
    certificate: PathBuf,
    address: String,
}

/// Whether this process can be a stranger; says so where it cannot. In continuous integration it must.
fn strangers() -> bool {
    assert!(is_root() || std::env::var_os("CI").is_none(), "being somebody else takes root");
    if !is_root() {
        #[expect(clippy::print_stderr, reason = "a test's output is the place to say it")]
        {
            eprintln!("SKIPPED: being a user without an entry takes root");
        }
    }
    is_root()
}

impl Stranger {
    fn of(server: &Server) -> Self {
        let home = Home::new();
        fs::set_permissions(home.root(), Permissions::from_mode(0o755)).unwrap();
        chown(home.folder(), Some(STRANGER), Some(STRANGER)).unwrap();
        // The stranger may read neither the folder with the program nor the server's.
        let (program, certificate) = (home.root().join("quiver"), home.root().join("server.pem"));
        fs::hard_link(binary::client(), &program)
            .or_else(|_| fs::copy(binary::client(), &program).map(drop))
            .unwrap();
        fs::copy(server.certificate(), &certificate).unwrap();
        Self { home, program, certificate, address: server.address().to_string() }
    }

    /// A folder that the stranger may write to.
    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.folder().join(name);
        fs::create_dir(&folder).unwrap();
        chown(&folder, Some(STRANGER), Some(STRANGER)).unwrap();
        folder
    }

    fn command(&self, environment: &[(&str, &Path)], arguments: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        let id = STRANGER.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]).arg(&self.program);
        command.args(arguments).args(["--server", &self.address]);
        command.env_clear().envs(environment.iter().copied()).env("PATH", "/usr/bin:/bin");
        command.current_dir(self.home.folder());
        command
    }

    /// With a name and the server's certificate.
    async fn run(&self, environment: &[(&str, &Path)], arguments: &[&str]) -> ProgramOutput {
        let mut command = self.command(environment, arguments);
        command.arg("--cert").arg(&self.certificate).args(["--name", "Ron"]);
        finish(Process::start(&mut command)).await
    }

    /// Everything that needs no stored key; what is said of the get and of the put.
    async fn does_everything(&self, environment: &[(&str, &Path)]) -> (String, String) {
        let run = async |arguments: &[&str]| {
            let run = self.run(environment, arguments).await;
            run.expect(0);
            run
        };
        let message = run(&["message", "Hello"]).await;
        assert_eq!(message.stdout, "Hello ACK\n", "{}", message.stderr);
        assert_eq!(message.stderr, "");
        let list = run(&["list"]).await;
        assert_eq!((&*list.stdout, &*list.stderr), ("secret.txt\n", ""));
        let get = run(&["get", "secret.txt"]).await;
        assert_eq!(fs::read(self.home.file("secret.txt")).unwrap(), b"content");
        let put = run(&["put", "secret.txt", "--as", "up"]).await;
        let tree = run(&["get", "-r", "/", "--overwrite"]).await;
        assert_eq!(tree.stderr.matches("note: ").count(), get.stderr.matches("note: ").count());
        run(&["rm", "up", "--yes"]).await;
        for name in ["secret.txt", "up"] {
            fs::remove_file(self.home.file(name)).unwrap();
        }
        (get.stderr, put.stderr)
    }
}

/// The same command, for a terminal.
fn at_a_terminal(command: &Command) -> CommandBuilder {
    let mut words = vec![command.get_program().to_owned()];
    words.extend(command.get_args().map(ToOwned::to_owned));
    let mut builder = CommandBuilder::from_argv(words);
    builder.env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            builder.env(name, value);
        }
    }
    builder.cwd(command.get_current_dir().unwrap());
    builder
}

async fn server() -> Server {
    let server =
        Server::options().argument("--allow-upload").argument("--keep-free=0").start().await;
    server.add_file("secret.txt", "content");
    server
}

#[tokio::test]
async fn without_any_home_all_works_that_needs_no_stored_key() {
    if !strangers() {
        return;
    }
    let server = server().await;
    let stranger = Stranger::of(&server);
    let (get, put) = stranger.does_everything(&[]).await;
    assert!(get.contains(&format!("{NO_JOURNAL}this user has no home folder\n")), "{get}");
    assert!(put.contains(&format!("{NO_RESUME}this user has no home folder\n")), "{put}");
    // What is only about what was kept says why there is nothing.
    let transfers = stranger.run(&[], &["transfers"]).await;
    transfers.expect(8);
    let why = "error: there is no folder with unfinished transfers: this user has no home folder\n";
    assert!(transfers.stderr.starts_with(why), "{}", transfers.stderr);
    // Who says neither a name nor whom to trust is told what to do.
    let nameless = finish(Process::start(&mut stranger.command(&[], &["list"]))).await;
    nameless.expect(2);
    assert!(nameless.stderr.contains("\nhint: --name NAME"), "{}", nameless.stderr);
    let mut unknown = stranger.command(&[], &["list", "--name", "Ron"]);
    let unknown = finish(Process::start(&mut unknown)).await;
    unknown.expect(4);
    assert!(unknown.stderr.contains("\nhint: --cert FILE"), "{}", unknown.stderr);
}

#[tokio::test]
async fn with_the_three_variables_everything_is_kept_without_a_home() {
    if !strangers() {
        return;
    }
    let server = server().await;
    let stranger = Stranger::of(&server);
    let [config, data, state] = ["config", "data", "state"].map(|name| stranger.folder(name));
    fs::create_dir(config.join("quiver")).unwrap();
    fs::write(config.join("quiver/config.toml"), "name = 'Ben'\n").unwrap();
    let variables: [(&str, &Path); 3] =
        [("XDG_CONFIG_HOME", &config), ("XDG_DATA_HOME", &data), ("XDG_STATE_HOME", &state)];
    let (get, put) = stranger.does_everything(&variables).await;
    assert!(!get.contains("note: ") && !put.contains("note: "), "{get}{put}");
    assert!(data.join("quiver/identity/client.key").exists());
    let transfers = stranger.run(&variables, &["transfers"]).await;
    transfers.expect(0);
    // The settings count too.
    let mut named = stranger.command(&variables, &["message", "Hi"]);
    finish(Process::start(named.arg("--cert").arg(&stranger.certificate))).await.expect(0);
    server.log().wait_for(": Ben").await;
}

#[tokio::test]
async fn a_home_that_cannot_be_used_is_like_none() {
    if !strangers() {
        return;
    }
    let server = server().await;
    let stranger = Stranger::of(&server);
    let closed = stranger.folder("closed");
    chown(&closed, Some(0), Some(0)).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    let read_only = stranger.folder("read-only");
    chown(&read_only, Some(0), Some(0)).unwrap();
    for (home, settings) in [
        (Path::new("/nonexistent"), true),
        (Path::new("/dev/null"), true),
        (&read_only, true),
        (&closed, false),
    ] {
        if !settings {
            // Settings that may be there and cannot be read are not passed over in silence.
            let message = stranger.run(&[("HOME", home)], &["message", "Hello"]).await;
            message.expect(0);
            let note = "note: the settings file is not read: cannot access ";
            assert!(message.stderr.starts_with(note), "{}", message.stderr);
            continue;
        }
        let (get, put) = stranger.does_everything(&[("HOME", home)]).await;
        assert!(get.contains(NO_JOURNAL), "{home:?}: {get}");
        assert!(put.contains(NO_RESUME), "{home:?}: {put}");
        assert!(!put.contains("os error"), "{put}");
    }
}

#[tokio::test]
async fn a_person_without_a_home_is_asked_whom_to_trust_each_time() {
    if !strangers() {
        return;
    }
    let server = server().await;
    let stranger = Stranger::of(&server);
    for (home, question) in [
        (None, "Trust it now? It cannot be remembered: this user has no home folder."),
        (Some(Path::new("/nonexistent")), "Trust and remember it? [yes/no]"),
    ] {
        let environment: Vec<_> = home.map(|home| ("HOME", home)).into_iter().collect();
        let arguments = ["message", "Hello", "--name", "Ron"];
        let command = stranger.command(&environment, &arguments);
        let mut terminal = Terminal::start(at_a_terminal(&command));
        terminal.wait_for(question);
        terminal.type_line("yes");
        assert!(terminal.wait_for_exit().success(), "{}", terminal.contents());
        let said = terminal.contents();
        assert!(said.contains("Hello ACK"), "{said}");
        assert_eq!(said.contains("note: you will be asked about"), home.is_some(), "{said}");
    }
}
