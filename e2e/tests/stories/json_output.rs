//! `--json`: every command prints the objects that docs/json.md describes, and nothing else; errors are objects, too.

#![expect(clippy::unwrap_used, reason = "a failure here fails a test")]

mod files;
mod peers;
mod server;
mod transfers;

use std::collections::BTreeSet;

use quiver_e2e::process::ProgramOutput;
use quiver_e2e::quiver::QuiverCommand;
use quiver_e2e::{Home, JsonSchema};
use serde_json::Value;

/// Objects that need another client of bad manners, or a lost connection. The client's own tests compare their examples
/// with its output.
const NOT_PRINTED_HERE: [&str; 8] = [
    "offer_refused",
    "failed",
    "ended",
    "key_refused",
    "compared",
    "not_reachable",
    "connection_lost",
    "reconnected",
];

/// Commands without `--json`.
const DOCUMENTS: [&str; 3] = ["completions", "man", "help"];

/// Compares output with the document, and remembers which objects there were.
struct Checker {
    schema: JsonSchema,
    seen: BTreeSet<String>,
}

impl Checker {
    /// Checks lines of standard output, which are events or have one of these headings.
    fn check(&mut self, lines: &str, headings: &[&str]) -> Vec<Value> {
        let mut objects = Vec::new();
        for line in lines.lines() {
            let object: Value =
                serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
            let mut problems = Vec::new();
            let event = JsonSchema::heading_of(&object, "");
            let headings = if event.is_empty() { headings } else { &[event.as_str()] };
            let fits = headings.iter().find(|heading| {
                self.schema
                    .check(heading, &object)
                    .map_err(|problem| problems.push(problem))
                    .is_ok()
            });
            let Some(heading) = fits else { panic!("{}\n{line}", problems.join("\n")) };
            self.seen.insert((*heading).to_owned());
            objects.push(object);
        }
        objects
    }

    /// Runs a command with `--json`, and checks all that it prints.
    async fn run(&mut self, code: i32, quiver: QuiverCommand, headings: &[&str]) -> Vec<Value> {
        let output = quiver.arguments(["--json"]).run().await;
        self.check_output(code, &output, headings)
    }

    /// Checks the output of one command: its last error has its exit code.
    fn check_output(&mut self, code: i32, output: &ProgramOutput, headings: &[&str]) -> Vec<Value> {
        let objects = self.check_piped(code, output, headings);
        let last = output.stderr.lines().rfind(|line| line.starts_with("{\"error\":"));
        let last = last.map_or(0, |line| {
            let error: Value = serde_json::from_str(line).unwrap();
            error["exit"].as_i64().unwrap()
        });
        assert_eq!(last, i64::from(code), "{output:?}");
        objects
    }

    /// Checks the output of piped commands.
    fn check_piped(&mut self, code: i32, output: &ProgramOutput, headings: &[&str]) -> Vec<Value> {
        output.expect(code);
        self.check(&output.stderr, &["Error", "Warning"]);
        let objects = self.check(&output.stdout, headings);
        let missing = headings.iter().find(|heading| !self.seen.contains(**heading));
        assert_eq!(missing, None, "{output:?}");
        objects
    }
}

#[tokio::test]
async fn every_command_prints_the_objects_that_the_document_describes() {
    let mut checker = Checker { schema: JsonSchema::read(), seen: BTreeSet::new() };
    files::check(&mut checker).await;
    transfers::check(&mut checker).await;
    peers::check(&mut checker).await;
    server::check(&mut checker).await;
    let mut missing = checker.schema.headings();
    missing.retain(|heading| !checker.seen.contains(heading));
    assert_eq!(missing, NOT_PRINTED_HERE.map(str::to_owned).into());
}

#[test]
fn each_example_of_the_document_has_the_described_fields() {
    assert_eq!(JsonSchema::read().check_examples(), Ok(()));
}

#[tokio::test]
async fn every_command_but_documents_has_the_flag() {
    let home = Home::new();
    let help = home.quiver(["--help"]).run().await;
    let commands = help.expect(0).stdout.split("Commands:\n").nth(1).unwrap();
    let rows = commands.lines().take_while(|row| row.starts_with(' '));
    let names = rows.filter(|row| !row.starts_with("    "));
    let names: Vec<_> = names.map(|row| row.split_whitespace().next().unwrap()).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let help = home.quiver([name, "--help"]).run().await;
        assert_eq!(help.stdout.contains("--json"), !DOCUMENTS.contains(&name), "{name}");
    }
}
