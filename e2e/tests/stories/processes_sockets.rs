//! The sockets by which processes of a user see each other: where they are, who may use them, and when they go.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use quiver_e2e::process::{Process, Signal};
use quiver_e2e::quiver::{QuiverCommand, names};
use quiver_e2e::random::Random;
use quiver_e2e::{Home, PageProgram, PromptUser, Server, TIMEOUT, TransferWatch, wait_until};

const SLOW: [&str; 2] = ["--limit", "400K"];

async fn server_with_big_file() -> Server {
    let server = Server::start().await;
    server.add_file("big", Random::new(3).bytes(24 * 1024 * 1024));
    server.add_file("small", "content");
    server.add_file("medium", vec![0; 100_000]);
    server
}

/// Without a folder of the session.
fn folder(home: &Home) -> PathBuf {
    home.root().join("state/quiver/run")
}

fn sockets(folder: &Path) -> Vec<String> {
    let all = if folder.exists() { names(folder) } else { Vec::new() };
    all.into_iter()
        .filter(|name| name.contains(".sock"))
        .filter(|name| name != "sockets.lock")
        .collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn get(home: &Home, server: &Server, name: &str) -> QuiverCommand {
    home.quiver_as(server, name, ["get", "big"]).arguments(SLOW)
}

async fn wait_for_socket(folder: &Path, process: &Process) -> PathBuf {
    let socket = folder.join(format!("{}.sock", process.id()));
    wait_until("a socket", || socket.exists()).await;
    socket
}

#[tokio::test]
async fn a_socket_is_private_and_goes_however_its_process_ends() {
    let server = server_with_big_file().await;
    for signal in [Signal::INT, Signal::TERM] {
        let home = Home::new();
        let mut process = get(&home, &server, "Ann").start();
        let socket = wait_for_socket(&folder(&home), &process).await;
        assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
        assert_eq!((mode(&socket), mode(&folder(&home))), (0o600, 0o700));
        process.signal(signal);
        process.wait_for_exit(TIMEOUT).await;
        assert_eq!(sockets(&folder(&home)), [""; 0]);
    }
    let home = Home::new();
    let mut process =
        home.quiver_as(&server, "Ann", ["get", "medium", "--limit", "100KB/s"]).start();
    wait_for_socket(&folder(&home), &process).await;
    assert!(process.wait_for_exit(TIMEOUT).await.success());
    assert_eq!(sockets(&folder(&home)), [""; 0]);
    home.quiver_as(&server, "Ann", ["get", "none"]).run().await.expect(7);
    assert_eq!(sockets(&folder(&home)), [""; 0]);
    let mut user = PromptUser::sign_in(&home, &server, "Ann");
    user.enter("get small --overwrite");
    wait_until("a socket", || sockets(&folder(&home)).len() == 1).await;
    user.exit();
    assert_eq!(sockets(&folder(&home)), [""; 0]);
}

#[tokio::test]
async fn commands_without_transfers_make_no_socket() {
    let server = server_with_big_file().await;
    let home = Home::new();
    for arguments in [&["list"][..], &["status"], &["message", "Hello"], &["transfers"]] {
        home.quiver_as(&server, "Ann", arguments).run().await.expect(0);
    }
    assert!(!folder(&home).exists(), "{:?}", names(&folder(&home)));
}

#[tokio::test]
async fn the_page_has_a_socket_as_long_as_it_runs() {
    let home = Home::new();
    let mut page = PageProgram::start(&home.quiver(["gui", "--no-open"])).await;
    wait_for_socket(&folder(&home), &page.process).await;
    page.process.signal(Signal::TERM);
    page.process.wait_for_exit(TIMEOUT).await;
    assert_eq!(sockets(&folder(&home)), [""; 0]);
}

#[tokio::test]
async fn a_socket_of_a_killed_process_is_swept_and_its_number_confuses_nobody() {
    let server = server_with_big_file().await;
    let home = Home::new();
    let mut killed = get(&home, &server, "Ann").start();
    let socket = wait_for_socket(&folder(&home), &killed).await;
    let mut watch = TransferWatch::start(home.quiver([""; 0]));
    watch.wait_for("the transfer", |view| view["number"] == 1).await;
    killed.signal(Signal::KILL);
    killed.wait_for_exit(TIMEOUT).await;
    watch.wait_for_none().await;
    // The watch has noticed, and sweeps too.
    wait_until("the sweep", || !socket.exists()).await;
    drop(UnixListener::bind(&socket).unwrap());
    let other = get(&home, &server, "Ben").start();
    wait_for_socket(&folder(&home), &other).await;
    assert_eq!(sockets(&folder(&home)), [format!("{}.sock", other.id())]);
    home.quiver(["cancel", "1"]).run().await.expect(7);
    let own = format!("{}:1", other.id());
    home.quiver(["cancel", &own]).run().await.expect(0);
}

#[tokio::test]
async fn a_listing_sweeps_without_another_transfer() {
    let server = server_with_big_file().await;
    let home = Home::new();
    let mut killed = get(&home, &server, "Ann").start();
    wait_for_socket(&folder(&home), &killed).await;
    killed.signal(Signal::KILL);
    killed.wait_for_exit(TIMEOUT).await;
    assert_eq!(sockets(&folder(&home)).len(), 1);
    home.quiver(["transfers"]).run().await.expect(0);
    assert_eq!(sockets(&folder(&home)), [""; 0]);
}

#[tokio::test]
async fn a_process_that_is_stopped_delays_a_listing_and_does_not_prevent_it() {
    let server = server_with_big_file().await;
    let home = Home::new();
    let stopped = get(&home, &server, "Ann").start();
    wait_for_socket(&folder(&home), &stopped).await;
    fs::create_dir(home.file("b")).unwrap();
    let other = get(&home, &server, "Ben").arguments(["-o", "b"]).start();
    wait_for_socket(&folder(&home), &other).await;
    stopped.signal(Signal::STOP);
    let listed = home.quiver(["transfers"]).run().await;
    let note = format!("note: program {} does not show its transfers\n", stopped.id());
    assert_eq!(listed.expect(0).stderr, note);
    let count = listed.stdout.lines().filter(|row| row.ends_with("(get)")).count();
    assert_eq!(count, 1, "{listed:?}");
    stopped.signal(Signal::CONT);
}

#[tokio::test]
async fn the_folder_of_the_session_is_used_however_long_its_path_is() {
    let server = server_with_big_file().await;
    let home = Home::new();
    let session = home.root().join("s".repeat(120)).join("t".repeat(120));
    fs::create_dir_all(&session).unwrap();
    let mut process = get(&home, &server, "Ann").environment("XDG_RUNTIME_DIR", &session).start();
    let socket = wait_for_socket(&session.join("quiver"), &process).await;
    assert_eq!((mode(&socket), mode(&session.join("quiver"))), (0o600, 0o700));
    assert!(!folder(&home).exists());
    let with_session =
        |arguments: &[&str]| home.quiver(arguments).environment("XDG_RUNTIME_DIR", &session);
    let listed = with_session(&["transfers"]).run().await;
    assert!(listed.expect(0).stdout.starts_with("1: big from "), "{listed:?}");
    with_session(&["cancel", "1"]).run().await.expect(0);
    assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(130));
}

