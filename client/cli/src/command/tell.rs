//! `tell`: sends a message to another client, or to all.

use quiver_client::ClientError;
use quiver_client::error::{Failures, PeerError};
use quiver_protocol::{ClientName, Refusal, RefusalCode, units};

use super::report_failed;
use crate::cli;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::json::events::EventLine;
use crate::ui_mode::UiMode;

/// Sends a message, and waits until each recipient has confirmed it.
///
/// # Errors
/// [`Failure`].
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::TellArgs,
) -> Result<(), Failure> {
    let (recipient, text) = recipient_and_text(arguments)?;
    interface.connect().await?;
    match recipient {
        Some(name) => tell(interface, &name, &text, arguments.json).await,
        None => tell_all(interface, &text, arguments.json).await,
    }
}

/// The recipient, `None` for all, and the text.
fn recipient_and_text(arguments: &cli::TellArgs) -> Result<(Option<ClientName>, String), Failure> {
    let usage = |what: String| Failure::usage(what, "tell NAME TEXT, or tell --all TEXT");
    let (recipient, words) = match arguments.words.split_first() {
        _ if arguments.all => (None, &arguments.words[..]),
        Some((name, words)) => {
            let name = ClientName::parse(name).map_err(|error| usage(error.to_string()))?;
            (Some(name), words)
        }
        None => return Err(usage("the recipient is missing".to_owned())),
    };
    let text = words.join(" ");
    if text.trim().is_empty() {
        return Err(usage("the message is empty".to_owned()));
    }
    Ok((recipient, text))
}

async fn tell(
    interface: &mut Interface,
    name: &ClientName,
    text: &str,
    json: bool,
) -> Result<(), Failure> {
    let client = interface.client.clone();
    let told = interface.drive(client.tell(name, text)).await?;
    report(interface, name, &told, json).await?;
    Ok(told?)
}

async fn tell_all(interface: &mut Interface, text: &str, json: bool) -> Result<(), Failure> {
    let client = interface.client.clone();
    let outcomes = interface.drive(client.tell_all(text)).await??;
    if outcomes.is_empty() {
        let refusal = Refusal::new(RefusalCode::NoSuchClient, "no other client can be reached");
        return Err(ClientError::refused("cannot send the message", refusal).into());
    }
    let total = outcomes.len();
    let mut failures = Failures::new(total, "clients did not get the message");
    for (name, told) in outcomes {
        report(interface, &name, &told, json).await?;
        if let Err(error) = told {
            report_failed(&mut failures, &interface.output, error, 0).await;
        }
    }
    // The failure of some is a summary too.
    failures.result()?;
    if !json && (total > 1 || interface.output.mode() == UiMode::Prompt) {
        let clients = units::counted(total as u64, "client");
        interface.output.say(format!("Delivered to {clients}.")).await;
    }
    Ok(())
}

/// Reports that a message was delivered; as JSON also that it was not. The caller reports the failure itself.
async fn report(
    interface: &Interface,
    to: &ClientName,
    told: &Result<(), ClientError>,
    json: bool,
) -> Result<(), Failure> {
    let (outcome, why) = match told {
        Ok(()) => ("delivered", None),
        Err(error @ ClientError::Peer(PeerError::MessageUnknown { .. })) => {
            ("unknown", Some(error.to_string()))
        }
        Err(error) => ("not_delivered", Some(error.to_string())),
    };
    if json {
        return interface.peer_line(&EventLine::Told { to, outcome, why }).await;
    }
    // At the prompt, a message that is delivered needs no answer.
    if told.is_ok() && interface.output.mode() != UiMode::Prompt {
        interface.output.say(format!("delivered to {to}")).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    fn arguments(all: bool, words: &[&str]) -> cli::TellArgs {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        cli::TellArgs { all, words, json: false }
    }

    #[test]
    fn the_first_word_is_the_recipient_unless_all_are() {
        let (name, text) = recipient_and_text(&arguments(false, &["Ron", "a", "b"])).unwrap();
        assert_eq!((name.unwrap().as_str(), text.as_str()), ("Ron", "a b"));
        let (name, text) = recipient_and_text(&arguments(true, &["Ron", "a"])).unwrap();
        assert_eq!((name, text.as_str()), (None, "Ron a"));
    }

    #[test]
    fn a_message_needs_a_valid_recipient_and_a_text() {
        for words in [&["Ron"][..], &["Ron", " "], &["a b", "c"], &[]] {
            let failure = recipient_and_text(&arguments(false, words)).unwrap_err();
            assert_eq!(failure.exit(), Exit::Usage, "{words:?}");
        }
    }
}
