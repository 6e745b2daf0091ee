//! The names of one page of a list: those of a folder that come next in order, as many as fit into memory. Where
//! not all fit, the folder is read again for the next page. Knows nothing of what the names stand for.

use crate::buffer_budget::BufferReservation;

/// What a page may grow to, in bytes of memory: some 90,000 names of 20 bytes.
const LARGEST: usize = 8 * 1024 * 1024;

/// Of its memory, a page uses this part at most: its buffers grow by doubling, and half of the names are
/// copied where they have become too many.
const SHARE: usize = 3;

/// A page of names.
#[derive(Debug)]
pub(super) struct NamePage {
    memory: BufferReservation,
    /// The names, one behind the other.
    text: String,
    names: Vec<Span>,
    /// How many of the names were given out.
    taken: usize,
    /// The last name of the page before: only what comes after it is taken.
    after: Option<String>,
    /// A name that did not fit: neither does what comes after it.
    bound: Option<String>,
}

/// Where a name is in the text.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    length: u32,
}

impl NamePage {
    /// The first page, which has and may grow beyond this memory.
    pub(super) fn new(memory: BufferReservation) -> Self {
        let (text, names) = (String::new(), Vec::new());
        Self { memory, text, names, taken: 0, after: None, bound: None }
    }

    /// Takes a name if it belongs into this page.
    pub(super) fn offer(&mut self, name: &str) {
        let is_before = self.after.as_deref().is_some_and(|after| name <= after);
        if is_before || self.is_beyond(name) {
            return;
        }
        let needed = self.text.len() + name.len() + (self.names.len() + 1) * size_of::<Span>();
        if needed * SHARE > self.memory.bytes() && !self.grow() {
            self.drop_upper_half();
            if self.is_beyond(name) {
                return;
            }
        }
        // A page has a few MiB at most.
        let (start, length) = (self.text.len() as u32, name.len() as u32);
        self.text.push_str(name);
        self.names.push(Span { start, length });
    }

    /// Puts the names into the order of their bytes, once all were offered.
    pub(super) fn sort(&mut self) {
        let text = &self.text;
        self.names.sort_unstable_by_key(|span| span.of(text));
    }

    /// The next name of the sorted page.
    pub(super) fn next(&mut self) -> Option<&str> {
        let span = self.names.get(self.taken)?;
        self.taken += 1;
        Some(span.of(&self.text))
    }

    /// Makes an empty page for the names after this one's, where there are any.
    pub(super) fn begin_next(&mut self) -> bool {
        if self.bound.take().is_none() {
            return false;
        }
        self.after = self.names.last().map(|span| span.of(&self.text).to_owned());
        self.text.clear();
        self.names.clear();
        self.taken = 0;
        true
    }

    fn is_beyond(&self, name: &str) -> bool {
        self.bound.as_deref().is_some_and(|bound| name >= bound)
    }

    /// Doubles the memory; whether that could be.
    fn grow(&mut self) -> bool {
        let bytes = self.memory.bytes();
        bytes < LARGEST && self.memory.try_grow(bytes)
    }

    /// Keeps the half of the names that comes first, at least one.
    fn drop_upper_half(&mut self) {
        let middle = self.names.len().div_ceil(2);
        if middle == self.names.len() {
            return;
        }
        let old = std::mem::take(&mut self.text);
        let (_, bound, _) = self.names.select_nth_unstable_by_key(middle, |span| span.of(&old));
        self.bound = Some(bound.of(&old).to_owned());
        self.names.truncate(middle);
        for span in &mut self.names {
            let start = self.text.len() as u32;
            self.text.push_str(span.of(&old));
            span.start = start;
        }
    }
}

impl Span {
    fn of(self, text: &str) -> &str {
        &text[self.start as usize..][..self.length as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::buffer_budget::BufferBudget;

    /// All names, page by page, and how many pages they took.
    fn pages(page: &mut NamePage, names: &BTreeSet<String>) -> (Vec<String>, usize) {
        let (mut all, mut pages) = (Vec::new(), 0);
        loop {
            pages += 1;
            // In no order to speak of.
            names.iter().rev().step_by(2).for_each(|name| page.offer(name));
            names.iter().rev().skip(1).step_by(2).for_each(|name| page.offer(name));
            page.sort();
            while let Some(name) = page.next() {
                all.push(name.to_owned());
            }
            if !page.begin_next() {
                return (all, pages);
            }
        }
    }

    #[tokio::test]
    async fn every_name_comes_once_and_in_order_however_little_memory_there_is() {
        let names: BTreeSet<String> = (0..5000)
            .map(|number: u32| {
                format!("{:x}-{}", number.wrapping_mul(2_654_435_761), "é".repeat(9))
            })
            .collect();
        for (budget, most) in [(64, 40), (200, 10), (100_000, 1)] {
            let budget = BufferBudget::new(budget * 1024);
            let mut page = NamePage::new(budget.reserve(16 * 1024).await);
            let (all, pages) = pages(&mut page, &names);
            assert!(all.iter().eq(&names), "{budget:?}");
            assert!(pages <= most, "{pages} pages");
        }
    }

    #[tokio::test]
    async fn the_longest_names_come_too() {
        let names: BTreeSet<String> =
            (0..100).map(|number| format!("{number:03}{}", "x".repeat(252))).collect();
        let mut page = NamePage::new(BufferBudget::new(2048).reserve(1024).await);
        assert!(pages(&mut page, &names).0.iter().eq(&names));
    }

    #[tokio::test]
    async fn an_empty_folder_is_one_empty_page() {
        let mut page = NamePage::new(BufferBudget::new(2048).reserve(1024).await);
        assert_eq!(pages(&mut page, &BTreeSet::new()), (Vec::new(), 1));
    }
}
