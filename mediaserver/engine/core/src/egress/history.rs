//! What one subscription sent lately, by outgoing sequence number, so that NACK can be answered
//! from the shared ring: each packet a few times, all of them within a share of the bitrate.

use crate::collections::prefetch;
use crate::drops::Drop;
use crate::egress::record::Record;
use crate::time::{MILLIS, SECONDS, Time};
use crate::transport::RateLimit;

const MAX_ENTRIES: usize = 2_048;
const START_ENTRIES: usize = 32;
/// Sent within this time, a packet is still on its way: the NACK was made before it.
const IN_FLIGHT: u64 = 20 * MILLIS;
/// What may be sent again at first, and each second on a path that loses many packets: a share of a
/// slow stream is too little for a burst.
const MIN_BUDGET: u64 = 8_000;
/// What a stream may have saved at the end of a second.
const MAX_BUDGET: u64 = 4 * MIN_BUDGET;
/// Packets that may stay missing: each freezes the picture until a keyframe comes.
const UNREPAIRED: f64 = 1e-4;
/// As often as libwebrtc asks for a packet.
const MOST_TIMES: u8 = 10;
/// Of what must be sent again on average; and the largest share of a stream, percent.
const HEADROOM: f64 = 1.25;
const MOST_SHARE: u32 = 60;

/// What may be sent again to a subscriber: each packet so many times, and in all this share of the
/// stream's bytes, percent.
#[derive(Clone, Copy, Debug)]
pub struct Repair {
    pub times: u8,
    pub share: u32,
}

impl Repair {
    /// `self` is for ordinary paths; one that loses a larger share of its packets gets what it needs
    /// to miss one in 10,000 (more than three times from 10 % loss on, seven and 53 % at 30 %).
    pub fn at(self, loss: f64) -> Repair {
        let loss = loss.clamp(0.0, 0.5);
        let mut missing = loss;
        let mut times = 0;
        while missing > UNREPAIRED && times < MOST_TIMES {
            missing *= loss;
            times += 1;
        }
        let share = (loss / (1.0 - loss) * HEADROOM * 100.0) as u32;
        Repair {
            times: times.max(self.times),
            share: share.min(MOST_SHARE).max(self.share),
        }
    }
}

/// A record without what the subscription knows, packed: one is written for every packet to
/// everybody, so its size is cache lines.
#[derive(Clone, Copy, Debug)]
struct Entry {
    source: u64,
    /// Low halves of the number and of the time when it was sent last.
    seq: u32,
    last: u32,
    timestamp: u32,
    picture: u16,
    frame: u16,
    size: u16,
    tl0: u8,
    encoding: u8,
    flags: u8,
    codec: u8,
    times: u8,
}

const _: () = assert!(size_of::<Option<Entry>>() <= 40);

impl Entry {
    fn new(now: Time, record: &Record) -> Entry {
        Entry {
            source: record.source,
            seq: record.seq as u32,
            last: now.micros() as u32,
            timestamp: record.timestamp,
            picture: record.picture,
            frame: record.frame,
            size: record.size,
            tl0: record.tl0,
            encoding: record.encoding,
            flags: record.flags,
            codec: record.codec,
            times: 0,
        }
    }

    /// Time since it was sent last; an hour is taken for none.
    fn age(&self, now: Time) -> u64 {
        u64::from((now.micros() as u32).wrapping_sub(self.last))
    }

    fn record(&self, subscription: u32, seq: u64, queued: Time) -> Record {
        Record {
            subscription,
            timestamp: self.timestamp,
            source: self.source,
            seq,
            picture: self.picture,
            frame: self.frame,
            tl0: self.tl0,
            encoding: self.encoding,
            flags: self.flags,
            codec: self.codec,
            size: self.size,
            queued,
        }
    }
}

