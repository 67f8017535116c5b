//! The last events, in a ring.

use alloc::vec::Vec;

use crate::event::Event;

/// A ring of events, numbered from 0.
#[derive(Clone, Debug)]
pub(crate) struct History {
    ring: Vec<Event>,
    capacity: usize,
    count: u64,
}

impl History {
    pub(crate) fn new(capacity: usize) -> Self {
        History { ring: Vec::new(), capacity: capacity.max(1), count: 0 }
    }

    pub(crate) fn push(&mut self, event: Event) {
        if self.ring.len() < self.capacity {
            self.ring.push(event);
        } else {
            let slot = (self.count % self.capacity as u64) as usize;
            self.ring[slot] = event;
        }
        self.count += 1;
    }

    /// How many events were pushed.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The latest event and its number.
    pub(crate) fn latest(&self) -> Option<(u64, Event)> {
        self.newest_first().next()
    }

    /// Events with their numbers, the newest first, as far back as the ring goes.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = (u64, Event)> + '_ {
        let kept = self.ring.len() as u64;
        (0..kept).map(move |back| {
            let number = self.count - 1 - back;
            (number, self.ring[(number % self.capacity as u64) as usize])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Action;

    #[test]
    fn the_ring_keeps_the_newest() {
        let mut history = History::new(3);
        for tag in 0..5 {
            history.push(Event::new(0, Action::Isb).tagged(tag));
        }
        let kept: Vec<_> = history.newest_first().map(|(number, event)| (number, event.tag)).collect();
        assert_eq!(kept, [(4, 4), (3, 3), (2, 2)]);
    }
}
