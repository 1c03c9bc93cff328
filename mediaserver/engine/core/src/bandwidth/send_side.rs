//! The send-side estimator: delay gradient, loss and proven rates become one figure
//! (draft-ietf-rmcat-gcc-02 sections 4 to 6). Rises while nothing speaks against it, by steps and
//! by probes; falls to below what arrives when a queue grows.

use crate::bandwidth::Sort;
use crate::bandwidth::acked::AckedRate;
use crate::bandwidth::clock::ArrivalClock;
use crate::bandwidth::history::SentPackets;
use crate::bandwidth::loss::{LossController, Rates, Verdict};
use crate::bandwidth::probe::{Prober, Proof};
use crate::bandwidth::trendline::{Trendline, Usage};
use crate::collections::prefetch;
use crate::time::{MILLIS, SECONDS, Time};
use crate::wire::twcc;

const DECREASE: f64 = 0.85;
const DRAIN: f64 = 0.7;
/// Multiplicative increase a second.
const INCREASE: f64 = 1.08;
/// Two reductions are at least this far apart: the first must show first.
const REACTION: u64 = 200 * MILLIS;
/// A growing delay is congestion only when every packet waits this long: a change of route, jitter
/// and stalls of either end stay below it.
const STANDING: u64 = 30 * MILLIS;
/// Below this, six packets of full size are a long queue.
const NARROW: u64 = 1_000_000;
/// Where the path was seen full is believed this long; up to there, and no further but by proof.
const CAPACITY_LIFETIME: u64 = 20 * SECONDS;
const CAPACITY_MARGIN: f64 = 1.05;
/// Packets of the opening train, and how long nothing is assumed of the path without an answer.
const OPENING: usize = 6;
const OPENING_TIME: u64 = SECONDS;
/// A first sign of a queue after this long is answered gently, when it is known what the path carries.
const CAPACITY_CALM: f64 = 0.9;
const CALM: u64 = SECONDS;
/// On top of such a queue a train could be what overflows it, and answers to NACK what keeps it full.
pub const CROWDED: u64 = 100 * MILLIS;

pub struct SendSide {
    min: u64,
    max: u64,
    estimate: u64,
    sent: SentPackets,
    trend: Trendline,
    acked: AckedRate,
    sending: AckedRate,
    loss: LossController,
    prober: Prober,
    /// Packets of the opening train, and when its first was sent.
    opening: usize,
    opened: Option<Time>,
    clock: ArrivalClock,
    last_increase: Time,
    last_decrease: Option<Time>,
    /// How long the last decrease takes to show: what waited in the queue then arrives first. None
    /// for the small one for a probe's own queue.
    shows: u64,
    congested: Option<Time>,
    /// Rate at which the path was last full; near it the estimate climbs slowly.
    capacity: Option<f64>,
    capacity_at: Time,
    /// A train exceeded it; another one must.
    confirming: bool,
    /// Video is paused: what lets it flow again counts at once.
    eager: bool,
}

impl SendSide {
    pub fn new(start: u64, min: u64, max: u64) -> SendSide {
        SendSide {
            min,
            max,
            estimate: start,
            sent: SentPackets::default(),
            trend: Trendline::default(),
            acked: AckedRate::default(),
            sending: AckedRate::default(),
            loss: LossController::default(),
            prober: Prober::default(),
            opening: OPENING,
            opened: None,
            clock: ArrivalClock::default(),
            last_increase: Time::ZERO,
            last_decrease: None,
            shows: 0,
            congested: None,
            capacity: None,
            capacity_at: Time::ZERO,
            confirming: false,
            eager: false,
        }
    }

    pub fn estimate(&self) -> u64 {
        self.estimate
    }

    /// Any feedback came.
    pub fn heard(&self) -> bool {
        self.clock.runs()
    }

    pub fn congested_at(&self) -> Option<Time> {
        self.congested
    }

    /// How long every packet waits on the path, beyond its delay; microseconds.
    pub fn queued(&self) -> u64 {
        self.trend.standing()
    }

    pub fn losses(&self) -> &LossController {
        &self.loss
    }

    pub fn sent(&mut self, now: Time, sequence: u16, size: usize, sort: Sort) {
        let probe = sort == Sort::Probe || sort == Sort::Video && self.opens(now);
        self.sent.push(now, sequence, size, probe);
        if probe {
            self.prober.sent(size);
        }
    }

    /// The first packets of video are a probe that costs nothing.
    fn opens(&mut self, now: Time) -> bool {
        if self.opening == 0 {
            return false;
        }
        if self.opened.is_none() {
            self.opened = Some(now);
            self.prober.open(now, self.estimate);
        }
        self.opening -= 1;
        true
    }

    /// Nothing is known of the path yet: no video was seen to arrive.
    pub fn is_opening(&self, now: Time) -> bool {
        let waiting = self.opening > 0 || self.prober.opens();
        waiting && self.opened.is_none_or(|at| now.since(at) < OPENING_TIME)
    }

