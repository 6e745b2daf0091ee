//! Where each command has its `--json`.

use super::CommandArgs;

impl CommandArgs {
    /// The command's `--json`; `None` for documents, which have no JSON form.
    #[must_use]
    pub fn json_flag(&mut self) -> Option<&mut bool> {
        Some(match self {
            Self::Message(arguments) => &mut arguments.json,
            Self::Status(arguments) => &mut arguments.json,
            Self::List(arguments) => &mut arguments.json,
            Self::Get(arguments) => &mut arguments.json,
            Self::Resume(arguments) => &mut arguments.json,
            Self::Transfers(arguments) => &mut arguments.json,
            Self::Pause(arguments) => &mut arguments.json,
            Self::Cancel(arguments) => &mut arguments.json,
            Self::Put(arguments) => &mut arguments.json,
            Self::Rm(arguments) => &mut arguments.json,
            Self::Mv(arguments) => &mut arguments.json,
            Self::Mkdir(arguments) => &mut arguments.json,
            Self::Tell(arguments) => &mut arguments.json,
            Self::Send(arguments) => &mut arguments.json,
            Self::Receive(arguments) => &mut arguments.json,
            Self::Offers(arguments) => &mut arguments.json,
            Self::Accept(arguments) => &mut arguments.json,
            Self::Decline(arguments) => &mut arguments.json,
            Self::Peers(arguments) => &mut arguments.json,
            Self::Path(arguments) => &mut arguments.json,
            Self::Verify(arguments) => &mut arguments.json,
            Self::Contacts(arguments) => &mut arguments.json,
            Self::Trust(arguments) => &mut arguments.json,
            Self::Gui(arguments) => &mut arguments.json,
            Self::Completions { .. } | Self::Man(_) => return None,
        })
    }
}
