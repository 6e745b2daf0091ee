//! Paths as people type them, patterns for `list` and `rm`, and names for a single file.

use std::fs;

use quiver_e2e::process::ProgramOutput;
use quiver_e2e::{Home, PromptUser, Server, tree};

async fn server(paths: &[&str]) -> Server {
    let server = Server::options().argument("--allow-upload").start().await;
    for path in paths {
        server.add_file(path, *path);
    }
    server
}

async fn quiver(home: &Home, server: &Server, arguments: &[&str]) -> ProgramOutput {
    home.quiver_as(server, "Ron", arguments).run().await
}

/// The paths of everything in the server's folder.
fn stored(server: &Server) -> Vec<String> {
    tree::read(&server.files()).into_keys().collect()
}

#[tokio::test]
async fn every_command_takes_paths_with_slashes_and_dots_around_their_names() {
    let server = server(&["notes/a", "notes/b", "notes/old/c"]).await;
    let home = Home::new();
    for typed in ["/notes", "./notes/", "notes//", "//notes/."] {
        let listed = quiver(&home, &server, &["list", typed]).await;
        assert_eq!(listed.expect(0).stdout, "notes/a\nnotes/b\nnotes/old/\n", "{typed}");
    }
    for root in ["/", ".", "./"] {
        assert_eq!(quiver(&home, &server, &["list", root]).await.expect(0).stdout, "notes/\n");
    }
    quiver(&home, &server, &["get", "/notes/a"]).await.expect(0);
    quiver(&home, &server, &["get", "./notes//b"]).await.expect(0);
    quiver(&home, &server, &["get", "-r", "/notes/old/"]).await.expect(0);
    quiver(&home, &server, &["get", "/notes/*", "-o", ".", "--overwrite"]).await.expect(0);
    assert_eq!(home.names(), ["a", "b", "old"]);
    quiver(&home, &server, &["put", "a", "--as", "d", "--to", "/notes//old/"]).await.expect(0);
    let made = quiver(&home, &server, &["mkdir", "/new/", "./notes//deep"]).await;
    assert_eq!(made.expect(0).stderr, "new: made\nnotes/deep: made\nMade 2 folders.\n");
    let moved = quiver(&home, &server, &["mv", "./notes/a", "/new"]).await;
    assert_eq!(moved.expect(0).stderr, "notes/a is now new/a\n");
    let moved = quiver(&home, &server, &["mv", "/notes/old/d", "/"]).await;
    assert_eq!(moved.expect(0).stderr, "notes/old/d is now d\n");
    let removed = quiver(&home, &server, &["rm", "/d", "./notes//deep/", "--yes"]).await;
    assert_eq!(removed.expect(0).stderr, "d: removed\nnotes/deep: removed\nRemoved 2 paths.\n");
    assert_eq!(stored(&server), ["new", "new/a", "notes", "notes/b", "notes/old", "notes/old/c"]);
}

#[tokio::test]
async fn a_path_that_leaves_the_served_folder_is_a_usage_error_of_every_command() {
    let server = server(&["a"]).await;
    let home = Home::new();
    fs::write(home.file("local"), "").unwrap();
    for arguments in [
        &["list", "/../a"][..],
        &["list", "../*"],
        &["get", "../a"],
        &["get", "-r", "a/.."],
        &["put", "local", "--to", ".."],
        &["mv", "a", "../b"],
        &["mv", "../a", "b"],
        &["mkdir", "x/../y"],
        &["rm", "./../a", "--yes"],
    ] {
        let refused = quiver(&home, &server, arguments).await;
        let why = "the parts . and .. are not allowed";
        assert!(refused.expect(2).stderr.contains(why), "{arguments:?}: {}", refused.stderr);
    }
    assert_eq!(stored(&server), ["a"]);
    assert_eq!(home.names(), ["local"]);
}

