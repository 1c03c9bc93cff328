//! The fan-out half of a publication on one worker: the payload rings that its subscriptions
//! share, the rates of its layers, the timing of its sender reports.

use std::sync::Arc;

use crate::command::{CallId, PublicationId};
use crate::egress::layers::{Layer, Mode};
use crate::egress::ring::Ring;
use crate::egress::subscription::{Subscription, mode_of};
use crate::packet::Facts;
use crate::path::HEADERS;
use crate::rate::Window;
use crate::spec::{Kind, PublicationSpec};
use crate::time::{MILLIS, SECONDS, Time};
use crate::wire::codec::dd::Structure;

pub const MAX_SPATIAL: usize = 4;
pub const MAX_TEMPORAL: usize = 4;
/// An encoding from which nothing came for this long is not there to be chosen. Screen shares
/// pause between changes, so theirs lasts longer.
const LIVE: u64 = 1_500 * MILLIS;
/// Header, extensions and tag of a packet, and the headers of IP and UDP.
const OVERHEAD: usize = 40 + HEADERS;
/// The rate of an encoding is known after this long.
const UNMEASURED: u64 = SECONDS;
const LIVE_SCREEN: u64 = 10 * SECONDS;

/// Pauses between unanswered requests for a keyframe double this often.
const MAX_BACK_OFF: u32 = 3;

/// RTP timestamp at an instant of the engine's NTP time.
#[derive(Clone, Copy, Debug)]
pub struct Anchor {
    pub ntp: u64,
    pub rtp: u32,
}

pub struct FeedEncoding {
    pub ring: Ring,
    pub anchor: Option<Anchor>,
    pub structure: Option<Arc<Structure>>,
    pub last_arrival: Option<Time>,
    pub last_timestamp: u32,
    /// When a keyframe was last asked for, and how often since one came.
    pub asked_keyframe: Option<Time>,
    pub unanswered: u32,
    /// When it began to flow, at first or after a silence.
    pub began: Option<Time>,
}

impl FeedEncoding {
    /// Whether a request for a keyframe may leave now, at most each `interval`; counts it. An encoder
    /// that does not answer is asked less and less: it is off, and begins with a keyframe anyway.
    pub fn may_ask(&mut self, now: Time, interval: u64) -> bool {
        let pause = interval << self.unanswered.saturating_sub(1).min(MAX_BACK_OFF);
        let early =
            self.unanswered > 0 && self.asked_keyframe.is_some_and(|at| now.since(at) < pause);
        if early {
            return false;
        }
        self.asked_keyframe = Some(now);
        self.unanswered = self.unanswered.saturating_add(1);
        true
    }
}

pub struct Feed {
    pub publication: PublicationId,
    /// The publisher's worker.
    pub worker: u16,
    /// Set on that worker.
    pub local: Option<u32>,
    pub call: CallId,
    pub spec: Option<Arc<PublicationSpec>>,
    pub muted: bool,
    pub encodings: Vec<FeedEncoding>,
    pub subscriptions: Vec<u32>,
    /// Encoding and number of packets in the ring that were not offered yet.
    pub waiting: Vec<(u8, u64)>,
    layers: [[Window; MAX_TEMPORAL]; MAX_SPATIAL],
    /// Audio without its redundancy.
    lean: Window,
    pub demand: i8,
}

impl Feed {
    pub fn new(publication: PublicationId, worker: u16) -> Feed {
        Feed {
            publication,
            worker,
            local: None,
            call: 0,
            spec: None,
            muted: false,
            encodings: Vec::new(),
            subscriptions: Vec::new(),
            waiting: Vec::new(),
            layers: Default::default(),
            lean: Window::default(),
            demand: -1,
        }
    }

    pub fn describe(&mut self, call: CallId, spec: Arc<PublicationSpec>, muted: bool) {
        let count = spec.encodings.len().max(1);
        self.encodings.truncate(count);
        while self.encodings.len() < count {
            let audio = spec.kind == Kind::Audio;
            self.encodings.push(FeedEncoding {
                ring: if audio { Ring::audio() } else { Ring::video() },
                anchor: None,
                structure: None,
                last_arrival: None,
                last_timestamp: 0,
                asked_keyframe: None,
                unanswered: 0,
                began: None,
            });
        }
        self.call = call;
        self.spec = Some(spec);
        self.muted = muted;
    }

    pub fn mode(&self) -> Mode {
        self.spec.as_ref().map_or(Mode::Plain, |spec| mode_of(spec))
    }

    /// Stores a packet and measures its layer.
    pub fn store(
        &mut self,
        encoding: u8,
        facts: &Facts,
        (descriptor, payload): (&[u8], &[u8]),
        structure: Option<Arc<Structure>>,
    ) -> bool {
        let svc = self.mode() == Mode::Svc;
        let Some(entry) = self.encodings.get_mut(usize::from(encoding)) else {
            return false;
        };
        entry.ring.push(*facts, descriptor, payload);
        if entry
            .last_arrival
            .is_none_or(|at| facts.arrival.since(at) >= LIVE)
        {
            // It speaks again, so it may be asked again.
            entry.unanswered = 0;
            entry.began = Some(facts.arrival);
        }
        entry.last_arrival = Some(facts.arrival);
        entry.last_timestamp = facts.timestamp;
        if facts.keyframe && facts.frame_start {
            entry.unanswered = 0;
        }
        if structure.is_some() {
            entry.structure = structure;
        }
        // A publisher that looks for more bandwidth sends padding, which nobody is sent on.
        if payload.is_empty() {
            return true;
        }
        let spatial = usize::from(if svc { facts.spatial } else { encoding }).min(MAX_SPATIAL - 1);
        let temporal = usize::from(facts.temporal).min(MAX_TEMPORAL - 1);
        self.layers[spatial][temporal].add(facts.arrival, payload.len() + OVERHEAD);
        if facts.red_primary > 0 {
            let primary = payload.len().saturating_sub(facts.red_primary.into());
            self.lean.add(facts.arrival, primary + OVERHEAD);
        }
        true
    }

