//! One page of a list: the folder's next names in byte order, as many as fit into memory. If not
//! all names fit, the folder is read again for the next page. Opens no files.

use quiver_transport::buffer_budget::BufferReservation;

/// Maximum memory of a page in bytes, enough for some 90,000 names of 20 bytes.
const MAX_MEMORY: usize = 8 * 1024 * 1024;

/// A page fills at most one part in so many of its memory: its buffers grow by doubling, and the
/// lower half of the names is copied when they have become too many.
const MEMORY_FACTOR: usize = 3;

/// Memory for the names of a list. Dropping it releases the memory.
pub trait NameMemory: Send + 'static {
    /// The bytes that names may use.
    fn bytes(&self) -> usize;

    /// Reserves so many bytes more if they are available now; returns whether they were.
    fn try_grow(&mut self, bytes: usize) -> bool;
}

impl NameMemory for BufferReservation {
    fn bytes(&self) -> usize {
        BufferReservation::bytes(self)
    }

    fn try_grow(&mut self, bytes: usize) -> bool {
        BufferReservation::try_grow(self, bytes)
    }
}

/// Memory that does not grow, and that no budget counts. A list allocates of it only what its names
/// need.
#[derive(Debug, Clone, Copy)]
pub struct FixedMemory {
    bytes: usize,
}

/// A page of names.
#[derive(Debug)]
pub(super) struct NamePage<M> {
    memory: M,
    /// The names, concatenated.
    text: String,
    names: Vec<NameSpan>,
    /// How many of the names `next` has returned.
    returned: usize,
    /// The last name of the page before: this page has only later names.
    lower_bound: Option<String>,
    /// The first name that did not fit: this page has only earlier names.
    upper_bound: Option<String>,
}

impl FixedMemory {
    /// So many bytes; a page never uses more than 8 MiB.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { bytes: bytes.min(MAX_MEMORY) }
    }
}

impl NameMemory for FixedMemory {
    fn bytes(&self) -> usize {
        self.bytes
    }

    fn try_grow(&mut self, _bytes: usize) -> bool {
        false
    }
}

/// The position of a name in the text.
#[derive(Debug, Clone, Copy)]
struct NameSpan {
    start: u32,
    length: u32,
}

impl<M: NameMemory> NamePage<M> {
    /// The first page, with this memory; it reserves more if it needs to.
    pub(super) fn new(memory: M) -> Self {
        let (text, names) = (String::new(), Vec::new());
        Self { memory, text, names, returned: 0, lower_bound: None, upper_bound: None }
    }

    /// Adds a name if it belongs into this page.
    pub(super) fn insert(&mut self, name: &str) {
        let is_before = self.lower_bound.as_deref().is_some_and(|bound| name <= bound);
        if is_before || self.is_beyond(name) {
            return;
        }
        let needed = self.text.len() + name.len() + (self.names.len() + 1) * size_of::<NameSpan>();
        if needed * MEMORY_FACTOR > self.memory.bytes() && !self.grow() {
            self.drop_upper_half();
            if self.is_beyond(name) {
                return;
            }
        }
        // The casts cannot truncate: a page has a few MiB at most.
        let (start, length) = (self.text.len() as u32, name.len() as u32);
        self.text.push_str(name);
        self.names.push(NameSpan { start, length });
    }

    /// Sorts the names by their bytes, after all were inserted.
    pub(super) fn sort(&mut self) {
        let text = &self.text;
        self.names.sort_unstable_by_key(|span| span.of(text));
    }

    /// The next name of the sorted page.
    pub(super) fn next(&mut self) -> Option<&str> {
        let span = self.names.get(self.returned)?;
        self.returned += 1;
        Some(span.of(&self.text))
    }

    /// Empties the page for the names after its last one; returns false if there are none.
    pub(super) fn start_next(&mut self) -> bool {
        if self.upper_bound.take().is_none() {
            return false;
        }
        self.lower_bound = self.names.last().map(|span| span.of(&self.text).to_owned());
        self.text.clear();
        self.names.clear();
        self.returned = 0;
        true
    }

    fn is_beyond(&self, name: &str) -> bool {
        self.upper_bound.as_deref().is_some_and(|bound| name >= bound)
    }

    /// Doubles the memory; returns whether it could.
    fn grow(&mut self) -> bool {
        let bytes = self.memory.bytes();
        bytes < MAX_MEMORY && self.memory.try_grow(bytes)
    }

    /// Keeps the lower half of the names, at least one.
    fn drop_upper_half(&mut self) {
        let middle = self.names.len().div_ceil(2);
        if middle == self.names.len() {
            return;
        }
        let old = std::mem::take(&mut self.text);
        let (_, bound, _) = self.names.select_nth_unstable_by_key(middle, |span| span.of(&old));
        self.upper_bound = Some(bound.of(&old).to_owned());
        self.names.truncate(middle);
        for span in &mut self.names {
            let start = self.text.len() as u32;
            self.text.push_str(span.of(&old));
            span.start = start;
        }
    }
}

impl NameSpan {
    fn of(self, text: &str) -> &str {
        &text[self.start as usize..][..self.length as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Memory that grows up to a limit.
    #[derive(Debug)]
    struct GrowingMemory {
        bytes: usize,
        limit: usize,
    }

    impl GrowingMemory {
        fn new(bytes: usize, limit: usize) -> Self {
            Self { bytes, limit }
        }
    }

    impl NameMemory for GrowingMemory {
        fn bytes(&self) -> usize {
            self.bytes
        }

        fn try_grow(&mut self, bytes: usize) -> bool {
            let fits = self.bytes + bytes <= self.limit;
            self.bytes += if fits { bytes } else { 0 };
            fits
        }
    }

    /// All names, page by page, and the number of pages.
    fn list_pages(
        page: &mut NamePage<impl NameMemory>,
        names: &BTreeSet<String>,
    ) -> (Vec<String>, usize) {
        let (mut all, mut pages) = (Vec::new(), 0);
        loop {
            pages += 1;
            // In a mixed order.
            names.iter().rev().step_by(2).for_each(|name| page.insert(name));
            names.iter().rev().skip(1).step_by(2).for_each(|name| page.insert(name));
            page.sort();
            while let Some(name) = page.next() {
                all.push(name.to_owned());
            }
            if !page.start_next() {
                return (all, pages);
            }
        }
    }

    #[test]
    fn every_name_is_listed_once_and_in_order_with_any_amount_of_memory() {
        let names: BTreeSet<String> = (0..5000)
            .map(|number: u32| {
                format!("{:x}-{}", number.wrapping_mul(2_654_435_761), "é".repeat(9))
            })
            .collect();
        for (limit, most) in [(64, 40), (200, 10), (100_000, 1)] {
            let mut page = NamePage::new(GrowingMemory::new(16 * 1024, limit * 1024));
            let (all, pages) = list_pages(&mut page, &names);
            assert!(all.iter().eq(&names), "{limit} KiB");
            assert!(pages <= most, "{pages} pages");
        }
    }

    #[test]
    fn the_longest_names_are_listed() {
        let names: BTreeSet<String> =
            (0..100).map(|number| format!("{number:03}{}", "x".repeat(252))).collect();
        let mut page = NamePage::new(GrowingMemory::new(1024, 2048));
        assert!(list_pages(&mut page, &names).0.iter().eq(&names));
    }

    #[test]
    fn an_empty_folder_is_one_empty_page() {
        let mut page = NamePage::new(GrowingMemory::new(1024, 2048));
        assert_eq!(list_pages(&mut page, &BTreeSet::new()), (Vec::new(), 1));
    }
}
