//! Rows of `list -l` and totals of entries. Sizes and times have a fixed width, so that rows are aligned as they come.

use chrono::TimeZone;
use quiver_protocol::reply::{EntryKind, FolderEntry};
use quiver_protocol::units;

use super::folder_entry;
use crate::output::table;

/// Columns of the longest size, such as `1000.0 MB`.
const SIZE_WIDTH: usize = 9;

/// How many files and folders there are, and how large the files are together.
#[derive(Debug, Clone, Copy, Default)]
pub struct EntryTotals {
    files: u64,
    folders: u64,
    bytes: u64,
}

impl EntryTotals {
    /// Counts an entry.
    pub fn add(&mut self, entry: &FolderEntry) {
        match entry.kind {
            EntryKind::File => self.files += 1,
            EntryKind::Folder => self.folders += 1,
        }
        self.bytes = self.bytes.saturating_add(entry.size);
    }
}

/// `12 files and 1 folder (3.4 MB)`
#[must_use]
pub fn in_sentence(totals: &EntryTotals) -> String {
    let size = units::bytes(totals.bytes);
    let (files, folders) =
        (units::counted(totals.files, "file"), units::counted(totals.folders, "folder"));
    match (totals.files, totals.folders) {
        (_, 0) => format!("{files} ({size})"),
        (0, _) => folders,
        _ => format!("{files} and {folders} ({size})"),
    }
}

/// `12 files, 1 folder, 3.4 MB`
#[must_use]
pub fn totals(totals: &EntryTotals) -> String {
    let EntryTotals { files, folders, bytes } = *totals;
    format!(
        "{}, {}, {}",
        units::counted(files, "file"),
        units::counted(folders, "folder"),
        units::bytes(bytes)
    )
}

/// `     35 B  2024-10-19 17:45  secret.txt`, in local time of `zone`. A name that does not fit the terminal has a row of
/// its own.
pub fn long_row<Z: TimeZone>(entry: &FolderEntry, width: Option<usize>, zone: &Z) -> String
where
    Z::Offset: std::fmt::Display,
{
    let size = match entry.kind {
        EntryKind::File => units::bytes(entry.size),
        EntryKind::Folder => "-".to_owned(),
    };
    let modified = entry.modified.0.with_timezone(zone).format("%Y-%m-%d %H:%M");
    let cells = vec![format!("{size:>SIZE_WIDTH$}  {modified}"), folder_entry(entry)];
    table::aligned(&[cells], width).join("\n")
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};
    use quiver_protocol::{FilePath, Timestamp};

    use super::*;
    use crate::output::style;

    fn entry(path: &str, kind: EntryKind, size: u64) -> FolderEntry {
        let modified = "2024-10-19T17:45:47Z".parse::<DateTime<Utc>>().unwrap();
        let path = FilePath::parse(path).unwrap();
        FolderEntry { path, kind, size, modified: Timestamp(modified) }
    }

    #[test]
    fn sizes_times_and_names_are_aligned() {
        let rows = [
            entry("big", EntryKind::File, 999_999_999),
            entry("notes", EntryKind::Folder, 0),
            entry("a\u{202e}b", EntryKind::File, 1),
            entry("zero", EntryKind::File, 0),
        ];
        let shown = |row| style::plain(&long_row(row, None, &Utc)).into_owned();
        let rows: Vec<_> = rows.iter().map(shown).collect();
        let names = ["big", "notes/", "a\\u{202e}b", "zero"];
        for (row, name) in rows.iter().zip(names) {
            let (columns, shown) = row.split_at(SIZE_WIDTH + 2 + 16 + 2);
            assert_eq!(shown, name);
            assert_eq!(&columns[SIZE_WIDTH..], "  2024-10-19 17:45  ", "{row}");
        }
        assert!(rows[1].starts_with("        -  "), "{}", rows[1]);
    }

    #[test]
    fn a_name_that_does_not_fit_has_a_row_of_its_own() {
        let file = entry("a rather long name of a file.txt", EntryKind::File, 1);
        let row = long_row(&file, Some(40), &Utc);
        assert_eq!(row, "      1 B  2024-10-19 17:45\n    a rather long name of a file.txt");
        assert_eq!(long_row(&file, Some(80), &Utc).lines().count(), 1);
    }

    #[test]
    fn totals_have_the_right_plurals() {
        let mut sum = EntryTotals::default();
        assert_eq!(totals(&sum), format!("0 files, 0 folders, {}", units::bytes(0)));
        sum.add(&entry("a", EntryKind::File, 1_500_000));
        assert_eq!(in_sentence(&sum), "1 file (1.5 MB)");
        sum.add(&entry("b", EntryKind::Folder, 0));
        assert_eq!(totals(&sum), "1 file, 1 folder, 1.5 MB");
        sum.add(&entry("c", EntryKind::File, 500_000));
        sum.add(&entry("d", EntryKind::Folder, 0));
        assert_eq!(totals(&sum), "2 files, 2 folders, 2.0 MB");
        assert_eq!(in_sentence(&sum), "2 files and 2 folders (2.0 MB)");
    }
}
