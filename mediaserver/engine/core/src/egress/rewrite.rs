//! Continuous numbering of one subscription: sequence numbers, timestamps, VP8 and VP9 picture ids,
//! TL0PICIDX and dependency descriptor frame numbers, across drops and switches of encoding.
//! Packets that come late get the number that was kept for them, from a short history of ranges.

use crate::collections::prefetch;
use crate::packet::{Facts, PictureId};
use crate::spec::CodecName;
use crate::time::{SECONDS, Time};

/// Ranges remembered: with every second frame dropped, some four seconds of 30 frames/s.
const RANGES: usize = 64;
/// A hole wider than this is not reserved: the source started anew.
const MAX_HOLE: u64 = 1_000;
/// How far the timestamp that sender reports give may lie from elapsed time before it is doubted.
const MAX_TIMESTAMP_DOUBT: i64 = 1;

#[derive(Clone, Copy, Debug, Default)]
struct Range {
    encoding: u8,
    start: u64,
    end: u64,
    /// Input number minus output number, wrapping.
    delta: u64,
    picture: u16,
    tl0: u8,
    frame: u16,
    timestamp: u32,
}

/// Numbers of one outgoing packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Extended: rollover counter in the upper bits, as SRTP wants it.
    pub seq: u64,
    pub timestamp: u32,
    pub picture: u16,
    pub tl0: u8,
    pub frame: u16,
}

#[derive(Debug)]
pub struct Rewriter {
    clock_rate: u32,
    started: bool,
    /// Apart, since of its three kilobytes a packet needs one entry.
    ranges: Box<[Range; RANGES]>,
    head: usize,
    highest_in: u64,
    next_out: u64,
    last_timestamp: u32,
    last_at: Time,
    last: Numbers,
    skipped_picture: Option<u16>,
}

impl Rewriter {
    /// `first` is the first sequence number that will be sent.
    pub fn new(clock_rate: u32, first: u16, timestamp: u32) -> Rewriter {
        Rewriter {
            clock_rate,
            started: false,
            ranges: Box::new([Range::default(); RANGES]),
            head: 0,
            highest_in: 0,
            next_out: u64::from(first),
            last_timestamp: timestamp,
            last_at: Time::ZERO,
            last: Numbers::default(),
            skipped_picture: None,
        }
    }

    /// What the next packet will need.
    pub fn prefetch(&self) {
        prefetch(&self.ranges[self.head]);
    }

    pub fn started(&self) -> bool {
        self.started
    }

    pub fn next_out(&self) -> u64 {
        self.next_out
    }

    pub fn highest_in(&self) -> u64 {
        self.highest_in
    }

    pub fn last_timestamp(&self) -> (u32, Time) {
        (self.last_timestamp, self.last_at)
    }

    /// The encoding forwarded last, once anything was.
    pub fn encoding(&self) -> Option<u8> {
        self.started.then(|| self.ranges[self.head].encoding)
    }

    /// What is added to timestamps of the encoding that is forwarded now.
    pub fn timestamp_offset(&self) -> u32 {
        self.ranges[self.head].timestamp
    }

    /// Continues with this packet of this encoding. `aligned` is the output timestamp that sender
    /// reports suggest for it; without one, time elapsed since the last packet decides.
    pub fn switch(&mut self, now: Time, encoding: u8, facts: &Facts, aligned: Option<u32>) {
        let timestamp = self.switch_timestamp(now, facts, aligned);
        let range = Range {
            encoding,
            start: facts.seq,
            end: u64::MAX,
            delta: facts.seq.wrapping_sub(self.next_out),
            picture: facts
                .picture
                .id
                .wrapping_sub(self.last.picture.wrapping_add(1)),
            tl0: facts
                .picture
                .tl0
                .wrapping_sub(self.last.tl0.wrapping_add(1)),
            frame: facts
                .picture
                .frame_number
                .wrapping_sub(self.last.frame.wrapping_add(1)),
            timestamp: timestamp.wrapping_sub(facts.timestamp),
        };
        self.close(self.highest_in);
        self.open(range);
        self.highest_in = facts.seq - 1;
        self.started = true;
        self.skipped_picture = None;
    }

