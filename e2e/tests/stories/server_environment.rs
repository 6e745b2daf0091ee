//! A server and its environment: hangups, a certificate's validity, a machine without IPv6.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use quiver_e2e::fault::{Faults, faults_available};
use quiver_e2e::process::{Process, Signal};
use quiver_e2e::quiver::finish;
use quiver_e2e::sockets::{SocketKind, listen_address};
use quiver_e2e::{Client, Home, Server, TIMEOUT, binary, wait_until, wait_within};
use rcgen::{CertificateParams, KeyPair};

const DAY: u64 = 24 * 3600;

/// Starts a server with SIGHUP ignored, as `nohup` does.
const IGNORE_HANGUP: &str = "trap '' HUP; exec \"$@\"";

#[tokio::test]
async fn a_hangup_stops_a_server_as_sigterm_does() {
    let mut server = Server::start().await;
    server.add_file("big", vec![7; 32 * 1024 * 1024]);
    let client = Client::member(&server, "Ron").await;
    let mut download = client.get("big").await.unwrap();
    download.read_at_least(1).await;
    server.signal(Signal::HUP);
    server.log().wait_for("stopping: running transfers may end").await;
    // A terminal that closes may send SIGHUP twice: the second does not shorten the grace.
    server.signal(Signal::HUP);
    download.finish().await.unwrap().acknowledge().await;
    assert!(server.wait_for_exit(TIMEOUT).await.success());
    server.log().wait_for("delivered big").await;
    assert_eq!(server.log().count("stopping at once"), 0);
    assert_eq!(server.log().entries().last().unwrap().message, "stopped");
}

#[tokio::test]
async fn a_server_that_is_started_with_hangups_ignored_ignores_them() {
    let home = Home::new();
    fs::create_dir(home.file("files")).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", IGNORE_HANGUP, "sh"]).arg(binary::server());
    command.args(["--listen", "127.0.0.1:0"]).current_dir(home.folder());
    let mut server = Process::start(&mut command);
    let listening = server.stderr.wait(|line| line.contains("listening on").then_some(()));
    wait_within(TIMEOUT, "the server to listen", listening).await.unwrap();
    server.signal(Signal::HUP);
    // The kernel delivers signals in any order: SIGTERM is sent when SIGHUP is not pending any
    // more.
    wait_until("the hangup to be delivered", || {
        let status = fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
        let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:")).unwrap();
        pending.trim() == "0000000000000000"
    })
    .await;
    assert!(listen_address(server.id(), SocketKind::Udp).is_some());
    let stderr = server.stderr.lines();
    assert!(!stderr.iter().any(|line| line.contains("stopping")), "{stderr:?}");
    server.signal(Signal::TERM);
    assert!(server.wait_for_exit(TIMEOUT).await.success());
}

/// Creates a certificate in a server's folder, valid between two moments in seconds relative to
/// now.
fn create_certificate(folder: &Path, from: i64, until: i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    // rcgen does not export its type for moments, only this function that returns it.
    let moment = |seconds: i64| {
        rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs((now + seconds).cast_unsigned())
    };
    parameters.not_before = moment(from);
    parameters.not_after = moment(until);
    let pem = parameters.self_signed(&key).unwrap().pem();
    let certs = folder.join("certs");
    fs::create_dir(&certs).unwrap();
    fs::write(certs.join("server.pem"), pem).unwrap();
    fs::write(certs.join("server.key"), key.serialize_pem()).unwrap();
    fs::set_permissions(certs.join("server.key"), Permissions::from_mode(0o600)).unwrap();
}

#[tokio::test]
async fn a_server_warns_about_a_certificate_that_is_invalid_or_expires_soon() {
    let day = DAY.cast_signed();
    let warning = "the certificate ";
    for (from, until, expected) in [
        (-10 * day, -day, Some("the certificate expired on 20")),
        (day, 10 * day, Some("the certificate is not valid before 20")),
        (-day, 10 * day + 60, Some("the certificate expires in 10 days, on 20")),
        (-day, 20 * day, None),
    ] {
        let prepare = |folder: &Path| create_certificate(folder, from, until);
        let mut server = Server::options().start_with_folder(prepare).await;
        if let Some(expected) = expected {
            assert_eq!(server.log().wait_for(warning).await.level, "WARN");
            server.log().wait_for(expected).await;
        }
        server.signal(Signal::TERM);
        assert!(server.wait_for_exit(TIMEOUT).await.success());
        assert_eq!(server.log().count(warning), usize::from(expected.is_some()));
    }
}

/// Makes the creation of the first socket, which is an IPv6 socket, fail.
fn first_socket_fault() -> Faults {
    Faults::inject(&["socket:error=EAFNOSUPPORT:when=1"])
}

/// A command line that runs a server without IPv6, in its own network namespace, where the default
/// port is free.
fn server_without_ipv6(home: &Home) -> Command {
    let server = first_socket_fault().wrap(&Command::new(binary::server()));
    let mut command = Command::new("unshare");
    command.args(if quiver_e2e::server::is_root() {
        &["--net"][..]
    } else {
        &["--net", "--map-root-user"]
    });
    command.arg("--").arg(server.get_program()).args(server.get_args());
    fs::create_dir_all(home.file("files")).unwrap();
    command.current_dir(home.folder());
    command
}

#[tokio::test]
async fn a_server_without_ipv6_listens_on_ipv4_by_default() {
    // Network namespaces take the same permissions as small disks.
    if !faults_available() || !quiver_e2e::disk::small_disks_available() {
        return;
    }
    let home = Home::new();
    let mut server = Process::start(&mut server_without_ipv6(&home));
    let mut lines = Vec::new();
    let listening = server.stderr.wait(|line| {
        lines.push(line.to_owned());
        line.contains("listening on 0.0.0.0:4433").then_some(())
    });
    wait_within(TIMEOUT, "the server to listen", listening).await.unwrap();
    let warning = "WARN no IPv6 on this machine: listening on IPv4 alone";
    assert!(lines.iter().any(|line| line.contains(warning)), "{lines:?}");
    server.signal(Signal::TERM);
    assert!(server.wait_for_exit(TIMEOUT).await.success());

    // An address that the operator gave is not replaced.
    let mut explicit = server_without_ipv6(&home);
    explicit.args(["--listen", "[::]:4433"]);
    let refused = finish(Process::start(&mut explicit)).await;
    assert_eq!(refused.code(), 1);
    let error = "error: cannot listen on [::]:4433: Address family not supported by protocol";
    assert!(refused.stderr.contains(error), "{}", refused.stderr);
    assert!(refused.stderr.contains("0.0.0.0:4433"), "{}", refused.stderr);
}

#[tokio::test]
async fn a_client_without_ipv6_connects_over_ipv4() {
    if !faults_available() {
        return;
    }
    let server = Server::start().await;
    let home = Home::new();
    let quiver = home.quiver_as(&server, "Ron", ["message", "Hello"]).command();
    let mut command = first_socket_fault().log_to(home.file("trace")).wrap(&quiver);
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let finished = finish(Process::start_with_stdio(&mut command)).await;
    assert_eq!(finished.expect(0).stdout, "Hello ACK\n");
    let trace = fs::read_to_string(home.file("trace")).unwrap();
    assert!(trace.contains("AF_INET6") && trace.contains("INJECTED"), "{trace}");
}
