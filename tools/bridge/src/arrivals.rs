//! Acknowledgements, in the order of the messages.
//!
//! MQTT 3.1.1 wants the PUBACKs in the order in which the messages came
//! (MQTT-4.6.0-2), while lanes finish in any order. A packet identifier belongs to one
//! connection: after the next CONNACK it may be that of another message, if the broker has
//! lost the session. So what came before it is never acknowledged after it. The broker sends it
//! again, and the node counts it once.

use std::collections::VecDeque;

/// The messages of QoS 1 that came on this connection and are not acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    /// The number of the first slot. Numbers go on over all connections.
    first: u64,
    slots: VecDeque<Slot>,
}

#[derive(Debug)]
struct Slot {
    packet_id: u16,
    is_settled: bool,
}

impl Arrivals {
    /// Adds a message by its packet identifier. Returns its number.
    pub(crate) fn add(&mut self, packet_id: u16) -> u64 {
        self.slots.push_back(Slot { packet_id, is_settled: false });
        self.end() - 1
    }

    /// The message of this number is done with. Returns the packet identifiers that are to be
    /// acknowledged now, in their order: none if an earlier one is not done with, or if the
    /// message came on another connection.
    pub(crate) fn settle(&mut self, number: u64) -> Vec<u16> {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(slot) = index.and_then(|index| self.slots.get_mut(index)) {
            slot.is_settled = true;
        }
        let mut ready = Vec::new();
        while let Some(slot) = self.slots.pop_front_if(|slot| slot.is_settled) {
            self.first += 1;
            ready.push(slot.packet_id);
        }
        ready
    }

    /// The connection is lost. Returns the number of the next message: those below it are not
    /// wanted any more.
    pub(crate) fn forget(&mut self) -> u64 {
        self.first = self.end();
        self.slots.clear();
        self.first
    }

    /// How many messages are not acknowledged.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    fn end(&self) -> u64 {
        // No machine has a usize of more than 64 bits.
        self.first.saturating_add(u64::try_from(self.slots.len()).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_are_in_the_order_of_the_messages() {
        let mut arrivals = Arrivals::default();
        let numbers = [7, 8, 9].map(|packet_id| arrivals.add(packet_id));
        assert!(arrivals.settle(numbers[1]).is_empty());
        assert_eq!(arrivals.settle(numbers[0]), [7, 8]);
        assert!(arrivals.settle(numbers[0]).is_empty(), "nothing is acknowledged twice");
        assert_eq!((arrivals.settle(numbers[2]), arrivals.len()), (vec![9], 0));
    }

    #[test]
    fn what_came_before_the_connection_was_lost_is_not_acknowledged_after_it() {
        let mut arrivals = Arrivals::default();
        let before = [1, 2].map(|packet_id| arrivals.add(packet_id));
        assert!(arrivals.settle(before[1]).is_empty());
        let next = arrivals.forget();
        let after = arrivals.add(1);
        assert_eq!(after, next);
        assert!(arrivals.settle(before[0]).is_empty());
        assert!(arrivals.settle(before[1]).is_empty());
        assert_eq!(arrivals.settle(after), [1]);
    }
}
