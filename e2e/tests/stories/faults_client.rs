//! A client on kernels and file systems that lack something: what came and was verified gets its name, and a
//! warning where its time or mode does not.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use quiver_e2e::process::{Process, ProgramOutput, Signal};
use quiver_e2e::quiver::{QuiverCommand, finish};
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Faults, Home, Server, TIMEOUT, faults_available, wait_until};

const MIB: usize = 1024 * 1024;

/// A server with small and large files, some of them programs.
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

/// Gets files and a folder, new and over others, each in a run of its own; what each run said.
async fn get(faults: &[&str]) -> Vec<String> {
    get_with(|_| Faults::inject(faults)).await
}

async fn get_with(faults: impl Fn(&Home) -> Faults) -> Vec<String> {
    let (server, large) = server().await;
    let home = Home::new();
    let run = async |quiver: &QuiverCommand| {
        finish(Process::start(&mut faults(&home).wrap(&quiver.command()))).await
    };
    let mut said = Vec::new();
    for arguments in [
        &["get", "small", "large"][..],
        &["get", "-r", "notes"],
        &["get", "small", "large", "--overwrite"],
    ] {
        let quiver = home.quiver_as(&server, "Ron", [""; 0]).arguments(arguments);
        let finished = run(&quiver).await;
        finished.expect(0);
        said.push(finished.stderr);
    }
    // Names that are taken stay taken.
    fs::write(home.file("small"), "mine").unwrap();
    let quiver = home.quiver_as(&server, "Ron", ["get", "small"]);
    run(&quiver).await.expect(8);
    assert_eq!(fs::read(home.file("small")).unwrap(), b"mine");
    assert!(fs::read(home.file("large")).unwrap() == large);
    assert_eq!(fs::read(home.file("notes/a")).unwrap(), b"content");
    assert!(fs::read(home.file("notes/large")).unwrap() == large);
    assert_eq!(home.names(), ["large", "notes", "small"], "no part is left");
    assert!(home.journal().is_empty(), "{:?}", home.journal());
    said
}

fn has_no_warning(said: &[String]) {
    assert!(!said.iter().any(|said| said.contains("warning")), "{said:?}");
}

#[tokio::test]
async fn files_arrive_where_no_rename_and_no_link_refuses_a_taken_name() {
    if !faults_available() {
        return;
    }
    has_no_warning(&get(&["renameat2:error=EINVAL", "linkat:error=EIO"]).await);
    has_no_warning(&get(&["renameat2:error=EPERM", "linkat:error=EPERM"]).await);
}

#[tokio::test]
async fn files_arrive_where_times_and_modes_cannot_be_set() {
    if !faults_available() {
        return;
    }
    for error in ["EPERM", "EINVAL", "EOPNOTSUPP"] {
        let faults = ["utimensat", "fchmod"].map(|call| format!("{call}:error={error}"));
        let said = get(&faults.each_ref().map(String::as_str)).await;
        for said in said {
            assert_eq!(said.matches("warning: stored ").count(), 1, "one a run: {said}");
            assert!(said.contains("could not set its time ("), "{said}");
        }
    }
    // A folder's time alone is warned of too.
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
async fn files_arrive_where_folders_cannot_be_flushed() {
    if !faults_available() {
        return;
    }
    for error in ["EINVAL", "EBADF", "EOPNOTSUPP", "ENOSYS"] {
        let fault = format!("fsync:error={error}");
        let folders = |home: &Home| {
            Faults::inject(&[&fault]).on_handle(home.folder()).on_handle(home.file("notes"))
        };
        has_no_warning(&get_with(folders).await);
    }
    let (server, _) = server().await;
    let home = Home::new();
    // The client's key is made.
    home.quiver_as(&server, "Ron", ["list"]).run().await.expect(0);
    for arguments in [&["get", "small"][..], &["get", "large"], &["get", "-r", "notes"]] {
        let quiver = home.quiver_as(&server, "Ron", [""; 0]).arguments(arguments);
        let failed = run(&quiver, &["fsync:error=EIO"]).await;
        assert!(failed.stderr.contains("Input/output error"), "{}", failed.stderr);
        assert_ne!(failed.code(), 0);
    }
}

#[tokio::test]
async fn files_arrive_where_free_space_is_unknown() {
    if !faults_available() {
        return;
    }
    has_no_warning(&get(&["fstatfs:error=ENOSYS"]).await);
}

#[tokio::test]
async fn a_broken_off_get_goes_on_where_nothing_can_be_locked() {
    if !faults_available() {
        return;
    }
    let server = Server::start().await;
    let content = Random::new(44).bytes(16 * MIB);
    server.add_file("big", &content);
    for error in ["ENOLCK", "ENOSYS", "EOPNOTSUPP"] {
        let faults = format!("flock:error={error}");
        has_no_warning(&get(&[&faults]).await);
        let home = Home::new();
        let path = UdpRelay::start(server.address()).await;
        path.limit_rate(8 * MIB as u64);
        let quiver = home.quiver(["--name", "Ron", "get", "big"]);
        let quiver = quiver.server(path.address(), &server.certificate());
        let mut process = Process::start(&mut Faults::inject(&[&faults]).wrap(&quiver.command()));
        wait_until("some of the content", || home.partial_length() > 2 * MIB as u64).await;
        // Another run neither takes what the first has, nor removes it.
        let transfers = run(&home.quiver(["transfers"]), &[&faults]).await;
        assert!(transfers.expect(0).stdout.contains(", running"), "{}", transfers.stdout);
        run(&home.quiver(["transfers", "--clean"]), &[&faults]).await.expect(0);
        process.signal(Signal::INT);
        assert_eq!(process.wait_for_exit(TIMEOUT).await.code(), Some(130));
        assert!(home.partial_length() > 0);
        path.limit_rate(u64::MAX);
        let finished = run(&home.quiver_as(&server, "Ron", ["get", "big"]), &[&faults]).await;
        assert!(finished.expect(0).stderr.contains("big: resuming at "), "{}", finished.stderr);
        assert!(fs::read(home.file("big")).unwrap() == content);
        assert_eq!(home.names(), ["big"]);
        assert!(home.journal().is_empty());
    }
}

#[tokio::test]
async fn without_any_lock_a_get_starts_over_and_shares_nothing() {
    if !faults_available() {
        return;
    }
    // Neither the file system's, nor one of the kernel's names.
    let faults = ["flock:error=ENOLCK", "bind:error=EACCES:when=2+"];
    has_no_warning(&get(&faults).await);
}
