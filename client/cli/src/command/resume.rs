//! `resume`: resumes unfinished transfers, each with its own server.

use std::time::Duration;

use quiver_client::ResumeOverrides;
use quiver_client::request::ResumeRequest;

use crate::cli;
use crate::failure::Failure;
use crate::interface::{Interface, TransferStyle};

/// Resumes one unfinished transfer, or all of them.
///
/// # Errors
/// [`Failure`].
pub async fn run(
    interface: &mut Interface,
    overrides: &ResumeOverrides,
    arguments: &cli::ResumeArgs,
) -> Result<(), Failure> {
    interface.set_default_style(TransferStyle { json: arguments.json, ..TransferStyle::default() });
    let request = ResumeRequest {
        path: arguments.path.clone(),
        retry_for: Duration::from_secs(arguments.retry.retry_timeout),
        report_files: arguments.json,
    };
    let client = interface.client.clone();
    interface.drive(client.resume_unfinished(overrides, &request)).await??;
    Ok(())
}
