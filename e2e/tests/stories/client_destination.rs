//! The client cannot or must not store at the destination of a get: it reports an error with exit
//! code 8, and changes nothing at the destination.

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

/// Runs `quiver get a --overwrite` with more arguments.
async fn get(home: &Home, server: &Server, arguments: &[&str]) -> ProgramOutput {
    home.quiver_as(server, "Ron", ["get", "a", "--overwrite"]).arguments(arguments).run().await
}

#[tokio::test]
async fn a_get_into_a_read_only_folder_keeps_the_existing_file() {
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
async fn a_get_never_follows_a_link_at_its_destination() {
    let server = server().await;
    for (case, target) in
        [("a broken link", "missing"), ("to itself", "a"), ("to a folder", "folder")]
    {
        let home = Home::new();
        fs::create_dir(home.file("folder")).unwrap();
        symlink(target, home.file("a")).unwrap();
        // Without --overwrite, the client keeps the link.
        let kept = home.quiver_as(&server, "Ron", ["get", "a"]).run().await;
        let error = "error: a exists already\nhint: --overwrite replaces it";
        assert!(kept.expect(1).stderr.starts_with(error), "{case}: {}", kept.stderr);
        assert_eq!(fs::read_link(home.file("a")).unwrap().to_str(), Some(target), "{case}");

        get(&home, &server, &[]).await.expect(0);
        assert!(fs::symlink_metadata(home.file("a")).unwrap().is_file(), "{case}");
        assert_eq!(fs::read_to_string(home.file("a")).unwrap(), "new", "{case}");
        assert_eq!(home.names(), ["a", "folder"], "{case}");
        assert!(names(&home.file("folder")).is_empty(), "{case}");
    }
}

#[tokio::test]
async fn a_get_stores_into_a_linked_folder_given_by_o() {
    let server = server().await;
    let home = Home::new();
    fs::create_dir(home.file("folder")).unwrap();
    symlink("folder", home.file("link")).unwrap();
    symlink("missing", home.file("broken")).unwrap();
    get(&home, &server, &["-o", "link"]).await.expect(0);
    assert_eq!(names(&home.file("folder")), ["a"]);
    let finished = get(&home, &server, &["-o", "broken"]).await;
    assert!(finished.expect(8).stderr.starts_with("error: cannot store broken: "));
    assert_eq!(home.names(), ["broken", "folder", "link"]);
}

#[tokio::test]
async fn a_get_never_replaces_a_folder_with_a_file() {
    let server = server().await;
    let home = Home::new();
    fs::create_dir_all(home.file("a/precious")).unwrap();
    for arguments in [&["get", "a"][..], &["get", "a", "--overwrite"]] {
        let finished = home.quiver_as(&server, "Ron", arguments).run().await;
        finished.expect(1);
        let error = "error: cannot store a: is a directory\n";
        assert!(finished.stderr.starts_with(error), "{}", finished.stderr);
        assert_eq!(home.names(), ["a"], "{arguments:?}");
        assert_eq!(names(&home.file("a")), ["precious"]);
    }
    assert_eq!(server.log().count("delivered a"), 0);
}
