//! A user without a home folder, without an entry in /etc/passwd, or with an unusable home folder, as in a container:
//! commands that need no stored key work, and the client notes what it cannot store.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

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

/// The id of a user without an entry in /etc/passwd.
const UNLISTED_ID: u32 = 54_321;

const NO_RESUME: &str = "note: a later run cannot resume interrupted uploads: ";
const NO_JOURNAL: &str = "note: quiver resume cannot find interrupted transfers: ";

/// That user, who may write to one folder only.
struct UnlistedUser {
    home: Home,
    program: PathBuf,
    certificate: PathBuf,
    address: String,
}

/// Whether this process can run programs as another user; prints a note if not. In continuous integration it must.
fn can_change_user() -> bool {
    assert!(is_root() || std::env::var_os("CI").is_none(), "running as another user takes root");
    if !is_root() {
        #[expect(clippy::print_stderr, reason = "a skipped test prints its reason")]
        {
            eprintln!("SKIPPED: running as another user takes root");
        }
    }
    is_root()
}

impl UnlistedUser {
    fn new(server: &Server) -> Self {
        let home = Home::new();
        fs::set_permissions(home.root(), Permissions::from_mode(0o755)).unwrap();
        chown(home.folder(), Some(UNLISTED_ID), Some(UNLISTED_ID)).unwrap();
        // The user may not read the original folders of the program and of the server.
        let (program, certificate) = (home.root().join("quiver"), home.root().join("server.pem"));
        fs::hard_link(binary::client(), &program)
            .or_else(|_| fs::copy(binary::client(), &program).map(drop))
            .unwrap();
        fs::copy(server.certificate(), &certificate).unwrap();
        Self { home, program, certificate, address: server.address().to_string() }
    }