    /// Layer number as the outside knows it: the quality of an encoding, or a spatial id.
    pub fn outside(&self, spatial: u8) -> u8 {
        match (self.mode(), self.spec.as_ref()) {
            (Mode::Simulcast, Some(spec)) => spec
                .encodings
                .get(usize::from(spatial))
                .map_or(spatial, |e| e.quality),
            _ => spatial,
        }
    }

    fn live(&self, now: Time, encoding: usize) -> bool {
        let screen = self.spec.as_ref().is_some_and(|s| s.screen);
        let limit = if screen { LIVE_SCREEN } else { LIVE };
        let last = self.encodings.get(encoding).and_then(|e| e.last_arrival);
        last.is_some_and(|at| now.since(at) < limit)
    }

    /// Rate of a layer with everything below that it needs, bit/s.
    pub fn rate(&self, now: Time, layer: Layer) -> u64 {
        let (spatial, temporal) = (usize::from(layer.spatial), usize::from(layer.temporal));
        let rows = if self.mode() == Mode::Svc {
            0..=spatial
        } else {
            spatial..=spatial
        };
        self.layers[..MAX_SPATIAL]
            .iter()
            .enumerate()
            .filter(|(row, _)| rows.contains(row))
            .flat_map(|(_, row)| row.iter().take(temporal + 1))
            .map(|meter| meter.rate(now))
            .sum()
    }

    /// bit/s of audio as it comes, and as it goes to those who get it without redundancy.
    pub fn audio_rates(&self, now: Time) -> (u64, u64) {
        let whole = self.layers[0][0].rate(now);
        match self.lean.rate(now) {
            0 => (whole, whole),
            lean => (whole, lean.min(whole)),
        }
    }

    /// Fills `out` with the layers that flow now and are within the limits, by rising rate.
    pub fn choices(
        &self,
        now: Time,
        max_spatial: u8,
        max_temporal: u8,
        out: &mut Vec<(Layer, u64)>,
    ) {
        out.clear();
        let svc = self.mode() == Mode::Svc;
        let rows = if svc {
            MAX_SPATIAL
        } else {
            self.encodings.len().min(MAX_SPATIAL)
        };
        for spatial in 0..rows {
            let allowed = self.outside(spatial as u8) <= max_spatial;
            let flows = if svc {
                self.live(now, 0) && self.layers[spatial].iter().any(|m| m.rate(now) > 0)
            } else {
                self.live(now, spatial)
            };
            if !flows || (!allowed && !out.is_empty()) {
                continue;
            }
            let lower = out.last().map_or(0, |(_, rate)| *rate);
            let first = out.len();
            self.push_temporals(now, spatial as u8, max_temporal, out);
            let began = self.encodings.get(spatial).and_then(|e| e.began);
            if !svc && began.is_some_and(|at| now.since(at) < UNMEASURED) {
                // Its rate is not known yet, but a larger picture is not cheaper than a smaller.
                for (_, rate) in &mut out[first..] {
                    *rate = (*rate).max(lower * 2);
                }
            }
            if !allowed {
                break;
            }
        }
    }

    fn push_temporals(
        &self,
        now: Time,
        spatial: u8,
        max_temporal: u8,
        out: &mut Vec<(Layer, u64)>,
    ) {
        let mut last = 0;
        for temporal in 0..MAX_TEMPORAL as u8 {
            let layer = Layer { spatial, temporal };
            let rate = self.rate(now, layer);
            if temporal > 0 && (rate <= last || temporal > max_temporal) {
                continue;
            }
            last = rate;
            out.push((layer, rate));
        }
    }

    /// The output timestamp that sender reports give to a packet of `encoding`, for a subscription
    /// that forwards `current` with `offset` added to its timestamps.
    pub fn align(
        &self,
        current: u8,
        offset: u32,
        clock_rate: u32,
        encoding: u8,
        timestamp: u32,
    ) -> Option<u32> {
        if current == encoding {
            return Some(timestamp.wrapping_add(offset));
        }
        let old = self.encodings.get(usize::from(current))?.anchor?;
        let new = self.encodings.get(usize::from(encoding))?.anchor?;
        // NTP 32.32 difference to clock ticks.
        let apart = new.ntp.wrapping_sub(old.ntp) as i64;
        let ticks = ((i128::from(apart) * i128::from(clock_rate)) >> 32) as i64;
        let since_new = timestamp.wrapping_sub(new.rtp);
        Some(
            old.rtp
                .wrapping_add(ticks as u32)
                .wrapping_add(since_new)
                .wrapping_add(offset),
        )
    }

    pub fn remove_subscription(&mut self, index: u32) {
        self.subscriptions.retain(|s| *s != index);
    }

    /// The highest layer that subscriptions here want, as the outside numbers it.
    pub fn wanted<'a>(&self, subscriptions: impl Iterator<Item = &'a Subscription>) -> i8 {
        subscriptions
            .filter(|s| !s.settings.paused && s.has_route())
            .map(|s| s.settings.max_spatial.min(MAX_SPATIAL as u8 - 1) as i8)
            .max()
            .unwrap_or(-1)
    }
}
