//! Reception of one SSRC: extended sequence numbers, duplicates, loss and jitter (RFC 3550
//! appendix A), and the rates that statistics show. No packet is kept here.

use crate::time::{SECONDS, Time};

/// A jump by more than this is a restart of the sender, not loss (RFC 3550 A.1 MAX_DROPOUT).
const MAX_JUMP: i64 = 3_000;
/// Where extended sequence numbers start, so that what came before the first stays positive.
const ORIGIN: u64 = 1 << 32;
const WINDOW_WORDS: usize = 16;
const WINDOW: u64 = WINDOW_WORDS as u64 * 64;

/// Windowed rate: bytes and frames of the current and the last full second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    since: Time,
    bytes: u64,
    frames: u32,
    rate: u64,
    fps: f32,
}

impl Meter {
    pub fn add(&mut self, now: Time, bytes: usize, frame: bool) {
        let elapsed = now.since(self.since);
        if elapsed >= SECONDS {
            self.roll(now, elapsed);
        }
        self.bytes += bytes as u64;
        self.frames += u32::from(frame);
    }

    fn roll(&mut self, now: Time, elapsed: u64) {
        // After a silence the old window says nothing about the present.
        let fresh = elapsed < 2 * SECONDS;
        self.rate = if fresh {
            self.bytes * 8 * SECONDS / elapsed
        } else {
            0
        };
        self.fps = if fresh {
            self.frames as f32 * SECONDS as f32 / elapsed as f32
        } else {
            0.0
        };
        self.since = now;
        self.bytes = 0;
        self.frames = 0;
    }

    /// bit/s; the running window counts when it already exceeds the last.
    pub fn rate(&self, now: Time) -> u64 {
        let elapsed = now.since(self.since);
        if elapsed >= 2 * SECONDS {
            return 0;
        }
        let running = self.bytes * 8 * SECONDS / elapsed.max(SECONDS / 2);
        if self.rate == 0 {
            running
        } else {
            self.rate.max(running.min(self.rate * 2))
        }
    }

    pub fn fps(&self, now: Time) -> f64 {
        if now.since(self.since) >= 2 * SECONDS {
            0.0
        } else {
            f64::from(self.fps)
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Beyond everything before; carries the previous highest.
    Newest {
        seq: u64,
        previous: u64,
    },
    Late {
        seq: u64,
    },
    Duplicate,
    TooOld,
}

#[derive(Debug)]
pub struct Reception {
    pub started: bool,
    origin: u64,
    first: u64,
    highest: u64,
    seen: [u64; WINDOW_WORDS],
    pub packets: u64,
    pub bytes: u64,
    pub duplicates: u64,
    pub last_receive: Time,
    clock_rate: u32,
    transit: Option<i64>,
    jitter: f64,
    expected_prior: u64,
    received_prior: u64,
    /// Packets before the last `rebase`, which do not count for the present numbering.
    packets_before: u64,
    pub fraction: f64,
    pub meter: Meter,
}

/// One report block's values (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    pub fraction: u8,
    pub cumulative: i64,
    pub highest: u32,
    pub jitter: u32,
}

impl Reception {
    pub fn new(clock_rate: u32) -> Reception {
        Reception {
            started: false,
            origin: ORIGIN,
            first: 0,
            highest: 0,
            seen: [0; WINDOW_WORDS],
            packets: 0,
            bytes: 0,
            duplicates: 0,
            last_receive: Time::ZERO,
            clock_rate,
            transit: None,
            jitter: 0.0,
            expected_prior: 0,
            received_prior: 0,
            packets_before: 0,
            fraction: 0.0,
            meter: Meter::default(),
        }
    }

    pub fn highest(&self) -> u64 {
        self.highest
    }

    pub fn jitter_ms(&self) -> f64 {
        self.jitter * 1_000.0 / f64::from(self.clock_rate.max(1))
    }

    /// Nearest extended number to the highest.
    fn extend(&self, sequence: u16) -> i64 {
        let step = i64::from(sequence.wrapping_sub(self.highest as u16) as i16);
        self.highest as i64 + step
    }

