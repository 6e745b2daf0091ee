//! The texts of notices that a page shows. Others are visible in the state of a transfer.

use quiver_client::notice::Notice;

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
        Notice::Skipped { path, kind } => format!("{} is left out, it is {kind}", path.display()),
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
