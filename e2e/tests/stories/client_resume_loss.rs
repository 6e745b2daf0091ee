//! A network that goes and comes while a get runs: the client goes on by itself, or says how to.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::time::{Duration, Instant};

use quiver_e2e::deadline::wait_within;
use quiver_e2e::process::{Process, Signal};
use quiver_e2e::random::Random;
use quiver_e2e::udp_relay::UdpRelay;
use quiver_e2e::{Home, Server, TIMEOUT, wait_until};
use tokio::time::sleep;

const MIB: u64 = 1024 * 1024;
const SIZE: u64 = 16 * MIB;

/// A get of `big` over a path, in the middle of it.
struct Begun {
    server: Server,
    path: UdpRelay,
    home: Home,
    content: Vec<u8>,
    process: Process,
}

async fn begun(server: Server, arguments: &[&str]) -> Begun {
    let content = Random::new(7).bytes(SIZE as usize);
    server.add_file("big", &content);
    let path = UdpRelay::start(server.address()).await;
    path.limit_rate(6 * MIB);
    let home = Home::new();
    let quiver = home.quiver(["--name", "Ron", "get", "big"]).arguments(arguments);
    let process = quiver.server(path.address(), &server.certificate()).start();
    wait_until("some of the content", || home.partial_length() > MIB).await;
    Begun { server, path, home, content, process }
}

impl Begun {
    /// It comes to a good end; what was said meanwhile.
    async fn arrives(&mut self) -> String {
        let status = self.process.wait_for_exit(2 * TIMEOUT).await;
        let said = self.process.stderr.lines().join("\n");
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(fs::read(self.home.file("big")).unwrap() == self.content, "another content");
        assert_eq!(self.home.names(), ["big"]);
        assert!(self.home.journal().is_empty());
        said
    }
}

#[tokio::test]
async fn five_seconds_without_a_network_are_survived() {
    let mut get = begun(Server::start().await, &[]).await;
    get.path.cut();
    sleep(Duration::from_secs(5)).await;
    get.path.restore();
    let said = get.arrives().await;
    assert!(!said.contains("connection lost"), "{said}");
    assert_eq!(get.server.log().count("connection from"), 1);
}

/// Slow: longer than a connection lives without a sign of life.
#[tokio::test]
async fn thirty_seconds_without_a_network_are_survived() {
    let mut get = begun(Server::start().await, &[]).await;
    get.path.cut();
    sleep(Duration::from_secs(30)).await;
    get.path.restore();
    let said = get.arrives().await;
    let lost = "connection lost (no sign of life): trying again for 60 s";
    assert_eq!(said.matches(lost).count(), 1, "{said}");
    assert!(said.contains("\nbig: resuming at "), "{said}");
}

#[tokio::test]
async fn another_address_in_the_middle_goes_unnoticed() {
    let mut get = begun(Server::start().await, &[]).await;
    get.path.rebind();
    let said = get.arrives().await;
    assert!(!said.contains("connection lost"), "{said}");
    assert_eq!(get.server.log().count("connection from"), 1);
}

#[tokio::test]
async fn a_server_that_stops_and_starts_again_is_found_with_the_password_of_this_run() {
    let server = Server::options().account("Ron", "a secret").start().await;
    let secrets = tempfile::tempdir().unwrap();
    let file = secrets.path().join("password");
    fs::write(&file, "a secret\n").unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut get = begun(server, &["--password-file", file.to_str().unwrap()]).await;
    fs::remove_file(&file).unwrap();
    // Two signals: what runs gets no time to end.
    get.server.signal(Signal::TERM);
    get.server.log().wait_for("stopping: running transfers may end").await;
    get.server.signal(Signal::TERM);
    get.server.log().wait_for("not delivered: big").await;
    // What is on its way over the slow path has to come out at its end before that leads elsewhere.
    let told = get.process.stderr.wait(|line| line.contains("connection lost").then_some(()));
    wait_within(TIMEOUT, "the client's word", told).await;
    get.server.restart_at_new_port().await;
    get.path.redirect_to(get.server.address());
    let said = get.arrives().await;
    assert!(said.contains("connection lost (shutting down): trying again for 60 s"), "{said}");
}

#[tokio::test]
async fn a_server_with_another_key_is_not_waited_for() {
    let mut get = begun(Server::start().await, &[]).await;
    let other = Server::start().await;
    other.add_file("big", &get.content);
    get.path.redirect_to(other.address());
    get.server.signal(Signal::KILL);
    let began = Instant::now();
    let status = get.process.wait_for_exit(TIMEOUT).await;
    let said = get.process.stderr.lines().join("\n");
    assert_eq!(status.code(), Some(4), "{said}");
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    assert!(get.home.partial_length() > 0);
    assert_eq!(get.home.names().len(), 1);
    assert_eq!(other.log().count("Ron"), 0, "nothing was said to it");
    get.server.wait_for_exit(TIMEOUT).await;
}

#[tokio::test]
async fn patience_that_runs_out_leaves_a_part_and_says_how_to_go_on() {
    let mut get = begun(Server::start().await, &["--patience", "3"]).await;
    get.path.cut();
    let status = get.process.wait_for_exit(TIMEOUT).await;
    let said = get.process.stderr.lines().join("\n");
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.contains("connection lost (no sign of life): trying again for 3 s"), "{said}");
    let share = get.home.partial_length() * 100 / SIZE;
    let end = format!(
        "error: cannot get big: connection lost: no sign of life\n\
         hint: the same command, or quiver resume, continues at {share} %"
    );
    assert!(said.ends_with(&end), "{said}");
    assert_eq!(get.home.names().len(), 1);
    assert_eq!(get.home.journal().len(), 1);
}
