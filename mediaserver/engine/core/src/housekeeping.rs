//! What time brings to one transport: idleness, reports, feedback, repeated requests, allocation;
//! and the snapshot of everything for statistics.

use crate::core::Core;
use crate::event::Event;
use crate::io::Io;
use crate::path::Proto;
use crate::snapshot::{
    EncodingStats, PublicationStats, Snapshot, SubscriptionStats, TransportStats,
};
use crate::spec::Kind;
use crate::time::{MILLIS, SECONDS, Time};

/// Silence that is told, ms. Before a first connection only the last: a user may have to answer
/// a permission prompt.
const IDLE: [u32; 3] = [4_000, 10_000, 30_000];
const BUSY_TICK: u64 = 10 * MILLIS;
const WAITING_TICK: u64 = 50 * MILLIS;
const WATCHING_TICK: u64 = 200 * MILLIS;
const QUIET_TICK: u64 = SECONDS;
/// What is not urgent happens for all transports together: one waking thread for many. Never later
/// than it was to be, so divides the ticks that are set by it.
const GRID: u64 = 25 * MILLIS;

impl Core {
    /// Everything of one transport that is due; says when to come again.
    pub(crate) fn tick(&mut self, now: Time, index: u32, io: &mut dyn Io) {
        self.tick_idle(now, index, io);
        self.send_feedback(now, index, io);
        let missing = self.send_nacks(now, index, io);
        let waiting = self.send_waiting_keyframes(now, index, io);
        self.send_reports(now, index, io);
        self.tick_subscriptions(now, index, io);
        for position in 0..self.transports[index].publications.len() {
            let publication = self.transports[index].publications[position];
            self.demand_changed(now, publication, io);
        }
        let Core {
            transports, paths, ..
        } = self;
        let transport = &mut transports[index];
        transport.nack_pending = missing;
        transport.ice.expire(now, |path| {
            paths.remove(&path);
        });
        let next = match (missing, waiting) {
            (true, _) => now + BUSY_TICK,
            (_, true) => now + WAITING_TICK,
            _ if transport.subscriptions.is_empty() => on_grid(now + QUIET_TICK),
            _ => on_grid(now + WATCHING_TICK),
        };
        let feedback = transport.feedback_due.map(|due| due.max(now + MILLIS));
        self.schedule(index, feedback.map_or(next, |due| due.min(next)));
    }

    fn tick_idle(&mut self, now: Time, index: u32, io: &mut dyn Io) {
        let transport = &mut self.transports[index];
        let since = transport.last_receive.unwrap_or(transport.created);
        let idle = (now.since(since) / MILLIS) as u32;
        let connected = transport.last_receive.is_some();
        for step in IDLE {
            let told = connected || step == IDLE[2];
            if idle >= step && transport.idle_told < step && told {
                transport.idle_told = step;
                io.event(Event::TransportIdle {
                    transport: transport.id,
                    idle_ms: step,
                });
            }
        }
    }

    fn tick_subscriptions(&mut self, now: Time, index: u32, io: &mut dyn Io) {
        if self.transports[index].subscriptions.is_empty() {
            return;
        }
        if self.transports[index]
            .allocate_due
            .is_some_and(|at| now >= at)
        {
            self.allocate_now(now, index, io);
        }
        for position in 0..self.transports[index].subscriptions.len() {
            let subscription = self.transports[index].subscriptions[position];
            self.ask_for_target(now, subscription, io);
            self.tell_layer(subscription, io);
        }
    }

    /// `LayerChanged` follows what is forwarded, not what is wanted.
    fn tell_layer(&mut self, index: u32, io: &mut dyn Io) {
        let entry = &mut self.subscriptions[index];
        let current = entry.selector.current();
        if entry.kind == Kind::Audio || current == entry.told_layer {
            return;
        }
        entry.told_layer = current;
        if let Some(layer) = current {
            let spatial = self.feeds[entry.feed].outside(layer.spatial);
            io.event(Event::LayerChanged {
                subscription: entry.id,
                spatial,
                temporal: layer.temporal,
            });
        }
    }

    pub fn snapshot(&self, now: Time) -> Snapshot {
        let mut counters = self.counters;
        counters.transports = self.transports.len() as u64;
        counters.publications = self.publications.len() as u64;
        counters.subscriptions = self.subscriptions.len() as u64;
        Snapshot {
            worker: self.worker,
            at_ms: now.millis(),
            counters,
            drops: self.drops.named(),
            transports: self
                .transports
                .iter()
                .map(|(i, t)| (t.id, self.transport_stats(now, i)))
                .collect(),
            publications: self
                .publications
                .iter()
                .map(|(i, p)| (p.id, self.publication_stats(now, i)))
                .collect(),
            subscriptions: self
                .subscriptions
                .iter()
                .map(|(i, s)| (s.id, self.subscription_stats(now, i)))
                .collect(),
        }
    }