    /// Creates a folder that the user may write to.
    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.folder().join(name);
        fs::create_dir(&folder).unwrap();
        chown(&folder, Some(UNLISTED_ID), Some(UNLISTED_ID)).unwrap();
        folder
    }

    fn command(&self, environment: &[(&str, &Path)], arguments: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        let id = UNLISTED_ID.to_string();
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]).arg(&self.program);
        command.args(arguments).args(["--server", &self.address]);
        command.env_clear().envs(environment.iter().copied()).env("PATH", "/usr/bin:/bin");
        command.current_dir(self.home.folder());
        command
    }

    /// Runs `quiver` with a name and the server's certificate.
    async fn run(&self, environment: &[(&str, &Path)], arguments: &[&str]) -> ProgramOutput {
        let mut command = self.command(environment, arguments);
        command.arg("--cert").arg(&self.certificate).args(["--name", "Ron"]);
        finish(Process::start(&mut command)).await
    }

    /// Runs all commands that need no stored key. Returns the standard error of the get and of the put.
    async fn run_all_commands(&self, environment: &[(&str, &Path)]) -> (String, String) {
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

/// The same command, to be started at a terminal.
fn terminal_command(command: &Command) -> CommandBuilder {
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
async fn a_user_without_a_home_can_run_commands_that_need_no_stored_key() {
    if !can_change_user() {
        return;
    }
    let server = server().await;
    let user = UnlistedUser::new(&server);
    let (get, put) = user.run_all_commands(&[]).await;
    assert!(get.contains(&format!("{NO_JOURNAL}this user has no home folder\n")), "{get}");
    assert!(put.contains(&format!("{NO_RESUME}this user has no home folder\n")), "{put}");
    // The list of unfinished transfers fails with the reason.
    let transfers = user.run(&[], &["transfers"]).await;
    transfers.expect(8);
    let why = "error: there is no folder with unfinished transfers: this user has no home folder\n";
    assert!(transfers.stderr.starts_with(why), "{}", transfers.stderr);
    // Without --name or --cert, a hint names the missing option.
    let nameless = finish(Process::start(&mut user.command(&[], &["list"]))).await;
    nameless.expect(2);
    assert!(nameless.stderr.contains("\nhint: --name NAME"), "{}", nameless.stderr);
    let mut unknown = user.command(&[], &["list", "--name", "Ron"]);
    let unknown = finish(Process::start(&mut unknown)).await;
    unknown.expect(4);
    assert!(unknown.stderr.contains("\nhint: --cert FILE"), "{}", unknown.stderr);
}

#[tokio::test]
async fn a_user_without_a_home_can_store_everything_in_the_xdg_folders() {
    if !can_change_user() {
        return;
    }
    let server = server().await;
    let user = UnlistedUser::new(&server);
    let [config, data, state] = ["config", "data", "state"].map(|name| user.folder(name));
    fs::create_dir(config.join("quiver")).unwrap();
    fs::write(config.join("quiver/config.toml"), "name = 'Ben'\n").unwrap();
    let variables: [(&str, &Path); 3] =
        [("XDG_CONFIG_HOME", &config), ("XDG_DATA_HOME", &data), ("XDG_STATE_HOME", &state)];
    let (get, put) = user.run_all_commands(&variables).await;
    assert!(!get.contains("note: ") && !put.contains("note: "), "{get}{put}");
    assert!(data.join("quiver/identity/client.key").exists());
    let transfers = user.run(&variables, &["transfers"]).await;
    transfers.expect(0);
    // The settings file is read too.
    let mut named = user.command(&variables, &["message", "Hi"]);
    finish(Process::start(named.arg("--cert").arg(&user.certificate))).await.expect(0);
    server.log().wait_for(": Ben").await;
}

#[tokio::test]
async fn a_user_with_an_unusable_home_can_run_commands_that_need_no_stored_key() {
    if !can_change_user() {
        return;
    }
    let server = server().await;
    let user = UnlistedUser::new(&server);
    let closed = user.folder("closed");
    chown(&closed, Some(0), Some(0)).unwrap();
    fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
    let read_only = user.folder("read-only");
    chown(&read_only, Some(0), Some(0)).unwrap();
    for (home, is_closed) in [
        (Path::new("/nonexistent"), false),
        (Path::new("/dev/null"), false),
        (&read_only, false),
        (&closed, true),
    ] {
        if is_closed {
            // The client cannot tell whether there is a settings file, and says so.
            let message = user.run(&[("HOME", home)], &["message", "Hello"]).await;
            message.expect(0);
            let note = "note: the settings file is not read: cannot access ";
            assert!(message.stderr.starts_with(note), "{}", message.stderr);
            continue;
        }
        let (get, put) = user.run_all_commands(&[("HOME", home)]).await;
        assert!(get.contains(NO_JOURNAL), "{home:?}: {get}");
        assert!(put.contains(NO_RESUME), "{home:?}: {put}");
        assert!(!put.contains("os error"), "{put}");
    }
}

#[tokio::test]
async fn a_user_without_a_home_is_asked_to_trust_the_server_each_time() {
    if !can_change_user() {
        return;
    }
    let server = server().await;
    let user = UnlistedUser::new(&server);
    for (home, question) in [
        (None, "Trust it now? It cannot be remembered: this user has no home folder."),
        (Some(Path::new("/nonexistent")), "Trust and remember it? [yes/no]"),
    ] {
        let environment: Vec<_> = home.map(|home| ("HOME", home)).into_iter().collect();
        let arguments = ["message", "Hello", "--name", "Ron"];
        let command = user.command(&environment, &arguments);
        let mut terminal = Terminal::start(terminal_command(&command));
        terminal.wait_for(question);
        terminal.type_line("yes");
        assert!(terminal.wait_for_exit().success(), "{}", terminal.contents());
        let screen = terminal.contents();
        assert!(screen.contains("Hello ACK"), "{screen}");
        assert_eq!(screen.contains("note: you will be asked about"), home.is_some(), "{screen}");
    }
}
