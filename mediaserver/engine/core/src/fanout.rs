//! From one packet of a publication to the queues of its subscribers, here and on other workers.

use std::sync::Arc;

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
use crate::transport::{MAX_QUEUE, Transport};
use crate::wire::codec::dd::Structure;

/// Packets of a frame that came before its first one, offered again when forwarding begins.
const MAX_CATCH_UP: u64 = 64;

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

    /// Stores a packet in the ring and offers it to every subscription.
    pub(crate) fn fan_out(
        &mut self,
        now: Time,
        feed_index: u32,
        encoding: u8,
        facts: &Facts,
        bytes: (&[u8], &[u8]),
        structure: Option<Arc<Structure>>,
    ) {
        let Core {
            feeds,
            subscriptions,
            transports,
            dirty,
            drops,
            ..
        } = self;
        let feed = &mut feeds[feed_index];
        if feed.muted || !feed.store(encoding, facts, bytes, structure) {
            return;
        }
        let feed = &*feed;
        let len = bytes.1.len();
        for index in &feed.subscriptions {
            let subscription = &mut subscriptions[*index];
            let transport = &mut transports[subscription.transport];
            if !transport.can_send() {
                continue;
            }
            let align = |s: &Subscription| {
                let current = s.rewriter.encoding()?;
                feed.align(
                    current,
                    s.rewriter.timestamp_offset(),
                    s.clock_rate,
                    encoding,
                    facts.timestamp,
                )
            };
            let (record, began) = subscription.offer(now, *index, encoding, (facts, len), &align);
            if let Some(record) = record {
                enqueue(transport, subscription, record, dirty, drops);
            }
            if began {
                let ring = &feed.encodings[usize::from(encoding)].ring;
                catch_up(
                    now,
                    *index,
                    subscription,
                    facts.seq,
                    encoding,
                    ring,
                    |subscription, record| {
                        enqueue(transport, subscription, record, dirty, drops);
                    },
                );
            }
        }
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

/// Forwarding began with packet `seq`: what came before it out of order follows it now.
fn catch_up(
    now: Time,
    index: u32,
    subscription: &mut Subscription,
    seq: u64,
    encoding: u8,
    ring: &Ring,
    mut enqueue: impl FnMut(&mut Subscription, Record),
) {
    let newest = ring.latest().unwrap_or(0).min(seq + MAX_CATCH_UP);
    for seq in seq + 1..=newest {
        let Some((facts, bytes)) = ring.get(seq) else {
            continue;
        };
        let len = bytes.len() - usize::from(facts.descriptor_len);
        let (record, _) = subscription.offer(now, index, encoding, (facts, len), &|_| None);
        if let Some(record) = record {
            enqueue(subscription, record);
        }
    }
}

fn enqueue(
    transport: &mut Transport,
    subscription: &mut Subscription,
    record: Record,
    dirty: &mut Vec<u32>,
    drops: &mut Drops,
) {
    let queue = &mut transport.queue;
    match subscription.kind {
        Kind::Audio if queue.urgent.len() < MAX_QUEUE => queue.urgent.push_back(record),
        Kind::Video if queue.video.len() < MAX_QUEUE => {
            queue.bytes += u64::from(record.size);
            queue.complete |= record.has(MARKER);
            queue.video.push_back(record);
        }
        _ => {
            drops.add(Drop::QueueOverflow);
            return;
        }
    }
    queue.first.get_or_insert(record.queued);
    if !queue.dirty {
        queue.dirty = true;
        dirty.push(subscription.transport);
    }
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
