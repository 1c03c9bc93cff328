//! The send-side estimator: delay gradient, loss and proven rates become one figure
//! (draft-ietf-rmcat-gcc-02 sections 4 to 6). Rises while nothing speaks against it, by steps and
//! by probes; falls to below what arrives when a queue grows.

use crate::bandwidth::acked::AckedRate;
use crate::bandwidth::history::SentPackets;
use crate::bandwidth::loss::{LossController, Rates, Verdict};
use crate::bandwidth::probe::Prober;
use crate::bandwidth::trendline::{Trendline, Usage};
use crate::time::{MILLIS, SECONDS, Time};
use crate::wire::twcc;

const DECREASE: f64 = 0.85;
/// Multiplicative increase a second.
const INCREASE: f64 = 1.08;
/// Two reductions are at least this far apart: the first must show first.
const REACTION: u64 = 200 * MILLIS;
/// A growing delay is congestion only when every packet waits this long: a change of route, jitter
/// and stalls of either end stay below it.
const STANDING: u64 = 30 * MILLIS;
/// Period of the feedback clock: 24 bits of 64 ms.
const CLOCK_PERIOD: i64 = (1 << 24) * 64_000;

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
    last_arrival: Option<i64>,
    clock: i64,
    last_increase: Time,
    last_decrease: Option<Time>,
    congested: Option<Time>,
    /// Rate at which the path was last full; near it the estimate climbs slowly.
    capacity: Option<f64>,
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
            last_arrival: None,
            clock: 0,
            last_increase: Time::ZERO,
            last_decrease: None,
            congested: None,
            capacity: None,
        }
    }

    pub fn estimate(&self) -> u64 {
        self.estimate
    }

    /// Any feedback came.
    pub fn heard(&self) -> bool {
        self.last_arrival.is_some()
    }

    pub fn congested_at(&self) -> Option<Time> {
        self.congested
    }

    pub fn loss(&self) -> f64 {
        self.loss.fraction()
    }

    pub fn sent(&mut self, now: Time, sequence: u16, size: usize, probe: bool) {
        self.sent.push(now, sequence, size, probe);
        if probe {
            self.prober.sent(size);
        }
    }

    /// The packets of one run, together.
    pub fn sent_bytes(&mut self, now: Time, bytes: usize) {
        self.sending.add(now.micros() as i64, bytes);
    }

    pub fn on_feedback(&mut self, now: Time, feedback: &twcc::Feedback<'_>) -> u64 {
        let (mut lies, mut received, mut lost) = (0, 0, 0);
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
            let arrival = self.unwrap(arrival);
            self.acked.add(arrival, usize::from(packet.size));
            self.trend.add(packet.sent_at(now), arrival);
            if packet.probe {
                self.prober.received(arrival, usize::from(packet.size));
            }
        }
        self.loss.add(received, lost);
        if received > 0 || lost > 0 {
            self.update(now);
        }
        lies
    }

    /// Arrival on an endless clock.
    fn unwrap(&mut self, arrival: i64) -> i64 {
        let last = self.last_arrival.unwrap_or(arrival);
        let step = (arrival - last + CLOCK_PERIOD / 2).rem_euclid(CLOCK_PERIOD) - CLOCK_PERIOD / 2;
        self.last_arrival = Some(arrival);
        self.clock += step;
        self.clock
    }

    fn update(&mut self, now: Time) {
        if let Some((rate, bottleneck)) = self.prober.result(now) {
            self.proven(now, rate, bottleneck);
        }
        let verdict = self.loss.judge(now, self.rates());
        match self.trend.usage() {
            Usage::Over if self.trend.standing() >= STANDING => self.overuse(now),
            Usage::Over => self.last_increase = now,
            Usage::Under => self.last_increase = now,
            Usage::Normal => match verdict {
                Some(Verdict::Decrease(_) | Verdict::Hold) => self.last_increase = now,
                _ => self.increase(now),
            },
        }
        match verdict {
            Some(Verdict::Decrease(factor)) => {
                // What arrives is carried, whatever else is lost.
                let floor = self.acked.rate().unwrap_or(0) as f64 * DECREASE;
                let reduced = (self.estimate as f64 * factor).max(floor);
                self.set(self.estimate.min(reduced as u64));
                self.congested = Some(now);
                self.prober.congested(now);
            }
            Some(Verdict::Restore(rate)) => self.set(self.estimate.max(rate)),
            _ => {}
        }
    }

    fn rates(&self) -> Rates {
        Rates {
            estimate: self.estimate,
            sent: self.sending.rate().unwrap_or(0),
            acked: self.acked.rate().unwrap_or(0),
            queued: self.trend.standing() >= STANDING,
        }
    }

    fn overuse(&mut self, now: Time) {
        self.last_increase = now;
        if self
            .last_decrease
            .is_some_and(|at| now.since(at) < REACTION)
        {
            return;
        }
        self.last_decrease = Some(now);
        let probed = self.prober.disturbed(now);
        self.prober.congested(now);
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
        let Some(acked) = self.acked.rate() else {
            self.set((self.estimate as f64 * DECREASE) as u64);
            return;
        };
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
        let target = (proven as f64 * DECREASE) as u64;
        if target < self.estimate {
            self.set(target);
        }
        if idle {
            return;
        }
        self.capacity = Some(match self.capacity {
            Some(before) if (acked as f64) > before * 0.7 && (acked as f64) < before * 1.3 => {
                before * 0.9 + acked as f64 * 0.1
            }
            _ => acked as f64,
        });
    }

    fn increase(&mut self, now: Time) {
        let elapsed = now.since(self.last_increase).min(SECONDS);
        self.last_increase = now;
        let seconds = elapsed as f64 / SECONDS as f64;
        let acked = self.acked.rate().unwrap_or(0);
        let near = self
            .capacity
            .is_some_and(|c| (acked as f64 - c).abs() < c * 0.15);
        let grown = match near {
            // About one packet per response time.
            true => self.estimate as f64 + seconds * 40_000.0,
            false => self.estimate as f64 * INCREASE.powf(seconds),
        };
        if self.capacity.is_some_and(|c| acked as f64 > c * 1.3) {
            self.capacity = None;
        }
        // What nobody has seen arrive is not an estimate; media above it is proof, though.
        let cap = (acked + acked / 2 + 10_000).max(self.estimate);
        self.set((grown as u64).min(cap).max(acked.min(self.estimate * 2)));
    }

    fn proven(&mut self, now: Time, rate: u64, bottleneck: bool) {
        let safe = if bottleneck { rate - rate / 10 } else { rate };
        if safe > self.estimate {
            self.set(safe);
            self.last_increase = now;
            if self.capacity.is_some_and(|c| safe as f64 > c * 1.15) {
                self.capacity = None;
            }
        }
    }

    fn set(&mut self, estimate: u64) {
        self.estimate = estimate.clamp(self.min, self.max);
    }

    /// Bytes of a probe train, when more is wanted than the estimate holds.
    /// While video is paused (`eager`), questions are small and frequent.
    pub fn probe(&mut self, now: Time, desired: u64, eager: bool) -> Option<usize> {
        if desired <= self.estimate || self.trend.usage() == Usage::Over {
            return None;
        }
        let rate = desired.min(self.estimate * 2).min(self.max);
        self.prober.begin(now, rate, eager)
    }
}
