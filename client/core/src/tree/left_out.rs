//! What a transfer leaves out: counted, and the first of it named, so that nothing is left out silently.

use std::fmt;
use std::io;

use quiver_protocol::path::BadPath;

/// The number of entries that are named; the others are counted.
const MAX_NAMED: usize = 10;

/// An entry that is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOutEntry {
    /// Its path as shown to users, not escaped: on the server, or the local one.
    pub path: String,
    /// Why it is left out.
    pub reason: LeftOutReason,
}

/// Why an entry is left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftOutReason {
    /// It is neither a file nor a folder, or a partial file. The text says what it is, with its article.
    Kind(&'static str),
    /// Its name breaks a rule.
    Name(BadPath),
    /// Its name breaks the rules of the server, which does not say which one.
    BadName,
    /// Its name is not UTF-8.
    NotUtf8,
    /// It cannot be read. The text says why.
    Unreadable(String),
    /// The server does not serve it, for a reason that this version does not know.
    NotServed,
}

/// The entries that a transfer leaves out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    named: Vec<LeftOutEntry>,
    count: u64,
    missing: u64,
}

impl LeftOutReason {
    /// The reason of an error of a read.
    pub(crate) fn unreadable(error: &io::Error) -> Self {
        Self::Unreadable(error.to_string())
    }

    /// Whether content is missing at the target that the transfer should have brought there. Links, devices and the
    /// like have none, and a file of the server with an illegal name is none that it serves.
    #[must_use]
    pub fn misses_content(&self) -> bool {
        match self {
            Self::Name(_) | Self::NotUtf8 | Self::Unreadable(_) => true,
            Self::Kind(_) | Self::BadName | Self::NotServed => false,
        }
    }
}

impl LeftOut {
    /// Adds an entry.
    pub(crate) fn add(&mut self, path: String, reason: LeftOutReason) {
        self.add_unnamed(1, u64::from(reason.misses_content()));
        self.name(LeftOutEntry { path, reason });
    }

    /// Counts entries without their names, `missing` of which miss content.
    pub(crate) fn add_unnamed(&mut self, count: u64, missing: u64) {
        self.count = self.count.saturating_add(count);
        // A server may report any number.
        self.missing = self.missing.saturating_add(missing.min(count));
    }

    /// Adds the entries of another part of the transfer.
    pub(crate) fn append(&mut self, other: Self) {
        self.add_unnamed(other.count, other.missing);
        other.named.into_iter().for_each(|entry| self.name(entry));
    }

    /// Names an entry if it is one of the first: those that miss content come before links and the
    /// like, and each of both in the order of their paths.
    fn name(&mut self, entry: LeftOutEntry) {
        let key = |entry: &LeftOutEntry| (!entry.reason.misses_content(), entry.path.clone());
        let new = key(&entry);
        let position = self.named.partition_point(|named| key(named) < new);
        if position < MAX_NAMED {
            self.named.insert(position, entry);
            self.named.truncate(MAX_NAMED);
        }
    }

    /// The contents of an offer: its id is not part of the paths, and the sender has left out what
    /// the recipient was not promised, so that nothing counts as missing.
    pub(crate) fn of_offer(mut self) -> Self {
        self.missing = 0;
        for LeftOutEntry { path, .. } in &mut self.named {
            if let Some((_, below)) = path.split_once('/') {
                *path = below.to_owned();
            }
        }
        self
    }

    /// The first entries, at most 10; those that miss content come first.
    #[must_use]
    pub fn named(&self) -> &[LeftOutEntry] {
        &self.named
    }

    /// The number of all entries.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The number of entries that are not named.
    #[must_use]
    pub fn unnamed_count(&self) -> u64 {
        self.count.saturating_sub(self.named.len() as u64)
    }

    /// The number of entries whose content is missing at the target.
    #[must_use]
    pub fn missing_count(&self) -> u64 {
        self.missing
    }
}

impl fmt::Display for LeftOutReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(is) => write!(f, "it is {is}"),
            Self::Name(rule) => rule.fmt(f),
            Self::BadName => f.write_str("its name breaks the rules for names"),
            Self::NotUtf8 => f.write_str("its name is not UTF-8"),
            Self::Unreadable(why) => write!(f, "it cannot be read: {why}"),
            Self::NotServed => f.write_str("the server does not serve it"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_entries_are_named_and_those_that_miss_content_first() {
        let mut left_out = LeftOut::default();
        for number in 0..12 {
            left_out.add(number.to_string(), LeftOutReason::Kind("a symbolic link"));
        }
        let mut other = LeftOut::default();
        other.add("secret".to_owned(), LeftOutReason::Unreadable("no permission".to_owned()));
        other.add_unnamed(3, 1);
        left_out.append(other);
        assert_eq!(
            (left_out.count(), left_out.unnamed_count(), left_out.missing_count()),
            (16, 6, 2)
        );
        let names: Vec<_> = left_out.named().iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(names, ["secret", "0", "1", "10", "11", "2", "3", "4", "5", "6"]);
    }
}
