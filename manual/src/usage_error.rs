//! What is wrong with a command line, and what to do about it, from clap's text. Knows no flag.

/// A usage error of clap in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageError {
    /// What is wrong: the first paragraph on one line.
    pub what: String,
    /// Clap's tip, or else the usage.
    pub hint: Option<String>,
}

impl UsageError {
    /// Splits the text of an error.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = text.strip_prefix("error: ").unwrap_or(text);
        let (what, rest) = text.split_once("\n\n").unwrap_or((text, ""));
        let what = what.trim_end().lines().map(str::trim).collect::<Vec<_>>().join(" ");
        let hint = ["tip: ", "Usage: "].into_iter().find_map(|start| {
            let lines = rest.lines().map(str::trim);
            lines.filter_map(|line| line.strip_prefix(start)).next().map(str::to_owned)
        });
        Self { what, hint }
    }
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
            let error = UsageError::parse(text);
            assert_eq!(error.what, what);
            assert_eq!(error.hint.as_deref(), hint);
        }
    }
}
