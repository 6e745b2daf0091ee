//! What a person is shown of texts and names that others gave: not at any length, and nothing that drives a terminal,
//! be it a server's remark or a name on this disk.

use std::fs;

use quiver_e2e::fake_server::{Step, welcome};
use quiver_e2e::process::ProgramOutput;
use quiver_e2e::{FakeServer, Home, Server};

/// A remark of 40 kB, in which no character is as long as its escape.
const REPEATS: usize = 10_000;
const REMARK: &str = "A\u{202e}";

/// What is shown of it, and what the client says of its own around it.
const SHOWN: usize = 1024 + 256;

#[track_caller]
fn is_harmless(finished: &ProgramOutput) {
    for said in [&finished.stdout, &finished.stderr] {
        let drives = |character: char| character.is_control() && character != '\n';
        assert!(!said.contains(drives) && !said.contains('\u{202e}'), "{said:?}");
    }
}

#[tokio::test]
async fn a_servers_long_remark_is_cut() {
    let remark = REMARK.repeat(REPEATS);
    let impostor = FakeServer::start(move |request| {
        if request["command"] != "hello" {
            return Some(vec![Step::error("forbidden", &remark), Step::Finish]);
        }
        let mut welcome = welcome(&request["name"]);
        welcome["upload"] = true.into();
        Some(Step::response(&welcome))
    });
    let home = Home::new();
    fs::write(home.file("here"), "content").unwrap();
    for arguments in [
        &["get", "a"][..],
        &["get", "-r", "a"],
        &["put", "here"],
        &["put", "-r", "here"],
        &["message", "Hello"],
        &["list"],
        &["status"],
        &["rm", "a", "--yes"],
        &["mv", "a", "b"],
        &["mkdir", "a"],
    ] {
        let quiver = home.quiver(["--name", "Ron"]).arguments(arguments);
        let finished = quiver.server(impostor.address(), &impostor.certificate()).run().await;
        assert_ne!(finished.code(), 0, "{arguments:?}");
        is_harmless(&finished);
        let said = &finished.stderr;
        assert!(said.len() <= SHOWN, "{arguments:?}: {} bytes", said.len());
        let cut = format!("... (cut: {} bytes in all)", remark_length());
        assert!(
            said.contains("A\\u{202e}A\\u{202e}") && said.contains(&cut),
            "{arguments:?}: {said}"
        );
    }
}

fn remark_length() -> usize {
    REMARK.len() * REPEATS
}

#[tokio::test]
async fn a_refused_hello_is_cut_too() {
    let remark = REMARK.repeat(REPEATS);
    for code in ["busy", "name_taken", "internal"] {
        let remark = remark.clone();
        let impostor = FakeServer::start(move |request| {
            (request["command"] == "hello").then(|| vec![Step::error(code, &remark), Step::Finish])
        });
        let home = Home::new();
        let quiver = home.quiver(["--name", "Ron", "message", "Hello"]);
        let finished = quiver.server(impostor.address(), &impostor.certificate()).run().await;
        assert_ne!(finished.code(), 0, "{code}");
        is_harmless(&finished);
        assert!(finished.stderr.len() <= SHOWN, "{code}: {} bytes", finished.stderr.len());
        assert!(finished.stderr.contains("bytes in all)"), "{code}: {}", finished.stderr);
    }
}

#[tokio::test]
async fn names_on_this_disk_are_escaped_wherever_they_are_shown() {
    let server =
        Server::options().argument("--allow-upload").argument("--keep-free=0").start().await;
    let name = "report\u{202e}fdp.exe";
    server.add_file(format!("tree/{name}"), "content");
    server.add_file(name, "content");
    let home = Home::new();
    for folder in ["tree", "out\u{202e}"] {
        fs::create_dir(home.file(folder)).unwrap();
        fs::write(home.file(folder).join(name), "another").unwrap();
    }
    fs::write(home.file(name), "another").unwrap();
    fs::create_dir(home.file("in-the-way")).unwrap();
    fs::create_dir(home.file("in-the-way").join(name)).unwrap();
    fs::write(home.file("bad\u{202e}.pem"), "no certificate").unwrap();
    fs::write(home.file("shared\u{202e}"), "password").unwrap();
    let tree = format!("tree/{name}");
    for (code, arguments) in [
        (8, &["get", name][..]),
        (8, &["get", name, "-o", "out\u{202e}"]),
        (8, &["get", name, "-o", "in-the-way"]),
        (8, &["get", name, "-o", "missing\u{202e}"]),
        (8, &["get", "-r", "tree"]),
        (8, &["get", "-r", "tree", "--skip", "-o", "missing\u{202e}"]),
        (8, &["get", &tree, "-o", "out\u{202e}"]),
        (8, &["put", "missing\u{202e}"]),
        (1, &["put", name]),
        (2, &["put", name, name]),
        (8, &["list", "--cert", "missing\u{202e}.pem"]),
        (8, &["list", "--cert", "bad\u{202e}.pem"]),
        (2, &["resume", name]),
        (2, &["get", "--unknown\u{202e}"]),
        (2, &["list", "--timeout", "\u{202e}"]),
    ] {
        let has_certificate = arguments.contains(&"--cert");
        let quiver =
            home.quiver(["--name", "Ron"]).server_address(server.address()).arguments(arguments);
        let quiver = if has_certificate {
            quiver
        } else {
            quiver.arguments([std::ffi::OsStr::new("--cert"), server.certificate().as_os_str()])
        };
        let finished = quiver.run().await;
        is_harmless(&finished);
        assert!(finished.stderr.contains("\\u{202e}"), "{arguments:?}: {}", finished.stderr);
        assert_eq!(finished.code(), code, "{arguments:?}: {}", finished.stderr);
    }
    // And of files that this program looks for itself.
    let config = home.config();
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(&config, "\"ser\u{202e}ver\" = 'a'\n").unwrap();
    let finished = home.quiver(["list"]).run().await;
    is_harmless(&finished);
    assert!(finished.stderr.contains("\\u{202e}"), "{}", finished.stderr);
    finished.expect(2);
}
