//! Paths of the server as people type them: `/notes`, `./notes/`, `notes//a`. The wire takes only the strict form, in
//! which `..` stays an error.

use quiver_protocol::text::display_safe;
use quiver_protocol::{FilePath, FolderPath, Refusal, RefusalCode};

use crate::error::ClientError;

/// Parses a typed path of a file or folder on the server. `verb` says what fails otherwise.
///
/// # Errors
/// [`ClientError::Refused`].
pub fn parse_path(typed: &str, verb: &str) -> Result<FilePath, ClientError> {
    parse_file(typed)
        .map_err(|refusal| ClientError::refused(format!("cannot {verb} {}", shown(typed)), refusal))
}

/// Parses a typed path of a file or folder on the server.
///
/// # Errors
/// The refusal that the server would send.
pub(crate) fn parse_file(typed: &str) -> Result<FilePath, Refusal> {
    let path = strict(typed);
    if path.is_empty() && !typed.is_empty() {
        return Err(Refusal::new(RefusalCode::BadPath, "it is the server's root folder"));
    }
    Ok(FilePath::parse(&path)?)
}

/// Parses a typed path of a folder on the server; without any name it is the root.
///
/// # Errors
/// The refusal that the server would send.
pub(crate) fn parse_folder(typed: &str) -> Result<FolderPath, Refusal> {
    Ok(FolderPath::parse(&strict(typed))?)
}

/// Whether a typed path names a folder by its end, so that what is moved to it moves into it.
pub(crate) fn names_folder(typed: &str) -> bool {
    typed.ends_with('/') || strict(typed).is_empty()
}

/// The path without what people may add: slashes at its ends, doubled slashes, and parts that are a dot.
pub(crate) fn strict(typed: &str) -> String {
    let parts = typed.split('/').filter(|part| !matches!(*part, "" | "."));
    parts.collect::<Vec<_>>().join("/")
}

/// The typed path for a message.
fn shown(typed: &str) -> String {
    if typed.is_empty() { "\"\"".to_owned() } else { display_safe(typed).into_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_have_slashes_at_its_ends_and_parts_that_are_a_dot() {
        for (typed, expected) in [
            ("notes", "notes"),
            ("/notes", "notes"),
            ("./notes/", "notes"),
            ("//a///b//", "a/b"),
            ("a/./b", "a/b"),
            (".hidden", ".hidden"),
        ] {
            assert_eq!(parse_file(typed).unwrap().as_str(), expected, "{typed}");
            assert_eq!(parse_folder(typed).unwrap().as_str(), expected, "{typed}");
        }
        for root in ["", "/", ".", "./", "//"] {
            assert!(parse_folder(root).unwrap().is_root(), "{root}");
            assert!(names_folder(root), "{root}");
        }
        assert!(names_folder("a/") && !names_folder("/a"));
    }

    #[test]
    fn a_path_that_leaves_its_folder_stays_an_error() {
        for bad in ["..", "../a", "/../a", "a/..", "a/../b", "a\\b", "a.", "aux"] {
            assert_eq!(parse_file(bad).unwrap_err().code, RefusalCode::BadPath, "{bad}");
            assert_eq!(parse_folder(bad).unwrap_err().code, RefusalCode::BadPath, "{bad}");
        }
        for nameless in ["", "/", "."] {
            assert_eq!(parse_file(nameless).unwrap_err().code, RefusalCode::BadPath, "{nameless}");
        }
        assert_eq!(
            parse_path("/", "remove").unwrap_err().to_string(),
            "cannot remove /: it is the server's root folder"
        );
    }
}
