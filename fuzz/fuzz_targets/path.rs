//! Paths: what passes keeps every rule of docs/protocol.md, and what keeps every rule passes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use quiver_protocol::path::BadPath;
use quiver_protocol::{FilePath, FolderPath};

/// The rules, written down a second time.
fn is_good(text: &str) -> bool {
    let good_part = |part: &str| {
        let stem: String = part.chars().take_while(|c| *c != '.').collect();
        let stem = stem.trim_end_matches(' ').to_ascii_lowercase();
        let device = ["con", "prn", "aux", "nul", "conin$", "conout$"].contains(&stem.as_str())
            || ["com", "lpt"].iter().any(|prefix| {
                "0123456789¹²³".chars().any(|digit| stem == format!("{prefix}{digit}"))
            });
        (1..=255).contains(&part.len())
            && part != "."
            && part != ".."
            && !part.ends_with('.')
            && !part.ends_with(' ')
            && !device
    };
    text.len() <= 4096
        && !text.contains('\\')
        && !text.chars().any(|c| matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}'))
        && text.split('/').all(good_part)
}

fuzz_target!(|text: &str| {
    let parsed = FilePath::parse(text);
    assert_eq!(parsed.is_ok(), is_good(text), "{text:?}: {parsed:?}");
    let folder = FolderPath::parse(text);
    assert_eq!(folder.is_ok(), text.is_empty() || parsed.is_ok());
    let Ok(path) = parsed else { return };

    assert_eq!(path.as_str(), text, "never repaired");
    assert_eq!(path.parts().collect::<Vec<_>>().join("/"), text);
    assert_eq!(path.parts().last(), Some(path.file_name()));
    assert_eq!(folder.as_ref().map(FolderPath::as_str), Ok(text));

    // From the root, part by part, one arrives at the same path.
    let mut here = FolderPath::ROOT;
    for part in path.parts() {
        assert!(FilePath::parse(part).is_ok(), "each part is a path of its own");
        let joined = here.join(part).expect("a part of a good path");
        assert_eq!(joined.file_name(), part);
        here = FolderPath::parse(joined.as_str()).expect("a good path is a folder's too");
    }
    assert_eq!(here.as_str(), text);
    let inside = here.join("x");
    assert_eq!(inside.is_err(), text.len() > 4094, "only length stands in the way");
    assert!(inside.is_ok() || inside == Err(BadPath::Long));
    assert!(here.join("..").is_err() && here.join("").is_err() && here.join("a/b").is_err());
});
