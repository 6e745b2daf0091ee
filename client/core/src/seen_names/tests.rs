//! What is kept of the names of a server, and where.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn server(text: &str) -> ServerAddress {
    text.parse().unwrap()
}

fn listed(path: &str, names: &[(&str, EntryKind)]) -> SeenChange {
    let mut folder = FolderNames::new(path);
    for (name, kind) in names {
        folder.push(name, *kind);
    }
    SeenChange::Listed(folder)
}

fn names(server: &SeenServer, folder: &str) -> Vec<String> {
    let names = server.names_in(folder);
    names.map(|(name, is_folder)| format!("{name}{}", if is_folder { "/" } else { "" })).collect()
}

fn seen(changes: impl IntoIterator<Item = SeenChange>) -> SeenServer {
    let mut server = SeenServer::default();
    changes.into_iter().for_each(|change| server.apply(change));
    server
}

fn in_folder(folder: &Path) -> SeenNames {
    let variable = |name: &str| (name == "XDG_CACHE_HOME").then(|| folder.into());
    SeenNames::from_folders(&Folders::new(variable, Some(Path::new("/nonexistent"))))
}

#[tokio::test]
async fn names_are_kept_for_each_server_and_only_for_this_user() {
    let folder = tempfile::tempdir().unwrap();
    let names_seen = in_folder(folder.path());
    let (one, two) = (server("one"), server("[::1]:4434"));
    names_seen.note(&one, listed("", &[("a", EntryKind::File), ("notes", EntryKind::Folder)]));
    names_seen.note(&two, listed("", &[("b", EntryKind::File)]));
    names_seen.note(&one, SeenChange::Clients(vec!["Ron".to_owned()]));
    assert!(!folder.path().join("quiver").exists(), "it is written before it is saved");
    names_seen.save().await;
    let again = in_folder(folder.path());
    assert_eq!(names(&again.read(&one), ""), ["a", "notes/"]);
    assert_eq!(again.read(&one).clients(), ["Ron"]);
    assert_eq!(names(&again.read(&two), ""), ["b"]);
    assert_eq!(names(&again.read(&server("three")), ""), [""; 0]);
    let path = file_of(&folder.path().join("quiver/names"), &one);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    // What is no such file has no names, and is replaced.
    fs::write(&path, "{").unwrap();
    assert_eq!(names(&again.read(&one), ""), [""; 0]);
    again.note_entry(&one, "x/y", EntryKind::File);
    again.save().await;
    assert_eq!(names(&again.read(&one), "x"), ["y"]);
}

#[test]
fn changes_add_and_remove_names() {
    let file = EntryKind::File;
    let seen = seen([
        listed("", &[("old", file), ("notes", EntryKind::Folder)]),
        listed("notes", &[("a", file)]),
        listed("notes/deep", &[("b", file)]),
        SeenChange::Added { path: "new/report".to_owned(), kind: file },
        SeenChange::Removed("old".to_owned()),
        SeenChange::Removed("notes".to_owned()),
        SeenChange::Added { path: "draft".to_owned(), kind: file },
        SeenChange::Moved { from: "draft".to_owned(), to: "final".to_owned() },
        SeenChange::Moved { from: "never seen".to_owned(), to: "x".to_owned() },
    ]);
    assert_eq!(names(&seen, ""), ["final", "new/"]);
    assert_eq!(names(&seen, "new"), ["report"]);
    assert_eq!(names(&seen, "notes"), [""; 0]);
    assert_eq!(names(&seen, "notes/deep"), [""; 0]);
}

#[test]
fn a_list_replaces_the_names_of_its_folder() {
    let seen = seen([listed("", &[("a", EntryKind::File)]), listed("", &[("b", EntryKind::File)])]);
    assert_eq!(names(&seen, ""), ["b"]);
}

#[test]
fn names_with_control_characters_are_not_kept() {
    let hostile = ["a\u{1b}[2J", "b\nc", "d\u{202e}e"];
    let mut seen = seen([listed("", &hostile.map(|name| (name, EntryKind::File)))]);
    seen.apply(SeenChange::Clients(hostile.map(str::to_owned).to_vec()));
    for name in hostile {
        seen.apply(SeenChange::Added { path: name.to_owned(), kind: EntryKind::File });
    }
    assert_eq!(names(&seen, ""), [""; 0]);
    assert!(seen.clients().is_empty());
}

#[test]
fn a_server_with_many_names_has_a_bounded_file() {
    let name = "n".repeat(200);
    let many: Vec<_> = (0..3000).map(|number| format!("{number}-{name}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), EntryKind::File)).collect();
    let seen = seen((0..300).map(|number| listed(&format!("folder-{number}"), &many)));
    assert_eq!(names(&seen, "folder-299").len(), 1000);
    assert_eq!(names(&seen, "folder-0"), [""; 0]);
    let text = seen.encode(MAX_FILE_BYTES).unwrap();
    assert!(text.len() <= MAX_FILE_BYTES, "{}", text.len());
    let kept: SeenServer = serde_json::from_slice(&text).unwrap();
    assert_eq!(names(&kept, "folder-299").len(), 1000);
}

#[tokio::test]
async fn the_server_that_was_not_used_for_the_longest_time_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let names_seen = in_folder(folder.path());
    for number in 0..=MAX_SERVERS {
        names_seen.note_entry(&server(&format!("host-{number}")), "a", EntryKind::File);
        names_seen.save().await;
    }
    let files = fs::read_dir(folder.path().join("quiver/names")).unwrap().count();
    assert_eq!(files, MAX_SERVERS);
    let newest = names_seen.read(&server(&format!("host-{MAX_SERVERS}")));
    assert_eq!(names(&newest, ""), ["a"]);
}
