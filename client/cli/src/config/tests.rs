//! Tests of the precedence of flags, environment and file, and of the errors for invalid settings.

use std::fs;

use super::*;

const NO_VARIABLES: fn(&str) -> Option<OsString> = |_| None;

fn all_variables(name: &str) -> Option<OsString> {
    match name {
        "QUIVER_SERVER" => Some("variable:2".into()),
        "QUIVER_CERT" => Some("variable.pem".into()),
        "QUIVER_NAME" => Some("Variable".into()),
        _ => None,
    }
}

fn config_file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

const ALL_KEYS: &str = "server = 'file:3'\ncert = 'certs/file.pem'\nname = 'File'\n";

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let (_folder, path) = config_file(ALL_KEYS);
    let flags = SettingsArgs {
        server: Some("flag:1".parse().unwrap()),
        cert: Some("flag.pem".into()),
        name: Some(ClientName::parse("Flag").unwrap()),
        ..SettingsArgs::default()
    };
    let values = |config: Config| {
        let certificate = config.client.certificate.unwrap().file_name().unwrap().to_owned();
        (
            config.client.server.to_string(),
            certificate.into_string().unwrap(),
            config.client.name.unwrap().to_string(),
        )
    };
    let expected = |server: &str, certificate: &str, name: &str| {
        (server.to_owned(), certificate.to_owned(), name.to_owned())
    };
    let all = Config::new(flags, all_variables, Some(&path), None).unwrap();
    assert_eq!(values(all), expected("flag:1", "flag.pem", "Flag"));
    let two = Config::new(SettingsArgs::default(), all_variables, Some(&path), None).unwrap();
    assert_eq!(values(two), expected("variable:2", "variable.pem", "Variable"));
    let one = Config::new(SettingsArgs::default(), NO_VARIABLES, Some(&path), None).unwrap();
    assert_eq!(values(one), expected("file:3", "file.pem", "File"));
    let none = Config::new(SettingsArgs::default(), NO_VARIABLES, None, None).unwrap();
    assert_eq!(none.client.server.to_string(), "localhost:4433");
    assert_eq!((none.client.certificate, none.client.name), (None, None));
}

#[test]
fn a_relative_path_in_the_file_starts_at_its_folder() {
    let (folder, path) = config_file(ALL_KEYS);
    let config = Config::new(SettingsArgs::default(), NO_VARIABLES, Some(&path), None).unwrap();
    assert_eq!(config.client.certificate.unwrap(), folder.path().join("certs/file.pem"));
}

#[test]
fn empty_variables_and_a_missing_file_leave_the_defaults() {
    let missing = Path::new("/nonexistent/config.toml");
    let config =
        Config::new(SettingsArgs::default(), |_| Some(OsString::new()), Some(missing), None)
            .unwrap();
    assert_eq!(config.client.server.to_string(), "localhost:4433");
    assert_eq!((config.client.certificate, config.client.name), (None, None));
}

#[test]
fn errors_name_the_variable_or_the_line_of_the_file() {
    let error = |text: &str| {
        let (folder, path) = config_file(text);
        let error =
            Config::new(SettingsArgs::default(), NO_VARIABLES, Some(&path), None).unwrap_err();
        error.to_string().replace(folder.path().to_str().unwrap(), "")
    };
    let unknown = error("name = 'a'\nsever = 'x'\n");
    assert!(unknown.starts_with("/config.toml, line 2: unknown field `sever`"), "{unknown}");
    assert!(error("server = 'a:0'").starts_with("/config.toml: server: \"0\" is not a port"));
    assert!(error("name = 'a b'").starts_with("/config.toml: name: a name has"));
    assert!(error("name = ").starts_with("/config.toml, line 1: "));

    let bad = |name: &str| (name == "QUIVER_NAME").then(|| "a b".into());
    let error = Config::new(SettingsArgs::default(), bad, None, None).unwrap_err();
    assert!(error.to_string().starts_with("QUIVER_NAME: a name has"));
}

