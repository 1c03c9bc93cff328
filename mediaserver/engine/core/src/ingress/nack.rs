//! Asks a publisher for packets that did not arrive (RFC 4585 section 6.2.1), within limits: a
//! request waits for the reordering seen lately, repeats per round trip, and ends after a while.

use crate::time::{MILLIS, SECONDS, Time};

/// More holes than this and a keyframe is cheaper than the packets.
const MAX_MISSING: usize = 512;
const MAX_TRIES: u8 = 10;
const MAX_AGE: u64 = SECONDS;
const MIN_WAIT: u64 = 3 * MILLIS;
const MAX_WAIT: u64 = 60 * MILLIS;
/// Sequence numbers asked for at once: one feedback message of at most 64 items.
pub const MAX_BATCH: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Missing {
    seq: u64,
    since: Time,
    last: Time,
    tries: u8,
}

#[derive(Debug)]
pub struct NackGenerator {
    missing: Vec<Missing>,
    /// How long a late packet was late, smoothed upwards at once and downwards slowly.
    reordering: u64,
    pub requested: u64,
    pub recovered: u64,
    pub abandoned: u64,
}

/// What the arrival of a packet meant for the holes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    None,
    Opened,
    /// Too many holes: they were given up.
    Hopeless,
}

impl Default for NackGenerator {
    fn default() -> Self {
        NackGenerator {
            missing: Vec::new(),
            reordering: MIN_WAIT,
            requested: 0,
            recovered: 0,
            abandoned: 0,
        }
    }
}

impl NackGenerator {
    /// A packet beyond the highest arrived; everything between is missing.
    pub fn advanced(&mut self, now: Time, highest: u64, seq: u64) -> Gap {
        let holes = seq.saturating_sub(highest + 1);
        if holes == 0 {
            return Gap::None;
        }
        if self.missing.len() as u64 + holes > MAX_MISSING as u64 {
            self.abandoned += self.missing.len() as u64 + holes;
            self.missing.clear();
            return Gap::Hopeless;
        }
        for seq in highest + 1..seq {
            self.missing.push(Missing {
                seq,
                since: now,
                last: now,
                tries: 0,
            });
        }
        Gap::Opened
    }

    /// A packet below the highest arrived. True when it was missing.
    pub fn filled(&mut self, now: Time, seq: u64) -> bool {
        let Ok(at) = self.missing.binary_search_by_key(&seq, |m| m.seq) else {
            return false;
        };
        let hole = self.missing.remove(at);
        if hole.tries == 0 {
            self.reordering = self
                .reordering
                .max(now.since(hole.since) + MILLIS)
                .min(MAX_WAIT);
        } else {
            self.recovered += 1;
        }
        true
    }

    /// Sequence numbers to ask for now, oldest first, at most `out.len()`.
    pub fn due(&mut self, now: Time, rtt: u64, out: &mut [u16]) -> usize {
        let repeat = (rtt + rtt / 4).clamp(20 * MILLIS, 400 * MILLIS);
        let wait = self.reordering;
        let before = self.missing.len();
        self.missing
            .retain(|m| m.tries < MAX_TRIES && now.since(m.since) < MAX_AGE);
        self.abandoned += (before - self.missing.len()) as u64;
        let mut count = 0;
        for hole in &mut self.missing {
            if count == out.len() {
                break;
            }
            let patience = if hole.tries == 0 { wait } else { repeat };
            if now.since(hole.last) >= patience {
                hole.tries += 1;
                hole.last = now;
                out[count] = hole.seq as u16;
                count += 1;
            }
        }
        self.requested += count as u64;
        self.reordering = (self.reordering - self.reordering / 256).max(MIN_WAIT);
        count
    }

    pub fn pending(&self) -> bool {
        !self.missing.is_empty()
    }

    pub fn clear(&mut self) {
        self.missing.clear();
    }
}