    /// What sending the next `count` packets will need.
    pub fn prefetch(&self, next: u16, count: usize) {
        self.sent.prefetch(next, count);
        prefetch(&self.sending);
    }

    /// The packets of one run, together.
    pub fn sent_bytes(&mut self, now: Time, bytes: usize) {
        self.sending.add(now.micros() as i64, bytes);
    }

    pub fn on_feedback(&mut self, now: Time, feedback: &twcc::Feedback<'_>) -> u64 {
        let (mut lies, mut received, mut lost) = (0, 0, 0);
        self.acked.tell(feedback.feedback_count);
        for report in feedback.reports() {
            let Some(packet) = self.sent.get_mut(report.sequence) else {
                lies += 1;
                continue;
            };
            let Some(arrival) = report.arrival_us else {
                if packet.fate == 0 {
                    packet.fate = 1;
                    lost += 1;
                }
                continue;
            };
            if packet.fate == 2 {
                continue;
            }
            packet.fate = 2;
            let packet = *packet;
            received += 1;
            let arrival = self.clock.unwrap(arrival);
            self.acked.add(arrival, usize::from(packet.size));
            self.trend.add(packet.sent_at(now), arrival);
            if packet.probe {
                self.prober
                    .received(packet.sent_at(now), arrival, usize::from(packet.size));
            }
        }
        self.loss.add(received, lost);
        if received > 0 || lost > 0 {
            self.update(now);
        }
        lies
    }

    fn update(&mut self, now: Time) {
        if let Some((rate, proof)) = self.prober.result(now, self.trend.base()) {
            self.proven(now, rate, proof);
        }
        let verdict = self.loss.judge(now, self.rates());
        match self.trend.usage() {
            Usage::Over if self.trend.standing() >= STANDING => self.overuse(now),
            // Whatever the slope says: a long queue, and less arrives than is sent.
            _ if self.trend.standing() >= CROWDED && self.floods() => self.overuse(now),
            Usage::Over => self.last_increase = now,
            Usage::Under => self.last_increase = now,
            // The queue must drain before there can be more.
            Usage::Normal if self.trend.standing() >= 2 * STANDING => self.last_increase = now,
            Usage::Normal => match verdict {
                Some(Verdict::Decrease(_) | Verdict::Hold) => self.last_increase = now,
                _ => self.increase(now),
            },
        }
        match verdict {
            // The queue that overflows says what arrives, and so what the path carries.
            Some(Verdict::Decrease(_)) if self.trend.standing() >= CROWDED => self.overuse(now),
            Some(Verdict::Decrease(factor)) => {
                // What arrives is carried, whatever else is lost.
                let floor = self.acked.rate().unwrap_or(0) as f64 * DECREASE;
                // What nobody sent, nobody has seen arrive.
                let sent = self.sending.rate().unwrap_or(self.estimate) as f64;
                let reduced = (self.estimate as f64 * factor).min(sent).max(floor);
                self.set(self.estimate.min(reduced as u64));
                self.congested = Some(now);
                self.prober.congested(now);
            }
            Some(Verdict::Restore(rate)) => self.set(self.estimate.max(rate)),
            _ => {}
        }
    }

    /// What the path takes, bit/s: what arrives, and what it loses by itself. Hardly more than is
    /// sent: what slept and came at once, or between two feedbacks that were lost, looks like more.
    fn carried(&self, now: Time) -> Option<u64> {
        let arrives = 1.0 - self.loss.surely_inherent(now);
        let rate = (self.acked.rate()? as f64 / arrives) as u64;
        let sent = self.sending.rate().unwrap_or(rate);
        Some(rate.min(sent + sent / 10))
    }

    /// Clearly more is sent than arrives.
    fn floods(&self) -> bool {
        let (sent, acked) = (self.sending.rate(), self.acked.rate());
        sent.zip(acked)
            .is_some_and(|(sent, acked)| sent > acked + acked / 4)
    }

    fn rates(&self) -> Rates {
        Rates {
            estimate: self.estimate,
            sent: self.sending.rate().unwrap_or(0),
            queued: self.trend.standing() >= STANDING,
        }
    }

    fn overuse(&mut self, now: Time) {
        self.last_increase = now;
        if self
            .last_decrease
            .is_some_and(|at| now.since(at) < REACTION + self.shows)
        {
            return;
        }
        let calm = self.last_decrease.is_none_or(|at| now.since(at) >= CALM);
        self.last_decrease = Some(now);
        let probed = self.prober.disturbed(now) && !self.floods();
        self.prober.congested(now);
        self.shows = u64::from(!probed) * 2 * self.trend.standing();
        if probed {
            // The queue is the probe's: it says where the path ends, not that media fills it.
            let keep = self
                .acked
                .rate()
                .unwrap_or(0)
                .max((self.estimate as f64 * DECREASE) as u64);
            self.set(self.estimate.min(keep));
            return;
        }
        self.congested = Some(now);
        match self.acked.rate() {
            Some(acked) => self.decrease(now, acked, calm),
            None => self.set((self.estimate as f64 * DECREASE) as u64),
        }
    }