#[test]
fn other_clients_are_announced_unless_the_file_says_no() {
    let announces = |text: &str| {
        let (_folder, path) = config_file(text);
        let config = Config::new(SettingsArgs::default(), NO_VARIABLES, Some(&path), None);
        config.map(|config| config.announce)
    };
    assert!(announces("").unwrap());
    assert!(announces("announce = true").unwrap());
    assert!(!announces("announce = false").unwrap());
    assert!(announces("announce = 'no'").is_err());
}

#[test]
fn the_congestion_control_comes_from_the_flag_or_else_from_the_file() {
    use quiver_transport::CongestionControl::{self, Auto, Cubic, Model};
    let congestion = |text: &str, flag: Option<CongestionControl>| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, text).unwrap();
        let flags = SettingsArgs { congestion: flag, ..SettingsArgs::default() };
        let config = Config::new(flags, |_| None, Some(&file), None);
        config.map(|config| config.client.congestion)
    };
    assert_eq!(congestion("", None).unwrap(), Auto);
    assert_eq!(congestion("congestion = 'cubic'", None).unwrap(), Cubic);
    assert_eq!(congestion("congestion = 'cubic'", Some(Model)).unwrap(), Model);
    assert!(congestion("congestion = 'reno'", None).is_err());
}

#[test]
fn a_flag_decides_about_paths_before_the_file() {
    use quiver_client::settings::PathPolicy;
    let paths = |text: &str, relay_only, direct_only| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let flags = SettingsArgs { relay_only, direct_only, ..SettingsArgs::default() };
        let config = Config::new(flags, |_| None, Some(&path), None);
        config.map(|config| config.client.paths)
    };
    let relay_only = "paths = 'relay-only'";
    assert_eq!(paths("", false, false).unwrap(), PathPolicy::Any);
    assert_eq!(paths(relay_only, false, false).unwrap(), PathPolicy::RelayOnly);
    assert_eq!(paths(relay_only, false, true).unwrap(), PathPolicy::DirectOnly);
    assert_eq!(paths("paths = 'direct-only'", true, false).unwrap(), PathPolicy::RelayOnly);
    assert!(paths("paths = 'none'", false, false).is_err());
}

const ENTRIES: &str = "\
server = 'files.example.org'
cert = 'global.pem'
name = 'Global'

[servers.Work]
address = 'work.example.org:5000'
cert = '~/work.pem'
name = 'Ron'
password_file = 'secrets/work'

[servers.lab]
address = 'lab.example.org'
";

/// Server, certificate, name and password file with these flags, variables and the file [`ENTRIES`].
fn with_entries(server: Option<&str>, variable: fn(&str) -> Option<OsString>) -> [String; 4] {
    let (folder, path) = config_file(ENTRIES);
    let server = server.map(|server| server.parse().unwrap());
    let flags = SettingsArgs { server, ..SettingsArgs::default() };
    let config = Config::new(flags, variable, Some(&path), Some(Path::new("/home/ron"))).unwrap();
    let shown = |path: Option<PathBuf>| {
        let text = path.unwrap_or_default().display().to_string();
        text.replace(folder.path().to_str().unwrap(), "FOLDER")
    };
    let client = config.client;
    let name = client.name.map_or_else(String::new, |name| name.to_string());
    let (certificate, password) = (shown(client.certificate), shown(client.password_file));
    [client.server.to_string(), certificate, name, password]
}

#[test]
fn a_server_entry_has_its_own_certificate_name_and_password_file() {
    let work = ["work.example.org:5000", "/home/ron/work.pem", "Ron", "FOLDER/secrets/work"];
    assert_eq!(with_entries(Some("work"), NO_VARIABLES), work);
    assert_eq!(with_entries(Some("WORK"), NO_VARIABLES), work);
    let by_variable = |name: &str| (name == "QUIVER_SERVER").then(|| "work".into());
    assert_eq!(with_entries(None, by_variable), work);
    assert_eq!(with_entries(Some("lab"), NO_VARIABLES), ["lab.example.org:4433", "", "", ""]);
    let named = |name: &str| (name == "QUIVER_NAME").then(|| "Variable".into());
    assert_eq!(with_entries(Some("work"), named)[2], "Variable");
}

