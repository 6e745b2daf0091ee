//! Where each setting comes from: flag, environment or file, and what is said of a wrong one.

use std::fs;

use super::*;

const NOTHING: fn(&str) -> Option<OsString> = |_| None;

fn all_variables(name: &str) -> Option<OsString> {
    match name {
        "QUIVER_SERVER" => Some("variable:2".into()),
        "QUIVER_CERT" => Some("variable.pem".into()),
        "QUIVER_NAME" => Some("Variable".into()),
        _ => None,
    }
}

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

const ALL_KEYS: &str = "server = 'file:3'\ncert = 'certs/file.pem'\nname = 'File'\n";

#[test]
fn a_flag_beats_the_environment_which_beats_the_file() {
    let (_folder, path) = written(ALL_KEYS);
    let typed = SettingsArgs {
        server: Some("flag:1".parse().unwrap()),
        cert: Some("flag.pem".into()),
        name: Some(ClientName::parse("Flag").unwrap()),
        ..SettingsArgs::default()
    };
    let seen = |config: Config| {
        let certificate = config.client.certificate.unwrap().file_name().unwrap().to_owned();
        (
            config.client.server.to_string(),
            certificate.into_string().unwrap(),
            config.client.name.unwrap().to_string(),
        )
    };
    let of = |server: &str, certificate: &str, name: &str| {
        (server.to_owned(), certificate.to_owned(), name.to_owned())
    };
    let all = Config::new(typed, all_variables, Some(&path)).unwrap();
    assert_eq!(seen(all), of("flag:1", "flag.pem", "Flag"));
    let two = Config::new(SettingsArgs::default(), all_variables, Some(&path)).unwrap();
    assert_eq!(seen(two), of("variable:2", "variable.pem", "Variable"));
    let one = Config::new(SettingsArgs::default(), NOTHING, Some(&path)).unwrap();
    assert_eq!(seen(one), of("file:3", "file.pem", "File"));
    let none = Config::new(SettingsArgs::default(), NOTHING, None).unwrap();
    assert_eq!(none.client.server.to_string(), "localhost:4433");
    assert_eq!((none.client.certificate, none.client.name), (None, None));
}

#[test]
fn a_path_in_the_file_starts_at_the_file() {
    let (folder, path) = written(ALL_KEYS);
    let config = Config::new(SettingsArgs::default(), NOTHING, Some(&path)).unwrap();
    assert_eq!(config.client.certificate.unwrap(), folder.path().join("certs/file.pem"));
}

#[test]
fn an_empty_variable_is_none_and_a_missing_file_too() {
    let missing = Path::new("/nonexistent/config.toml");
    let config =
        Config::new(SettingsArgs::default(), |_| Some(OsString::new()), Some(missing)).unwrap();
    assert_eq!(config.client.server.to_string(), "localhost:4433");
    assert_eq!((config.client.certificate, config.client.name), (None, None));
}

#[test]
fn errors_name_the_place() {
    let error = |text: &str| {
        let (folder, path) = written(text);
        let error = Config::new(SettingsArgs::default(), NOTHING, Some(&path)).unwrap_err();
        error.to_string().replace(folder.path().to_str().unwrap(), "")
    };
    let unknown = error("name = 'a'\nsever = 'x'\n");
    assert!(unknown.starts_with("/config.toml, line 2: unknown field `sever`"), "{unknown}");
    assert!(error("server = 'a:0'").starts_with("/config.toml: server: \"0\" is not a port"));
    assert!(error("name = 'a b'").starts_with("/config.toml: name: a name has"));
    assert!(error("name = ").starts_with("/config.toml, line 1: "));

    let bad = |name: &str| (name == "QUIVER_NAME").then(|| "a b".into());
    let error = Config::new(SettingsArgs::default(), bad, None).unwrap_err();
    assert!(error.to_string().starts_with("QUIVER_NAME: a name has"));
}
