//! Messages of other workers' cores, and keyframes and demand, which travel from a subscriber's
//! worker to the publisher's: by message, or by a call when they are the same.

use crate::command::{PublicationId, SubscriptionId};
use crate::core::Core;
use crate::drops::Drop;
use crate::egress::feed::Anchor;
use crate::io::Io;
use crate::packet::MediaPacket;
use crate::peer::PeerMessage;
use crate::time::{MILLIS, Time};

/// A subscription repeats its wish for a keyframe after this long.
const ASK_AGAIN: u64 = 600 * MILLIS;
/// And after this long while nothing of the encoding arrives: a camera that is off has no frame.
const ASK_QUIET: u64 = 3_000 * MILLIS;
/// Joins remembered for publications that are not there yet.
const MAX_EARLY: usize = 1_024;

impl Core {
    pub(crate) fn peer_message(&mut self, now: Time, from: u16, msg: PeerMessage, io: &mut dyn Io) {
        match msg {
            PeerMessage::Media(packet) => self.relayed(now, &packet),
            PeerMessage::Report {
                publication,
                encoding,
                ntp,
                rtp,
            } => {
                self.relayed_report(publication, encoding, Anchor { ntp, rtp });
            }
            PeerMessage::Described {
                publication,
                call,
                spec,
                muted,
            } => {
                if let Some(feed) = self.feed_ids.get(&publication).copied() {
                    self.describe_feed(now, feed, call, spec, muted, io);
                }
            }
            PeerMessage::Ended { publication } => {
                if let Some(feed) = self.feed_ids.get(&publication).copied() {
                    self.feed_ended(feed);
                }
            }
            PeerMessage::Levels { call, levels } => self.levels(now, from, call, &levels),
            PeerMessage::Audible {
                call,
                all,
                publications,
            } => {
                self.audible(call, all, &publications);
            }
            PeerMessage::Call { call, settings } => {
                self.calls.entry(call).or_default().settings = settings;
            }
            wish => self.wish(now, from, wish, io),
        }
    }

    /// What subscribers' workers want of a publication here.
    fn wish(&mut self, now: Time, from: u16, msg: PeerMessage, io: &mut dyn Io) {
        match msg {
            PeerMessage::Join { publication } => {
                if self.publication_ids.contains_key(&publication) {
                    self.join(publication, from, io);
                } else if self.early_joins.len() < MAX_EARLY {
                    self.early_joins.push((publication, from));
                }
            }
            PeerMessage::Leave { publication } => {
                self.early_joins
                    .retain(|early| *early != (publication, from));
                if let Ok(index) = self.publication(publication) {
                    self.publications[index].forget_worker(from);
                    self.demand_changed(now, index, io);
                }
            }
            PeerMessage::Keyframe {
                publication,
                encoding,
                requester,
            } => {
                if let Ok(index) = self.publication(publication) {
                    self.request_keyframe(now, index, encoding, requester, io);
                }
            }
            PeerMessage::Demand {
                publication,
                max_spatial,
            } => {
                if let Ok(index) = self.publication(publication) {
                    self.publications[index].set_demand(from, max_spatial);
                    self.demand_changed(now, index, io);
                }
            }
            _ => {}
        }
    }

    fn relayed(&mut self, now: Time, packet: &MediaPacket) {
        let Some(feed) = self.feed_ids.get(&packet.publication).copied() else {
            return;
        };
        let split = usize::from(packet.facts.descriptor_len).min(packet.bytes.len());
        let bytes = packet.bytes.split_at(split);
        self.fan_out(
            now,
            feed,
            packet.encoding,
            &packet.facts,
            bytes,
            packet.structure.clone(),
        );
    }

    fn relayed_report(&mut self, publication: PublicationId, encoding: u8, anchor: Anchor) {
        let feed = self.feed_ids.get(&publication).copied();
        let feed = feed.and_then(|feed| self.feeds.get_mut(feed));
        if let Some(entry) = feed.and_then(|f| f.encodings.get_mut(usize::from(encoding))) {
            entry.anchor = Some(anchor);
        }
    }

    /// Another worker has a first subscriber.
    pub(crate) fn join(&mut self, id: PublicationId, worker: u16, io: &mut dyn Io) {
        let Ok(index) = self.publication(id) else {
            return;
        };
        let publication = &mut self.publications[index];
        if !publication.remotes.contains(&worker) {
            publication.remotes.push(worker);
        }
        let (call, spec, muted) = (
            publication.call,
            publication.spec.clone(),
            publication.muted,
        );
        io.to_worker(
            worker,
            PeerMessage::Described {
                publication: id,
                call,
                spec,
                muted,
            },
        );
    }

