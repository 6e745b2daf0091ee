//! A client on kernels and file systems that lack a system call: it stores what it has received and
//! verified, and warns if it cannot set a time or mode.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use quiver_e2e::process::{Process, ProgramOutput, Signal};
use quiver_e2e::quiver::{QuiverCommand, finish};
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Faults, Home, Server, TIMEOUT, faults_available, wait_until};

const MIB: usize = 1024 * 1024;

/// A server with small and large files, some of them executable.
async fn server() -> (Server, Vec<u8>) {
    let server = Server::start().await;
    let large = Random::new(43).bytes(3 * MIB);
    server.add_file("small", "content");
    for (path, content) in [("notes/a", &b"content"[..]), ("notes/b", b""), ("notes/large", &large)]
    {
        let path = server.add_file(path, content);
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    server.add_file("large", &large);
    (server, large)
}

async fn run(quiver: &QuiverCommand, faults: &[&str]) -> ProgramOutput {
    finish(Process::start(&mut Faults::inject(faults).wrap(&quiver.command()))).await
}

/// Gets files and a folder, new and over existing ones, in three runs with faults, and returns the
/// standard error of each run.
async fn get(faults: &[&str]) -> Vec<String> {
    get_with(faults, |_, faults| faults).await
}

/// Like [`get`], with faults only in some calls. Fails if a system call never met its fault.
async fn get_with(faults: &[&str], restrict: impl Fn(&Home, Faults) -> Faults) -> Vec<String> {
    let (server, large) = server().await;
    let home = Home::new();
    let trace = home.root().join("trace");
    let mut injected = String::new();
    let mut run = async |quiver: &QuiverCommand| {
        let faults = restrict(&home, Faults::inject(faults)).log_to(&trace);
        let finished = finish(Process::start(&mut faults.wrap(&quiver.command()))).await;
        let calls = fs::read_to_string(&trace).unwrap();
        injected.extend(calls.lines().filter(|line| line.contains("INJECTED")));
        finished
    };
    let mut outputs = Vec::new();
    for arguments in [
        &["get", "small", "large"][..],
        &["get", "-r", "notes"],
        &["get", "small", "large", "--overwrite"],
    ] {
        // Files with the same content would be left as they are.
        for name in ["small", "large"].iter().filter(|name| home.file(name).exists()) {
            fs::write(home.file(name), "older").unwrap();
        }
        let quiver = home.quiver_as(&server, "Ron", [""; 0]).arguments(arguments);
        let finished = run(&quiver).await;
        finished.expect(0);
        outputs.push(finished.stderr);
    }
    // The client still refuses to replace a file without --overwrite.
    fs::write(home.file("small"), "mine").unwrap();
    let quiver = home.quiver_as(&server, "Ron", ["get", "small"]);
    run(&quiver).await.expect(1);
    assert_eq!(fs::read(home.file("small")).unwrap(), b"mine");
    assert!(fs::read(home.file("large")).unwrap() == large);
    assert_eq!(fs::read(home.file("notes/a")).unwrap(), b"content");
    assert!(fs::read(home.file("notes/large")).unwrap() == large);
    assert_eq!(home.names(), ["large", "notes", "small"], "a partial file is left");
    assert!(home.journal().is_empty(), "{:?}", home.journal());
    for fault in faults {
        let call = fault.split(':').next().unwrap();
        assert!(injected.contains(call), "no call met {fault}");
    }
    outputs
}

fn expect_no_warning(outputs: &[String]) {
    assert!(!outputs.iter().any(|output| output.contains("warning")), "{outputs:?}");
}

#[tokio::test]
async fn the_client_stores_files_without_exclusive_renames_and_links() {
    if !faults_available() {
        return;
    }
    expect_no_warning(&get(&["renameat2:error=EINVAL", "linkat:error=EIO"]).await);
    expect_no_warning(&get(&["renameat2:error=EPERM", "linkat:error=EPERM"]).await);
}

#[tokio::test]
async fn the_client_warns_if_it_cannot_set_times_and_modes() {
    if !faults_available() {
        return;
    }
    for error in ["EPERM", "EINVAL", "EOPNOTSUPP"] {
        let faults = ["utimensat", "fchmod"].map(|call| format!("{call}:error={error}"));
        for output in get(&faults.each_ref().map(String::as_str)).await {
            assert_eq!(output.matches("warning: stored ").count(), 1, "one per run: {output}");
            assert!(output.contains("could not set its time ("), "{output}");
        }
    }
    // The client also warns if only the time of a folder cannot be set.
    let (server, _) = server().await;
    let home = Home::new();
    fs::create_dir_all(home.file("notes")).unwrap();
    let quiver = home.quiver_as(&server, "Ron", ["get", "-r", "notes"]);
    let faults = Faults::inject(&["utimensat:error=EPERM"]).on_name("notes");
    let finished = finish(Process::start(&mut faults.wrap(&quiver.command()))).await;
    let warning = "warning: stored notes, but could not set its time (Operation not permitted)";
    assert!(finished.expect(0).stderr.contains(warning), "{}", finished.stderr);
}

#[tokio::test]
async fn the_client_stores_files_if_folders_cannot_be_flushed() {
    if !faults_available() {
        return;
    }
    for error in ["EINVAL", "EBADF", "EOPNOTSUPP", "ENOSYS"] {
        let fault = format!("fsync:error={error}");
        let only_folders = |home: &Home, faults: Faults| {
            faults.on_handle(home.folder()).on_handle(home.file("notes"))
        };
        expect_no_warning(&get_with(&[&fault], only_folders).await);
    }
    let (server, _) = server().await;
    let home = Home::new();
    // Creates the client's key.
    home.quiver_as(&server, "Ron", ["list"]).run().await.expect(0);
    for arguments in [&["get", "small"][..], &["get", "large"], &["get", "-r", "notes"]] {
        let quiver = home.quiver_as(&server, "Ron", [""; 0]).arguments(arguments);
        let failed = run(&quiver, &["fsync:error=EIO"]).await;
        assert!(failed.stderr.contains("Input/output error"), "{}", failed.stderr);
        assert_ne!(failed.code(), 0);
    }
}

#[tokio::test]
async fn the_client_stores_files_if_the_free_space_is_unknown() {
    if !faults_available() {
        return;
    }
    expect_no_warning(&get(&["fstatfs:error=ENOSYS"]).await);
}

#[tokio::test]
async fn the_client_resumes_a_get_without_file_locks() {
    if !faults_available() {
        return;
    }
    let server = Server::start().await;
    let content = Random::new(44).bytes(16 * MIB);
    server.add_file("big", &content);
    for error in ["ENOLCK", "ENOSYS", "EOPNOTSUPP"] {
        let faults = format!("flock:error={error}");
        expect_no_warning(&get(&[&faults]).await);
        let home = Home::new();
        let relay = UdpRelay::start(server.address()).await;
        relay.limit_rate(8 * MIB as u64);
        let quiver = home.quiver(["--name", "Ron", "get", "big"]);
        let quiver = quiver.server(relay.address(), &server.certificate());
        let mut process = Process::start(&mut Faults::inject(&[&faults]).wrap(&quiver.command()));
        wait_until("some of the content", || home.partial_length() > 2 * MIB as u64).await;
        // Another process neither resumes nor removes the running transfer.
        let transfers = run(&home.quiver(["transfers"]), &[&faults]).await;
        assert!(transfers.expect(0).stdout.contains("  running  "), "{}", transfers.stdout);
        run(&home.quiver(["transfers", "--clean"]), &[&faults]).await.expect(0);
        process.signal(Signal::INT);
        assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(130));
        assert!(home.partial_length() > 0);
        relay.limit_rate(u64::MAX);
        let finished = run(&home.quiver_as(&server, "Ron", ["get", "big"]), &[&faults]).await;
        assert!(finished.expect(0).stderr.contains("big: resuming at "), "{}", finished.stderr);
        assert!(fs::read(home.file("big")).unwrap() == content);
        assert_eq!(home.names(), ["big"]);
        assert!(home.journal().is_empty());
    }
}

#[tokio::test]
async fn the_client_stores_files_if_locks_by_socket_name_fail_too() {
    if !faults_available() {
        return;
    }
    // strace counts the calls of each thread: the first bind of a thread succeeds, as the QUIC
    // socket needs, and with it a thread's first lock.
    expect_no_warning(&get(&["flock:error=ENOLCK", "bind:error=EACCES:when=2+"]).await);
}
