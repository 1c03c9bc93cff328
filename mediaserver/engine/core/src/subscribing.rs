//! Subscriptions come, change and go, and with them feeds: a worker joins a publication of another
//! with its first subscriber and leaves it with its last.

use crate::command::{PublicationId, SubscriptionId, TransportId};
use crate::core::Core;
use crate::drops::Drop;
use crate::egress::feed::Feed;
use crate::egress::subscription::Subscription;
use crate::io::Io;
use crate::peer::PeerMessage;
use crate::spec::{CodecName, Kind, PublicationSpec, SubscriptionSettings, SubscriptionSpec};
use crate::time::Time;

type Done = Result<(), Drop>;

impl Core {
    pub(crate) fn subscribe(
        &mut self,
        now: Time,
        (id, transport): (SubscriptionId, TransportId),
        (publication, worker): (PublicationId, u16),
        (spec, settings): (SubscriptionSpec, SubscriptionSettings),
        io: &mut dyn Io,
    ) -> Done {
        let t = self.transport(transport)?;
        let full = self.transports[t].subscriptions.len() >= self.cfg.limits.max_subscriptions;
        let taken = self.transports[t].outgoing.contains_key(&spec.ssrc);
        if full || taken || self.subscription_ids.contains_key(&id) {
            return Err(Drop::Limit);
        }
        let feed = self.feed_for(now, publication, worker, io);
        let nothing = undescribed(&spec);
        let described = self.feeds[feed].spec.clone();
        let described = described.as_deref().unwrap_or(&nothing);
        let new = Subscription::new(id, (t, feed), (spec, settings), described, &mut self.rng);
        let ssrcs = [Some(new.spec.ssrc), new.spec.rtx_ssrc];
        let index = self.subscriptions.insert(new);
        self.subscription_ids.insert(id, index);
        self.feeds[feed].subscriptions.push(index);
        let transport = &mut self.transports[t];
        transport.subscriptions.push(index);
        for ssrc in ssrcs.into_iter().flatten() {
            transport.outgoing.insert(ssrc, index);
        }
        self.listen_for_feedback(t);
        self.send_demand(now, feed, io);
        self.allocate_now(now, t, io);
        Ok(())
    }

    fn feed_for(
        &mut self,
        now: Time,
        publication: PublicationId,
        worker: u16,
        io: &mut dyn Io,
    ) -> u32 {
        if let Some(feed) = self.feed_ids.get(&publication) {
            return *feed;
        }
        let feed = self.feeds.insert(Feed::new(publication, worker));
        self.feed_ids.insert(publication, feed);
        match self.publication_ids.get(&publication).copied() {
            Some(index) => self.attach_feed(now, index, io),
            None if worker != self.worker => {
                io.to_worker(worker, PeerMessage::Join { publication });
            }
            None => {}
        }
        feed
    }

    pub(crate) fn update_subscription(
        &mut self,
        now: Time,
        id: SubscriptionId,
        settings: SubscriptionSettings,
        io: &mut dyn Io,
    ) -> Done {
        let index = self.subscription(id)?;
        self.subscriptions[index].settings = settings;
        let (feed, transport) = (
            self.subscriptions[index].feed,
            self.subscriptions[index].transport,
        );
        self.send_demand(now, feed, io);
        self.allocate_now(now, transport, io);
        Ok(())
    }

    pub(crate) fn respec_subscription(
        &mut self,
        now: Time,
        id: SubscriptionId,
        spec: SubscriptionSpec,
        io: &mut dyn Io,
    ) -> Done {
        let index = self.subscription(id)?;
        let subscription = &mut self.subscriptions[index];
        let transport = &mut self.transports[subscription.transport];
        let taken = transport
            .outgoing
            .get(&spec.ssrc)
            .is_some_and(|other| *other != index);
        if taken {
            return Err(Drop::Limit);
        }
        transport.outgoing.retain(|_, s| *s != index);
        for ssrc in [Some(spec.ssrc), spec.rtx_ssrc].into_iter().flatten() {
            transport.outgoing.insert(ssrc, index);
        }
        let (feed, t) = (subscription.feed, subscription.transport);
        if subscription.spec.ssrc != spec.ssrc {
            // A new SSRC starts its own numbering, and its rollover counter at zero.
            subscription.renumber(&mut self.rng);
        }
        subscription.spec = spec;
        if let Some(described) = self.feeds[feed].spec.clone() {
            self.subscriptions[index].route(&described);
        }
        self.listen_for_feedback(t);
        self.allocate_now(now, t, io);
        Ok(())
    }

    pub(crate) fn unsubscribe(&mut self, now: Time, index: u32, io: &mut dyn Io) {
        let Some(subscription) = self.subscriptions.remove(index) else {
            return;
        };
        self.subscription_ids.remove(&subscription.id);
        if let Some(transport) = self.transports.get_mut(subscription.transport) {
            transport.subscriptions.retain(|s| *s != index);
            transport.outgoing.retain(|_, s| *s != index);
            // Indices are reused: nothing queued may find another subscription in this place.
            transport.queue.urgent.retain(|r| r.subscription != index);
            transport.queue.rtx.retain(|r| r.subscription != index);
            transport.queue.video.retain(|r| r.subscription != index);
        }
        let feed = subscription.feed;
        self.feeds[feed].remove_subscription(index);
        self.send_demand(now, feed, io);
        self.allocate_soon(subscription.transport, now);
        if self.feeds[feed].subscriptions.is_empty() {
            self.drop_feed(feed, io);
        }
    }

    fn drop_feed(&mut self, feed: u32, io: &mut dyn Io) {
        let Some(gone) = self.feeds.remove(feed) else {
            return;
        };
        self.feed_ids.remove(&gone.publication);
        match gone.local {
            Some(publication) => self.publications[publication].feed = None,
            None if gone.worker != self.worker => {
                io.to_worker(
                    gone.worker,
                    PeerMessage::Leave {
                        publication: gone.publication,
                    },
                );
            }
            None => {}
        }
    }
}

/// Stands in for a publication of another worker until that describes it.
fn undescribed(spec: &SubscriptionSpec) -> PublicationSpec {
    let audio = |name: CodecName| {
        matches!(
            name,
            CodecName::Opus | CodecName::Red | CodecName::Pcmu | CodecName::Pcma
        )
    };
    let kind = if spec.codecs.first().is_some_and(|c| audio(c.name)) {
        Kind::Audio
    } else {
        Kind::Video
    };
    PublicationSpec {
        kind,
        mid: String::new(),
        codecs: spec.codecs.iter().take(1).cloned().collect(),
        extensions: spec.extensions,
        encodings: Vec::new(),
        svc: false,
        screen: false,
    }
}
