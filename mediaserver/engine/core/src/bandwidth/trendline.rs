//! Is a queue growing on the path? Groups packets by when they were sent, compares how far apart
//! groups left and arrived, and fits a line through the accumulated difference
//! (draft-ietf-rmcat-gcc-02 section 5, with the trendline filter that libwebrtc uses since).

use crate::time::Time;

/// Packets sent within this time belong to one group.
const GROUP_US: u64 = 5_000;
const WINDOW: usize = 20;
const SMOOTHING: f64 = 0.9;
const GAIN: f64 = 4.0;
const MAX_DELTAS: f64 = 60.0;
/// Adaptive threshold (gcc-02 section 5.4): grows slowly, falls faster, within bounds (ms).
const GROW: f64 = 0.0087;
const FALL: f64 = 0.039;
const THRESHOLDS: (f64, f64) = (6.0, 600.0);
const FIRST_THRESHOLD: f64 = 12.5;
/// Overuse must last this long (ms) before it counts.
const OVERUSE_MS: f64 = 10.0;
/// The shortest delay of the last one to two of these is what the queue keeps: a stall of the
/// receiver, or feedback in batches, delays some packets but never all.
const STANDING_US: i64 = 100_000;
/// The shortest delay of the last one to two of these is the path without a queue.
const BASE_US: i64 = 10_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    Normal,
    Over,
    Under,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent: Time,
    last_sent: Time,
    last_arrival: i64,
}

/// Smallest value of the current and the previous span.
#[derive(Clone, Copy, Debug, Default)]
struct Least {
    began: Option<i64>,
    current: i64,
    previous: Option<i64>,
}

impl Least {
    fn add(&mut self, at: i64, value: i64, span: i64) {
        match self.began {
            Some(began) if at - began < span => self.current = self.current.min(value),
            Some(_) => {
                self.previous = Some(self.current);
                self.current = value;
                self.began = Some(at);
            }
            None => {
                self.current = value;
                self.began = Some(at);
            }
        }
    }

    /// `None` before a whole span was seen.
    fn get(&self) -> Option<i64> {
        self.previous.map(|previous| previous.min(self.current))
    }

    fn so_far(&self) -> i64 {
        self.get().unwrap_or(self.current)
    }
}

#[derive(Debug)]
pub struct Trendline {
    standing: Least,
    base: Least,
    group: Option<Group>,
    previous: Option<Group>,
    accumulated: f64,
    smoothed: f64,
    points: [(f64, f64); WINDOW],
    count: usize,
    deltas: f64,
    first_arrival: Option<i64>,
    threshold: f64,
    threshold_at: Option<i64>,
    over_for: f64,
    over_count: u32,
    last_slope: f64,
    usage: Usage,
}

impl Default for Trendline {
    fn default() -> Self {
        Trendline {
            standing: Least::default(),
            base: Least::default(),
            group: None,
            previous: None,
            accumulated: 0.0,
            smoothed: 0.0,
            points: [(0.0, 0.0); WINDOW],
            count: 0,
            deltas: 0.0,
            first_arrival: None,
            threshold: FIRST_THRESHOLD,
            threshold_at: None,
            over_for: 0.0,
            over_count: 0,
            last_slope: 0.0,
            usage: Usage::Normal,
        }
    }
}

impl Trendline {
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Time that every packet spends in the queue now, microseconds.
    pub fn standing(&self) -> u64 {
        let queued = self
            .standing
            .get()
            .map_or(0, |least| least - self.base.so_far());
        queued.max(0) as u64
    }

    /// Delay of the path without a queue, in the receiver's clock.
    pub fn base(&self) -> i64 {
        self.base.so_far()
    }

