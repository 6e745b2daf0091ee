//! The rule for metrics: the table of docs/operations.md has every metric that the server registers, and no other.
//! Reads no page of metrics; a story does.

use std::collections::BTreeSet;
use std::path::Path;

use proc_macro2::{TokenStream, TokenTree};

use super::literals::{string, tokens_of};
use super::{Document, markdown, section};
use crate::violation::Violation;

const DOCUMENT: &str = "docs/operations.md";
const SOURCES: [&str; 4] = [
    "server/src/metrics.rs",
    "server/src/metrics/network.rs",
    "server/src/metrics/relay.rs",
    "server/src/metrics_export.rs",
];

/// The functions whose first argument is the name of a metric.
const REGISTERING: [&str; 4] = ["register", "register_with_unit", "encode_descriptor", "gauge"];

/// The only metric without the prefix `quiver_`.
const OF_THE_PROCESS: &str = "process_start_time_seconds";

pub(crate) fn check(repository: &Path, documents: &[Document]) -> Vec<Violation> {
    let mut registered = BTreeSet::new();
    for file in SOURCES {
        collect(tokens_of(&repository.join(file)), &mut registered);
    }
    let mut violations = Vec::new();
    for document in documents {
        for span in markdown::code_spans(&document.text) {
            if let Some(name) = metric(&span.text)
                && !registered.contains(&name)
            {
                violations.push(Violation::new(
                    format!("{}:{}", document.path, span.line),
                    format!("the server has no metric {}", span.text),
                    "write it as the server registers it",
                ));
            }
        }
    }
    let Some(document) = documents.iter().find(|document| document.path == DOCUMENT) else {
        return violations;
    };
    let rows = section(&document.text, "## Metrics").map(markdown::table_rows).unwrap_or_default();
    let cells = rows.into_iter().map(|(_, cells)| cells[0].clone());
    let spans = cells.flat_map(|cell| markdown::code_spans(&cell));
    let listed: BTreeSet<_> = spans.filter_map(|span| metric(&span.text)).collect();
    for name in registered.difference(&listed) {
        violations.push(Violation::new(
            DOCUMENT,
            format!("the table of metrics does not have {name}"),
            "add a row that says what it counts",
        ));
    }
    violations
}

/// The registered name of a metric in a document: without prefix, labels, and what its type adds.
fn metric(text: &str) -> Option<String> {
    let name = text.split('{').next()?;
    if name == OF_THE_PROCESS {
        return Some(name.to_owned());
    }
    let name = name.strip_prefix("quiver_")?;
    let is_name = name.chars().all(|char| char.is_ascii_lowercase() || char == '_');
    let name = name.strip_suffix("_total").or(name.strip_suffix("_info")).unwrap_or(name);
    is_name.then(|| name.to_owned())
}

fn collect(tokens: TokenStream, names: &mut BTreeSet<String>) {
    let mut is_registering = false;
    for token in crate::tokens::without_tests(tokens) {
        match token {
            TokenTree::Group(group) => {
                if is_registering {
                    names.extend(registered_name(group.stream()));
                }
                collect(group.stream(), names);
                is_registering = false;
            }
            token => is_registering = REGISTERING.contains(&token.to_string().as_str()),
        }
    }
}

/// The name in the first argument, with the unit in the third.
fn registered_name(arguments: TokenStream) -> Option<String> {
    let name = string(&arguments.clone().into_iter().next()?.to_string())?;
    let text = arguments.to_string().replace(' ', "");
    let unit = if text.contains("Unit::Bytes") {
        "_bytes"
    } else if text.contains("Unit::Seconds") {
        "_seconds"
    } else {
        ""
    };
    Some(name + unit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::read_all;
    use crate::sources::SourceTree;

    const CODE: &str = "fn f(r: &mut Registry) { r.register(\"guests\", \"Help\", g); self.register(r);
        r.register_with_unit(\"sent\", \"Help\", Unit::Bytes, s); r.register(\"build\", \"x\", v);
        gauge(\"clients\", \"Help\", None, c)?; r.register(\"process_start_time_seconds\", \"x\", p); }";
    const ROWS: &str = "| `quiver_guests`, `quiver_sent_bytes_total{a,b}` | x |\n| `quiver_build_info` | x |\n\
                        | `quiver_clients`, `process_start_time_seconds` | x |\n";

    fn problems(rows: &str) -> Vec<String> {
        let page =
            format!("# X\n`quiver_server=debug`\n## Metrics\n\n| m | c |\n|---|---|\n{rows}");
        let sources = SourceTree::new(&[(DOCUMENT, &page), (SOURCES[0], CODE)]);
        let violations = check(sources.path(), &read_all(sources.path()));
        violations.into_iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn a_table_of_all_metrics_is_allowed() {
        assert_eq!(problems(ROWS), [""; 0]);
    }

    #[test]
    fn a_missing_or_unknown_metric_is_reported() {
        let rows = ROWS.replace("`quiver_guests`, ", "");
        assert_eq!(problems(&rows), ["the table of metrics does not have guests"]);
        let rows = ROWS.replace("`quiver_guests`", "`quiver_guests`, `quiver_guest_total`");
        assert_eq!(problems(&rows), ["the server has no metric quiver_guest_total"]);
        let rows = ROWS.replace("sent_bytes", "sent");
        assert_eq!(problems(&rows).len(), 2);
    }
}