#[tokio::test]
async fn a_folder_that_others_can_access_is_refused_and_transfers_work_all_the_same() {
    let server = server_with_big_file().await;
    let home = Home::new();
    let session = home.root().join("session");
    let run = session.join("quiver");
    fs::create_dir_all(&run).unwrap();
    let private = home.root().join("private");
    fs::create_dir(&private).unwrap();
    fs::set_permissions(&private, Permissions::from_mode(0o700)).unwrap();
    for mode in [0o755, 0o777, 0o1777, 0o710] {
        fs::set_permissions(&run, Permissions::from_mode(mode)).unwrap();
        assert_refused(&home, &server, &session, "other users can access it").await;
    }
    fs::remove_dir(&run).unwrap();
    symlink(&private, &run).unwrap();
    assert_refused(&home, &server, &session, "").await;
    assert_eq!(names(&private), [""; 0]);
}

async fn assert_refused(home: &Home, server: &Server, session: &Path, why: &str) {
    let run = |arguments: &[&str]| {
        let quiver = home.quiver_as(server, "Ann", arguments);
        let quiver = quiver.environment("XDG_RUNTIME_DIR", session);
        async move { quiver.run().await }
    };
    run(&["get", "small", "--overwrite"]).await.expect(0);
    // Files with the same content would be left as they are. This one lasts long enough for a socket.
    fs::write(home.file("medium"), "older").unwrap();
    let slow = ["get", "medium", "--limit", "100KB/s", "--overwrite"];
    let logging = home.quiver_as(server, "Ann", slow).environment("XDG_RUNTIME_DIR", session);
    let logging = logging.environment("QUIVER_LOG", "debug").run().await;
    let logged = "other programs do not see the transfers of this one";
    assert!(logging.expect(0).stderr.contains(logged), "{}", logging.stderr);
    let listed = run(&["transfers"]).await;
    let note = "note: the transfers of other programs are not shown: ";
    assert!(listed.expect(0).stderr.starts_with(note), "{}", listed.stderr);
    assert!(listed.stderr.contains(why), "{}", listed.stderr);
    let paused = run(&["pause", "1"]).await;
    assert!(paused.expect(1).stderr.contains("cannot reach the other programs: "), "{paused:?}");
    assert_eq!(sockets(&session.join("quiver")), [""; 0]);
}

#[tokio::test]
async fn a_folder_of_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let server = server_with_big_file().await;
    let home = Home::new();
    let session = home.root().join("session");
    let run = session.join("quiver");
    fs::create_dir_all(&run).unwrap();
    fs::set_permissions(&run, Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(&run, Some(65_534), Some(65_534)).unwrap();
    assert_refused(&home, &server, &session, "another user owns it").await;
}