    /// One packet that arrived, in the order of sending.
    pub fn add(&mut self, sent: Time, arrival_us: i64) {
        let delay = arrival_us - sent.micros() as i64;
        self.standing.add(arrival_us, delay, STANDING_US);
        self.base.add(arrival_us, delay, BASE_US);
        let Some(group) = self.group.as_mut() else {
            self.group = Some(Group {
                first_sent: sent,
                last_sent: sent,
                last_arrival: arrival_us,
            });
            return;
        };
        if sent < group.first_sent {
            return;
        }
        // A burst that the path delivered together says nothing about its queue.
        let bunched = arrival_us - group.last_arrival < GROUP_US as i64
            && (arrival_us - group.last_arrival) < sent.since(group.last_sent) as i64;
        if sent.since(group.first_sent) <= GROUP_US || bunched {
            group.last_sent = group.last_sent.max(sent);
            group.last_arrival = group.last_arrival.max(arrival_us);
            return;
        }
        let complete = *group;
        self.group = Some(Group {
            first_sent: sent,
            last_sent: sent,
            last_arrival: arrival_us,
        });
        if let Some(previous) = self.previous.replace(complete) {
            let sent_ms = complete.last_sent.since(previous.last_sent) as f64 / 1_000.0;
            let arrived_ms = (complete.last_arrival - previous.last_arrival) as f64 / 1_000.0;
            self.delta(arrived_ms - sent_ms, sent_ms, complete.last_arrival);
        }
    }

    fn delta(&mut self, delay_ms: f64, sent_ms: f64, arrival_us: i64) {
        if delay_ms.abs() > 3_000.0 {
            // The receiver's clock jumped, or it slept.
            *self = Trendline::default();
            return;
        }
        let first = *self.first_arrival.get_or_insert(arrival_us);
        self.deltas = (self.deltas + 1.0).min(1_000.0);
        self.accumulated += delay_ms;
        self.smoothed = SMOOTHING * self.smoothed + (1.0 - SMOOTHING) * self.accumulated;
        let at = (arrival_us - first) as f64 / 1_000.0;
        self.points.rotate_left(1);
        self.points[WINDOW - 1] = (at, self.smoothed);
        self.count = (self.count + 1).min(WINDOW);
        let slope = if self.count == WINDOW {
            self.slope().unwrap_or(self.last_slope)
        } else {
            self.last_slope
        };
        self.detect(slope, sent_ms, arrival_us);
    }

    /// Least squares through the window.
    fn slope(&self) -> Option<f64> {
        let n = WINDOW as f64;
        let (sum_x, sum_y) = self
            .points
            .iter()
            .fold((0.0, 0.0), |(x, y), p| (x + p.0, y + p.1));
        let (mean_x, mean_y) = (sum_x / n, sum_y / n);
        let (mut above, mut below) = (0.0, 0.0);
        for (x, y) in self.points {
            above += (x - mean_x) * (y - mean_y);
            below += (x - mean_x) * (x - mean_x);
        }
        (below > 0.0).then(|| above / below)
    }

    fn detect(&mut self, slope: f64, sent_ms: f64, arrival_us: i64) {
        let trend = self.deltas.min(MAX_DELTAS) * slope * GAIN;
        if trend > self.threshold {
            self.over_for += sent_ms / if self.over_count == 0 { 2.0 } else { 1.0 };
            self.over_count += 1;
            if self.over_for > OVERUSE_MS && self.over_count > 1 && slope >= self.last_slope {
                self.over_for = 0.0;
                self.over_count = 0;
                self.usage = Usage::Over;
            }
        } else {
            self.over_for = 0.0;
            self.over_count = 0;
            self.usage = if trend < -self.threshold {
                Usage::Under
            } else {
                Usage::Normal
            };
        }
        self.last_slope = slope;
        self.adapt(trend, arrival_us);
    }

    fn adapt(&mut self, trend: f64, arrival_us: i64) {
        let before = self.threshold_at.replace(arrival_us).unwrap_or(arrival_us);
        if trend.abs() > self.threshold + 15.0 {
            // A sudden spike: the threshold does not chase it.
            return;
        }
        let rate = if trend.abs() < self.threshold {
            FALL
        } else {
            GROW
        };
        let elapsed_ms = ((arrival_us - before) as f64 / 1_000.0).clamp(0.0, 100.0);
        self.threshold += rate * (trend.abs() - self.threshold) * elapsed_ms;
        self.threshold = self.threshold.clamp(THRESHOLDS.0, THRESHOLDS.1);
    }
}
