//! The texts of notices that a page shows. Others are visible in the state of a transfer.

use quiver_client::notice::Notice;
use quiver_client::tree::LeftOut;

/// The text of a notice; `None` if the page does not show it.
pub(crate) fn text(notice: &Notice) -> Option<String> {
    Some(match notice {
        Notice::ServerNotRemembered { server, why } => {
            format!("you will be asked about {server} again: {why}")
        }
        Notice::KeyNotStored { why } => {
            format!("a later run cannot resume interrupted uploads: {why}")
        }
        Notice::JournalNotWritable { why } => {
            format!("interrupted transfers cannot be found again: {why}")
        }
        Notice::AttributesNotSet { path, .. } => {
            format!("{} was stored without some of its attributes", path.display())
        }
        Notice::NoAnswer { server, is_connecting: true } => {
            format!("no answer from {server}: connecting again")
        }
        Notice::NoAnswer { server, is_connecting: false } => {
            format!("no answer from {server}: waiting")
        }
        Notice::AnswersAgain { server } => format!("{server} answers again"),
        Notice::KeptBoth { kept, stored } => format!("{kept} is kept, the new file is {stored}"),
        Notice::AlreadyRunning { transfer } => format!("{transfer} is running in another process"),
        Notice::Connecting { .. }
        | Notice::Connection(_)
        | Notice::Reconnecting { .. }
        | Notice::HashingPrefix { .. }
        | Notice::Resuming { .. }
        | Notice::StartingOver { .. }
        | Notice::NothingToResume => return None,
    })
}

/// What a transfer has left out: a line for each entry that is named, and how many more there are.
pub(crate) fn left_out(left_out: &LeftOut) -> String {
    let named = left_out.named().iter();
    let mut lines: Vec<String> =
        named.map(|entry| format!("{} is left out: {}", entry.path, entry.reason)).collect();
    match left_out.unnamed_count() {
        0 => {}
        1 => lines.push("and 1 more is left out".to_owned()),
        count => lines.push(format!("and {count} more are left out")),
    }
    lines.join("; ")
}
