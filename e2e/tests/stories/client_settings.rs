//! The client's settings, commands from a pipe, and output that needs no server.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use std::fs;

use quiver_e2e::quiver::QuiverCommand;
use quiver_e2e::{Home, Server};

fn configure(home: &Home, text: &str) {
    fs::create_dir_all(home.config().parent().unwrap()).unwrap();
    fs::write(home.config(), text).unwrap();
}

/// The text of a configuration file with the server and this name.
fn configuration(server: &Server, name: &str) -> String {
    let (address, certificate) = (server.address(), server.certificate());
    format!("server = \"{address}\"\ncert = \"{}\"\nname = \"{name}\"\n", certificate.display())
}

/// Runs `quiver status`, and returns the name that the client signed in with.
async fn signed_in_name(quiver: &QuiverCommand) -> String {
    let finished = quiver.run().await;
    let row = finished.expect(0).stdout.lines().last().unwrap().to_owned();
    let name = row.split_once(": ").unwrap().1;
    name.split_once(" - Start: ").unwrap().0.to_owned()
}

#[tokio::test]
async fn flags_override_the_environment_which_overrides_the_file() {
    let server = Server::start().await;
    let home = Home::new();
    configure(&home, &configuration(&server, "File"));
    assert_eq!(signed_in_name(&home.quiver(["status"])).await, "File");
    let by_environment = home.quiver(["status"]).environment("QUIVER_NAME", "Variable");
    assert_eq!(signed_in_name(&by_environment).await, "Variable");
    let by_flag = home.quiver(["status", "--name", "Flag"]).environment("QUIVER_NAME", "Variable");
    assert_eq!(signed_in_name(&by_flag).await, "Flag");
    // An empty variable counts as absent.
    let empty = home.quiver(["status"]).environment("QUIVER_NAME", "");
    assert_eq!(signed_in_name(&empty).await, "File");

    let nowhere = Home::new();
    configure(&nowhere, "server = \"localhost:1\"\ncert = \"missing.pem\"\nname = \"File\"\n");
    let variables = nowhere
        .quiver(["status"])
        .environment("QUIVER_SERVER", server.address().to_string())
        .environment("QUIVER_CERT", server.certificate())
        .environment("QUIVER_NAME", "Variable");
    assert_eq!(signed_in_name(&variables).await, "Variable");
    let flags =
        nowhere.quiver_as(&server, "Flag", ["status"]).environment("QUIVER_SERVER", "localhost:1");
    assert_eq!(signed_in_name(&flags).await, "Flag");
}

#[tokio::test]
async fn paths_in_the_configuration_are_relative_to_its_folder() {
    let server = Server::start().await;
    let home = Home::new();
    configure(&home, &format!("server = \"{}\"\ncert = \"mine.pem\"\n", server.address()));
    fs::copy(server.certificate(), home.config().with_file_name("mine.pem")).unwrap();
    assert_eq!(signed_in_name(&home.quiver(["--name", "Ron", "status"])).await, "Ron");
}

#[tokio::test]
async fn the_client_names_an_invalid_setting() {
    let home = Home::new();
    let file = home.config().display().to_string();
    for (text, place, why) in [
        (
            "server = \"localhost\"\nport = 4433\n",
            format!("{file}, line 2: "),
            "unknown field `port`",
        ),
        ("name = \n", format!("{file}, line 1: "), "string values must be quoted"),
        ("\nname = 7\n", format!("{file}, line 2: "), "expected a string"),
        ("name = \"../x\"\n", format!("{file}: name: "), "a name has "),
        (
            "server = \"a:b:c\"\n",
            format!("{file}: server: "),
            "\"a:b:c\" is not a host name or an address",
        ),
    ] {
        configure(&home, text);
        let finished = home.quiver(["status"]).run().await;
        finished.expect(2);
        let error = format!("error: {place}");
        let reason = finished.stderr.strip_prefix(&error).unwrap_or_default();
        assert!(reason.contains(why), "{text:?}: {}", finished.stderr);
    }
    fs::remove_file(home.config()).unwrap();
    for (variable, value) in [("QUIVER_NAME", "a b"), ("QUIVER_SERVER", "host:99999")] {
        let finished = home.quiver(["status"]).environment(variable, value).run().await;
        finished.expect(2);
        assert!(finished.stderr.starts_with(&format!("error: {variable}")), "{}", finished.stderr);
    }
    for (arguments, named) in [
        (&["--name", "a b", "status"][..], "--name"),
        (&["--server", "", "status"], "--server"),
        (&["--timeout", "0", "status"], "--timeout"),
        (&["dance"], "dance"),
        (&["--password", "x", "status"], "--password"),
    ] {
        let finished = home.quiver(arguments).run().await;
        let error = finished.expect(2).stderr.lines().next().unwrap_or_default();
        assert!(error.starts_with("error: ") && error.contains(named), "{}", finished.stderr);
    }
}

