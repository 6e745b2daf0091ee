//! What shells are answered for a line, with a user's records in a temporary folder.

use std::fs;
use std::path::Path;

use quiver_client::folders::Folders;

use super::*;

/// Answers of bash for a line up to the cursor, for a user with these folders.
fn bash(root: &Path, line: &str) -> String {
    let (line, typed) = line::split(line, " \t\n\"'><=;|&(:");
    let typed = TypedLine { line, typed };
    let variable = |name: &str| match name {
        "XDG_CONFIG_HOME" => Some(root.join("config").into_os_string()),
        "XDG_STATE_HOME" => Some(root.join("state").into_os_string()),
        "XDG_CACHE_HOME" => Some(root.join("cache").into_os_string()),
        _ => None,
    };
    let folders = Folders::new(variable, Some(root));
    let sources = Sources::new(typed.line.clone(), folders, None, variable, Some(root));
    let answer = engine::complete(&typed.line, sources);
    (bash::ADAPTER.format)(&typed, answer)
}

/// A user who has seen these names on the server `localhost:4433`.
fn user(names: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("cache/quiver/names");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("localhost:4433.json"), names).unwrap();
    root
}

const NAMES: &str = r#"{
    "folders": [
        {"path": "", "names": {"notes": true, "with space.txt": false, "it's": false, "$(touch x)": false}},
        {"path": "notes", "names": {"todo.txt": false, "a:b": false, "c!d": false, "-rf": false}}
    ],
    "clients": ["Ben", "Ron"]
}"#;

#[test]
fn commands_and_flags_are_completed() {
    let user = user("{}");
    assert_eq!(bash(user.path(), "quiver mess"), "word\nmessage \n");
    assert_eq!(bash(user.path(), "quiver get --over"), "word\n--overwrite \n");
    assert!(bash(user.path(), "quiver contacts ").contains("\nforget\n"));
    assert_eq!(bash(user.path(), "quiver man contacts unb"), "word\nunblock \n");
}

#[test]
fn names_of_the_server_are_completed_without_flags_beside_them() {
    let user = user(NAMES);
    let all = "words\n$(touch x)\nit's\nnotes/\nwith space.txt\n";
    assert_eq!(bash(user.path(), "quiver get "), all);
    assert_eq!(bash(user.path(), "quiver get no"), "word\nnotes/\n");
    assert_eq!(bash(user.path(), "quiver get notes/t"), "word\nnotes/todo.txt \n");
    assert_eq!(bash(user.path(), "quiver get /notes//t"), "word\n/notes//todo.txt \n");
    assert_eq!(bash(user.path(), "quiver put x --to "), "word\nnotes/\n");
    assert_eq!(bash(user.path(), "quiver put --to=no"), "word\nnotes/\n");
    // A name that begins with a hyphen would be taken for a flag.
    assert!(!bash(user.path(), "quiver rm ").contains("-rf"));
    for line in ["quiver --server other get ", "quiver get --server=other "] {
        assert_eq!(bash(user.path(), line), "", "{line}");
    }
}

#[test]
fn a_name_is_quoted_as_the_shell_needs_it() {
    let user = user(NAMES);
    for (line, word) in [
        ("quiver get w", r"with\ space.txt "),
        ("quiver get \"w", "with space.txt"),
        ("quiver get i", r"it\'s "),
        ("quiver get 'i", r"it'\''s"),
        ("quiver get $", r"\$\(touch\ x\) "),
        ("quiver get \"\\$", r"\$(touch x)"),
        ("quiver get '$", "$(touch x)"),
        ("quiver get notes/a:", "b "),
        ("quiver get notes/c", r"notes/c\!d "),
        ("quiver get \"notes/c", "notes/c\"'!'\"d"),
    ] {
        assert_eq!(bash(user.path(), line), format!("word\n{word}\n"), "{line}");
    }
}

#[test]
fn clients_are_completed_where_one_is_named() {
    let user = user(NAMES);
    for line in ["tell ", "send ", "path ", "verify ", "receive --from "] {
        assert_eq!(bash(user.path(), &format!("quiver {line}")), "words\nBen\nRon\n", "{line}");
    }
    assert_eq!(bash(user.path(), "quiver tell Ron "), "");
    assert_eq!(bash(user.path(), "quiver send Ron "), "files\n");
}

#[test]
fn local_files_and_folders_are_left_to_the_shell() {
    let user = user(NAMES);
    assert_eq!(bash(user.path(), "quiver put "), "files\n");
    assert_eq!(bash(user.path(), "quiver put ~/a"), "files\n");
    assert_eq!(bash(user.path(), "quiver --cert "), "files\n");
    assert_eq!(bash(user.path(), "quiver get a -o "), "folders\n");
    assert!(bash(user.path(), "quiver put --ov").contains("--overwrite"));
}

#[test]
fn servers_are_those_of_the_settings_and_the_known_ones() {
    let user = user("{}");
    fs::create_dir_all(user.path().join("config/quiver")).unwrap();
    let config = "[servers.work]\naddress = \"files.example.org\"\n";
    fs::write(user.path().join("config/quiver/config.toml"), config).unwrap();
    assert_eq!(bash(user.path(), "quiver --server w"), "word\nwork \n");
    assert_eq!(bash(user.path(), "quiver --server=w"), "word\nwork \n");
    assert_eq!(bash(user.path(), "quiver trust forget w"), "word\nwork \n");
    // An entry's names are those of its address.
    let names = user.path().join("cache/quiver/names/files.example.org:4433.json");
    fs::write(names, NAMES).unwrap();
    assert_eq!(bash(user.path(), "quiver --server work get w"), "word\nwith\\ space.txt \n");
}

#[test]
fn names_that_a_terminal_cannot_show_are_not_offered() {
    let user = user(
        r#"{"folders": [{"path": "", "names": {"a\u001b[2Jb": false, "a\nb": false}}], "clients": ["R\u0007"]}"#,
    );
    assert_eq!(bash(user.path(), "quiver get "), "");
    assert_eq!(bash(user.path(), "quiver tell "), "");
}

#[test]
fn completing_creates_no_files() {
    let root = tempfile::tempdir().unwrap();
    for line in ["get ", "tell ", "accept ", "pause ", "resume ", "send --cancel ", "trust forget "]
    {
        assert_eq!(bash(root.path(), &format!("quiver {line}")), "", "{line}");
    }
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}
