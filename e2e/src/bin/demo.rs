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

fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("demo FOLDER"));
    let files = std::env::current_dir().unwrap().join("files");
    let session = DemoSession::start(&folder, &files);

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

    println!(
        "\nBen has left and freed a slot. Ann takes it, so the server is full when Tom connects.\n"
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
    println!("\nThe server's log:\n\n{}", session.stop().trim_end());
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
    fn start(folder: &'a Path, files: &Path) -> Self {
        let mut server = Command::new(program_path("quiver-server"))
            .args(["--listen", "127.0.0.1:0", "--certs"])
            .arg(folder.join("certs"))
            .arg("--files")
            .arg(files)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(server.stderr.take().unwrap());
        let mut log = String::new();
        let address = loop {
            let start = log.len();
            assert!(stderr.read_line(&mut log).unwrap() > 0, "the server did not start:\n{log}");
            if let Some((_, address)) = log[start..].split_once("listening on ") {
                break address.trim().to_owned();
            }
        };
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

    /// Stops the server with SIGINT, and returns its log.
    fn stop(mut self) -> String {
        let id = rustix::process::Pid::from_child(&self.server);
        rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
        self.stderr.read_to_string(&mut self.log).unwrap();
        self.server.wait().unwrap();
        self.log
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