    fn transport_stats(&self, now: Time, index: u32) -> TransportStats {
        let transport = &self.transports[index];
        let path = transport.path();
        let watched = transport
            .subscriptions
            .iter()
            .map(|s| &self.subscriptions[*s]);
        let (mut sent_bitrate, mut allocated, mut loss, mut count) = (0, 0, 0.0, 0u32);
        for subscription in watched {
            sent_bitrate += subscription.meter.rate(now);
            allocated += subscription.allocated;
            loss += subscription.sent.loss;
            count += 1;
        }
        TransportStats {
            call: transport.call,
            connected: path.is_some() && transport.outbound.is_some(),
            protocol: path.map_or(
                "none",
                |p| if p.proto == Proto::Udp { "udp" } else { "tcp" },
            ),
            packets_in: transport.traffic.packets_in,
            bytes_in: transport.traffic.bytes_in,
            packets_out: transport.traffic.packets_out,
            bytes_out: transport.traffic.bytes_out,
            rtt_ms: transport.rtt as f64 / MILLIS as f64,
            estimate: transport.bandwidth.estimate(),
            allocated,
            sent_bitrate,
            loss_out: if count == 0 {
                0.0
            } else {
                loss / f64::from(count)
            },
            queued: transport.queue.len(),
            last_receive_ms: transport.last_receive.map(|at| now.since(at) / MILLIS),
            publications: transport.publications.len(),
            subscriptions: transport.subscriptions.len(),
        }
    }

    fn publication_stats(&self, now: Time, index: u32) -> PublicationStats {
        let publication = &self.publications[index];
        let encodings = publication.encodings.iter().map(|entry| {
            let reception = &entry.reception;
            EncodingStats {
                quality: entry.spec.quality,
                ssrc: entry.ssrc,
                codec: entry
                    .codec
                    .and_then(|c| publication.codec(c))
                    .map(|c| c.name),
                packets: reception.packets,
                bytes: reception.bytes,
                lost: reception.lost(),
                loss: reception.fraction,
                duplicates: reception.duplicates,
                jitter_ms: reception.jitter_ms(),
                bitrate: reception.meter.rate(now),
                fps: reception.meter.fps(now),
                keyframes: entry.keyframe_count,
                nacks: entry.nack.requested,
                plis: entry.plis,
                recovered: entry.nack.recovered,
                last_receive_ms: reception
                    .started
                    .then(|| now.since(reception.last_receive) / MILLIS),
            }
        });
        PublicationStats {
            transport: self.transports[publication.transport].id,
            call: publication.call,
            kind: publication.spec.kind,
            muted: publication.muted,
            demand: publication.demand,
            audible: publication.audible,
            encodings: encodings.collect(),
        }
    }

    fn subscription_stats(&self, now: Time, index: u32) -> SubscriptionStats {
        let subscription = &self.subscriptions[index];
        let feed = &self.feeds[subscription.feed];
        let sent = &subscription.sent;
        let transport = &self.transports[subscription.transport];
        let current = subscription.selector.current();
        SubscriptionStats {
            transport: transport.id,
            publication: feed.publication,
            packets: sent.packets,
            bytes: sent.bytes,
            retransmitted: sent.retransmitted,
            padding: sent.padding,
            lost: sent.lost,
            loss: sent.loss,
            jitter_ms: f64::from(sent.jitter) * 1_000.0 / f64::from(subscription.clock_rate.max(1)),
            rtt_ms: transport.rtt as f64 / MILLIS as f64,
            nacks: sent.nacks,
            plis: sent.plis,
            fps: subscription.meter.fps(now),
            spatial: current.map(|l| feed.outside(l.spatial)),
            temporal: current.map(|l| l.temporal),
            target_spatial: subscription
                .selector
                .target()
                .map(|l| feed.outside(l.spatial)),
            allocated: subscription.allocated,
            paused: subscription.selector.target().is_none(),
            switches: sent.switches,
            last_send_ms: (sent.packets > 0).then(|| now.since(sent.last_send) / MILLIS),
        }
    }
}

fn on_grid(at: Time) -> Time {
    Time(at.micros() / GRID * GRID)
}
