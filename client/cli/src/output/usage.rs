//! Clap's usage errors as failures. Knows the form of clap's texts, and no flag.

use crate::failure::Failure;

/// The failure that an error of clap describes: its first paragraph, and its tip or else its usage as the hint.
pub(super) fn failure(text: &str) -> Failure {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    let (what, rest) = text.split_once("\n\n").unwrap_or((text, ""));
    let what = what.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let hint = ["tip: ", "Usage: "].into_iter().find_map(|start| {
        let lines = rest.lines().map(str::trim);
        lines.filter_map(|line| line.strip_prefix(start)).next().map(str::to_owned)
    });
    Failure::Usage { what, hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_paragraph_is_the_message_and_the_tip_or_the_usage_the_hint() {
        for (text, what, hint) in [
            (
                "error: unexpected argument '--jsn' found\n\n  tip: a similar argument exists: '--json'\n\n\
                 Usage: quiver get --json <PATH>...\n\nFor more information, try '--help'.\n",
                "unexpected argument '--jsn' found",
                Some("a similar argument exists: '--json'"),
            ),
            (
                "error: these were not provided:\n  <PATH>...\n\nUsage: quiver get <PATH>...\n",
                "these were not provided: <PATH>...",
                Some("quiver get <PATH>..."),
            ),
            ("error: invalid value 'x'\n", "invalid value 'x'", None),
        ] {
            let failure = failure(text);
            assert_eq!(failure.to_string(), what);
            assert_eq!(failure.hint().as_deref(), hint);
        }
    }
}
