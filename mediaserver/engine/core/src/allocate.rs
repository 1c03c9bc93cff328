//! Glue between a transport's estimate, the allocator, the selectors and the pacer.

use crate::bandwidth::Feedback;
use crate::bandwidth::allocator::{Candidate, allocate};
use crate::core::Core;
use crate::drops::Drop;
use crate::egress::layers::{Layer, Mode};
use crate::egress::pacer::Pace;
use crate::egress::subscription::Subscription;
use crate::event::Event;
use crate::io::Io;
use crate::spec::Kind;
use crate::time::{MILLIS, SECONDS, Time};
use crate::transport::Transport;

const INTERVAL: u64 = 200 * MILLIS;
/// After a layer was taken away, this long nothing rises: the queue must drain first.
const SETTLE: u64 = 2 * SECONDS;
/// Frames of the same picture come back sooner: a layer of them is cheap, and needs no keyframe.
const DRAIN: u64 = 500 * MILLIS;
/// What falls this soon after it rose comes and goes: each time it settles twice as long.
const RELAPSE: u64 = 8 * SECONDS;
const MAX_SETTLE: u64 = 16 * SECONDS;
/// The lowest layer flows this long although it does not fit: an estimate that fell too far
/// recovers by what flows, never by what does not.
const PATIENCE: u64 = 1_500 * MILLIS;
/// A probe asks for this much more than the best layers need: room for the pacer to stay open.
const AMBITION: u64 = 2;
/// Video that waited this long in the queue is of no use to anybody.
const MAX_WAIT: u64 = 800 * MILLIS;
/// A larger picture that would take this long still is not worth finishing before a smaller one.
const MAX_FALL: u64 = 300 * MILLIS;
/// Below this estimate video is spaced as the path takes it.
const NARROW: u64 = 1_000_000;
const UNLIMITED: u64 = 1 << 40;
/// Stands for a layer that does not flow yet.
const LOWEST: Layer = Layer {
    spatial: 0,
    temporal: 3,
};

impl Core {
    /// Allocates at the next tick.
    pub(crate) fn allocate_soon(&mut self, index: u32, now: Time) {
        if let Some(transport) = self.transports.get_mut(index) {
            transport.allocate_due = Some(now);
            self.schedule(index, now + 10 * MILLIS);
        }
    }

    /// The estimator listens to the best feedback that any subscription negotiated.
    pub(crate) fn listen_for_feedback(&mut self, index: u32) {
        let transport = &mut self.transports[index];
        for subscription in &transport.subscriptions {
            let entry = &self.subscriptions[*subscription];
            let numbered = entry.spec.extensions.transport_cc.is_some() && !entry.identical;
            if numbered && entry.spec.codecs.iter().any(|c| c.transport_cc) {
                transport.bandwidth.set_feedback(Feedback::TransportCc);
            } else if entry.spec.codecs.iter().any(|c| c.remb) {
                transport.bandwidth.set_feedback(Feedback::Remb);
            }
        }
    }

    /// Feedback came in. A falling estimate is acted on at once, a rising one at leisure.
    pub(crate) fn estimate_changed(&mut self, now: Time, index: u32, io: &mut dyn Io) {
        let transport = &self.transports[index];
        let due = transport.allocate_due.is_none_or(|at| now >= at);
        let short = transport.bandwidth.is_limited(now)
            && transport
                .bandwidth
                .estimate()
                .is_some_and(|e| e < transport.allocated);
        if due || short || transport.pacer.is_opening() {
            self.allocate_now(now, index, io);
        }
    }

    pub(crate) fn allocate_now(&mut self, now: Time, index: u32, io: &mut dyn Io) {
        self.transports[index].allocate_due = Some(now + INTERVAL);
        let ((whole, lean), videos) = self.audio(now, index);
        let mut candidates: Vec<Candidate> =
            videos.iter().map(|v| self.candidate(now, *v)).collect();
        let Transport { bandwidth, cap, .. } = &self.transports[index];
        let found = bandwidth.estimate();
        let capped = cap.is_some_and(|cap| found.is_none_or(|found| found > cap));
        let limited = capped || bandwidth.is_limited(now);
        let estimate = if capped { *cap } else { found };
        let low = candidates.iter().map(|c| lowest(&c.choices)).sum();
        let audio = self.set_audio(now, index, (whole, lean), low);
        let budget = estimate.map_or(UNLIMITED, |e| e.saturating_sub(audio));
        let bandwidth = &self.transports[index].bandwidth;
        let measured = bandwidth.can_probe();
        let spent = allocate(&mut candidates, budget, limited, measured) + audio;
        let best: u64 = candidates
            .iter()
            .filter_map(|c| c.choices.last())
            .map(|(_, rate)| rate)
            .sum();
        for (video, candidate) in videos.iter().zip(&candidates) {
            self.act_on(now, *video, candidate, limited, io);
        }
        self.set_pace(now, index, estimate, spent, limited);
        if estimate.is_some() && !capped {
            self.probe(now, index, (best + whole) * AMBITION);
        }
    }

