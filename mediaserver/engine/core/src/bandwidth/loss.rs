//! What loss says about the path. Loss that stays although we send less is the path's own
//! (a bad radio), and is then no reason to send even less.

use crate::time::{MILLIS, SECONDS, Time};

/// A verdict needs this many packets, and this much time since the last.
const MIN_PACKETS: u64 = 20;
const INTERVAL: u64 = 250 * MILLIS;
const HIGH: f64 = 0.10;
const LOW: f64 = 0.02;
/// Having reduced by this much without effect, loss is taken for the path's own.
const REDUCED: f64 = 0.77;
const UNCHANGED: f64 = 0.75;
/// More than this is no radio: the path is full.
const HOPELESS: f64 = 0.5;
const INHERENT_LIFETIME: u64 = 20 * SECONDS;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Multiply the estimate by this.
    Decrease(f64),
    /// The loss is the path's own: back to this rate.
    Restore(u64),
    Hold,
    Fine,
}

/// bit/s: what may be sent, what is sent, what arrives.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    pub estimate: u64,
    pub sent: u64,
    pub acked: u64,
    /// Everything waits in a queue.
    pub queued: bool,
}

impl Rates {
    /// A bottleneck delivers the same however much less is sent; a bad radio delivers less.
    /// Nothing is proven before less was sent.
    fn own_loss_since(&self, before: &Rates) -> bool {
        let less = |now: u64, then: u64| (now as f64) < then as f64 * 0.9;
        !self.queued && less(self.sent, before.sent) && less(self.acked, before.acked)
    }
}

#[derive(Debug, Default)]
pub struct LossController {
    received: u64,
    lost: u64,
    at: Time,
    smoothed: f64,
    /// Rates and loss when reducing began.
    began: Option<(Rates, f64)>,
    inherent: f64,
    inherent_at: Time,
}

impl LossController {
    pub fn add(&mut self, received: u64, lost: u64) {
        self.received += received;
        self.lost += lost;
    }

    /// What the path loses however little is sent.
    pub fn inherent(&self, now: Time) -> f64 {
        let known = now.since(self.inherent_at) <= INHERENT_LIFETIME;
        if known { self.inherent } else { 0.0 }
    }

    /// Smoothed over about a second.
    pub fn recent(&self) -> f64 {
        self.smoothed
    }

    pub fn judge(&mut self, now: Time, rates: Rates) -> Option<Verdict> {
        let total = self.received + self.lost;
        if total < MIN_PACKETS || now.since(self.at) < INTERVAL {
            return None;
        }
        let fraction = self.lost as f64 / total as f64;
        self.received = 0;
        self.lost = 0;
        self.at = now;
        self.smoothed += (fraction - self.smoothed) * 0.3;
        if now.since(self.inherent_at) > INHERENT_LIFETIME {
            self.inherent = 0.0;
        }
        let excess = fraction - self.inherent * 1.3;
        if excess <= LOW {
            self.began = None;
            if fraction > self.inherent / 2.0 {
                self.inherent_at = now;
            }
            return Some(Verdict::Fine);
        }
        // Three lost of twenty prove nothing: what is reacted to must exceed chance by two sigma.
        let chance = 2.0 * (fraction * (1.0 - fraction) / total as f64).sqrt();
        if excess - chance <= HIGH {
            return Some(Verdict::Hold);
        }
        Some(self.too_much(now, rates, fraction))
    }

    fn too_much(&mut self, now: Time, rates: Rates, fraction: f64) -> Verdict {
        let (began, loss) = *self.began.get_or_insert((rates, fraction));
        let reduced = (rates.estimate as f64) < began.estimate as f64 * REDUCED;
        let unchanged = self.smoothed > loss * UNCHANGED && self.smoothed < HOPELESS;
        if reduced && unchanged && rates.own_loss_since(&began) {
            self.inherent = self.smoothed.max(fraction);
            self.inherent_at = now;
            self.began = None;
            return Verdict::Restore(began.estimate);
        }
        Verdict::Decrease(1.0 - 0.5 * fraction)
    }
}
