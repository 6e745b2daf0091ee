//! Completion in real shells: names of the server, quoted so that they cost nothing but a key. No connection is made for it.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::ffi::OsString;
use std::fs;
use std::time::{Duration, Instant};

use portable_pty::CommandBuilder;
use quiver_e2e::process::ProgramOutput;
use quiver_e2e::terminal::Terminal;
use quiver_e2e::{Home, Server, binary};

/// A shell at a terminal, with the script of `quiver completions`.
struct Shell(Terminal);

impl Shell {
    /// Starts a shell with these arguments, which load no settings, and types the lines that prepare it.
    fn start(home: &Home, shell: &str, arguments: &[&str], lines: &[&str]) -> Self {
        let command = home.quiver([""; 0]).command();
        let mut builder = CommandBuilder::new(shell);
        builder.args(arguments);
        builder.cwd(home.folder());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => builder.env(name, value),
                None => builder.env_remove(name),
            }
        }
        let mut path = binary::client().parent().unwrap().as_os_str().to_owned();
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap());
        builder.env("PATH", path);
        let mut terminal = Terminal::start(builder);
        for line in lines {
            terminal.type_line(line);
        }
        let shell = Self(terminal);
        shell.wait_for_line(">");
        shell
    }

    fn bash(home: &Home) -> Self {
        // The messages of the first lines end with it, so that the prompt is seen on a row of its own.
        let lines = ["source <(quiver completions bash)", "PS1='> '", "bind 'set bell-style none'"];
        Self::start(home, "bash", &["--norc", "--noprofile"], &lines)
    }

    fn zsh(home: &Home) -> Self {
        let lines = [
            "autoload -Uz compinit; compinit -D",
            "source <(quiver completions zsh); unsetopt beep promptsp",
            "PS1='> '",
        ];
        Self::start(home, "zsh", &["-f"], &lines)
    }

    fn fish(home: &Home) -> Self {
        let prepare = "set -g fish_greeting; set -g fish_autosuggestion_enabled 0; \
                       function fish_prompt; echo '> '; end; quiver completions fish | source";
        Self::start(home, "fish", &["--no-config", "--private", "-C", prepare], &[])
    }

    /// Waits until the last line of the screen is this one.
    fn wait_for_line(&self, line: &str) {
        self.0.wait_until(&format!("the line {line:?}"), |screen| {
            screen.lines().last() == Some(line)
        });
    }

    /// Types the beginning of a line and Tab, and waits until the line has become `expected`.
    fn complete(&mut self, typed: &str, expected: &str) {
        self.0.type_text(&format!("{typed}\t"));
        self.wait_for_line(&format!("> {expected}"));
    }

    /// Discards the line.
    fn discard(&mut self) {
        self.0.type_text("\x15");
        self.wait_for_line(">");
    }

    /// Runs the line.
    fn run(&mut self) {
        self.0.type_text("\r");
        self.wait_for_line(">");
    }
}

/// A user who has listed the files of a server, and whose settings name it.
async fn user_of(server: &Server) -> Home {
    let home = Home::new();
    let (address, certificate) = (server.address(), server.certificate());
    fs::create_dir_all(home.config().parent().unwrap()).unwrap();
    let settings =
        format!("server = \"{address}\"\ncert = \"{}\"\nname = \"Ron\"\n", certificate.display());
    fs::write(home.config(), settings).unwrap();
    home.quiver(["list", "-r"]).run().await.expect(0);
    home
}

async fn server_with_names() -> Server {
    let server = Server::start().await;
    for name in ["notes/todo.txt", "with space.txt", "it's", "$(touch x)", "`touch y`;touch z"] {
        server.add_file(name, "content");
    }
    server.add_file("e\u{1b}[2Jscape", "content");
    server
}

/// Runs what a shell's script runs.
async fn answer(home: &Home, shell: &str, arguments: &[&str]) -> ProgramOutput {
    let words = ["--"].iter().chain(arguments);
    let program = home.quiver(words.map(OsString::from));
    program.environment("_QUIVER_COMPLETE", shell).run().await
}

/// After a Tab at each of these, a shell has the name in a quoted form, and Enter fetches the file of that name. `quoted` are
/// the forms of the shell.
fn fetch_hostile_names(home: &Home, shell: &mut Shell, quoted: [&str; 2]) {
    for (typed, (name, quoted)) in
        ["\\$", "\\`"].iter().zip(["$(touch x)", "`touch y`;touch z"].iter().zip(quoted))
    {
        shell.complete(&format!("quiver -q get {typed}"), &format!("quiver -q get {quoted}"));
        shell.run();
        assert!(home.file(name).exists(), "{name}: {}", shell.0.contents());
    }
    assert_eq!(home.names(), ["$(touch x)", "`touch y`;touch z"]);
}

#[tokio::test]
async fn bash_completes_names_of_the_server_and_quotes_them() {
    let server = server_with_names().await;
    let home = user_of(&server).await;
    let mut bash = Shell::bash(&home);
    for (typed, expected) in [
        ("quiver sta", "quiver status"),
        ("quiver get no", "quiver get notes/"),
        ("quiver get notes/t", "quiver get notes/todo.txt"),
        ("quiver get wi", r"quiver get with\ space.txt"),
        ("quiver get \"wi", "quiver get \"with space.txt\""),
        ("quiver get 'it", r"quiver get 'it'\''s'"),
        ("quiver put --to=no", "quiver put --to=notes/"),
        ("true; quiver rm wi", r"true; quiver rm with\ space.txt"),
    ] {
        bash.complete(typed, expected);
        bash.discard();
    }
    fetch_hostile_names(&home, &mut bash, [r"\$\(touch\ x\)", r"\`touch\ y\`\;touch\ z"]);
}

