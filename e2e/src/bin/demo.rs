//! Plays a conversation on a real server: three clients at their terminals, and a fourth who finds it busy.
//!
//! `demo FOLDER` expects `FOLDER/certs` with the server's certificate, and puts everything else there.

#![expect(clippy::print_stdout, reason = "the demo's product is what it prints")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a demo that cannot go on stops")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use portable_pty::CommandBuilder;
use quiver_e2e::terminal::Terminal;

fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("demo FOLDER"));
    let files = std::env::current_dir().unwrap().join("files");
    let stage = Stage::set(&folder, &files);

    println!("\nThree clients connect: Ben, Ron and Pete. Here is Ron's terminal.\n");
    let mut ben = stage.client("Ben");
    let mut ron = stage.client("Ron");
    let mut shown = Shown::default();
    let mut pete = stage.client("Pete");
    shown.more(&ron);
    ben.type_line("exit");
    ben.wait();

    let mut say = |line: &str, until: &str| {
        ron.type_line(line);
        ron.wait_until(until, |screen| {
            screen.ends_with("\nRon:") && screen.rsplit("\nRon: ").next().unwrap().contains(until)
        });
        shown.more(&ron);
    };
    say("Hello", "Server: Hello ACK");
    say("status", "End: Still Connected");
    say("list", "text.txt");
    say("get secret.txt", "File received successfully.");

    println!("\nBen has left, so his slot is free: Ann takes it, and Tom is one too many.\n");
    let mut ann = stage.client("Ann");
    let mut tom = stage.program("Tom", &["--name", "Tom"]);
    let status = tom.wait();
    println!("$ quiver --name Tom\n{}\n(exit code {})", tom.contents().trim(), status.exit_code());

    println!("\nRon says goodbye.\n");
    ron.type_line("exit");
    ron.wait();
    shown.rest(&ron);
    for terminal in [&mut pete, &mut ann] {
        terminal.type_line("exit");
        terminal.wait();
    }

    let got = fs::read(folder.join("Ron/secret.txt")).unwrap();
    assert_eq!(got, fs::read(files.join("secret.txt")).unwrap());
    println!("\nWhat Ron got is what the server has: {} bytes, the same hash.", got.len());
    println!("\nThe server's log:\n\n{}", stage.end().trim_end());
}

/// A server, and a folder for each client.
struct Stage<'a> {
    folder: &'a Path,
    address: String,
    server: Child,
    log: BufReader<std::process::ChildStderr>,
    said: String,
}

impl<'a> Stage<'a> {
    fn set(folder: &'a Path, files: &Path) -> Self {
        let mut server = Command::new(built("quiver-server"))
            .args(["--listen", "127.0.0.1:0", "--certs"])
            .arg(folder.join("certs"))
            .arg("--files")
            .arg(files)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(server.stderr.take().unwrap());
        let mut said = String::new();
        let address = loop {
            let begin = said.len();
            assert!(log.read_line(&mut said).unwrap() > 0, "the server did not start:\n{said}");
            if let Some((_, address)) = said[begin..].split_once("listening on ") {
                break address.trim().to_owned();
            }
        };
        Self { folder, address, server, log, said }
    }

    /// A client that has been let in.
    fn client(&self, name: &str) -> Terminal {
        let mut terminal = self.program(name, &[]);
        terminal.wait_for_end("Enter your client name:");
        terminal.type_line(name);
        terminal.wait_for_end(&format!("Connected to the server successfully.\n{name}:"));
        terminal
    }

    /// A client at its terminal, in a home of its own.
    fn program(&self, home: &str, arguments: &[&str]) -> Terminal {
        let home = self.folder.join(home);
        fs::create_dir_all(&home).unwrap();
        let mut command = CommandBuilder::new(built("quiver"));
        command.args(["--server", &self.address, "--cert"]);
        command.arg(self.folder.join("certs/server.pem"));
        command.args(arguments);
        command.cwd(&home);
        for variable in ["XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(variable, home.join("home"));
        }
        Terminal::start(command)
    }

    /// Stops the server as a person would, and returns its log.
    fn end(mut self) -> String {
        let id = rustix::process::Pid::from_child(&self.server);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        self.log.read_to_string(&mut self.said).unwrap();
        self.server.wait().unwrap();
        self.said
    }
}

/// How much of a terminal was shown already.
#[derive(Default)]
struct Shown(usize);

impl Shown {
    /// Shows the rows that are complete; the last one may still be typed.
    fn more(&mut self, terminal: &Terminal) {
        let contents = terminal.contents();
        let complete = contents.rfind('\n').map_or(0, |end| end + 1);
        print!("{}", &contents[self.0..complete]);
        self.0 = complete;
    }

    /// Shows what is left.
    fn rest(&mut self, terminal: &Terminal) {
        println!("{}", &terminal.contents()[self.0..].trim_end());
    }
}

fn built(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().with_file_name(name);
    assert!(path.exists(), "{} is missing: scripts/demo builds it", path.display());
    path
}
