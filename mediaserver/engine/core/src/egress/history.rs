//! What one subscription sent lately, by outgoing sequence number, so that NACK can be answered
//! from the shared ring: each packet a few times, all of them within a share of the bitrate.

use crate::drops::Drop;
use crate::egress::record::Record;
use crate::time::{MILLIS, SECONDS, Time};

const MAX_ENTRIES: usize = 2_048;
const START_ENTRIES: usize = 32;
/// Sent within this time, a packet is still on its way: the NACK was made before it.
const IN_FLIGHT: u64 = 20 * MILLIS;
/// What may always be sent again, so that a slow stream can recover from a burst of loss.
const MIN_BUDGET: u64 = 8_000;

#[derive(Clone, Copy, Debug)]
struct Entry {
    record: Record,
    times: u8,
    last: Time,
}

#[derive(Debug, Default)]
pub struct History {
    entries: Vec<Option<Entry>>,
    /// Bytes that answers may still take; refilled by what is sent first.
    budget: u64,
    window: Time,
}

impl History {
    /// Notes a packet sent for the first time.
    pub fn push(&mut self, now: Time, record: Record, share: u32) {
        if self.entries.is_empty() {
            self.entries.resize(START_ENTRIES, None);
            self.budget = MIN_BUDGET;
        }
        let index = self.index(record.seq);
        let young = self.entries[index]
            .is_some_and(|e| e.record.seq != record.seq && now.since(e.last) < SECONDS / 2);
        if young && self.entries.len() < MAX_ENTRIES {
            self.grow();
        }
        let index = self.index(record.seq);
        self.entries[index] = Some(Entry {
            record,
            times: 0,
            last: now,
        });
        if now.since(self.window) >= SECONDS {
            self.window = now;
            self.budget = self.budget.clamp(MIN_BUDGET, MIN_BUDGET * 4);
        }
        self.budget += (u64::from(record.size) * u64::from(share)).div_ceil(100);
    }

    fn index(&self, seq: u64) -> usize {
        seq as usize & (self.entries.len() - 1)
    }

    fn grow(&mut self) {
        let larger = self.entries.len() * 2;
        let old = std::mem::replace(&mut self.entries, vec![None; larger]);
        for entry in old.into_iter().flatten() {
            let index = self.index(entry.record.seq);
            self.entries[index] = Some(entry);
        }
    }

    /// A packet sent lately, `back` before the newest: what a probe repeats.
    pub fn recent(&self, highest: u64, back: u64) -> Option<Record> {
        if self.entries.is_empty() {
            return None;
        }
        let seq = highest.checked_sub(back)?;
        self.entries[self.index(seq)]
            .filter(|e| e.record.seq == seq)
            .map(|e| e.record)
    }

    /// The record to send again for a NACK, or why not. `highest` is the newest number sent.
    pub fn answer(
        &mut self,
        now: Time,
        sequence: u16,
        highest: u64,
        rtt: u64,
        max_times: u8,
    ) -> Result<Record, Drop> {
        if self.entries.is_empty() {
            return Err(Drop::NackTooOld);
        }
        let back = (highest as u16).wrapping_sub(sequence);
        let seq = highest
            .checked_sub(u64::from(back))
            .ok_or(Drop::NackTooOld)?;
        let index = self.index(seq);
        let entry = self.entries[index].as_mut().filter(|e| e.record.seq == seq);
        let entry = entry.ok_or(Drop::NackTooOld)?;
        let patience =
            if entry.times == 0 { rtt / 2 } else { rtt }.clamp(5 * MILLIS, IN_FLIGHT * 5);
        if entry.times >= max_times || now.since(entry.last) < patience.min(100 * MILLIS) {
            return Err(Drop::NackRepeated);
        }
        let cost = u64::from(entry.record.size) + 40;
        if cost > self.budget {
            return Err(Drop::NackBudget);
        }
        self.budget -= cost;
        entry.times += 1;
        entry.last = now;
        Ok(entry.record)
    }
}