#[derive(Debug, Default)]
pub struct History {
    entries: Vec<Option<Entry>>,
    /// Bytes that answers may still take; refilled by what is sent first.
    budget: u64,
    window: Time,
    /// Of the last answer, percent; 0 before the first.
    share: u32,
    /// Highest number sent.
    newest: Option<u64>,
}

impl History {
    /// Notes a packet sent for the first time; at least `share` percent of it may be sent again.
    pub fn push(&mut self, now: Time, record: &Record, share: u32) {
        if self.entries.is_empty() {
            self.entries.resize(START_ENTRIES, None);
            self.budget = MIN_BUDGET;
        }
        self.newest = self.newest.max(Some(record.seq));
        let index = self.index(record.seq);
        let young = self.entries[index]
            .is_some_and(|e| e.seq != record.seq as u32 && e.age(now) < SECONDS / 2);
        if young && self.entries.len() < MAX_ENTRIES {
            self.grow();
        }
        let index = self.index(record.seq);
        self.entries[index] = Some(Entry::new(now, record));
        if now.since(self.window) >= SECONDS {
            self.window = now;
            let least = if self.share > share { MIN_BUDGET } else { 0 };
            self.budget = self.budget.clamp(least, MAX_BUDGET);
        }
        let share = share.max(self.share);
        self.budget += (u64::from(record.size) * u64::from(share)).div_ceil(100);
    }

    /// The places of the next `count` packets.
    pub fn prefetch(&self, next: u64, count: usize) {
        if !self.entries.is_empty() {
            let at = self.index(next);
            let end = (at + count).min(self.entries.len());
            prefetch(&self.entries[at..end]);
        }
    }

    fn index(&self, seq: u64) -> usize {
        seq as usize & (self.entries.len() - 1)
    }

    fn grow(&mut self) {
        let larger = self.entries.len() * 2;
        let old = std::mem::replace(&mut self.entries, vec![None; larger]);
        for entry in old.into_iter().flatten() {
            let index = self.index(u64::from(entry.seq));
            self.entries[index] = Some(entry);
        }
    }

    /// Highest number sent.
    pub fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// A packet of subscription `index` sent lately, `back` before the newest: what a probe repeats.
    pub fn recent(&self, now: Time, index: u32, back: u64) -> Option<Record> {
        let seq = self.newest?.checked_sub(back)?;
        self.entries[self.index(seq)]
            .filter(|e| e.seq == seq as u32)
            .map(|e| e.record(index, seq, now))
    }

    /// The record of subscription `index` to send again for a NACK, or why not. `highest` is the
    /// newest number sent, `path` bounds the bytes of all answers to this subscriber.
    pub fn answer(
        &mut self,
        now: Time,
        index: u32,
        (sequence, highest): (u16, u64),
        (rtt, queued): (u64, u64),
        repair: Repair,
        path: &mut RateLimit,
    ) -> Result<Record, Drop> {
        self.share = repair.share;
        if self.entries.is_empty() {
            return Err(Drop::NackTooOld);
        }
        let back = (highest as u16).wrapping_sub(sequence);
        let seq = highest
            .checked_sub(u64::from(back))
            .ok_or(Drop::NackTooOld)?;
        let at = self.index(seq);
        let entry = self.entries[at].as_mut().filter(|e| e.seq == seq as u32);
        let entry = entry.ok_or(Drop::NackTooOld)?;
        let patience = match entry.times {
            0 => (rtt / 2).min(5 * IN_FLIGHT),
            // What was sent again waits like everything else.
            _ => rtt.min(5 * IN_FLIGHT).max(queued),
        };
        if entry.times >= repair.times || entry.age(now) < patience.clamp(5 * MILLIS, SECONDS) {
            return Err(Drop::NackRepeated);
        }
        let cost = u64::from(entry.size) + 40;
        if cost > self.budget || !path.take(now, cost) {
            return Err(Drop::NackBudget);
        }
        self.budget -= cost;
        entry.times += 1;
        entry.last = now.micros() as u32;
        Ok(entry.record(index, seq, now))
    }
}
