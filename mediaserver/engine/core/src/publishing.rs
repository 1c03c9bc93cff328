//! Publications come, change and go; their feeds learn of it here and on other workers.

use std::sync::Arc;

use crate::command::{CallId, PublicationId, TransportId};
use crate::core::Core;
use crate::drops::Drop;
use crate::ingress::publication::{Publication, Stream};
use crate::io::Io;
use crate::peer::PeerMessage;
use crate::spec::PublicationSpec;
use crate::time::{MILLIS, Time};

/// No demand that anybody can have.
const UNSAID: i8 = i8::MIN;

type Done = Result<(), Drop>;

impl Core {
    pub(crate) fn publish(
        &mut self,
        now: Time,
        id: PublicationId,
        transport: TransportId,
        spec: PublicationSpec,
        io: &mut dyn Io,
    ) -> Done {
        let t = self.transport(transport)?;
        let full = self.transports[t].publications.len() >= self.cfg.limits.max_publications;
        if full || self.publication_ids.contains_key(&id) {
            return Err(Drop::Limit);
        }
        let call = self.transports[t].call;
        let index = self
            .publications
            .insert(Publication::new(id, t, call, spec));
        self.publication_ids.insert(id, index);
        self.transports[t].publications.push(index);
        self.negotiated(index);
        self.new_speaker(now, index);
        let joins: Vec<u16> = self
            .early_joins
            .iter()
            .filter(|(p, _)| *p == id)
            .map(|(_, w)| *w)
            .collect();
        self.early_joins.retain(|(p, _)| *p != id);
        for worker in joins {
            self.join(id, worker, io);
        }
        self.attach_feed(now, index, io);
        self.schedule(t, now + 50 * MILLIS);
        Ok(())
    }

    /// Takes what negotiation said of a publication: signalled SSRCs and extension ids.
    fn negotiated(&mut self, index: u32) {
        let publication = &mut self.publications[index];
        let transport = &mut self.transports[publication.transport];
        transport.merge_ids(&publication.spec.extensions);
        transport.wants_remb = publication
            .spec
            .codecs
            .iter()
            .any(|c| c.remb && !c.transport_cc)
            || (transport.wants_remb && !publication.spec.codecs.iter().any(|c| c.transport_cc));
        for (encoding, entry) in publication.encodings.iter_mut().enumerate() {
            let signalled = [(entry.spec.ssrc, false), (entry.spec.rtx_ssrc, true)];
            for (ssrc, rtx) in signalled {
                let Some(ssrc) = ssrc else { continue };
                let stream = Stream {
                    publication: index,
                    encoding: encoding as u8,
                    rtx,
                };
                let bound = *transport.streams.entry(ssrc).or_insert(stream);
                if bound.publication != index {
                    self.drops.add(Drop::SsrcConflict);
                } else if rtx {
                    entry.rtx_ssrc.get_or_insert(ssrc);
                } else {
                    entry.ssrc.get_or_insert(ssrc);
                }
            }
        }
    }

    /// Connects a publication with a feed that waits for it on this worker.
    pub(crate) fn attach_feed(&mut self, now: Time, index: u32, io: &mut dyn Io) {
        let publication = &self.publications[index];
        let Some(feed) = self.feed_ids.get(&publication.id).copied() else {
            return;
        };
        self.feeds[feed].local = Some(index);
        let (call, spec, muted) = (
            publication.call,
            publication.spec.clone(),
            publication.muted,
        );
        self.publications[index].feed = Some(feed);
        self.describe_feed(now, feed, call, spec, muted, io);
    }

    pub(crate) fn update_publication(
        &mut self,
        now: Time,
        id: PublicationId,
        spec: PublicationSpec,
        io: &mut dyn Io,
    ) -> Done {
        let index = self.publication(id)?;
        let t = self.publications[index].transport;
        self.publications[index].update(spec);
        let live = self.publications[index].encodings.len();
        self.transports[t]
            .streams
            .retain(|_, s| s.publication != index || usize::from(s.encoding) < live);
        self.negotiated(index);
        self.announce(now, index, io);
        Ok(())
    }

    pub(crate) fn set_muted(
        &mut self,
        now: Time,
        id: PublicationId,
        muted: bool,
        io: &mut dyn Io,
    ) -> Done {
        let index = self.publication(id)?;
        self.publications[index].muted = muted;
        self.announce(now, index, io);
        Ok(())
    }

    /// Tells everybody with subscribers what a publication is now.
    fn announce(&mut self, now: Time, index: u32, io: &mut dyn Io) {
        let publication = &self.publications[index];
        let (call, spec, muted) = (
            publication.call,
            publication.spec.clone(),
            publication.muted,
        );
        for worker in &publication.remotes {
            let spec = spec.clone();
            io.to_worker(
                *worker,
                PeerMessage::Described {
                    publication: publication.id,
                    call,
                    spec,
                    muted,
                },
            );
        }
        if let Some(feed) = publication.feed {
            self.describe_feed(now, feed, call, spec, muted, io);
        }
    }

    pub(crate) fn describe_feed(
        &mut self,
        now: Time,
        feed: u32,
        call: CallId,
        spec: Arc<PublicationSpec>,
        muted: bool,
        io: &mut dyn Io,
    ) {
        let silenced = self.feeds[feed].muted != muted;
        self.feeds[feed].describe(call, spec.clone(), muted);
        if silenced {
            self.restart_feed(feed);
        }
        for index in self.feeds[feed].subscriptions.clone() {
            let subscription = &mut self.subscriptions[index];
            subscription.kind = spec.kind;
            subscription.route(&spec);
            let transport = subscription.transport;
            self.allocate_soon(transport, now);
        }
        // A demand from before the publication was announced went nowhere: say it again.
        self.feeds[feed].demand = UNSAID;
        self.send_demand(now, feed, io);
    }

    pub(crate) fn unpublish(&mut self, index: u32, io: &mut dyn Io) {
        let Some(publication) = self.publications.remove(index) else {
            return;
        };
        self.publication_ids.remove(&publication.id);
        if let Some(transport) = self.transports.get_mut(publication.transport) {
            transport.publications.retain(|p| *p != index);
            transport.streams.retain(|_, s| s.publication != index);
        }
        for worker in &publication.remotes {
            io.to_worker(
                *worker,
                PeerMessage::Ended {
                    publication: publication.id,
                },
            );
        }
        if let Some(feed) = publication.feed {
            self.feed_ended(feed);
        }
        self.speaker_left(publication.call, publication.id, io);
    }

    /// The publication is gone; subscriptions stay, silent, until they are ended.
    pub(crate) fn feed_ended(&mut self, feed: u32) {
        let entry = &mut self.feeds[feed];
        entry.local = None;
        entry.spec = None;
        entry.encodings.clear();
        if entry.subscriptions.is_empty() {
            let id = entry.publication;
            self.feeds.remove(feed);
            self.feed_ids.remove(&id);
        }
    }
}