    /// A subscription needs a keyframe; repeats of the wish are limited here, for all subscriptions
    /// of the encoding, and at the publisher. False when it is too early.
    pub(crate) fn ask_keyframe(
        &mut self,
        now: Time,
        subscription: u32,
        encoding: u8,
        io: &mut dyn Io,
    ) -> bool {
        let entry = &mut self.subscriptions[subscription];
        let (requester, feed): (SubscriptionId, u32) = (entry.id, entry.feed);
        let feed = &mut self.feeds[feed];
        let known = feed.encodings.get_mut(usize::from(encoding));
        if known.is_some_and(|e| !e.may_ask(now, ASK_AGAIN)) {
            return false;
        }
        entry.asked_keyframe = Some((encoding, now));
        match feed.local {
            Some(publication) => self.request_keyframe(now, publication, encoding, requester, io),
            None => {
                let publication = feed.publication;
                io.to_worker(
                    feed.worker,
                    PeerMessage::Keyframe {
                        publication,
                        encoding,
                        requester,
                    },
                );
            }
        }
        true
    }

    /// Asks for what the subscription's target waits for, unless it just did.
    pub(crate) fn ask_for_target(&mut self, now: Time, subscription: u32, io: &mut dyn Io) {
        let entry = &self.subscriptions[subscription];
        let Some(encoding) = entry.selector.waits_for() else {
            return;
        };
        let feed = &self.feeds[entry.feed];
        if feed.muted {
            return;
        }
        let last = feed
            .encodings
            .get(usize::from(encoding))
            .and_then(|e| e.last_arrival);
        let quiet = last.is_none_or(|at| now.since(at) > ASK_QUIET);
        let interval = if quiet { ASK_QUIET } else { ASK_AGAIN };
        if entry
            .asked_keyframe
            .is_none_or(|(before, at)| before != encoding || now.since(at) >= interval)
        {
            self.ask_keyframe(now, subscription, encoding, io);
        }
    }

    pub(crate) fn request_keyframe(
        &mut self,
        now: Time,
        index: u32,
        encoding: u8,
        requester: SubscriptionId,
        io: &mut dyn Io,
    ) {
        let budget = self.cfg.limits.keyframes_per_requester;
        let Some(publication) = self.publications.get_mut(index) else {
            return;
        };
        let Some(entry) = publication.encodings.get_mut(usize::from(encoding)) else {
            return;
        };
        if publication.spec.kind == crate::spec::Kind::Audio {
            return;
        }
        if !entry.keyframes.request(now, requester, budget) {
            self.counters.keyframes_suppressed += 1;
            self.drops.add(Drop::KeyframeLimited);
            return;
        }
        let transport = publication.transport;
        if !self.send_keyframe_request(now, index, encoding, io) {
            self.counters.keyframes_suppressed += 1;
            self.schedule(transport, now + 50 * MILLIS);
        }
    }

    /// Tells the publisher's worker the highest layer wanted here, when it changed.
    pub(crate) fn send_demand(&mut self, now: Time, feed: u32, io: &mut dyn Io) {
        let Core {
            feeds,
            subscriptions,
            ..
        } = self;
        let entry = &mut feeds[feed];
        let wanted = entry.wanted(entry.subscriptions.iter().map(|s| &subscriptions[*s]));
        let (local, publication, worker) = (entry.local, entry.publication, entry.worker);
        if let Some(index) = local {
            entry.demand = wanted;
            let ours = self.worker;
            self.publications[index].set_demand(ours, wanted);
            self.demand_changed(now, index, io);
        } else if entry.demand != wanted && worker != self.worker {
            entry.demand = wanted;
            io.to_worker(
                worker,
                PeerMessage::Demand {
                    publication,
                    max_spatial: wanted,
                },
            );
        }
    }

    /// Tells Python what encodings are watched, debounced downwards.
    pub(crate) fn demand_changed(&mut self, now: Time, index: u32, io: &mut dyn Io) {
        let publication = &mut self.publications[index];
        if publication.is_audio() {
            return;
        }
        if let Some(max_spatial) = publication.demand_change(now) {
            let publication = publication.id;
            io.event(crate::event::Event::DemandChanged {
                publication,
                max_spatial,
            });
        } else if publication.demand_waits() {
            let transport = publication.transport;
            self.schedule(transport, now + 2_050 * MILLIS);
        }
    }
}
