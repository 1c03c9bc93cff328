//! One direction of a path: delay, jitter, loss (random or in bursts), reordering, duplicates, and
//! a rate with a bounded queue. Seeded; the same seed loses the same packets.

use sotto_engine_core::collections::Rng;
use sotto_engine_core::time::{MILLIS, SECONDS, Time};

/// Gilbert-Elliott: a good state and a bad one, with the chance to leave each.
#[derive(Clone, Copy, Debug)]
pub struct Bursts {
    pub into_bad: f64,
    pub out_of_bad: f64,
    pub loss_in_bad: f64,
}

#[derive(Clone, Debug)]
pub struct Link {
    pub delay: u64,
    pub jitter: u64,
    pub loss: f64,
    pub bursts: Option<Bursts>,
    /// The receiver sleeps once a second, up to this long, and then has everything at once.
    pub stalls: u64,
    stall: (Time, Time),
    pub reorder: f64,
    pub duplicate: f64,
    /// bit/s; 0 is unlimited.
    pub rate: u64,
    /// Longest time a packet waits for its turn; then it is dropped.
    pub queue: u64,
    busy_until: Time,
    bad: bool,
    rng: Rng,
    last_arrival: Time,
    pub carried: u64,
    pub lost: u64,
    pub overflowed: u64,
    pub worst_wait: u64,
}

impl Link {
    pub fn new(seed: u64) -> Link {
        Link {
            delay: 10 * MILLIS,
            jitter: 0,
            loss: 0.0,
            bursts: None,
            stalls: 0,
            stall: (Time::ZERO, Time::ZERO),
            reorder: 0.0,
            duplicate: 0.0,
            rate: 0,
            queue: 300 * MILLIS,
            busy_until: Time::ZERO,
            bad: false,
            rng: Rng::new(seed),
            last_arrival: Time::ZERO,
            carried: 0,
            lost: 0,
            overflowed: 0,
            worst_wait: 0,
        }
    }

    /// When a packet of `len` bytes arrives: not at all, once, or twice.
    pub fn carry(&mut self, now: Time, len: usize) -> [Option<Time>; 2] {
        if self.drops() {
            self.lost += 1;
            return [None, None];
        }
        let Some(leaves) = self.queue_up(now, len) else {
            self.overflowed += 1;
            return [None, None];
        };
        self.carried += 1;
        let jitter = if self.jitter > 0 {
            self.rng.below(self.jitter)
        } else {
            0
        };
        let mut at = leaves + self.delay + jitter;
        if self.rng.unit() < self.reorder {
            at = at + 15 * MILLIS;
        } else {
            // Jitter of a queue keeps the order.
            at = at.max(self.last_arrival);
            self.last_arrival = at;
        }
        if self.stalls > 0 {
            at = self.awake(at);
        }
        let twice = (self.rng.unit() < self.duplicate).then_some(at + MILLIS);
        [Some(at), twice]
    }

    fn awake(&mut self, at: Time) -> Time {
        if at > self.stall.1 + SECONDS / 2 {
            let begin = at + self.rng.below(SECONDS / 2);
            let quarter = self.stalls / 4;
            self.stall = (
                begin,
                begin + quarter + self.rng.below(self.stalls - quarter),
            );
        }
        let (begin, end) = self.stall;
        if at >= begin && at < end { end } else { at }
    }

    fn drops(&mut self) -> bool {
        if let Some(bursts) = self.bursts {
            let change = if self.bad {
                bursts.out_of_bad
            } else {
                bursts.into_bad
            };
            if self.rng.unit() < change {
                self.bad = !self.bad;
            }
            if self.bad && self.rng.unit() < bursts.loss_in_bad {
                return true;
            }
        }
        self.rng.unit() < self.loss
    }

    fn queue_up(&mut self, now: Time, len: usize) -> Option<Time> {
        if self.rate == 0 {
            return Some(now);
        }
        let start = self.busy_until.max(now);
        let wait = start.since(now);
        if wait > self.queue {
            return None;
        }
        self.worst_wait = self.worst_wait.max(wait);
        // IP and UDP headers take their part of the rate.
        self.busy_until = start + (len as u64 + 28) * 8 * SECONDS / self.rate;
        Some(self.busy_until)
    }
}

/// The server sleeps now and then, as it does on a busy machine: nothing is received, no timer runs.
pub struct Naps {
    /// Longest; 0 is never.
    pub longest: u64,
    nap: (Time, Time),
    rng: Rng,
}

impl Naps {
    pub fn new(seed: u64) -> Naps {
        Naps {
            longest: 0,
            nap: (Time::ZERO, Time::ZERO),
            rng: Rng::new(seed ^ 0x5EED),
        }
    }

    /// When the server sees what is due now: at once, or when it wakes.
    pub fn awake(&mut self, now: Time) -> Time {
        if self.longest > 0 && now > self.nap.1 {
            let begin = now + self.rng.below(400 * MILLIS);
            self.nap = (begin, begin + self.rng.below(self.longest));
        }
        self.until(now)
    }

    pub fn until(&self, now: Time) -> Time {
        let (begin, end) = self.nap;
        if now >= begin && now < end { end } else { now }
    }
}