    /// Rate of all audio with its redundancy and without, and the videos that share the rest.
    fn audio(&mut self, now: Time, index: u32) -> ((u64, u64), Vec<u32>) {
        let ((mut whole, mut lean), mut videos) = ((0, 0), Vec::new());
        for position in 0..self.transports[index].subscriptions.len() {
            let subscription = self.transports[index].subscriptions[position];
            let entry = &mut self.subscriptions[subscription];
            let feed = &self.feeds[entry.feed];
            let wanted = !entry.settings.paused && entry.has_route() && feed.spec.is_some();
            if !wanted {
                entry.selector.set_target(None);
                entry.allocated = 0;
            } else if entry.kind == Kind::Audio {
                entry.selector.set_target(Some(Layer {
                    spatial: 0,
                    temporal: 0,
                }));
                let rates = feed.audio_rates(now);
                whole += if entry.strips_red() { rates.1 } else { rates.0 };
                lean += rates.1;
            } else {
                videos.push(subscription);
            }
        }
        ((whole, lean), videos)
    }

    /// Audio is never bargained with, only its redundancy (`Lean`, `Rich`); answers its rate.
    fn set_audio(&mut self, now: Time, index: u32, (whole, lean): (u64, u64), low: u64) -> u64 {
        let transport = &mut self.transports[index];
        let thin = transport
            .lean
            .judge(now, &transport.bandwidth, (whole, lean), low);
        let added = match thin {
            true => 0,
            false => transport
                .rich
                .judge(now, &transport.bandwidth, (whole, lean), low),
        };
        let with_redundancy = |(whole, lean): (u64, u64)| match thin {
            true => lean,
            false => whole + u64::from(added) * whole.saturating_sub(lean),
        };
        for subscription in &transport.subscriptions {
            let entry = &mut self.subscriptions[*subscription];
            if entry.kind == Kind::Audio && entry.selector.target().is_some() {
                let rates = self.feeds[entry.feed].audio_rates(now);
                let stripped = entry.strips_red();
                (entry.lean, entry.rich) = (thin, added);
                entry.allocated = if stripped {
                    rates.1
                } else {
                    with_redundancy(rates)
                };
            }
        }
        with_redundancy((whole, lean))
    }

    fn candidate(&mut self, now: Time, index: u32) -> Candidate {
        let entry = &mut self.subscriptions[index];
        let feed = &self.feeds[entry.feed];
        let mut choices = Vec::new();
        feed.choices(
            now,
            entry.settings.max_spatial,
            entry.settings.max_temporal,
            &mut choices,
        );
        // Each is looked at five times a second: a peak is forgotten in some ten seconds.
        for peak in &mut entry.peaks {
            *peak -= *peak / 50;
        }
        for (layer, rate) in &choices {
            let peak = &mut entry.peaks[usize::from(layer.spatial)];
            *peak = (*peak).max(*rate);
        }
        // A larger picture at a quarter of its frames is worse than a smaller one that moves.
        let lowest = choices.first().map_or(0, |(layer, _)| layer.spatial);
        let top = choices
            .iter()
            .map(|(layer, _)| layer.temporal)
            .max()
            .unwrap_or(0);
        choices.retain(|(layer, _)| layer.spatial == lowest || layer.temporal + 1 >= top);
        let target = entry.selector.target();
        let current = target.and_then(|t| {
            choices
                .iter()
                .rposition(|(l, _)| l.spatial == t.spatial && l.temporal <= t.temporal)
        });
        Candidate {
            priority: entry.settings.priority,
            choices,
            current,
            draining: entry.lowered.is_some_and(|at| now.since(at) < DRAIN),
            settling: entry.lowered.is_some_and(|at| now.since(at) < entry.settle),
            peaks: entry.peaks,
            patient: entry.short.is_none_or(|at| now.since(at) < PATIENCE),
            chosen: None,
            short: false,
        }
    }

    fn act_on(
        &mut self,
        now: Time,
        index: u32,
        candidate: &Candidate,
        limited: bool,
        io: &mut dyn Io,
    ) {
        let entry = &mut self.subscriptions[index];
        let before = entry.selector.target();
        let paused = candidate.chosen.is_none() && !candidate.choices.is_empty();
        let (target, rate) = target(entry, candidate);
        entry.allocated = rate;
        entry.short = candidate.short.then(|| entry.short.unwrap_or(now));
        let fell = candidate
            .current
            .is_some_and(|current| candidate.chosen.is_none_or(|chosen| chosen < current));
        // The layer stopped flowing, although it is allowed.
        let gone = before.is_some_and(|before| {
            let highest = candidate.choices.last().map(|(layer, _)| layer.spatial);
            highest.is_some_and(|highest| highest < before.spatial)
                && self.feeds[entry.feed].outside(before.spatial) <= entry.settings.max_spatial
        });
        if (limited && fell) || gone {
            lower(entry, now);
        } else if before.map(|b| b.spatial) < target.map(|t| t.spatial) && before.is_some() {
            entry.raised = Some(now);
        }
        entry.selector.set_target(target);
        if entry.paused_by_bandwidth != paused {
            entry.paused_by_bandwidth = paused;
            io.event(Event::StreamStateChanged {
                subscription: entry.id,
                paused,
            });
        }
        self.ask_for_target(now, index, io);
    }