#[tokio::test]
async fn list_takes_patterns_and_a_literal_name_wins() {
    let server =
        server(&["a.txt", "b.txt", "notes/c.txt", "notes/deep/d.txt", "x*y/in", "xzy/other"]).await;
    let home = Home::new();
    for (arguments, expected) in [
        (&["*.txt"][..], "a.txt\nb.txt\n"),
        (&["/n*"], "notes/\n"),
        (&["notes/*.txt"], "notes/c.txt\n"),
        (&["**/*.txt"], "a.txt\nb.txt\nnotes/c.txt\nnotes/deep/d.txt\n"),
        (&["-r", "n*"], "notes/\nnotes/c.txt\nnotes/deep/\nnotes/deep/d.txt\n"),
        // A folder of that name is listed, and not its namesakes.
        (&["x*y"], "x*y/in\n"),
        (&["x?y"], "x*y/\nxzy/\n"),
    ] {
        let words: Vec<&str> = ["list"].iter().chain(arguments).copied().collect();
        let listed = quiver(&home, &server, &words).await;
        assert_eq!(listed.expect(0).stdout, expected, "{arguments:?}");
    }
    let nothing = quiver(&home, &server, &["list", "*.png"]).await;
    assert_eq!(
        nothing.expect(7).stderr,
        "error: cannot list *.png: nothing matches\nhint: list shows the server's files\n"
    );
}

#[tokio::test]
async fn rm_takes_patterns_counts_their_matches_and_asks() {
    let server = server(&["a.txt", "b.txt", "c.txt", "d.txt", "x*y", "xzy", "notes/e.txt"]).await;
    let home = Home::new();
    let refused = quiver(&home, &server, &["rm", "*.txt"]).await;
    assert!(refused.expect(2).stderr.contains("hint: --yes"), "{}", refused.stderr);
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    ron.terminal.type_line("rm *.txt");
    let question = "Remove 4 files (20 B) from the server: a.txt, b.txt, c.txt and 1 more? [y/N]";
    ron.terminal.wait_for(question);
    ron.press("n\r");
    ron.terminal.wait_for("Nothing was removed.");
    assert_eq!(stored(&server).len(), 8);
    ron.terminal.type_line("rm *.txt");
    ron.terminal.wait_until("the second question", |screen| screen.matches(question).count() == 2);
    ron.press("y\r");
    ron.terminal.wait_for("Removed 4 files (20 B).");
    assert_eq!(stored(&server), ["notes", "notes/e.txt", "x*y", "xzy"]);
    ron.exit();
    let literal = quiver(&home, &server, &["rm", "x*y", "--yes"]).await;
    assert_eq!(literal.expect(0).stderr, "Removed 1 file (3 B).\n");
    let folders = quiver(&home, &server, &["rm", "n*", "--yes"]).await;
    assert!(folders.expect(7).stderr.contains("only folders match, without -r"));
    let partly = quiver(&home, &server, &["rm", "x?y", "*.png", "--yes"]).await;
    assert!(partly.expect(10).stderr.contains("cannot remove *.png: nothing matches"));
    assert_eq!(stored(&server), ["notes", "notes/e.txt"]);
}