#[test]
fn the_certificate_outside_of_entries_is_used_for_its_server_only() {
    let global = ["files.example.org:4433", "FOLDER/global.pem", "Global", ""];
    assert_eq!(with_entries(None, NO_VARIABLES), global);
    assert_eq!(with_entries(Some("Files.Example.org:4433"), NO_VARIABLES), global);
    for other in ["other.example.org", "files.example.org:4434", "localhost"] {
        assert_eq!(with_entries(Some(other), NO_VARIABLES)[1..], ["", "", ""], "{other}");
    }
    // With a port, the name of an entry is that of a host.
    assert_eq!(with_entries(Some("work:4433"), NO_VARIABLES), ["work:4433", "", "", ""]);
}

#[test]
fn a_certificate_without_a_server_is_that_of_the_default_server_and_a_name_is_for_all() {
    let (_folder, path) = config_file("cert = '/c.pem'\nname = 'Ron'\n");
    let client = |server: Option<&str>| {
        let server = server.map(|server| server.parse().unwrap());
        let flags = SettingsArgs { server, ..SettingsArgs::default() };
        Config::new(flags, NO_VARIABLES, Some(&path), None).unwrap().client
    };
    assert_eq!(client(None).certificate, Some("/c.pem".into()));
    assert_eq!(client(Some("other")).certificate, None);
    assert_eq!(client(Some("other")).name.unwrap().as_str(), "Ron");
}

#[test]
fn an_entry_can_be_the_default_server() {
    let text = ENTRIES.replace("files.example.org", "work");
    let (_folder, path) = config_file(&text);
    let home = Some(Path::new("/home/ron"));
    let config = Config::new(SettingsArgs::default(), NO_VARIABLES, Some(&path), home).unwrap();
    assert_eq!(config.client.server.to_string(), "work.example.org:5000");
    assert_eq!(config.client.certificate, Some("/home/ron/work.pem".into()));
}

#[test]
fn errors_of_entries_name_the_file_and_the_key() {
    for (text, expected) in [
        ("[servers.a]\naddress = 'b:0'", ": servers.a.address: \"0\" is not a port"),
        ("[servers.a]\naddress = 'b'\nname = '!'", ": servers.a.name: a name has"),
        ("[servers.a]\naddress = 'b'\nport = 1", ", line 3: unknown field `port`"),
        ("[servers.a]\ncert = 'b'", ", line 1: missing field `address`"),
        ("[servers.'a:1']\naddress = 'b'", ": servers.a:1: a server entry has a name like"),
        ("[servers.'a b']\naddress = 'b'", ": servers.a b: a server entry has a name like"),
        ("[servers.'::1']\naddress = 'b'", ": servers.::1: a server entry has a name like"),
        ("[servers.a]\naddress = 'b'\n[servers.A]\naddress = 'c'", ": servers.a: another server"),
        ("[servers.a]\naddress = 'b'\ncert = '~/c'", ": servers.a.cert: this user has no home"),
        ("cert = '~/c'", ": cert: this user has no home folder for ~"),
    ] {
        let (_folder, path) = config_file(text);
        let flags = SettingsArgs::default();
        let error = Config::new(flags, NO_VARIABLES, Some(&path), None).unwrap_err().to_string();
        let rest = error.strip_prefix(&*path.display().to_string()).unwrap_or_default();
        assert!(rest.starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn a_password_file_of_an_entry_is_for_transfers_of_its_server_only() {
    let (folder, path) = config_file(ENTRIES);
    let flags = SettingsArgs { server: Some("work".parse().unwrap()), ..SettingsArgs::default() };
    let home = Some(Path::new("/home/ron"));
    let overrides = Config::new(flags, NO_VARIABLES, Some(&path), home).unwrap().overrides;
    assert_eq!(overrides.server.unwrap().to_string(), "work.example.org:5000");
    assert_eq!(overrides.certificate, Some("/home/ron/work.pem".into()));
    assert_eq!(overrides.name.unwrap().as_str(), "Ron");
    assert_eq!(overrides.password_file, None);
    let file = folder.path().join("secrets/work");
    assert_eq!(overrides.password_files, [("work.example.org:5000".parse().unwrap(), file)]);
}