    fn set_pace(
        &mut self,
        now: Time,
        index: u32,
        estimate: Option<u64>,
        spent: u64,
        limited: bool,
    ) {
        let transport = &mut self.transports[index];
        transport.allocated = spent;
        let pace = match estimate {
            None => Pace::Open,
            // A first frame shows what the path carries before it can overflow a queue.
            Some(_) if transport.bandwidth.is_opening(now) => Pace::Opening,
            // Twice what flows and no sign of a queue: the path takes a frame in half its time.
            Some(e) if !limited && e >= spent * 2 => Pace::Open,
            // Even one frame is a long queue here.
            Some(e) if e < NARROW && (limited || e < spent + spent / 2) => {
                Pace::Narrow(e.max(spent))
            }
            Some(e) => Pace::Loose(e.max(spent)),
        };
        transport.pacer.set(now, pace);
        let queue = &transport.queue;
        let oldest = queue.video.front().map_or(0, |r| now.since(r.queued));
        if oldest > MAX_WAIT {
            self.discard_video(now, index, |_| true);
        } else if matches!(pace, Pace::Narrow(rate) if queue.bytes * 8 * SECONDS / rate > MAX_FALL)
        {
            // What a smaller picture will replace only keeps it waiting.
            self.discard_video(now, index, |entry| {
                let spatial = |layer: Option<Layer>| layer.map(|l| l.spatial);
                spatial(entry.selector.target()) < spatial(entry.selector.current())
            });
        }
    }

    /// Throws away what waits for the pacer; what follows begins at a keyframe.
    fn discard_video(&mut self, now: Time, index: u32, which: impl Fn(&Subscription) -> bool) {
        let queue = &mut self.transports[index].queue;
        let before = queue.video.len();
        let mut bytes = 0;
        queue.video.retain(|record| {
            let entry = self.subscriptions.get_mut(record.subscription);
            let Some(entry) = entry.filter(|entry| which(entry)) else {
                return true;
            };
            bytes += u64::from(record.size);
            entry.withdrawn = true;
            false
        });
        queue.bytes = queue.bytes.saturating_sub(bytes);
        let dropped = before - queue.video.len();
        self.drops.add_many(Drop::QueueOverflow, dropped as u64);
        for subscription in &self.transports[index].subscriptions {
            let entry = &mut self.subscriptions[*subscription];
            if std::mem::take(&mut entry.withdrawn) {
                entry.withdraw(now);
            }
        }
    }
}

/// The layer to aim at for what was chosen, and its rate; none is a pause.
fn target(entry: &Subscription, candidate: &Candidate) -> (Option<Layer>, u64) {
    let Some(chosen) = candidate.chosen else {
        let paused = !candidate.choices.is_empty();
        let stays = || entry.selector.target().or(Some(first(entry)));
        return (if paused { None } else { stays() }, 0);
    };
    let (layer, rate) = candidate.choices[chosen];
    // At the top of what flows, whatever more the stream grows is wanted too.
    let whole = candidate
        .choices
        .last()
        .is_some_and(|(l, _)| l.spatial == layer.spatial && l.temporal == layer.temporal);
    let temporal = if whole {
        entry.settings.max_temporal
    } else {
        layer.temporal
    };
    (Some(Layer { temporal, ..layer }), rate)
}

/// What to begin with: an SVC stream is thinned without a keyframe, so it may be everything.
fn first(entry: &Subscription) -> Layer {
    match entry.selector.mode {
        Mode::Svc => Layer {
            spatial: entry.settings.max_spatial,
            ..LOWEST
        },
        _ => LOWEST,
    }
}

/// Nothing rises until the queue has drained, longer each time when it had only just risen.
fn lower(entry: &mut Subscription, now: Time) {
    let relapse = entry
        .raised
        .take()
        .is_some_and(|at| now.since(at) < RELAPSE);
    entry.settle = if relapse {
        (entry.settle * 2).clamp(SETTLE, MAX_SETTLE)
    } else {
        SETTLE
    };
    entry.lowered = Some(now);
}

/// Rate of the smallest picture with all its frames.
fn lowest(choices: &[(Layer, u64)]) -> u64 {
    let first = choices.first().map_or(0, |(layer, _)| layer.spatial);
    let frames = choices.iter().filter(|(layer, _)| layer.spatial == first);
    frames.map(|(_, rate)| *rate).max().unwrap_or(0)
}