#[tokio::test]
async fn the_client_runs_each_line_of_a_pipe_as_a_command() {
    let server = Server::start().await;
    server.add_file("with space.txt", "content");
    let home = Home::new();
    let lines = "Hello\n\n  LIST\nget \"with space.txt\"\n/say exit\nstatus --json\nEXIT\nnever\n";
    let finished = home.quiver_as(&server, "Ron", [""; 0]).run_with_input(lines).await;
    let stdout: Vec<&str> = finished.expect(0).stdout.lines().collect();
    assert_eq!(stdout[..3], ["Hello ACK", "with space.txt", "exit ACK"]);
    let row: serde_json::Value = serde_json::from_str(stdout[3]).unwrap();
    assert_eq!(row["name"], "Ron");
    assert_eq!(stdout.len(), 4, "{stdout:?}");
    assert_eq!(
        finished.stderr,
        "Connected to server.\nConnected to the server successfully.\n\
         with space.txt: 7 B received and verified\n\
         Closing connection to server...\nConnection closed.\n"
    );
    assert_eq!(home.names(), ["with space.txt"]);
    let quiet = home.quiver_as(&server, "Ron", ["--quiet"]).run_with_input("Hello").await;
    assert_eq!((quiet.expect(0).stdout.as_str(), quiet.stderr.as_str()), ("Hello ACK\n", ""));
    let nothing = home.quiver_as(&server, "Ron", ["--quiet"]).run_with_input("").await;
    assert_eq!((nothing.expect(0).stdout.as_str(), nothing.stderr.as_str()), ("", ""));
}

#[tokio::test]
async fn the_exit_code_is_that_of_the_first_failed_line() {
    let server = Server::start().await;
    server.add_file("a", "content");
    let home = Home::new();
    fs::write(home.file("a"), "old").unwrap();
    let lines = "get missing\nget a\nlist a b\nHello\n";
    let finished = home.quiver_as(&server, "Ron", [""; 0]).run_with_input(lines).await;
    assert_eq!(finished.expect(7).stdout, "Hello ACK\n", "a failed line stopped the others");
    assert_eq!(finished.stderr.matches("error: ").count(), 3, "{}", finished.stderr);
    let finished =
        home.quiver_as(&server, "Ron", [""; 0]).run_with_input("get a\nget missing\n").await;
    finished.expect(1);
    let finished =
        home.quiver_as(&server, "Ron", [""; 0]).run_with_input("get\nget missing\n").await;
    finished.expect(2);
    assert_eq!(fs::read_to_string(home.file("a")).unwrap(), "old");
}

#[tokio::test]
async fn completions_manual_and_help_need_no_server() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.quiver(["completions", shell]).run().await;
        // The scripts of the first three ask the program for words.
        let words = match shell {
            "bash" | "zsh" | "fish" => &["command quiver --"][..],
            _ => &["quiver", "status", "message", "overwrite"],
        };
        for word in words {
            assert!(script.expect(0).stdout.contains(word), "{shell}: {word}");
        }
        assert_eq!(script.stderr, "");
    }
    let page = home.quiver(["man"]).run().await;
    assert!(page.expect(0).stdout.contains(".TH quiver 1"), "{:.300}", page.stdout);
    for text in ["quiver\\-status", "quiver\\-get", "QUIVER_SERVER", "EXIT STATUS"] {
        assert!(page.stdout.contains(text), "{text}");
    }
    let help = home.quiver(["--help"]).run().await;
    assert!(help.expect(0).stdout.contains("Exit codes:\n    0  done\n"));
    let version = home.quiver(["--version"]).run().await;
    assert!(version.expect(0).stdout.starts_with("quiver "));
    // The client created no key.
    assert_eq!(fs::read_dir(home.root().join("data")).unwrap().count(), 0);
}

#[tokio::test]
async fn the_client_reports_an_unreachable_server_in_bounded_time() {
    let home = Home::new();
    // A bound socket that no process reads: no packet is answered or rejected.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let start = std::time::Instant::now();
    let pem = home.root().join("server.pem");
    fs::write(&pem, quiver_e2e::fake_server::Certificate::new().pem).unwrap();
    let finished = home.quiver(["--name", "Ron", "status"]).server(address, &pem).run().await;
    finished.expect(3);
    assert!(start.elapsed().as_secs() < 15, "{:?}", start.elapsed());
    assert!(finished.stderr.starts_with(&format!("error: cannot connect to {address}: ")));
    assert!(finished.stderr.contains("\nhint: check that the server runs"), "{}", finished.stderr);
}
