//! Plays a conversation with a real server: three clients at their terminals, and a fourth that is refused because
//! the server is full.
//!
//! `demo FOLDER` expects the server's certificate in `FOLDER/certs`, and writes everything else below `FOLDER`.

#![expect(clippy::print_stdout, reason = "the demo's product is what it prints")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a demo that fails stops")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use portable_pty::CommandBuilder;
use quiver_e2e::terminal::Terminal;

/// A file that takes some seconds.
const FILM: &str = "film.mp4";
const FILM_SIZE: u64 = 16_000_000;

fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("demo FOLDER"));
    let files = served_files(&folder);
    let session = DemoSession::start(&folder);

    println!("\nThree clients connect: Ben, Ron and Pete. This is Ron's terminal.\n");
    let mut ben = session.client("Ben");
    let mut ron = session.client("Ron");
    let mut output = ShownOutput::default();
    let mut pete = session.client("Pete");
    wait_for_row(&mut ron, "Pete has joined.");
    output.print_complete_rows(&ron);
    ben.type_line("exit");
    ben.wait_for_exit();
    wait_for_row(&mut ron, "Ben has left.");

    let mut enter = |line: &str, expected: &str| {
        ron.type_line(line);
        ron.wait_until(expected, |screen| {
            screen.ends_with("\nRon:")
                && screen.rsplit("\nRon: ").next().unwrap().contains(expected)
        });
        output.print_complete_rows(&ron);
    };
    enter("Hello", "Server: Hello ACK");
    enter("status", "End: Still Connected");
    enter("list", "text.txt");
    enter("list -l", " files, ");
    enter("get secret.txt", "File received successfully.");
    enter("@Pete here it is", "here it is");
    pete.wait_until("the message", |screen| screen.contains("[Ron] here it is"));
    enter("/send Pete secret.txt", "Offer 1: waiting for Pete's answer.");
    pete.wait_until("the offer", |screen| screen.contains("/accept 1"));
    pete.type_line("/accept 1");
    wait_for_row(&mut ron, "Pete has stored 1 file (35 B).");
    output.print_complete_rows(&ron);

    println!("\nBen fetches a film from the command line, with at most 4 MB a second.\n");
    session.fetch_film();
    println!("\nRon's terminal:\n");
    ron.wait_until("Ben's second visit", |screen| screen.matches("\nBen has left.\n").count() == 2);
    output.print_complete_rows(&ron);

    println!(
        "\nBen's slot is free again. Ann takes it, so the server is full when Tom connects.\n"
    );
    let mut ann = session.client("Ann");
    wait_for_row(&mut ron, "Ann has joined.");
    output.print_complete_rows(&ron);
    let mut tom = session.program("Tom", &["--name", "Tom"]);
    let status = tom.wait_for_exit();
    println!("$ quiver --name Tom\n{}\n(exit code {})", tom.contents().trim(), status.exit_code());

    println!("\nRon says goodbye.\n");
    ron.type_line("exit");
    ron.wait_for_exit();
    output.print_rest(&ron);
    for terminal in [&mut pete, &mut ann] {
        terminal.type_line("exit");
        terminal.wait_for_exit();
    }

    let secret = fs::read(files.join("secret.txt")).unwrap();
    for name in ["Ron", "Pete"] {
        assert_eq!(fs::read(folder.join(name).join("secret.txt")).unwrap(), secret, "{name}");
    }
    println!("\nRon's and Pete's files are the same as the server's: {} bytes.", secret.len());
    // The temporary folder says nothing, and differs in each run.
    let log = session.stop().replace(&format!("{}/", folder.display()), "");
    println!("\nThe server's log:\n\n{}", log.trim_end());
}

/// The files of this repository, and a film.
fn served_files(folder: &Path) -> PathBuf {
    let served = folder.join("files");
    fs::create_dir_all(&served).unwrap();
    for entry in fs::read_dir(std::env::current_dir().unwrap().join("files")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), served.join(entry.file_name())).unwrap();
    }
    fs::File::create(served.join(FILM)).unwrap().set_len(FILM_SIZE).unwrap();
    served
}

