//! Where a get is to store something and cannot, or must not: clear words, exit code 8, and what is there
//! stays as it is.

use std::fs;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use quiver_e2e::process::{Process, ProgramOutput};
use quiver_e2e::quiver::{finish, names};
use quiver_e2e::{Home, Server};

async fn server() -> Server {
    let server = Server::start().await;
    server.add_file("a", "new");
    server
}

/// `quiver get a --overwrite` and more arguments.
async fn get(home: &Home, server: &Server, arguments: &[&str]) -> ProgramOutput {
    home.quiver_as(server, "Ron", ["get", "a", "--overwrite"]).arguments(arguments).run().await
}

#[tokio::test]
async fn a_folder_that_became_read_only_keeps_the_older_file() {
    let server = server().await;
    let home = Home::new();
    fs::create_dir(home.file("folder")).unwrap();
    fs::write(home.file("folder/a"), "older").unwrap();
    fs::set_permissions(home.file("folder"), Permissions::from_mode(0o555)).unwrap();
    let quiver = home.quiver_as(&server, "Ron", ["get", "a", "--overwrite", "-o", "folder"]);
    let finished = finish(Process::start(&mut quiver.unprivileged())).await;
    finished.expect(8);
    assert!(finished.stderr.starts_with("error: cannot store "), "{}", finished.stderr);
    assert!(finished.stderr.contains("Permission denied\nhint: store elsewhere with -o DIR"));
    assert_eq!(names(&home.file("folder")), ["a"]);
    assert_eq!(fs::read_to_string(home.file("folder/a")).unwrap(), "older");
    assert_eq!(server.log().count("delivered a"), 0);
}

#[tokio::test]
async fn links_under_the_name_are_never_followed() {
    let server = server().await;
    for (what, leads_to) in
        [("into nothing", "nowhere"), ("to itself", "a"), ("to a folder", "folder")]
    {
        let home = Home::new();
        fs::create_dir(home.file("folder")).unwrap();
        symlink(leads_to, home.file("a")).unwrap();
        // Nobody said that it may go.
        let kept = home.quiver_as(&server, "Ron", ["get", "a"]).run().await;
        let why = "error: a exists already\nhint: --overwrite replaces it";
        assert!(kept.expect(8).stderr.starts_with(why), "{what}: {}", kept.stderr);
        assert_eq!(fs::read_link(home.file("a")).unwrap().to_str(), Some(leads_to), "{what}");

        get(&home, &server, &[]).await.expect(0);
        assert!(fs::symlink_metadata(home.file("a")).unwrap().is_file(), "{what}");
        assert_eq!(fs::read_to_string(home.file("a")).unwrap(), "new", "{what}");
        assert_eq!(home.names(), ["a", "folder"], "{what}");
        assert!(names(&home.file("folder")).is_empty(), "{what}");
    }
}

#[tokio::test]
async fn a_link_that_was_asked_for_as_the_folder_is_one() {
    let server = server().await;
    let home = Home::new();
    fs::create_dir(home.file("folder")).unwrap();
    symlink("folder", home.file("link")).unwrap();
    symlink("nowhere", home.file("broken")).unwrap();
    get(&home, &server, &["-o", "link"]).await.expect(0);
    assert_eq!(names(&home.file("folder")), ["a"]);
    let finished = get(&home, &server, &["-o", "broken"]).await;
    assert!(finished.expect(8).stderr.starts_with("error: cannot store broken: "));
    assert_eq!(home.names(), ["broken", "folder", "link"]);
}

#[tokio::test]
async fn a_folder_under_the_name_never_gives_way() {
    let server = server().await;
    let home = Home::new();
    fs::create_dir_all(home.file("a/precious")).unwrap();
    for arguments in [&["get", "a"][..], &["get", "a", "--overwrite"]] {
        let finished = home.quiver_as(&server, "Ron", arguments).run().await;
        finished.expect(8);
        assert!(finished.stderr.starts_with("error: "), "{}", finished.stderr);
        assert!(finished.stderr.contains('a'), "{}", finished.stderr);
        assert_eq!(home.names(), ["a"], "{arguments:?}");
        assert_eq!(names(&home.file("a")), ["precious"]);
    }
    assert_eq!(server.log().count("delivered a"), 0);
}