#[tokio::test]
async fn rm_r_removes_a_folder_with_everything_in_it() {
    let paths = ["notes/a", "notes/deep/er/b", "notes/deep/c", "old/d", "stays/e"];
    let server = server(&paths).await;
    fs::create_dir(server.files().join("notes/empty")).unwrap();
    let home = Home::new();
    let refused = quiver(&home, &server, &["rm", "-r", "notes"]).await;
    assert!(refused.expect(2).stderr.contains("hint: --yes"), "{}", refused.stderr);
    assert_eq!(server.log().count("connection from"), 0, "the client connected");
    let mut ron = PromptUser::sign_in(&home, &server, "Ron");
    ron.terminal.type_line("rm -r /notes/");
    ron.terminal.wait_for("Remove 3 files and 4 folders (");
    ron.terminal.wait_for(") from the server: notes? [y/N]");
    ron.press("y\r");
    ron.terminal.wait_for("Removed 3 files and 4 folders (");
    ron.exit();
    assert_eq!(stored(&server), ["old", "old/d", "stays", "stays/e"]);
    let removed = quiver(&home, &server, &["rm", "-r", "o*", "--yes", "--json"]).await;
    let lines = "{\"removed\":\"old/d\"}\n{\"removed\":\"old\"}\n";
    assert_eq!(removed.expect(0).stdout, lines);
    // A link is not served, so its folder stays.
    std::os::unix::fs::symlink("nowhere", server.files().join("stays/link")).unwrap();
    let partly = quiver(&home, &server, &["rm", "-r", "stays", "missing", "--yes"]).await;
    let stderr = &partly.expect(10).stderr;
    assert!(stderr.contains("cannot remove missing: no such file or folder"), "{stderr}");
    assert!(stderr.contains("1 more name is not served"), "{stderr}");
    assert!(stderr.contains("cannot remove stays: "), "{stderr}");
    assert!(stderr.contains("Removed 1 file ("), "{stderr}");
    assert!(!server.files().join("stays/e").exists());
    assert_eq!(quiver(&home, &server, &["rm", "-r", "none", "--yes"]).await.code(), 7);
}

#[tokio::test]
async fn get_stores_a_single_file_under_another_name() {
    let server = server(&["notes/a", "notes/b", "x*y", "xzy"]).await;
    let home = Home::new();
    fs::create_dir(home.file("in")).unwrap();
    quiver(&home, &server, &["get", "notes/a", "--as", "new.txt"]).await.expect(0);
    quiver(&home, &server, &["get", "x*y", "--as", "star", "-o", "in"]).await.expect(0);
    quiver(&home, &server, &["get", "-r", "notes", "--as", "copy"]).await.expect(0);
    let received: Vec<String> = tree::read(&home.folder()).into_keys().collect();
    assert_eq!(received, ["copy", "copy/a", "copy/b", "in", "in/star", "new.txt"]);
    assert_eq!(fs::read_to_string(home.file("new.txt")).unwrap(), "notes/a");
    assert_eq!(fs::read_to_string(home.file("in/star")).unwrap(), "x*y");
    for (arguments, why) in [
        (&["notes/a", "notes/b", "--as", "c"][..], "--as names one file, and there are several"),
        (&["notes/a", "--as", "in/c"], "in/c is a path where a name is expected"),
        (&["notes/a", "--as", ".."], "the parts . and .. are not allowed"),
        (&["notes/a", "--as", "c", "-o", "-"], "--as and -o -"),
    ] {
        let words: Vec<&str> = ["get"].iter().chain(arguments).copied().collect();
        let refused = quiver(&home, &server, &words).await;
        assert!(refused.expect(2).stderr.contains(why), "{arguments:?}: {}", refused.stderr);
    }
    let pattern = quiver(&home, &server, &["get", "notes/*", "--as", "c"]).await;
    assert_eq!(pattern.code(), 7, "{}", pattern.stderr);
    let named = quiver(&home, &server, &["get", "notes/a", "-o", "in/name.txt"]).await;
    let hint = "hint: get FILE -o in --as name.txt stores a single file under that name";
    assert!(named.expect(8).stderr.contains(hint), "{}", named.stderr);
}

#[tokio::test]
async fn a_put_into_a_missing_folder_blames_the_folder() {
    let server = server(&["file"]).await;
    let home = Home::new();
    fs::write(home.file("a.txt"), "content").unwrap();
    let missing = quiver(&home, &server, &["put", "a.txt", "--to", "no folder"]).await;
    assert_eq!(
        missing.expect(7).stderr,
        "error: cannot put a.txt into no folder: the server has no such folder\n\
         hint: quiver mkdir 'no folder' makes it\n"
    );
    let file = quiver(&home, &server, &["put", "a.txt", "--to", "/file/"]).await;
    assert_eq!(
        file.expect(7).stderr,
        "error: cannot put a.txt into file: it is not a folder of the server\n\
         hint: --to needs a folder\n"
    );
    assert_eq!(stored(&server), ["file"]);
}
