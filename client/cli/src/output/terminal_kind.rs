//! What kind of terminal there is, as `TERM` says.

/// Whether a terminal can move its cursor and show colours.
pub(super) fn can_move_cursor() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}
