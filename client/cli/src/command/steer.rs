//! `pause`, `cancel` and `resume N`: steer a running transfer of any process of this user. Needs no server.

use std::path::Path;

use quiver_control::processes::{self, SteerError, TransferSelector};
use quiver_control::{Steering, own_thread};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{Output, human, json};

/// A steered transfer as a JSON object.
#[derive(Debug, Serialize)]
struct SteeredLine<'a> {
    done: &'static str,
    number: Option<u64>,
    transfer: &'a str,
}

/// Pauses, resumes or cancels a transfer.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    folder: Option<&Path>,
    output: &Output,
    selector: TransferSelector,
    steering: Steering,
    as_json: bool,
) -> Result<(), Failure> {
    let folder = folder.ok_or(SteerError::Unknown(selector))?.to_owned();
    let steered = async move || processes::steer(&folder, selector, steering).await;
    let failed = |error| Failure::system("cannot reach the other programs", error);
    let view = own_thread::run(steered).await.map_err(failed)??;
    if as_json {
        let done = match steering {
            Steering::Pause => "pause",
            Steering::Resume => "resume",
            Steering::Cancel => "cancel",
        };
        let line = SteeredLine { done, number: view.number, transfer: &view.transfer };
        return output.data(json::line(&line) + "\n").await;
    }
    output.say(human::transfers::steered(&view, steering)).await;
    Ok(())
}
