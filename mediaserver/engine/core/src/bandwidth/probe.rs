//! When to try whether the path carries more: a short train of packets at the rate in question.
//! What arrives as fast as it was meant to proves the rate; what does not proves the bottleneck.

use crate::time::{MILLIS, SECONDS, Time};

/// A train is this long at its rate, and at least this many packets.
const DURATION: u64 = 15 * MILLIS;
const MIN_PACKETS: usize = 6;
const PACKET: usize = 1_000;
const MAX_BYTES: usize = 48_000;
/// Feedback that has not come by then will not.
const PATIENCE: u64 = 700 * MILLIS;
/// After a success the next step follows soon; after a failure the pause doubles.
const NEXT: u64 = 300 * MILLIS;
const FIRST_PAUSE: u64 = 2 * SECONDS;
const MAX_PAUSE: u64 = 16 * SECONDS;
/// While video is paused, its end matters more than the disturbance of a small train.
const EAGER_PAUSES: (u64, u64) = (SECONDS, 2 * SECONDS);
const EAGER_PACKET: usize = 300;
/// A queue that grows this soon after a train is the train's.
const DISTURBANCE: u64 = 500 * MILLIS;
/// What must have arrived of a train.
const ENOUGH: f64 = 0.8;

#[derive(Clone, Copy, Debug)]
struct Train {
    rate: u64,
    started: Time,
    sent: usize,
    sent_bytes: u64,
    received: usize,
    bytes_after_first: u64,
    first: Option<i64>,
    last: i64,
}

#[derive(Debug, Default)]
pub struct Prober {
    train: Option<Train>,
    next: Time,
    pause: u64,
    last: Option<Time>,
    pub trains: u64,
}

impl Prober {
    /// Begins a train at `rate`; answers its bytes.
    pub fn begin(&mut self, now: Time, rate: u64, eager: bool) -> Option<usize> {
        let pause = self.pause.clamp(EAGER_PAUSES.0, EAGER_PAUSES.1);
        let soon = eager && self.last.is_none_or(|at| now.since(at) >= pause);
        if self.train.is_some_and(|t| now.since(t.started) <= PATIENCE)
            || (now < self.next && !soon)
        {
            return None;
        }
        self.train = Some(Train {
            rate,
            started: now,
            sent: 0,
            sent_bytes: 0,
            received: 0,
            bytes_after_first: 0,
            first: None,
            last: 0,
        });
        self.trains += 1;
        self.last = Some(now);
        let bytes = (rate * DURATION / 8 / SECONDS) as usize;
        let packet = if eager { EAGER_PACKET } else { PACKET };
        Some(bytes.clamp(MIN_PACKETS * packet, MAX_BYTES))
    }

    pub fn sent(&mut self, size: usize) {
        if let Some(train) = self.train.as_mut() {
            train.sent += 1;
            train.sent_bytes += size as u64;
        }
    }

    pub fn received(&mut self, arrival_us: i64, size: usize) {
        let Some(train) = self.train.as_mut() else {
            return;
        };
        train.received += 1;
        if train.first.is_none() {
            train.first = Some(arrival_us);
            train.last = arrival_us;
        } else {
            train.bytes_after_first += size as u64;
            train.last = train.last.max(arrival_us);
        }
    }

    /// What the train proved: a rate, and whether that is the bottleneck. Call on feedback.
    pub fn result(&mut self, now: Time) -> Option<(u64, bool)> {
        let train = self.train?;
        let complete = train.sent > 0 && train.received as f64 >= train.sent as f64 * ENOUGH;
        let over = now.since(train.started) > PATIENCE;
        if !complete && !over {
            return None;
        }
        self.train = None;
        if !complete || train.received < MIN_PACKETS - 1 {
            self.failed(now);
            return None;
        }
        let span = train.last - train.first.unwrap_or(train.last);
        let measured = if span <= 0 {
            u64::MAX
        } else {
            train.bytes_after_first * 8 * SECONDS / span as u64
        };
        if measured >= train.rate - train.rate / 10 {
            self.pause = 0;
            self.next = now + NEXT;
            return Some((train.rate, false));
        }
        self.failed(now);
        Some((measured, true))
    }

    fn failed(&mut self, now: Time) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, MAX_PAUSE);
        self.next = now + self.pause;
    }

    /// A train may still be in some queue.
    pub fn disturbed(&self, now: Time) -> bool {
        self.last.is_some_and(|at| now.since(at) < DISTURBANCE)
    }

    /// The path is congested: not now, and gently afterwards.
    pub fn congested(&mut self, now: Time) {
        self.train = None;
        self.pause = self.pause.max(FIRST_PAUSE / 2);
        self.next = self.next.max(now + FIRST_PAUSE);
    }
}
