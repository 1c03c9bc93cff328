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
const LESS: f64 = 0.9;
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

/// bit/s: what may be sent, and what is sent.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    pub estimate: u64,
    pub sent: u64,
    /// Everything waits in a queue.
    pub queued: bool,
}

/// What some packets told: how many of them were lost, at which rates.
#[derive(Clone, Copy, Debug)]
struct Sample {
    rates: Rates,
    fraction: f64,
    /// One sigma of `fraction`, by chance alone.
    chance: f64,
}

impl Sample {
    /// bit/s. Not what feedback tells of: on such a path feedback is lost too, and then it says
    /// that nothing arrived.
    fn delivered(&self) -> f64 {
        self.rates.sent as f64 * (1.0 - self.fraction)
    }

    /// A bottleneck delivers the same however much less is sent; a bad radio delivers less.
    /// Nothing is proven before less was sent.
    fn own_loss_since(&self, before: &Sample) -> bool {
        let less = (self.rates.sent as f64) < before.rates.sent as f64 * LESS;
        !self.rates.queued && less && self.delivered() < before.delivered() * LESS
    }
}

#[derive(Debug, Default)]
pub struct LossController {
    received: u64,
    lost: u64,
    at: Time,
    smoothed: f64,
    /// When reducing began.
    began: Option<Sample>,
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

    /// The same for reckoning with: no more than is lost now, nor than a radio loses.
    pub fn surely_inherent(&self, now: Time) -> f64 {
        self.inherent(now).min(self.smoothed).min(HOPELESS)
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
        let sample = Sample {
            rates,
            fraction,
            chance: (fraction * (1.0 - fraction) / total as f64).sqrt(),
        };
        let high = excess - 2.0 * sample.chance > HIGH;
        if high {
            self.remember(sample);
        }
        let reduced = if high {
            Verdict::Decrease(1.0 - 0.5 * fraction)
        } else {
            Verdict::Hold
        };
        Some(self.own(now, &sample).unwrap_or(reduced))
    }

    /// When reducing began, by its estimate; of what was sent since, the time when it was most: a
    /// call that just begins sends nothing yet.
    fn remember(&mut self, sample: Sample) {
        let began = self.began.get_or_insert(sample);
        if sample.rates.sent > began.rates.sent {
            let estimate = began.rates.estimate;
            *began = sample;
            began.rates.estimate = estimate;
        }
    }

    /// Less is sent since reducing began, and the same share of it is lost: that is the path's.
    fn own(&mut self, now: Time, sample: &Sample) -> Option<Verdict> {
        let began = self.began.as_ref()?;
        let reduced = (sample.rates.estimate as f64) < began.rates.estimate as f64 * REDUCED;
        // What began it was high by chance as well, or it would not have begun it.
        let unchanged = self.smoothed > (began.fraction - 2.0 * began.chance) * UNCHANGED;
        let hopeless = self.smoothed >= HOPELESS;
        if !reduced || !unchanged || hopeless || !sample.own_loss_since(began) {
            return None;
        }
        let restored = began.rates.estimate;
        self.inherent = self.smoothed.max(sample.fraction);
        self.inherent_at = now;
        self.began = None;
        Some(Verdict::Restore(restored))
    }
}