#[tokio::test]
async fn bash_completes_local_files_where_they_are_meant() {
    let server = server_with_names().await;
    let home = user_of(&server).await;
    fs::write(home.file("report one.pdf"), "").unwrap();
    fs::create_dir(home.file("inbox")).unwrap();
    let mut bash = Shell::bash(&home);
    bash.complete("quiver put rep", r"quiver put report\ one.pdf");
    bash.discard();
    bash.complete("quiver get a -o in", "quiver get a -o inbox/");
}

#[tokio::test]
async fn zsh_completes_names_of_the_server_and_quotes_them() {
    let server = server_with_names().await;
    let home = user_of(&server).await;
    fs::write(home.root().join("in home"), "").unwrap();
    let mut zsh = Shell::zsh(&home);
    for (typed, expected) in [
        ("quiver sta", "quiver status"),
        ("quiver get no", "quiver get notes/"),
        ("quiver get notes/t", "quiver get notes/todo.txt"),
        ("quiver get wi", r"quiver get with\ space.txt"),
        ("quiver get \"wi", "quiver get \"with space.txt\""),
        ("quiver put ~/in\\ h", r"quiver put ~/in\ home"),
    ] {
        zsh.complete(typed, expected);
        zsh.discard();
    }
    fetch_hostile_names(&home, &mut zsh, [r"\$\(touch\ x\)", r"\`touch\ y\`\;touch\ z"]);
}

#[tokio::test]
async fn fish_completes_names_of_the_server_and_quotes_them() {
    let server = server_with_names().await;
    let home = user_of(&server).await;
    let mut fish = Shell::fish(&home);
    for (typed, expected) in [
        ("quiver sta", "quiver status"),
        ("quiver get no", "quiver get notes/"),
        ("quiver get notes/t", "quiver get notes/todo.txt"),
        ("quiver get wi", r"quiver get with\ space.txt"),
        ("quiver get \"wi", "quiver get \"with space.txt\""),
    ] {
        fish.complete(typed, expected);
        fish.discard();
    }
    fetch_hostile_names(&home, &mut fish, [r"\$\(touch\ x\)", r"\`touch\ y`\;touch\ z"]);
}

#[tokio::test]
async fn completing_makes_no_connection_and_answers_within_a_second() {
    let server = server_with_names().await;
    let home = user_of(&server).await;
    let connections = server.log().count("connection from");
    for (shell, arguments) in [
        ("bash", &[" =:", "quiver get "][..]),
        ("zsh", &["quiver", "get", ""]),
        ("fish", &["quiver", "get", ""]),
    ] {
        let start = Instant::now();
        let answer = answer(&home, shell, arguments).await;
        assert!(start.elapsed() < Duration::from_secs(1), "{shell}: {:?}", start.elapsed());
        let lines: Vec<_> = answer.expect(0).stdout.lines().collect();
        let names =
            ["words", "$(touch x)", "`touch y`;touch z", "it's", "notes/", "with space.txt"];
        assert_eq!(lines, names, "{shell}");
        assert_eq!(answer.stderr, "");
    }
    // A server that nobody has answered for, and one whose key is not known, need no question.
    for line in ["quiver --server 192.0.2.1 get ", "quiver --server [bad get ", "quiver get \""] {
        let start = Instant::now();
        let answer = answer(&home, "bash", &[" =:", line]).await;
        assert!(start.elapsed() < Duration::from_secs(1), "{line}: {:?}", start.elapsed());
        assert_eq!(answer.expect(0).stderr, "", "{line}");
    }
    assert_eq!(server.log().count("connection from"), connections);
}

#[tokio::test]
async fn completing_without_records_creates_no_files() {
    let home = Home::new();
    let before = all_files(&home);
    for command in ["get", "tell", "accept", "decline", "pause", "resume", "contacts forget"] {
        let line = format!("quiver {command} ");
        let answer = answer(&home, "bash", &[" =:", &line]).await;
        assert_eq!((answer.expect(0).stdout.as_str(), answer.stderr.as_str()), ("", ""), "{line}");
    }
    assert_eq!(all_files(&home), before);
}

/// The paths in the home directory.
fn all_files(home: &Home) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![home.root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            found.push(entry.path().display().to_string());
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn names_follow_what_this_client_does() {
    let server = Server::options().argument("--allow-upload").start().await;
    server.add_file("old.txt", "content");
    let home = user_of(&server).await;
    fs::write(home.file("new.txt"), "content").unwrap();
    for arguments in [
        &["put", "new.txt", "--to", "made/here"][..],
        &["put", "new.txt"],
        &["mkdir", "archive"],
        &["rm", "--yes", "old.txt"],
        &["status"],
    ] {
        home.quiver(arguments).run().await;
    }
    let lines = async |line: &str| {
        let answer =
            answer(&home, "zsh", &[&["quiver"], &*line.split(' ').collect::<Vec<_>>()].concat())
                .await;
        answer.expect(0).stdout.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines("get ").await, ["archive/", "new.txt"]);
    assert_eq!(lines("tell ").await, ["Ron"]);
}

#[tokio::test]
async fn numbers_of_running_transfers_are_completed() {
    let server = Server::start().await;
    server.add_file("big", vec![7; 3_000_000]);
    let home = user_of(&server).await;
    let get = home.quiver(["get", "big", "--limit", "200kB/s"]).start();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let answer = answer(&home, "bash", &[" =:", "quiver pause "]).await;
        if answer.expect(0).stdout == "word\n1 \n" {
            break;
        }
        assert!(Instant::now() < deadline, "{}", answer.stdout);
    }
    drop(get);
}
