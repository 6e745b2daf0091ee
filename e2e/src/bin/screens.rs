//! Draws the pictures of the terminal in docs/client.md: `screens FOLDER` runs the commands at terminals of 80 columns,
//! with a server of its own, and writes their screens as SVG into the folder.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a picture that fails stops")]

use std::fs;
use std::path::Path;

use quiver_e2e::quiver::QuiverCommand;
use quiver_e2e::terminal::Terminal;
use quiver_e2e::terminal_picture::{StyledText, draw};
use quiver_e2e::{Home, PromptUser, Server, tree};

const COLUMNS: u16 = 80;

/// 2024-10-19 12:00:00 UTC.
const NOON: u64 = 1_729_339_200;

/// The user's command lines, all by Ron.
struct Screens<'a> {
    server: Server,
    home: Home,
    folder: &'a Path,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let folder = std::env::args_os().nth(1).expect("screens FOLDER");
    let server = server().await;
    let screens = Screens { server, home: Home::new(), folder: Path::new(&folder) };
    screens.run("list", &["list", "-l"]);
    screens.progress("progress", &["get", "-r", "photos", "--limit", "4MB/s"]);
    fs::create_dir(screens.home.file("notes")).unwrap();
    fs::write(screens.home.file("notes/ideas.txt"), "other ideas").unwrap();
    fs::write(screens.home.file("notes/todo.txt"), vec![b'x'; 700]).unwrap();
    screens.run("dry-run", &["get", "-r", "notes", "--dry-run"]);
    screens.run("error", &["get", "secrets.txt"]);
    screens.prompt("prompt");
}

/// A server with the files that the pictures show.
async fn server() -> Server {
    let server = Server::start().await;
    let mut files = vec![
        ("big.iso".to_owned(), 40_000_000),
        ("secret.txt".to_owned(), 35),
        ("notes/ideas.txt".to_owned(), 1_200),
        ("notes/todo.txt".to_owned(), 700),
        ("notes/2024/minutes.pdf".to_owned(), 310_000),
    ];
    files
        .extend((1..=12).map(|number| (format!("photos/IMG_{:04}.jpg", 2040 + number), 2_400_000)));
    for (hours, (path, size)) in files.into_iter().enumerate() {
        let file = server.add_file(&path, vec![b'x'; size]);
        tree::set_modified(&file, NOON + hours as u64 * 3600);
    }
    for folder in ["notes", "photos"] {
        tree::set_modified(&server.files().join(folder), NOON);
    }
    server
}

impl Screens<'_> {
    /// Draws the screen at the end of a command.
    fn run(&self, name: &str, arguments: &[&str]) {
        let mut terminal = self.quiver("Ron", arguments).start_at_terminal_of(COLUMNS);
        terminal.wait_for_exit();
        self.write(name, &terminal, Some(arguments));
    }

    /// Draws the screen of a transfer of several files in its middle.
    fn progress(&self, name: &str, arguments: &[&str]) {
        let terminal = self.quiver("Ron", arguments).start_at_terminal_of(COLUMNS);
        terminal.wait_until("a third of the transfer", |screen| {
            let share = screen.split(" %").next().and_then(|before| before.split(' ').next_back());
            share.and_then(|share| share.parse::<u32>().ok()).is_some_and(|share| share > 33)
        });
        self.write(name, &terminal, Some(arguments));
    }

    /// Draws a conversation at the prompt.
    fn prompt(&self, name: &str) {
        let other = Home::new();
        let mut ron = self.user(&self.home, "Ron");
        fs::remove_file(self.home.file("notes/todo.txt")).expect("an earlier picture has it");
        let mut pete = self.user(&other, "Pete");
        ron.terminal.wait_for("Pete has joined.");
        ron.enter("status --here");
        ron.enter("list notes");
        ron.enter("@Pete Shall we have lunch?");
        pete.terminal.wait_for("[Ron]");
        pete.enter("@Ron At one. I send you the minutes.");
        ron.terminal.wait_for("the minutes.");
        ron.enter("get notes/todo.txt");
        self.write(name, &ron.terminal, None);
        pete.exit();
    }

    fn user(&self, home: &Home, name: &str) -> PromptUser {
        let quiver = home.quiver_as(&self.server, name, ["--relay-only"]).environment("TZ", "UTC");
        PromptUser::at_terminal(quiver.start_at_terminal_of(COLUMNS), name)
    }

    fn quiver(&self, name: &str, arguments: &[&str]) -> QuiverCommand {
        self.home.quiver_as(&self.server, name, arguments).environment("TZ", "UTC")
    }

    fn write(&self, name: &str, terminal: &Terminal, arguments: Option<&[&str]>) {
        let mut rows = terminal.styled_rows();
        if let Some(arguments) = arguments {
            let line = format!("$ quiver {}", arguments.join(" "));
            rows.insert(0, vec![StyledText::plain(line)]);
        }
        let file = self.folder.join(format!("{name}.svg"));
        fs::write(file, draw(&rows, COLUMNS)).expect("the picture is written");
    }
}
