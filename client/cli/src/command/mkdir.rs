//! `mkdir`: makes folders on the server.

use quiver_client::ClientError;
use quiver_client::commands::parse_path;
use quiver_client::error::Failures;
use quiver_protocol::text::display_safe;
use quiver_protocol::units;

use super::report_failed;
use crate::cli;
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::json;

/// Makes folders.
///
/// # Errors
/// [`Failure`], also if only some of several failed.
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::MkdirArgs,
) -> Result<(), Failure> {
    interface.connect().await?;
    let paths = arguments.paths.iter().map(|typed| parse_path(typed, "make"));
    let paths = paths.collect::<Result<Vec<_>, _>>()?;
    let (client, output) = (interface.client.clone(), interface.output.clone());
    client.require_upload_permission("cannot make folders")?;
    let mut failures = Failures::new(paths.len(), "folders were not made");
    let (total, mut made) = (paths.len(), 0_u64);
    let mut paths = paths.iter();
    while let Some(path) = paths.next() {
        let rest = paths.len();
        let error = match interface.drive(client.make_folder(path)).await? {
            Ok(created) if created || arguments.parents => {
                made += u64::from(created);
                if arguments.json {
                    output.data(json::line(&json::MadeFolderLine { path, created }) + "\n").await?;
                } else {
                    let result = if created { "made" } else { "already there" };
                    output.say(format!("{}: {result}", display_safe(path.as_str()))).await;
                }
                continue;
            }
            Ok(_) => ClientError::FolderExists { path: path.to_string() },
            Err(error) => error,
        };
        if !report_failed(&mut failures, &output, error, rest).await {
            break;
        }
    }
    // The failure of some is a summary too.
    failures.result()?;
    if total > 1 && !arguments.json {
        output.say(format!("Made {}.", units::counted(made, "folder"))).await;
    }
    Ok(())
}
