//! `list`: lists a folder of the server, the matches of a pattern, or what is below them.

use std::cmp::Reverse;

use chrono::Local;
use quiver_client::error::InvalidRequest;
use quiver_client::{ClientError, EntryWalk, ErrorCode};
use quiver_protocol::reply::FolderEntry;

use crate::cli::{self, ListOrder};
use crate::failure::Failure;
use crate::interface::Interface;
use crate::output::human::listing::{self, EntryTotals};
use crate::output::{Output, RowWriter, human, json, style};
use crate::ui_mode::UiMode;

/// The most entries that are kept in memory to be sorted.
const MAX_SORTED: usize = 1_000_000;

/// Prints the entries of a folder, or those that match a pattern.
///
/// # Errors
/// [`Failure`], also if only some of several folders could not be listed.
pub(super) async fn run(
    interface: &mut Interface,
    arguments: &cli::ListArgs,
) -> Result<(), Failure> {
    interface.connect().await?;
    let (client, output) = (interface.client.clone(), interface.output.clone());
    let list = async {
        let walk = client.walk(&arguments.path, arguments.recursive).await?;
        print_entries(walk, &output, arguments).await
    };
    interface.drive(list).await?
}

async fn print_entries(
    mut walk: EntryWalk,
    output: &Output,
    arguments: &cli::ListArgs,
) -> Result<(), Failure> {
    let order = arguments.sort.or(arguments.reverse.then_some(ListOrder::Name));
    let mut rows = EntryRows::new(output, arguments);
    let (mut waiting, mut failed) = (Vec::new(), 0);
    loop {
        match walk.next().await {
            Ok(Some(entry)) if order.is_some() => {
                if waiting.len() == MAX_SORTED {
                    let what = format!("there are more than {MAX_SORTED} entries to sort");
                    return Err(Failure::usage(what, "leave out --sort and --reverse"));
                }
                waiting.push(entry);
            }
            Ok(Some(entry)) => rows.push(&entry).await?,
            Ok(None) => break,
            Err(error) if walk.folder_count() < 2 || ends_walk(&error) => return Err(error.into()),
            Err(error) => {
                output.failure(&error.into()).await;
                failed += 1;
            }
        }
    }
    if let Some(order) = order {
        sort(&mut waiting, order, arguments.reverse);
        for entry in &waiting {
            rows.push(entry).await?;
        }
    }
    rows.finish().await?;
    if walk.not_served() > 0 {
        output.note("not_served", human::not_served(walk.not_served())).await;
    }
    if failed == 0 {
        return Ok(());
    }
    let (total, code) = (walk.folder_count(), ErrorCode::Partial);
    Err(ClientError::SomeFailed { failed, total, what: "folders were not listed", code }.into())
}

/// Whether no further folder can be listed.
fn ends_walk(error: &ClientError) -> bool {
    error.is_lost_connection()
        || matches!(error, ClientError::Invalid(InvalidRequest::TooManyEntries))
}

fn sort(entries: &mut [FolderEntry], order: ListOrder, reverse: bool) {
    // By parts, so that a folder's entries follow it.
    entries.sort_unstable_by(|a, b| a.path.parts().cmp(b.path.parts()));
    match order {
        ListOrder::Name => {}
        ListOrder::Size => entries.sort_by_key(|entry| Reverse(entry.size)),
        ListOrder::Time => entries.sort_by_key(|entry| Reverse(entry.modified.0)),
    }
    if reverse {
        entries.reverse();
    }
}

/// Prints entries as the arguments say.
struct EntryRows<'a> {
    output: &'a Output,
    arguments: &'a cli::ListArgs,
    rows: RowWriter<'a>,
    totals: EntryTotals,
    is_empty: bool,
}

impl<'a> EntryRows<'a> {
    fn new(output: &'a Output, arguments: &'a cli::ListArgs) -> Self {
        // A prefix would move the first row of columns.
        let rows = RowWriter::new(output, arguments.json || arguments.long);
        Self { output, arguments, rows, totals: EntryTotals::default(), is_empty: true }
    }

    async fn push(&mut self, entry: &FolderEntry) -> Result<(), Failure> {
        self.is_empty = false;
        self.totals.add(entry);
        let row = if self.arguments.json {
            json::line(entry)
        } else if self.arguments.long {
            listing::long_row(entry, self.output.data_width(), &Local)
        } else {
            human::folder_entry(entry)
        };
        self.rows.push(&row).await
    }

    async fn finish(mut self) -> Result<(), Failure> {
        let is_for_people = !self.arguments.json;
        if self.arguments.long && is_for_people {
            self.rows.push(&listing::totals(&self.totals)).await?;
        }
        self.rows.finish().await?;
        if self.is_empty && is_for_people && !self.arguments.long {
            note_empty(self.output).await;
        }
        Ok(())
    }
}

/// Says that a folder is empty, where a person sees it.
async fn note_empty(output: &Output) {
    let note = "the folder is empty";
    match output.mode() {
        UiMode::Prompt => {
            let server = style::painted(style::NAME, "Server:");
            output.say(format!("{server} {note}")).await;
        }
        UiMode::OneShot => output.say_at_terminal(note).await,
        UiMode::Batch => {}
    }
}

#[cfg(test)]
mod tests {
    use quiver_protocol::reply::EntryKind;
    use quiver_protocol::{FilePath, Timestamp};

    use super::*;

    #[test]
    fn entries_are_sorted_by_name_size_or_time_and_equal_ones_by_name() {
        let entry = |path: &str, size, modified: &str| FolderEntry {
            path: FilePath::parse(path).unwrap(),
            kind: EntryKind::File,
            size,
            modified: Timestamp(modified.parse().unwrap()),
        };
        let (early, late) = ("2024-10-19T17:45:47Z", "2024-10-20T17:45:47Z");
        let entries = [
            entry("a-b", 5, early),
            entry("b", 5, late),
            entry("a/x", 7, late),
            entry("a", 1, early),
        ];
        for (order, reverse, expected) in [
            (ListOrder::Name, false, ["a", "a/x", "a-b", "b"]),
            (ListOrder::Name, true, ["b", "a-b", "a/x", "a"]),
            (ListOrder::Size, false, ["a/x", "a-b", "b", "a"]),
            (ListOrder::Time, false, ["a/x", "b", "a", "a-b"]),
            (ListOrder::Time, true, ["a-b", "a", "b", "a/x"]),
        ] {
            let mut sorted = entries.to_vec();
            sort(&mut sorted, order, reverse);
            let paths: Vec<_> = sorted.iter().map(|entry| entry.path.as_str()).collect();
            assert_eq!(paths, expected, "{order:?} {reverse}");
        }
    }
}
