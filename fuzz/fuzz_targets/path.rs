//! Fuzzes paths: exactly those that obey the rules of docs/protocol.md are accepted.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quiver_protocol::path::BadPath;
use quiver_protocol::{FilePath, FolderPath};

/// A second implementation of the rules.
fn is_valid(text: &str) -> bool {
    let is_valid_part = |part: &str| {
        let stem: String = part.chars().take_while(|c| *c != '.').collect();
        let stem = stem.trim_end_matches(' ').to_ascii_lowercase();
        let is_device = ["con", "prn", "aux", "nul", "conin$", "conout$"].contains(&stem.as_str())
            || ["com", "lpt"].iter().any(|prefix| {
                "0123456789¹²³".chars().any(|digit| stem == format!("{prefix}{digit}"))
            });
        (1..=255).contains(&part.len())
            && part != "."
            && part != ".."
            && !part.ends_with('.')
            && !part.ends_with(' ')
            && !is_device
    };
    text.len() <= 4096
        && !text.contains('\\')
        && !text.chars().any(|c| matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}'))
        && text.split('/').all(is_valid_part)
}

fuzz_target!(|text: &str| {
    let parsed = FilePath::parse(text);
    assert_eq!(parsed.is_ok(), is_valid(text), "{text:?}: {parsed:?}");
    let folder = FolderPath::parse(text);
    assert_eq!(folder.is_ok(), text.is_empty() || parsed.is_ok());
    let Ok(path) = parsed else { return };

    assert_eq!(path.as_str(), text, "the path was changed");
    assert_eq!(path.parts().collect::<Vec<_>>().join("/"), text);
    assert_eq!(path.parts().last(), Some(path.file_name()));
    assert_eq!(folder.as_ref().map(FolderPath::as_str), Ok(text));

    // Joining the parts to the root, one by one, results in the same path.
    let mut joined_folder = FolderPath::ROOT;
    for part in path.parts() {
        assert!(FilePath::parse(part).is_ok(), "each part is a valid path");
        let joined = joined_folder.join(part).expect("a part of a valid path");
        assert_eq!(joined.file_name(), part);
        joined_folder = FolderPath::parse(joined.as_str()).expect("a file path is a folder path");
    }
    assert_eq!(joined_folder.as_str(), text);
    let child = joined_folder.join("x");
    assert_eq!(child.is_err(), text.len() > 4094, "only the length can be invalid");
    assert!(child.is_ok() || child == Err(BadPath::TooLong));
    for invalid in ["..", "", "a/b"] {
        assert!(joined_folder.join(invalid).is_err(), "{invalid:?}");
    }
});
