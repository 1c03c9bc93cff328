//! Spreads video over time: releases bursts of up to 5 ms of its rate, never single packets.
//! Audio never waits here. Without an estimate, or with room to spare, the gate stands open, so
//! that a frame leaves as one run.

use crate::time::{MILLIS, SECONDS, Time};

/// What may leave at once: this much of the rate, and always a few packets.
const BURST: u64 = 5 * MILLIS;
const MIN_BURST: i64 = 4 * 1_200;
/// Frames are uneven, so the gate lets pass this much more than the estimate (libwebrtc's factor).
const FACTOR: u64 = 5;
const DIVISOR: u64 = 2;

#[derive(Clone, Copy, Debug, Default)]
pub struct Pacer {
    /// bit/s; 0 is an open gate.
    rate: u64,
    /// Bytes that may leave now; negative after a burst.
    credit: i64,
    at: Time,
}

impl Pacer {
    /// `estimate` of the path; `None` opens the gate.
    pub fn set_rate(&mut self, now: Time, estimate: Option<u64>) {
        self.refill(now);
        self.rate = estimate.map_or(0, |rate| (rate * FACTOR / DIVISOR).max(100_000));
    }

    fn burst(&self) -> i64 {
        ((self.rate * BURST / SECONDS / 8) as i64).max(MIN_BURST)
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

    pub fn spend(&mut self, bytes: usize) {
        if self.rate != 0 {
            self.credit -= bytes as i64;
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
