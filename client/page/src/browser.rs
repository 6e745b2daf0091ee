//! Opens the browser through a private file that redirects it to the link, so that no process list shows the code.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use quiver_client::folders::create_private;
use tokio::process::Command;

use crate::secrets::code_name;

/// The program that opens a file with the user's browser, or a folder with the file manager.
const OPENER: &str = "xdg-open";

const PREFIX: &str = "open-";
const SUFFIX: &str = ".html";

/// A file that redirects a browser to a link.
#[derive(Debug)]
pub(crate) struct RedirectFile {
    path: PathBuf,
}

impl RedirectFile {
    /// The file for the link with this code, which may not exist. Its name does not show the code.
    pub(crate) fn of_code(folder: &Path, code: &str) -> Self {
        Self { path: folder.join(format!("{PREFIX}{}{SUFFIX}", code_name(code))) }
    }

    /// Writes the file, for its owner only.
    fn create(&self, link: &str) -> io::Result<()> {
        if let Some(folder) = self.path.parent() {
            create_private(folder)?;
        }
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&self.path)?;
        // A link has no character that HTML would change.
        let text = format!(
            "<!doctype html><meta charset=\"utf-8\"><meta name=\"referrer\" content=\"no-referrer\">\
             <title>Quiver</title><meta http-equiv=\"refresh\" content=\"0; url={link}\">\n"
        );
        file.write_all(text.as_bytes())
    }

    /// Removes the file, if it exists.
    pub(crate) fn remove(&self) {
        // If this fails, the code in it is of no use any more.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes the redirect files of earlier processes.
pub(crate) fn sweep(folder: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_redirect =
            name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX));
        if is_redirect {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Opens the browser with this link. The running page removes the file once the code is used or expired.
///
/// # Errors
/// The system's error, as if no browser can be opened.
pub async fn open_browser(runtime_folder: &Path, link: &str) -> io::Result<()> {
    let code = link.rsplit_once('=').map_or("", |(_, code)| code);
    let file = RedirectFile::of_code(runtime_folder, code);
    file.create(link)?;
    open_on_desktop(&file.path).inspect_err(|_| file.remove())
}

/// Opens a file or folder with the program that the user's desktop has for it, and does not wait for that.
///
/// # Errors
/// The system's error, as if there is no desktop.
pub(crate) fn open_on_desktop(path: &Path) -> io::Result<()> {
    let mut command = Command::new(OPENER);
    command.arg(path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Ctrl-C in this terminal is not for the desktop.
    command.process_group(0);
    // The runtime waits for its end.
    command.spawn().map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_file_is_private_and_its_name_does_not_show_the_code() {
        let folder = tempfile::tempdir().unwrap();
        let file = RedirectFile::of_code(folder.path(), "secretcode");
        file.create("http://127.0.0.1:1/#code=secretcode").unwrap();
        assert!(!file.path.to_str().unwrap().contains("secret"));
        assert_eq!(fs::metadata(&file.path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&file.path).unwrap();
        assert!(text.contains("url=http://127.0.0.1:1/#code=secretcode\""), "{text}");
        assert!(file.create("http://127.0.0.1:1/#code=secretcode").is_err());
        fs::write(folder.path().join("open-other.txt"), "").unwrap();
        sweep(folder.path());
        assert!(!file.path.exists());
        assert!(folder.path().join("open-other.txt").exists());
    }
}