    fn switch_timestamp(&self, now: Time, facts: &Facts, aligned: Option<u32>) -> u32 {
        if !self.started {
            return self.last_timestamp.wrapping_add(1);
        }
        let _ = facts;
        let elapsed = now.since(self.last_at) as u128 * u128::from(self.clock_rate);
        let expected = self
            .last_timestamp
            .wrapping_add((elapsed / u128::from(SECONDS)) as u32);
        let doubt = MAX_TIMESTAMP_DOUBT * i64::from(self.clock_rate);
        let chosen = aligned
            .filter(|ts| i64::from(ts.wrapping_sub(expected) as i32).abs() <= doubt)
            .unwrap_or(expected);
        let step = chosen.wrapping_sub(self.last_timestamp) as i32;
        if step <= 0 {
            self.last_timestamp.wrapping_add(1)
        } else {
            chosen
        }
    }

    /// Nothing after `last` was sent. The next packet is a switch; what comes late of the time
    /// before has no place any more.
    pub fn rewind(&mut self, last: Numbers) {
        if last.seq + 1 >= self.next_out {
            return;
        }
        self.next_out = last.seq + 1;
        self.last = last;
        self.last_timestamp = last.timestamp;
        for range in self.ranges.iter_mut() {
            range.end = 0;
        }
    }

    fn open(&mut self, range: Range) {
        self.head = (self.head + 1) % RANGES;
        self.ranges[self.head] = range;
    }

    fn close(&mut self, end: u64) {
        let range = &mut self.ranges[self.head];
        if range.end == u64::MAX {
            range.end = end;
        }
    }

    /// Numbers for a packet that is forwarded; `None` for a late one without a place.
    pub fn forward(&mut self, now: Time, encoding: u8, facts: &Facts) -> Option<Numbers> {
        if facts.seq <= self.highest_in {
            return self.late(encoding, facts);
        }
        if facts.seq - self.highest_in > MAX_HOLE {
            let keep = facts.timestamp.wrapping_add(self.timestamp_offset());
            self.switch(now, encoding, facts, Some(keep));
        }
        self.highest_in = facts.seq;
        let numbers = numbers(&self.ranges[self.head], facts);
        self.next_out = numbers.seq + 1;
        let step = numbers.timestamp.wrapping_sub(self.last_timestamp) as i32;
        if step > 0 || self.last_at == Time::ZERO {
            self.last_timestamp = numbers.timestamp;
            self.last_at = now;
        }
        self.last = numbers;
        Some(numbers)
    }

    fn late(&self, encoding: u8, facts: &Facts) -> Option<Numbers> {
        for back in 0..RANGES {
            let range = &self.ranges[(self.head + RANGES - back) % RANGES];
            let fits = range.encoding == encoding && range.start <= facts.seq;
            if fits && facts.seq <= range.end {
                return Some(numbers(range, facts));
            }
        }
        None
    }

    /// A newest packet is not forwarded: what follows closes up. VP8 pictures that are dropped
    /// whole leave no gap in picture ids; VP9 and AV1 refer to each other by difference, so stay.
    pub fn skip(&mut self, facts: &Facts) {
        if facts.seq <= self.highest_in {
            return;
        }
        let mut next = self.ranges[self.head];
        next.delta = next.delta.wrapping_add(1);
        let vp8 = facts.name == CodecName::Vp8 && facts.picture.id_at != 0;
        if vp8 && self.skipped_picture != Some(facts.picture.id) {
            self.skipped_picture = Some(facts.picture.id);
            next.picture = next.picture.wrapping_add(1);
        }
        next.start = facts.seq + 1;
        next.end = u64::MAX;
        if self.ranges[self.head].start >= facts.seq {
            self.ranges[self.head] = next;
        } else {
            self.close(facts.seq - 1);
            self.open(next);
        }
        self.highest_in = facts.seq;
    }
}

fn numbers(range: &Range, facts: &Facts) -> Numbers {
    let PictureId {
        id,
        tl0,
        frame_number,
        ..
    } = facts.picture;
    Numbers {
        seq: facts.seq.wrapping_sub(range.delta),
        timestamp: facts.timestamp.wrapping_add(range.timestamp),
        picture: id.wrapping_sub(range.picture) & 0x7FFF,
        tl0: tl0.wrapping_sub(range.tl0),
        frame: frame_number.wrapping_sub(range.frame),
    }
}
