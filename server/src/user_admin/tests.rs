//! Changes of the password file by the `user` commands.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::thread;

use tempfile::TempDir;

use super::*;
use crate::passwords::Passwords;

fn temp_folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passwords");
    (folder, path)
}

fn write_private(path: &Path, content: &str) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

fn name(text: &str) -> ClientName {
    ClientName::parse(text).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// An account's line with a hash that is cheap to compute.
fn line(name: &str) -> String {
    let hash = StoredHash::create(&secret("old"), HashCost::CHEAP, [7; SALT_BYTES]).unwrap();
    format!("{name}:{hash}\n")
}

fn names(path: &Path) -> Vec<String> {
    list(path).unwrap().into_iter().map(|(name, _)| String::from(name)).collect()
}

#[tokio::test(start_paused = true)]
async fn an_added_account_can_sign_in_and_a_removed_one_cannot() {
    let (_folder, path) = temp_folder();
    assert_eq!(add(&path, &name("Ron"), &secret("hunter2"), None).unwrap(), AccountChange::Added);
    assert_eq!(add(&path, &name("Ben"), &secret("hunter3"), None).unwrap(), AccountChange::Added);
    assert_eq!(names(&path), ["Ron", "Ben"]);
    let source = "192.0.2.1".parse().unwrap();
    let passwords = Passwords::open(&path).unwrap();
    passwords.sign_in(&name("Ron"), &secret("hunter2"), source).await.unwrap();

    assert_eq!(
        add(&path, &name("ron"), &secret("hunter4"), None).unwrap(),
        AccountChange::Replaced
    );
    assert_eq!(names(&path), ["ron", "Ben"]);
    remove(&path, &name("BEN")).unwrap();
    let passwords = Passwords::open(&path).unwrap();
    passwords.sign_in(&name("Ron"), &secret("hunter4"), source).await.unwrap();
    passwords.sign_in(&name("Ron"), &secret("hunter2"), source).await.unwrap_err();
    passwords.sign_in(&name("Ben"), &secret("hunter3"), source).await.unwrap_err();
}

#[test]
fn a_new_file_is_private_and_each_password_has_its_own_salt() {
    let (folder, path) = temp_folder();
    add(&path, &name("Ron"), &secret("same"), None).unwrap();
    add(&path, &name("Ben"), &secret("same"), None).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    let text = fs::read_to_string(&path).unwrap();
    let [ron, ben] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    let prefix = "$argon2id$v=19$m=19456,t=2,p=1$";
    let ron = ron.strip_prefix("Ron:").unwrap().strip_prefix(prefix).unwrap();
    let ben = ben.strip_prefix("Ben:").unwrap().strip_prefix(prefix).unwrap();
    assert_ne!(ron[..22], ben[..22]);
}

#[test]
fn a_change_leaves_the_other_lines_byte_for_byte() {
    let (_folder, path) = temp_folder();
    let (ron, ben, pete) = (line("Ron"), line("Ben"), line("Pete"));
    let before = format!("# the team\r\n\n{ron}  # not: an account");
    write_private(&path, &before);
    // A comment must be at the start of a line, so this file is invalid and is not changed.
    add(&path, &name("Ben"), &secret("new"), None).unwrap_err();
    assert_eq!(fs::read_to_string(&path).unwrap(), before);

    write_private(&path, &format!("# the team\r\n\n{ron}{ben}#{pete}# no end"));
    add(&path, &name("ron"), &secret("new"), None).unwrap();
    let after = fs::read_to_string(&path).unwrap();
    let new = after.lines().nth(2).unwrap();
    assert!(new.starts_with("ron:") && new != ron.trim_end());
    assert_eq!(after, format!("# the team\r\n\n{new}\n{ben}#{pete}# no end"));

    add(&path, &name("Pete"), &secret("new"), None).unwrap();
    let after = fs::read_to_string(&path).unwrap();
    assert!(after.starts_with(&format!("# the team\r\n\n{new}\n{ben}#{pete}# no end\nPete:$")));
    assert!(after.ends_with('\n'));

    remove(&path, &name("Pete")).unwrap();
    remove(&path, &name("Ron")).unwrap();
    remove(&path, &name("Ben")).unwrap();
    let after = fs::read_to_string(&path).unwrap();
    assert_eq!(after, format!("# the team\r\n\n#{pete}# no end\n"));
}

#[test]
fn an_account_keeps_its_permission_unless_another_is_given() {
    let (_folder, path) = temp_folder();
    let set = |permission| {
        add(&path, &name("Ron"), &secret("new"), permission).unwrap();
        list(&path).unwrap()[0].1
    };
    assert_eq!(set(None), AccountPermission::Read);
    assert_eq!(set(Some(AccountPermission::Upload)), AccountPermission::Upload);
    assert_eq!(set(None), AccountPermission::Upload);
    assert!(fs::read_to_string(&path).unwrap().ends_with(":upload\n"));
    let passwords = Passwords::open(&path).unwrap();
    assert_eq!(passwords.permission(&name("ron")), Some(AccountPermission::Upload));
    assert_eq!(passwords.permission(&name("Ben")), None);
    assert_eq!(set(Some(AccountPermission::Read)), AccountPermission::Read);
    assert!(!fs::read_to_string(&path).unwrap().contains(":read"));
}

#[test]
fn a_change_replaces_the_file_instead_of_rewriting_it() {
    let (_folder, path) = temp_folder();
    write_private(&path, &line("Ron"));
    let open_file = fs::File::open(&path).unwrap();
    add(&path, &name("Ben"), &secret("new"), None).unwrap();
    assert_eq!(
        io::read_to_string(open_file).unwrap(),
        line("Ron"),
        "an open file keeps the old content"
    );
}

#[test]
fn concurrent_changes_are_all_made() {
    let (_folder, path) = temp_folder();
    write_private(&path, &(0..6).map(|n| line(&format!("old{n}"))).collect::<String>());
    thread::scope(|scope| {
        for n in 0..6 {
            let path = &path;
            scope
                .spawn(move || add(path, &name(&format!("new{n}")), &secret("new"), None).unwrap());
            scope.spawn(move || remove(path, &name(&format!("old{n}"))).unwrap());
        }
    });
    let mut names = names(&path);
    names.sort();
    assert_eq!(names, ["new0", "new1", "new2", "new3", "new4", "new5"]);
}

#[test]
fn concurrent_first_changes_make_one_file_with_all_accounts() {
    let (_folder, path) = temp_folder();
    thread::scope(|scope| {
        for n in 0..4 {
            let path = &path;
            scope
                .spawn(move || add(path, &name(&format!("new{n}")), &secret("new"), None).unwrap());
        }
    });
    assert_eq!(names(&path).len(), 4);
}

#[test]
fn a_file_that_the_server_would_reject_is_not_changed() {
    let (folder, path) = temp_folder();
    let content = line("Ron") + "Ben:s3cret\n";
    write_private(&path, &content);
    for error in [
        add(&path, &name("Pete"), &secret("new"), None).unwrap_err(),
        remove(&path, &name("Ron")).unwrap_err(),
        list(&path).unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(text.contains("passwords, line 2: ") && !text.contains("s3cret"), "{text}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), content);

    write_private(&path, &line("Ron"));
    let link = folder.path().join("link");
    symlink(&path, &link).unwrap();
    let error = add(&link, &name("Ben"), &secret("new"), None).unwrap_err();
    assert!(matches!(error, UserAdminError::File(PasswordFileError::SymbolicLink { .. })));
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());

    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let error = add(&path, &name("Ben"), &secret("new"), None).unwrap_err();
    assert!(error.to_string().contains("chmod 600"), "{error}");
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o644);
}

#[test]
fn a_change_that_would_make_the_file_too_long_is_not_made() {
    let (_folder, path) = temp_folder();
    write_private(&path, &("#".repeat(1024 * 1024 - 1) + "\n"));
    let error = add(&path, &name("Ron"), &secret("new"), None).unwrap_err();
    assert!(matches!(error, UserAdminError::File(PasswordFileError::TooLong { .. })));
    assert_eq!(fs::metadata(&path).unwrap().len(), 1024 * 1024);
}

#[test]
fn only_user_add_makes_the_file() {
    let (folder, path) = temp_folder();
    assert!(remove(&path, &name("Ron")).unwrap_err().to_string().contains("No such file"));
    assert!(list(&path).unwrap_err().to_string().contains("No such file"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let nowhere = folder.path().join("none/passwords");
    let error = add(&nowhere, &name("Ron"), &secret("new"), None).unwrap_err();
    assert!(matches!(error, UserAdminError::Write { .. }), "{error}");
}

#[test]
fn the_error_for_an_unknown_account_names_it() {
    let (_folder, path) = temp_folder();
    write_private(&path, &line("Ron"));
    let text = remove(&path, &name("Ben")).unwrap_err().to_string();
    assert!(text.ends_with("passwords has no account Ben"), "{text}");
}

#[test]
fn a_path_without_a_folder_is_in_the_current_folder() {
    assert_eq!(parent_folder(Path::new("passwords")), Path::new("."));
    assert_eq!(parent_folder(Path::new("a/passwords")), Path::new("a"));
    assert_eq!(parent_folder(Path::new("/passwords")), Path::new("/"));
}

#[test]
fn a_password_has_1_to_1024_bytes() {
    let (_folder, path) = temp_folder();
    let longest = "x".repeat(limits::PASSWORD);
    add(&path, &name("Ron"), &secret(&longest), None).unwrap();
    let content = fs::read(&path).unwrap();
    for bad in ["", &(longest + "x")] {
        let error = add(&path, &name("Ben"), &secret(bad), None).unwrap_err();
        assert!(matches!(
            error,
            UserAdminError::Password(PasswordError::Empty | PasswordError::TooLong)
        ));
    }
    assert_eq!(fs::read(&path).unwrap(), content);
}

#[test]
fn a_piped_password_is_one_line_without_its_line_ending() {
    let read = |input: &[u8]| read_first_line(input).map(|secret| secret.expose().to_owned());
    let longest = "x".repeat(limits::PASSWORD);
    for (input, password) in [
        ("hunter2", "hunter2"),
        ("hunter2\n", "hunter2"),
        ("hunter2\r\n", "hunter2"),
        ("hunter2\r\r\n", "hunter2\r"),
        (" hunter 2 \n\n", " hunter 2 "),
        ("größe\nmore", "größe"),
        (&longest, &longest),
        (&format!("{longest}\r\n"), &longest),
    ] {
        assert_eq!(read(input.as_bytes()).unwrap(), password);
    }
    for input in ["", "\n", "\r\n", "\nhunter2\n"] {
        assert!(matches!(read(input.as_bytes()), Err(PasswordError::Empty)));
    }
    for input in [format!("{longest}x\n"), format!("{longest}xxx"), format!("{longest}x\r\n")] {
        assert!(matches!(read(input.as_bytes()), Err(PasswordError::TooLong)));
    }
    assert!(matches!(read(b"caf\xe9\n"), Err(PasswordError::NotText)));
    assert!(matches!(read_first_line(io::repeat(b'x')), Err(PasswordError::TooLong)));
}

#[test]
fn input_after_a_piped_password_is_not_read() {
    let mut input = &b"hunter2\nmore"[..];
    read_first_line(&mut input).unwrap();
    assert_eq!(input, b"more");
}

#[test]
fn a_typed_password_is_prompted_for_twice() {
    let typed = |first: &str, second: &str| {
        let prompts = std::cell::Cell::new(0);
        let result = prompt_twice(|_| {
            prompts.set(prompts.get() + 1);
            Ok(if prompts.get() == 1 { first } else { second }.to_owned())
        });
        (result.map(|secret| secret.expose().to_owned()), prompts.get())
    };
    assert!(matches!(typed("hunter2", "hunter2"), (Ok(password), 2) if password == "hunter2"));
    assert!(matches!(typed("hunter2", "hunter3"), (Err(PasswordError::Different), 2)));
    assert!(matches!(typed("", ""), (Err(PasswordError::Empty), 1)));
    assert!(matches!(typed(&"x".repeat(1025), ""), (Err(PasswordError::TooLong), 1)));
    let error = prompt_twice(|_| Err(io::ErrorKind::NotFound.into())).unwrap_err();
    assert!(error.to_string().contains("--password-stdin"), "{error}");
}
