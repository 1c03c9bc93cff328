//! Limits keyframe requests towards one encoding: at most one per interval, and each requester
//! has a budget of its own, so that one subscriber cannot keep a publisher at keyframes.
//! A request that comes too early is remembered and sent when the interval has passed.

use crate::time::{SECONDS, Time};

const REQUESTERS: usize = 8;

#[derive(Clone, Copy, Debug, Default)]
struct Requester {
    id: u64,
    since: Time,
    count: u32,
}

#[derive(Debug, Default)]
pub struct KeyframeLimiter {
    last_sent: Option<Time>,
    wanted: bool,
    fir_sequence: u8,
    /// The requesters seen last; a full table evicts the oldest window.
    requesters: [Requester; REQUESTERS],
}

impl KeyframeLimiter {
    /// Notes a request. False when the requester exceeded its budget in this second.
    pub fn request(&mut self, now: Time, requester: u64, budget: u32) -> bool {
        let slot = match self
            .requesters
            .iter()
            .position(|r| r.count > 0 && r.id == requester)
        {
            Some(slot) => slot,
            None => {
                let oldest = (0..REQUESTERS)
                    .min_by_key(|i| self.requesters[*i].since)
                    .unwrap_or(0);
                self.requesters[oldest] = Requester {
                    id: requester,
                    since: now,
                    count: 0,
                };
                oldest
            }
        };
        let entry = &mut self.requesters[slot];
        if now.since(entry.since) >= SECONDS {
            entry.since = now;
            entry.count = 0;
        }
        entry.count = entry.count.saturating_add(1);
        if entry.count > budget {
            return false;
        }
        self.wanted = true;
        true
    }

    /// Whether a request leaves now; counts it as sent.
    pub fn due(&mut self, now: Time, interval: u64) -> bool {
        if !self.wanted || self.last_sent.is_some_and(|at| now.since(at) < interval) {
            return false;
        }
        self.wanted = false;
        self.last_sent = Some(now);
        true
    }

    /// RFC 5104 section 4.3.1.2: the number changes with each new request.
    pub fn next_fir(&mut self) -> u8 {
        self.fir_sequence = self.fir_sequence.wrapping_add(1);
        self.fir_sequence
    }

    /// A keyframe arrived, so whoever waited has it; or nobody waits any more.
    pub fn satisfied(&mut self) {
        self.wanted = false;
    }

    pub fn wanted(&self) -> bool {
        self.wanted
    }
}