    /// Places a packet; a duplicate or one too old to matter is refused.
    pub fn place(&mut self, sequence: u16) -> Arrival {
        if !self.started {
            self.restart(self.origin | u64::from(sequence));
            return Arrival::Newest {
                seq: self.highest,
                previous: self.highest - 1,
            };
        }
        let extended = self.extend(sequence);
        let step = extended - self.highest as i64;
        if step > MAX_JUMP {
            // A jump this wide forward: keep counting from there, as if nothing were lost.
            self.first += step as u64;
            self.seen = [0; WINDOW_WORDS];
            self.highest = extended as u64;
            self.mark(self.highest);
            return Arrival::Newest {
                seq: self.highest,
                previous: self.highest - 1,
            };
        }
        if step > 0 {
            let previous = self.highest;
            for seq in previous + 1..=extended as u64 {
                self.unmark(seq);
            }
            self.highest = extended as u64;
            self.mark(self.highest);
            return Arrival::Newest {
                seq: self.highest,
                previous,
            };
        }
        if -step >= WINDOW as i64 {
            return Arrival::TooOld;
        }
        let seq = extended as u64;
        if self.marked(seq) {
            self.duplicates += 1;
            return Arrival::Duplicate;
        }
        self.mark(seq);
        self.first = self.first.min(seq);
        Arrival::Late { seq }
    }

    /// Another SSRC continues this encoding: its numbers start far above the old ones.
    pub fn rebase(&mut self) {
        self.started = false;
        self.origin = ((self.highest >> 16) + 2) << 16;
        self.transit = None;
        self.expected_prior = 0;
        self.received_prior = self.packets;
        self.packets_before = self.packets;
    }

    fn restart(&mut self, seq: u64) {
        self.started = true;
        self.first = seq;
        self.highest = seq;
        self.seen = [0; WINDOW_WORDS];
        self.mark(seq);
    }

    fn mark(&mut self, seq: u64) {
        self.seen[(seq / 64) as usize % WINDOW_WORDS] |= 1 << (seq % 64);
    }

    fn unmark(&mut self, seq: u64) {
        self.seen[(seq / 64) as usize % WINDOW_WORDS] &= !(1 << (seq % 64));
    }

    fn marked(&self, seq: u64) -> bool {
        self.seen[(seq / 64) as usize % WINDOW_WORDS] & (1 << (seq % 64)) != 0
    }

    /// Counts an accepted packet. Retransmissions do not disturb the jitter.
    pub fn count(&mut self, now: Time, timestamp: u32, bytes: usize, marker: bool, rtx: bool) {
        self.packets += 1;
        self.bytes += bytes as u64;
        self.last_receive = now;
        self.meter.add(now, bytes, marker);
        if rtx {
            return;
        }
        let arrival = (now.micros() as i128 * i128::from(self.clock_rate) / 1_000_000) as i64;
        let transit = arrival.wrapping_sub(i64::from(timestamp)) & 0xFFFF_FFFF;
        if let Some(last) = self.transit {
            let difference = f64::from(((transit - last) as i32).unsigned_abs());
            if difference < f64::from(self.clock_rate) * 5.0 {
                self.jitter += (difference - self.jitter) / 16.0;
            }
        }
        self.transit = Some(transit);
    }

    pub fn lost(&self) -> i64 {
        if !self.started {
            return 0;
        }
        (self.highest - self.first + 1) as i64 - (self.packets - self.packets_before) as i64
    }

    /// Values since the last report.
    pub fn report(&mut self) -> Loss {
        let expected = if self.started {
            self.highest - self.first + 1
        } else {
            0
        };
        let expected_interval = expected.saturating_sub(self.expected_prior);
        let received_interval = self.packets - self.received_prior;
        let lost = expected_interval.saturating_sub(received_interval);
        self.expected_prior = expected;
        self.received_prior = self.packets;
        let share = (lost * 256).checked_div(expected_interval);
        let fraction = share.unwrap_or(0).min(255);
        self.fraction = fraction as f64 / 256.0;
        Loss {
            fraction: fraction as u8,
            cumulative: self.lost().clamp(-0x80_0000, 0x7F_FFFF),
            highest: self.highest as u32,
            jitter: self.jitter as u32,
        }
    }
}