    /// Below what arrives, so that the queue drains. `calm`: the last time was long ago.
    fn decrease(&mut self, now: Time, acked: u64, calm: bool) {
        // All that is sent arrives: then little arrives because little is sent.
        let idle = self
            .sending
            .rate()
            .is_none_or(|sent| sent < acked + acked / 10);
        let proven = if idle {
            acked.max(self.estimate)
        } else {
            acked
        };
        // A long queue must drain before it overflows.
        let share = if self.trend.standing() >= CROWDED {
            DRAIN
        } else {
            DECREASE
        };
        let mut target = (proven as f64 * share) as u64;
        let known = self.capacity.filter(|c| calm && *c < acked as f64 * 2.0);
        if let Some(capacity) = known {
            // What arrives may be little because little was sent.
            target = target.max((capacity * CAPACITY_CALM) as u64);
        }
        if target < self.estimate {
            self.set(target);
        }
        if !idle {
            self.full(now, self.carried(now).unwrap_or(acked));
        }
    }

    /// The path was full at this rate.
    fn full(&mut self, now: Time, rate: u64) {
        let rate = rate as f64;
        self.capacity_at = now;
        self.capacity = Some(match self.capacity {
            Some(before) if rate > before * 0.7 && rate < before * 1.3 => before * 0.9 + rate * 0.1,
            _ => rate,
        });
    }

    fn increase(&mut self, now: Time) {
        let elapsed = now.since(self.last_increase).min(SECONDS);
        self.last_increase = now;
        let seconds = elapsed as f64 / SECONDS as f64;
        let acked = self.carried(now).unwrap_or(0);
        let near = self
            .capacity
            .is_some_and(|c| (acked as f64 - c).abs() < c * 0.15);
        let grown = match near {
            // About one packet per response time.
            true => self.estimate as f64 + seconds * 40_000.0,
            false => self.estimate as f64 * INCREASE.powf(seconds),
        };
        let old = now.since(self.capacity_at) > CAPACITY_LIFETIME;
        if self.capacity.is_some_and(|c| old || acked as f64 > c * 1.3) {
            self.capacity = None;
        }
        let known = self
            .capacity
            .map_or(u64::MAX, |c| (c * CAPACITY_MARGIN) as u64);
        // What nobody has seen arrive is not an estimate; media above it is proof, though.
        let cap = (acked + acked / 2 + 10_000).min(known).max(self.estimate);
        let arrived = acked.min(self.estimate * 2).min(known);
        self.set((grown as u64).min(cap).max(arrived));
    }

    fn proven(&mut self, now: Time, rate: u64, proof: Proof) {
        let safe = if proof == Proof::Carried {
            rate
        } else {
            rate - rate / 20
        };
        if proof == Proof::Uneven && self.acked.rate().is_none() {
            // Nothing else is known: near to this until a probe says more.
            self.set(self.estimate.min(rate + rate / 2));
        }
        if proof == Proof::Bottleneck {
            self.full(now, rate);
            self.congested = Some(now);
        }
        // What the path was seen to end at is not forgotten for one train: somebody may have slept.
        let more = proof == Proof::Carried && self.capacity.is_some_and(|c| safe as f64 > c * 1.15);
        let confirmed = !more || self.confirming || self.eager;
        self.confirming = more && !confirmed;
        if safe > self.estimate && confirmed {
            if proof == Proof::Uneven {
                self.prober.promising(now);
            }
            self.set(safe);
            self.last_increase = now;
            if self.capacity.is_some_and(|c| safe as f64 > c * 1.15) {
                self.capacity = None;
            }
        } else if proof == Proof::Bottleneck && rate < self.estimate {
            self.set(safe);
        }
    }

    fn set(&mut self, estimate: u64) {
        self.estimate = estimate.clamp(self.min, self.max);
    }

    /// Bytes of a probe train, when more is wanted than the estimate holds.
    /// While video is paused (`eager`), questions are small and frequent.
    /// Where the path is narrow, small ones: answers that too.
    pub fn probe(&mut self, now: Time, desired: u64, eager: bool) -> Option<(usize, bool)> {
        let full = self.trend.usage() == Usage::Over || self.trend.standing() >= CROWDED;
        if desired <= self.estimate || full {
            return None;
        }
        let rate = desired.min(self.estimate * 2).min(self.max);
        let queued = self.trend.standing();
        let small = eager || self.estimate < NARROW;
        let bytes = self.prober.begin(now, rate, queued, eager, small)?;
        self.eager = eager;
        Some((bytes, small))
    }
}
