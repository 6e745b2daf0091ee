//! Events that are to happen, by time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Instant;

/// Events of the same time happen in the order in which they were added.
#[derive(Debug)]
pub(super) struct Schedule<E> {
    events: BinaryHeap<Scheduled<E>>,
    next: u64,
}

#[derive(Debug)]
struct Scheduled<E> {
    at: Instant,
    number: u64,
    event: E,
}

impl<E> Schedule<E> {
    pub(super) fn new() -> Self {
        Self { events: BinaryHeap::new(), next: 0 }
    }

    pub(super) fn add(&mut self, at: Instant, event: E) {
        self.events.push(Scheduled { at, number: self.next, event });
        self.next += 1;
    }

    /// Takes the first event, unless it is later than `end`.
    pub(super) fn take_until(&mut self, end: Instant) -> Option<(Instant, E)> {
        self.events.peek().filter(|first| first.at <= end)?;
        self.events.pop().map(|first| (first.at, first.event))
    }
}

impl<E> Ord for Scheduled<E> {
    /// The earliest is the greatest, for `BinaryHeap`.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at).then(other.number.cmp(&self.number))
    }
}

impl<E> PartialOrd for Scheduled<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Scheduled<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Scheduled<E> {}
