//! Spreads video over time: releases bursts of up to 5 ms of its rate, never single packets.
//! Audio never waits here. Without an estimate, or with room to spare, the gate stands open, so
//! that a frame leaves as one run. On a narrow path video waits here instead of in the path's
//! queue, where it would delay and push out audio.

use crate::time::{MILLIS, SECONDS, Time};

/// What may leave at once: this much of the rate, and always a few packets.
const BURST: u64 = 5 * MILLIS;
const MIN_BURST: i64 = 4 * 1_200;
/// Frames are uneven, so the gate lets pass this much more than the estimate (libwebrtc's factor).
const FACTOR: u64 = 5;
const DIVISOR: u64 = 2;

/// On a narrow path: one packet at a time, and a debt of audio that is not held against video.
const NARROW_BURST: i64 = 1_200;
/// What a queue of 300 ms holds even of a path of 200 kbit/s, and what is added to it meanwhile.
const OPENING_BURST: i64 = 7_000;
const OPENING_RATE: u64 = 100_000;
const MAX_DEBT: u64 = 200 * MILLIS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    Open,
    /// Nothing is known yet: a few packets, then hardly any until the remote has spoken of them.
    Opening,
    /// Estimate of the path, which uneven frames may exceed.
    Loose(u64),
    /// What a narrow path carries, audio included.
    Narrow(u64),
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Pacer {
    /// bit/s; 0 is an open gate.
    rate: u64,
    narrow: bool,
    opening: bool,
    /// Bytes that may leave now; negative after a burst.
    credit: i64,
    at: Time,
}

impl Pacer {
    pub fn set(&mut self, now: Time, pace: Pace) {
        self.refill(now);
        self.narrow = matches!(pace, Pace::Narrow(_));
        let before = std::mem::replace(&mut self.opening, pace == Pace::Opening);
        if self.opening && !before {
            self.credit = OPENING_BURST;
        }
        self.rate = match pace {
            Pace::Open => 0,
            Pace::Opening => OPENING_RATE,
            Pace::Loose(rate) => (rate * FACTOR / DIVISOR).max(100_000),
            Pace::Narrow(rate) => rate.max(1),
        };
    }

    fn burst(&self) -> i64 {
        let least = match (self.opening, self.narrow) {
            (true, _) => OPENING_BURST,
            (_, true) => NARROW_BURST,
            _ => MIN_BURST,
        };
        ((self.rate * BURST / SECONDS / 8) as i64).max(least)
    }

    fn refill(&mut self, now: Time) {
        let elapsed = now.since(self.at).min(SECONDS);
        self.at = now;
        if self.rate == 0 {
            self.credit = 0;
            return;
        }
        let earned = (elapsed * self.rate / 8 / SECONDS) as i64;
        self.credit = (self.credit + earned).min(self.burst());
    }

    /// Bytes that may leave now.
    pub fn allowance(&mut self, now: Time) -> i64 {
        if self.rate == 0 {
            return i64::MAX;
        }
        self.refill(now);
        self.credit
    }

    pub fn is_opening(&self) -> bool {
        self.opening
    }

    /// `urgent` bytes did not wait; on a narrow path they take their part all the same.
    pub fn spend(&mut self, paced: usize, urgent: usize) {
        if self.rate == 0 {
            return;
        }
        self.credit -= paced as i64;
        if self.narrow {
            let floor = -((self.rate * MAX_DEBT / SECONDS / 8) as i64);
            self.credit = self.credit.min((self.credit - urgent as i64).max(floor));
        }
    }

    /// When the next burst may leave: once half of a burst has been earned.
    pub fn next(&self, now: Time) -> Time {
        if self.rate == 0 {
            return now;
        }
        let missing = (self.burst() / 2 - self.credit).max(1) as u64;
        now + (missing * 8 * SECONDS / self.rate).clamp(MILLIS, 100 * MILLIS)
    }
}
