//! From one packet of a publication to the queues of its subscribers, here and on other workers.

use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::collections::prefetch;
use crate::core::Core;
use crate::drops::{Drop, Drops};
use crate::egress::record::{MARKER, Record};
use crate::egress::ring::Ring;
use crate::egress::subscription::Subscription;
use crate::ingress::publication::Stream;
use crate::io::Io;
use crate::packet::{Facts, MediaPacket};
use crate::peer::PeerMessage;
use crate::spec::Kind;
use crate::time::Time;
use crate::transport::{MAX_QUEUE, Queue, Transport};
use crate::wire::codec::dd::Structure;

/// Packets of a frame that came before its first one, offered again when forwarding begins.
const MAX_CATCH_UP: u64 = 64;
/// So many packets of a publication are offered before the turn ends: the ring must still hold them.
const MAX_WAITING: usize = 32;

impl Core {
    /// Hands a packet to the feed here and to every other worker that has subscribers.
    pub(crate) fn distribute(
        &mut self,
        now: Time,
        stream: Stream,
        facts: &Facts,
        (descriptor, payload): (&[u8], &[u8]),
        structure: Option<Arc<Structure>>,
        io: &mut dyn Io,
    ) {
        let publication = &self.publications[stream.publication];
        if !publication.remotes.is_empty() {
            let mut bytes = Vec::with_capacity(descriptor.len() + payload.len());
            bytes.extend_from_slice(descriptor);
            bytes.extend_from_slice(payload);
            let packet = Arc::new(MediaPacket {
                publication: publication.id,
                encoding: stream.encoding,
                facts: *facts,
                bytes: bytes.into_boxed_slice(),
                structure: structure.clone(),
            });
            for worker in &publication.remotes {
                io.to_worker(*worker, PeerMessage::Media(packet.clone()));
                self.counters.to_workers += 1;
            }
        }
        if let Some(feed) = publication.feed {
            self.fan_out(
                now,
                feed,
                stream.encoding,
                facts,
                (descriptor, payload),
                structure,
            );
        }
    }

    /// Stores a packet in the ring; it is offered to the subscriptions at the end of the turn, or
    /// when enough wait: one subscriber at a time, so that its state is fetched once for a frame.
    pub(crate) fn fan_out(
        &mut self,
        now: Time,
        feed_index: u32,
        encoding: u8,
        facts: &Facts,
        bytes: (&[u8], &[u8]),
        structure: Option<Arc<Structure>>,
    ) {
        let feed = &mut self.feeds[feed_index];
        if feed.muted || !feed.store(encoding, facts, bytes, structure) {
            return;
        }
        if feed.waiting.is_empty() {
            self.waiting.push(feed_index);
        }
        feed.waiting.push((encoding, facts.seq));
        if feed.waiting.len() >= MAX_WAITING {
            self.offer_feed(now, feed_index, None);
        }
    }

    /// Offers what came in this turn. With one publication alone, as nearly always, a subscriber's
    /// frame leaves while its state is at hand; with several, their packets share a run first.
    pub(crate) fn offer_waiting(&mut self, now: Time, io: &mut dyn Io) {
        let mut waiting = std::mem::take(&mut self.waiting);
        let alone = waiting.len() == 1;
        for feed in waiting.drain(..) {
            let io: Option<&mut dyn Io> = if alone { Some(&mut *io) } else { None };
            self.offer_feed(now, feed, io);
        }
        self.waiting = waiting;
    }

    /// With `io`, complete frames are sent at once.
    fn offer_feed(&mut self, now: Time, feed_index: u32, mut io: Option<&mut dyn Io>) {
        let Some(feed) = self.feeds.get_mut(feed_index) else {
            return;
        };
        let mut packets = std::mem::take(&mut feed.waiting);
        let mut position = 0;
        while let Some(index) = self.subscriber(feed_index, position) {
            position += 1;
            self.fetch(feed_index, position, packets.len());
            let transport = self.subscriptions[index].transport;
            if !self.transports[transport].can_send() || !self.offer(now, index, &packets) {
                continue;
            }
            match io.as_mut() {
                Some(io) if self.transports[transport].queue.complete => {
                    if let Some(due) = self.flush_transport(now, transport, &mut **io) {
                        self.send_due = Some(self.send_due.map_or(due, |at| at.min(due)));
                        self.mark_dirty(transport);
                    }
                }
                _ => self.mark_dirty(transport),
            }
        }
        if let Some(io) = io {
            self.send_held(io);
        }
        packets.clear();
        if let Some(feed) = self.feeds.get_mut(feed_index) {
            feed.waiting = packets;
        }
    }

    /// A subscriber's state is cold, and reading it piece by piece would wait for memory each time.
    /// While one is served, the next one's parts are asked for, and the next but one's heads.
    fn fetch(&self, feed: u32, position: usize, packets: usize) {
        if let Some(index) = self.subscriber(feed, position + 1) {
            prefetch(&self.subscriptions[index]);
        }
        let Some(index) = self.subscriber(feed, position) else {
            return;
        };
        let subscription = &self.subscriptions[index];
        let transport = &self.transports[subscription.transport];
        prefetch(transport);
        subscription.rewriter.prefetch();
        let next = subscription.rewriter.next_out();
        subscription.history.prefetch(next, packets);
        if let Some(keys) = &transport.outbound {
            prefetch(keys.for_rtp());
        }
        transport
            .bandwidth
            .prefetch(transport.twcc as u16, packets + 1);
    }

