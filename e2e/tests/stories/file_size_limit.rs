//! A file size limit of the process (ulimit -f) at the client or the server: the transfer fails
//! with a clear error instead of a crash, and leaves the existing file unchanged.

use std::fs;
use std::process::Command;

use quiver_e2e::process::{Process, ProgramOutput};
use quiver_e2e::quiver::finish;
use quiver_e2e::random::Random;
use quiver_e2e::{Home, Server};

const MIB: usize = 1024 * 1024;

/// Runs `quiver` with a file size limit in bytes.
async fn run_with_limit(
    home: &Home,
    server: &Server,
    limit: usize,
    arguments: &[&str],
) -> ProgramOutput {
    let quiver = home.quiver_as(server, "Ron", arguments).command();
    let mut command = Command::new("prlimit");
    command.arg(format!("--fsize={limit}")).arg(quiver.get_program()).args(quiver.get_args());
    command.current_dir(home.folder());
    for (name, value) in quiver.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    finish(Process::start(&mut command)).await
}

#[tokio::test]
async fn a_get_above_the_clients_file_size_limit_fails_and_can_resume() {
    let server = Server::start().await;
    let content = Random::new(51).bytes(2 * MIB + 1);
    server.add_file("big", &content);
    for limit in [MIB, 2 * MIB] {
        let home = Home::new();
        fs::write(home.file("big"), "older").unwrap();
        let arguments = ["get", "big", "--overwrite"];
        let failed = run_with_limit(&home, &server, limit, &arguments).await;
        assert_eq!(failed.code(), 8, "{limit}: {}", failed.stderr);
        let error = "error: cannot store big: File too large\n";
        assert!(failed.stderr.starts_with(error), "{limit}: {}", failed.stderr);
        assert_eq!(fs::read_to_string(home.file("big")).unwrap(), "older", "{limit}");

        // With a higher limit, the client resumes the partial file.
        let resumed = run_with_limit(&home, &server, content.len(), &arguments).await;
        assert!(resumed.expect(0).stderr.starts_with("big: resuming at "), "{}", resumed.stderr);
        assert!(fs::read(home.file("big")).unwrap() == content, "{limit}");
        assert_eq!(home.names(), ["big"], "{limit}");
    }
}

#[tokio::test]
async fn a_server_refuses_a_put_above_its_file_size_limit_and_keeps_running() {
    let server = Server::options().argument("--allow-upload").start().await;
    let home = Home::new();
    let content = Random::new(52).bytes(2 * MIB);
    fs::write(home.file("fits"), &content).unwrap();
    fs::write(home.file("big"), [&content[..], b"x"].concat()).unwrap();
    server.add_file("big", "older");
    server.limit_file_size(2 * MIB as u64);
    let refused = home.quiver_as(&server, "Ron", ["put", "big", "--overwrite"]).run().await;
    refused.expect(1);
    assert!(refused.stderr.starts_with("error: cannot put big: "), "{}", refused.stderr);
    let error = "takes no file as large as this";
    assert!(refused.stderr.contains(error), "{}", refused.stderr);
    assert_eq!(fs::read_to_string(server.files().join("big")).unwrap(), "older");
    home.quiver_as(&server, "Ron", ["put", "fits"]).run().await.expect(0);
    assert!(fs::read(server.files().join("fits")).unwrap() == content);
    assert_eq!(server.stored_names(), ["big", "fits"]);
}
