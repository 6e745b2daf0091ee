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