/// A server, and a folder for each client.
struct DemoSession<'a> {
    folder: &'a Path,
    address: String,
    server: Child,
    stderr: BufReader<std::process::ChildStderr>,
    log: String,
}

impl<'a> DemoSession<'a> {
    fn start(folder: &'a Path) -> Self {
        // With the default names of its folders, the log shows no path of this machine.
        let mut server = Command::new(program_path("quiver-server"))
            .args(["--listen", "127.0.0.1:0"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(server.stderr.take().unwrap());
        let mut log = String::new();
        let mut address = None;
        // The last line of the start comes when the files are counted.
        while address.is_none() || !log.contains(" serving ") {
            let start = log.len();
            assert!(stderr.read_line(&mut log).unwrap() > 0, "the server did not start:\n{log}");
            if let Some((_, listening)) = log[start..].split_once("listening on ") {
                address = Some(listening.trim().to_owned());
            }
        }
        let address = address.expect("the loop has found it");
        Self { folder, address, server, stderr, log }
    }

    /// A client that has signed in.
    fn client(&self, name: &str) -> Terminal {
        let mut terminal = self.program(name, &[]);
        terminal.wait_for_end("Enter your client name:");
        terminal.type_line(name);
        terminal.wait_for_end(&format!("Connected to the server successfully.\n{name}:"));
        terminal
    }

    /// A client at its terminal, in a home directory of its own.
    fn program(&self, home: &str, arguments: &[&str]) -> Terminal {
        let home = self.folder.join(home);
        fs::create_dir_all(&home).unwrap();
        let mut command = CommandBuilder::new(program_path("quiver"));
        command.args(["--server", &self.address, "--cert"]);
        command.arg(self.folder.join("certs/server.pem"));
        // Whether the connection becomes direct before or after the file is there would differ in each run.
        command.arg("--relay-only");
        command.args(arguments);
        command.cwd(&home);
        for variable in ["XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(variable, home.join("home"));
        }
        Terminal::start(command)
    }

    /// Fetches the film, and prints what the terminal shows in the middle and at the end.
    fn fetch_film(&self) {
        let arguments = ["--name", "Ben", "get", FILM, "--limit", "4MB/s"];
        let mut ben = self.program("Ben", &arguments);
        ben.wait_until("the progress", |screen| screen.contains(" left"));
        println!("$ quiver {}\n{}", arguments.join(" "), ben.contents().trim_end());
        assert!(ben.wait_for_exit().success(), "{}", ben.contents());
        println!("{}", ben.contents().trim_end());
    }

    /// Stops the server with SIGINT, and returns its log, with paths as if both folders were the current one.
    fn stop(mut self) -> String {
        let id = rustix::process::Pid::from_child(&self.server);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        self.stderr.read_to_string(&mut self.log).unwrap();
        self.server.wait().unwrap();
        let current = std::env::current_dir().unwrap();
        let folders = [self.folder, current.as_path()];
        folders
            .iter()
            .fold(self.log, |log, folder| log.replace(&format!("{}/", folder.display()), ""))
    }
}

/// The part of a terminal's output that was printed, in bytes.
#[derive(Default)]
struct ShownOutput(usize);

impl ShownOutput {
    /// Prints the new complete rows, without the last one, which may be incomplete.
    fn print_complete_rows(&mut self, terminal: &Terminal) {
        let contents = terminal.contents();
        let complete = contents.rfind('\n').map_or(0, |end| end + 1);
        print!("{}", &contents[self.0..complete]);
        self.0 = complete;
    }

    /// Prints the remaining output.
    fn print_rest(&mut self, terminal: &Terminal) {
        println!("{}", &terminal.contents()[self.0..].trim_end());
    }
}

/// Waits until the terminal shows this row, complete, with a row below it.
fn wait_for_row(terminal: &mut Terminal, row: &str) {
    terminal.wait_until(row, |screen| screen.contains(&format!("\n{row}\n")));
}

fn program_path(name: &str) -> PathBuf {
    let path = std::env::current_exe().unwrap().with_file_name(name);
    assert!(path.exists(), "{} is missing: scripts/demo builds it", path.display());
    path
}
