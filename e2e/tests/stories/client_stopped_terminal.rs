//! The terminal is stopped or closed while a transfer shows its progress: the transfer finishes,
//! and a signal still ends the client.

use std::fs;
use std::io::Read as _;
use std::time::Duration;

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use quiver_e2e::process::Signal;
use quiver_e2e::terminal::Terminal;
use quiver_e2e::{Home, Server, wait_until};

const SIZE: usize = 4_000_000;

/// Takes long enough for a progress bar.
const ARGUMENTS: [&str; 4] = ["get", "big", "--limit", "2MB/s"];

/// Starts the get at a terminal, and waits until it draws the progress bar.
async fn start_with_bar(server: &Server, home: &Home) -> Terminal {
    let terminal = home.quiver_as(server, "Ron", ARGUMENTS).start_at_terminal();
    wait_until("a progress bar", || terminal.raw_output().contains(&0x1b)).await;
    terminal
}

#[tokio::test]
async fn a_transfer_finishes_at_a_stopped_terminal() {
    let server = Server::start().await;
    server.add_file("big", vec![7; SIZE]);
    let home = Home::new();
    let mut terminal = start_with_bar(&server, &home).await;
    terminal.type_text("\x13");
    server.log().wait_for("delivered big").await;
    assert_eq!(fs::metadata(home.file("big")).unwrap().len(), SIZE as u64);
    // Longer than the idle timeout: the thread that drives QUIC does not wait for the terminal.
    let disconnected = server.log().wait_for("Ron has disconnected");
    assert!(tokio::time::timeout(Duration::from_secs(16), disconnected).await.is_err());
    terminal.type_text("\x11");
    assert!(terminal.wait_for_exit().success());
    assert!(terminal.contents().contains("received and verified"), "{}", terminal.contents());
}

#[tokio::test]
async fn a_signal_ends_a_client_at_a_stopped_terminal() {
    let server = Server::start().await;
    server.add_file("big", vec![7; SIZE]);
    let home = Home::new();
    let mut terminal = start_with_bar(&server, &home).await;
    terminal.type_text("\x13");
    let id = rustix::process::Pid::from_raw(terminal.id().cast_signed()).unwrap();
    rustix::process::kill_process(id, Signal::TERM).unwrap();
    assert_eq!(terminal.wait_for_exit().exit_code(), 143);
    server.log().wait_for("not delivered: big").await;
}

#[tokio::test]
async fn a_transfer_finishes_after_its_terminal_is_closed() {
    let server = Server::start().await;
    server.add_file("big", vec![7; SIZE]);
    let home = Home::new();
    let quiver = home.quiver_as(&server, "Ron", ARGUMENTS).command();
    let mut command = CommandBuilder::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$@\"", "sh"]);
    command.arg(quiver.get_program());
    command.args(quiver.get_args());
    command.cwd(home.folder());
    for (name, value) in quiver.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        }
    }
    let size = PtySize { rows: 50, cols: 120, pixel_width: 0, pixel_height: 0 };
    let pair = native_pty_system().openpty(size).unwrap();
    let mut child = pair.slave.spawn_command(command).unwrap();
    drop(pair.slave);
    let mut output = pair.master.try_clone_reader().unwrap();
    let bar_drawn = tokio::task::spawn_blocking(move || {
        let mut byte = [0];
        while byte != [0x1b] {
            output.read_exact(&mut byte).unwrap();
        }
    });
    quiver_e2e::wait_within(quiver_e2e::TIMEOUT, "a progress bar", bar_drawn).await.unwrap();
    drop(pair.master);
    server.log().wait_for("delivered big").await;
    let mut status = None;
    wait_until("the client to end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    })
    .await;
    assert!(status.unwrap().success());
    assert_eq!(fs::metadata(home.file("big")).unwrap().len(), SIZE as u64);
}
