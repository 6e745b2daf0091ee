//! How much a command says beside its data and errors.

/// What `--quiet` and `--verbose` choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Only data and errors.
    Quiet,
    /// What was done.
    Normal,
    /// Also how the connection is made, and how transfers end.
    Verbose,
}

impl Verbosity {
    /// That of both flags; `--quiet` wins.
    #[must_use]
    pub fn of_flags(quiet: bool, verbose: bool) -> Self {
        match (quiet, verbose) {
            (true, _) => Self::Quiet,
            (false, true) => Self::Verbose,
            (false, false) => Self::Normal,
        }
    }
}