    fn subscriber(&self, feed: u32, position: usize) -> Option<u32> {
        self.feeds[feed].subscriptions.get(position).copied()
    }

    fn mark_dirty(&mut self, transport: u32) {
        let queue = &mut self.transports[transport].queue;
        if !queue.dirty {
            queue.dirty = true;
            self.dirty.push(transport);
        }
    }

    /// Offers packets of its feed to one subscription; true when something was queued.
    fn offer(&mut self, now: Time, index: u32, packets: &[(u8, u64)]) -> bool {
        let Core {
            feeds,
            subscriptions,
            transports,
            drops,
            ..
        } = self;
        let subscription = &mut subscriptions[index];
        let feed = &feeds[subscription.feed];
        let queue = &mut transports[subscription.transport].queue;
        let mut queued = false;
        // Newest packet of an encoding that was offered out of turn, when forwarding began.
        let mut caught: Option<(u8, u64)> = None;
        for (encoding, seq) in packets {
            let ring = &feed.encodings[usize::from(*encoding)].ring;
            let Some((facts, bytes)) = ring.get(*seq) else {
                continue;
            };
            if caught.is_some_and(|(e, newest)| e == *encoding && *seq <= newest) {
                continue;
            }
            let len = bytes.len() - usize::from(facts.descriptor_len);
            let align = |s: &Subscription| {
                let current = s.rewriter.encoding()?;
                feed.align(
                    current,
                    s.rewriter.timestamp_offset(),
                    s.clock_rate,
                    *encoding,
                    facts.timestamp,
                )
            };
            let (record, began) = subscription.offer(now, index, *encoding, (facts, len), &align);
            if let Some(record) = record {
                queued |= enqueue(queue, subscription.kind, record, drops);
            }
            if began {
                let newest = ring.latest().unwrap_or(0).min(facts.seq + MAX_CATCH_UP);
                caught = Some((*encoding, newest));
                let missed = facts.seq + 1..=newest;
                let kind = subscription.kind;
                catch_up(
                    now,
                    index,
                    subscription,
                    missed,
                    *encoding,
                    ring,
                    |record| {
                        queued |= enqueue(queue, kind, record, drops);
                    },
                );
            }
        }
        queued
    }

    /// A publication falls silent or speaks again: what it sent meanwhile leaves no hole, because
    /// forwarding begins anew.
    pub(crate) fn restart_feed(&mut self, feed: u32) {
        for index in &self.feeds[feed].subscriptions {
            self.subscriptions[*index].selector.restart();
        }
    }

    /// The path broke off: forwarding begins anew, at a keyframe.
    pub(crate) fn restart_subscriptions(&mut self, transport: u32) {
        for index in &self.transports[transport].subscriptions {
            self.subscriptions[*index].selector.restart();
        }
        self.transports[transport].queue.clear();
    }
}

/// Forwarding began: what came before that packet out of order follows it now.
fn catch_up(
    now: Time,
    index: u32,
    subscription: &mut Subscription,
    missed: RangeInclusive<u64>,
    encoding: u8,
    ring: &Ring,
    mut enqueue: impl FnMut(Record),
) {
    for seq in missed {
        let Some((facts, bytes)) = ring.get(seq) else {
            continue;
        };
        let len = bytes.len() - usize::from(facts.descriptor_len);
        let (record, _) = subscription.offer(now, index, encoding, (facts, len), &|_| None);
        if let Some(record) = record {
            enqueue(record);
        }
    }
}

/// False when the queue is full.
fn enqueue(queue: &mut Queue, kind: Kind, record: Record, drops: &mut Drops) -> bool {
    match kind {
        Kind::Audio if queue.urgent.len() < MAX_QUEUE => queue.urgent.push_back(record),
        Kind::Video if queue.video.len() < MAX_QUEUE => {
            queue.bytes += u64::from(record.size);
            queue.complete |= record.has(MARKER);
            queue.video.push_back(record);
        }
        _ => {
            drops.add(Drop::QueueOverflow);
            return false;
        }
    }
    queue.first.get_or_insert(record.queued);
    true
}

/// Puts an answer to NACK (or a probe) into the queue.
pub(crate) fn enqueue_again(
    transport: &mut Transport,
    index: u32,
    record: Record,
    dirty: &mut Vec<u32>,
) -> bool {
    let queue = &mut transport.queue;
    if queue.rtx.len() >= MAX_QUEUE {
        return false;
    }
    queue.bytes += u64::from(record.size);
    queue.first.get_or_insert(record.queued);
    queue.rtx.push_back(record);
    if !queue.dirty {
        queue.dirty = true;
        dirty.push(index);
    }
    true
}
