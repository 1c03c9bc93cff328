//! The payload ring of one encoding: plaintext payloads with their facts, kept for fan-out and NACK.
//! Two rings in one: slots by extended sequence number, bytes by an ever-growing position. A slot is
//! valid while its bytes have not been overwritten. Grows while it holds less than half a second.

use crate::packet::Facts;
use crate::time::{MILLIS, Time};

/// What must stay answerable to NACK: a few round trips of a bad path.
const HISTORY: u64 = 600 * MILLIS;
const MAX_SLOTS: usize = 4_096;
const MAX_BYTES: usize = 4 << 20;

#[derive(Clone, Copy)]
struct Slot {
    facts: Facts,
    start: u64,
    len: u32,
}

pub struct Ring {
    slots: Vec<Option<Slot>>,
    bytes: Vec<u8>,
    /// Position of the next byte, counted from the beginning of time.
    write: u64,
    /// Set when the byte ring was exchanged for a larger one: older positions are gone.
    floor: u64,
    highest: u64,
}

impl Ring {
    pub fn new(slots: usize, bytes: usize) -> Ring {
        Ring {
            slots: vec![None; slots.next_power_of_two()],
            bytes: vec![0; bytes.next_power_of_two()],
            write: 0,
            floor: 0,
            highest: 0,
        }
    }

    pub fn audio() -> Ring {
        Ring::new(64, 8 << 10)
    }

    pub fn video() -> Ring {
        Ring::new(128, 64 << 10)
    }

    fn index(&self, seq: u64) -> usize {
        (seq as usize) & (self.slots.len() - 1)
    }

    /// Stores a packet: its descriptor (maybe empty), then its payload.
    pub fn push(&mut self, facts: Facts, descriptor: &[u8], payload: &[u8]) {
        let len = descriptor.len() + payload.len();
        self.make_room(facts.seq, facts.arrival, len);
        let capacity = self.bytes.len() as u64;
        if len as u64 > capacity {
            return;
        }
        let at = self.write % capacity;
        if at + len as u64 > capacity {
            self.write += capacity - at;
        }
        let start = self.write;
        let at = (start % capacity) as usize;
        let (first, second) = self.bytes[at..at + len].split_at_mut(descriptor.len());
        first.copy_from_slice(descriptor);
        second.copy_from_slice(payload);
        self.write += len as u64;
        let index = self.index(facts.seq);
        self.slots[index] = Some(Slot {
            facts,
            start,
            len: len as u32,
        });
        self.highest = self.highest.max(facts.seq);
    }

    pub fn get(&self, seq: u64) -> Option<(&Facts, &[u8])> {
        let slot = self.slots[self.index(seq)].as_ref()?;
        let live = slot.facts.seq == seq
            && slot.start >= self.floor
            && self.write - slot.start <= self.bytes.len() as u64;
        if !live {
            return None;
        }
        let at = (slot.start % self.bytes.len() as u64) as usize;
        Some((&slot.facts, &self.bytes[at..at + slot.len as usize]))
    }

    /// Newest stored packet at or before `seq`, for padding that repeats something useful.
    pub fn latest(&self) -> Option<u64> {
        (self.highest > 0).then_some(self.highest)
    }

    fn make_room(&mut self, seq: u64, now: Time, len: usize) {
        let evicted = self.slots[self.index(seq)].as_ref();
        let young =
            evicted.is_some_and(|s| s.facts.seq != seq && now.since(s.facts.arrival) < HISTORY);
        if young && self.slots.len() < MAX_SLOTS {
            self.grow_slots();
        }
        let capacity = self.bytes.len() as u64;
        if self.write - self.floor + len as u64 > capacity && self.bytes.len() < MAX_BYTES {
            let oldest = self.oldest_within(capacity);
            if oldest.is_some_and(|at| now.since(at) < HISTORY) {
                self.grow_bytes();
            }
        }
    }

    /// Arrival of the oldest packet whose bytes are about to be overwritten (sampled, not searched).
    fn oldest_within(&self, capacity: u64) -> Option<Time> {
        let edge = self.write.saturating_sub(capacity);
        let mut oldest: Option<Time> = None;
        let count = self.slots.len() as u64;
        let mut back = 1;
        while back < count {
            if let Some(slot) = self.slots[self.index(self.highest.saturating_sub(back))].as_ref()
                && slot.start >= edge
                && slot.start >= self.floor
            {
                oldest = Some(slot.facts.arrival);
            }
            back *= 2;
        }
        oldest
    }

    fn grow_slots(&mut self) {
        let larger = self.slots.len() * 2;
        let old = std::mem::replace(&mut self.slots, vec![None; larger]);
        for slot in old.into_iter().flatten() {
            let index = self.index(slot.facts.seq);
            self.slots[index] = Some(slot);
        }
    }

    fn grow_bytes(&mut self) {
        let mut larger = Ring {
            slots: Vec::new(),
            bytes: vec![0; self.bytes.len() * 2],
            ..*self
        };
        larger.write = 0;
        let mut moved: Vec<Slot> = self.slots.iter().flatten().copied().collect();
        moved.retain(|s| self.get(s.facts.seq).is_some());
        moved.sort_by_key(|s| s.start);
        let mut slots = vec![None; self.slots.len()];
        for mut slot in moved {
            let Some((_, bytes)) = self.get(slot.facts.seq) else {
                continue;
            };
            let at = larger.write as usize;
            larger.bytes[at..at + bytes.len()].copy_from_slice(bytes);
            slot.start = larger.write;
            larger.write += bytes.len() as u64;
            slots[self.index(slot.facts.seq)] = Some(slot);
        }
        self.slots = slots;
        self.bytes = larger.bytes;
        self.write = larger.write;
        self.floor = 0;
    }
}
