//! What the server says at its start, for people: what it serves, and the command that connects to it.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};

use quiver_protocol::text::display_path;
use quiver_protocol::units;

use crate::certificate;
use crate::config::Config;
use crate::files::FileCount;

/// What a server serves, and to whom.
#[derive(Debug)]
pub(crate) struct StartSummary {
    folder: PathBuf,
    certificate: PathBuf,
    slots: usize,
    has_uploads: bool,
    has_passwords: bool,
}

impl StartSummary {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            folder: config.files.clone(),
            certificate: certificate::path(&config.certs),
            slots: config.max_clients,
            has_uploads: config.uploads.is_some(),
            has_passwords: config.passwords.is_some(),
        }
    }

    /// `serving /srv/files (12 files), 3 slots, uploads off, passwords off`
    pub(crate) fn serving(&self, count: FileCount) -> String {
        let Self { folder, slots, has_uploads, has_passwords, .. } = self;
        let on_or_off = |is_on: &bool| if *is_on { "on" } else { "off" };
        format!(
            "serving {} ({}), {}, uploads {}, passwords {}",
            display_path(folder),
            file_count(count),
            units::counted(*slots as u64, "slot"),
            on_or_off(has_uploads),
            on_or_off(has_passwords),
        )
    }

    /// `connect with: quiver --server 192.0.2.7:4433 --cert certs/server.pem`
    pub(crate) fn connecting(&self, listening: SocketAddr) -> String {
        let server = reachable_address(listening);
        format!("connect with: quiver --server {server} --cert {}", shell_word(&self.certificate))
    }
}

fn file_count(count: FileCount) -> String {
    let FileCount { files, is_complete } = count;
    let at_least = if is_complete { "" } else { "at least " };
    format!("{at_least}{}", units::counted(files, "file"))
}

/// The address that clients type. For every address of this machine, it is the one of its default route, which this
/// machine and others of its network can use.
fn reachable_address(listening: SocketAddr) -> String {
    if !listening.ip().is_unspecified() {
        return listening.to_string();
    }
    let port = listening.port();
    // Addresses for documentation (RFC 5737, RFC 3849): the socket sends nothing.
    let routes = [("0.0.0.0:0", "192.0.2.1:9"), ("[::]:0", "[2001:db8::1]:9")];
    let usable = if listening.is_ipv6() { &routes[..] } else { &routes[..1] };
    let found = usable.iter().find_map(|(local, remote)| local_address(local, remote));
    found.map_or_else(
        || format!("localhost:{port}"),
        |address| SocketAddr::new(address, port).to_string(),
    )
}

/// The address from which this machine would send to another one.
fn local_address(local: &str, remote: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind(local).ok()?;
    socket.connect(remote).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified() && !address.is_loopback()).then_some(address)
}

/// A path as a word for a shell.
fn shell_word(path: &Path) -> String {
    let text: Cow<'_, str> = path.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.into_owned();
    }
    display_path(Path::new(&format!("'{}'", text.replace('\'', r"'\''")))).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> StartSummary {
        StartSummary {
            folder: PathBuf::from("/srv/files"),
            certificate: PathBuf::from("certs/server.pem"),
            slots: 3,
            has_uploads: false,
            has_passwords: true,
        }
    }

    #[test]
    fn one_line_says_what_is_served() {
        let text = |files, is_complete| summary().serving(FileCount { files, is_complete });
        assert_eq!(
            text(12, true),
            "serving /srv/files (12 files), 3 slots, uploads off, passwords on"
        );
        assert!(text(1, true).starts_with("serving /srv/files (1 file), "));
        assert!(text(9, false).starts_with("serving /srv/files (at least 9 files), "));
    }

    #[test]
    fn the_command_to_connect_has_an_address_that_clients_can_dial() {
        let command = |address: &str| summary().connecting(address.parse().unwrap());
        let expected = "connect with: quiver --server 127.0.0.1:4433 --cert certs/server.pem";
        assert_eq!(command("127.0.0.1:4433"), expected);
        for wildcard in ["0.0.0.0:4433", "[::]:4433"] {
            let text = command(wildcard);
            assert!(!text.contains("0.0.0.0") && !text.contains("[::]"), "{text}");
            assert!(text.contains(":4433 --cert "), "{text}");
        }
    }

    #[test]
    fn a_path_with_spaces_is_quoted_for_a_shell() {
        assert_eq!(shell_word(Path::new("my certs/server.pem")), "'my certs/server.pem'");
        assert_eq!(shell_word(Path::new("it's")), r"'it'\''s'");
    }
}
