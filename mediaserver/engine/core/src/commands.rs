//! What the outside asks for: transports, publications and subscriptions come and go here.

use std::sync::Arc;

use crate::bandwidth::Bandwidth;
use crate::collections::FastMap;
use crate::command::{CallId, Command, PublicationId, SubscriptionId, TransportId};
use crate::core::Core;
use crate::drops::Drop;
use crate::egress::feed::Feed;
use crate::egress::pacer::Pacer;
use crate::egress::subscription::Subscription;
use crate::event::Event;
use crate::ice::Ice;
use crate::ingress::publication::{Publication, Stream};
use crate::ingress::reception::Meter;
use crate::io::Io;
use crate::peer::PeerMessage;
use crate::spec::{
    CallSettings, CodecName, Kind, PublicationSpec, SrtpProfile, SubscriptionSettings,
    SubscriptionSpec, TransportSettings,
};
use crate::time::{MILLIS, SECONDS, Time};
use crate::transport::{Queue, RateLimit, Traffic, Transport};
use crate::wire::ext::Ids;
use crate::wire::srtp::{self, Profile};

type Done = Result<(), Drop>;

impl Core {
    pub(crate) fn apply(&mut self, now: Time, command: Command, io: &mut dyn Io) -> Done {
        match command {
            Command::CreateTransport {
                id,
                call,
                ufrag,
                pwd,
                settings,
            } => self.create_transport(now, (id, call), (&ufrag, &pwd), settings, io),
            Command::SetRemoteIce { id, ufrag, .. } => {
                let index = self.transport(id)?;
                self.transports[index].ice.set_remote(&ufrag);
                Ok(())
            }
            Command::RestartIce { id, ufrag, pwd } => self.restart_ice(id, &ufrag, &pwd),
            Command::SetSrtp {
                id,
                profile,
                local_key,
                local_salt,
                remote_key,
                remote_salt,
            } => self.set_srtp(
                now,
                id,
                profile,
                (&local_key, &local_salt),
                (&remote_key, &remote_salt),
                io,
            ),
            Command::SendDtls { id, bytes } => self.send_dtls(id, &bytes, io),
            Command::CloseTransport { id } => self.close_transport(now, id, io),
            Command::Publish {
                id,
                transport,
                spec,
            } => self.publish(now, id, transport, spec, io),
            Command::UpdatePublication { id, spec } => self.update_publication(now, id, spec, io),
            Command::SetPublicationMuted { id, muted } => self.set_muted(now, id, muted, io),
            Command::Unpublish { id } => {
                let index = self.publication(id)?;
                self.unpublish(index, io);
                Ok(())
            }
            Command::Subscribe {
                id,
                transport,
                publication,
                publication_worker,
                spec,
                settings,
            } => self.subscribe(
                now,
                (id, transport),
                (publication, publication_worker),
                (spec, settings),
                io,
            ),
            Command::UpdateSubscription { id, settings } => {
                self.update_subscription(now, id, settings, io)
            }
            Command::RespecSubscription { id, spec } => self.respec_subscription(now, id, spec, io),
            Command::Unsubscribe { id } => {
                let index = self.subscription(id)?;
                self.unsubscribe(now, index, io);
                Ok(())
            }
            Command::SetCall { call, settings } => {
                self.set_call(now, call, settings, io);
                Ok(())
            }
        }
    }

    fn create_transport(
        &mut self,
        now: Time,
        (id, call): (TransportId, CallId),
        (ufrag, pwd): (&str, &str),
        settings: TransportSettings,
        io: &mut dyn Io,
    ) -> Done {
        let known =
            self.transport_ids.contains_key(&id) || self.ufrags.contains_key(ufrag.as_bytes());
        if known || self.transports.len() >= self.cfg.limits.max_transports {
            io.event(Event::TransportFailed {
                transport: id,
                reason: "limit",
            });
            return Err(Drop::Limit);
        }
        let limits = &self.cfg.limits;
        let nonzero = |value: u64, default: u64| if value == 0 { default } else { value };
        let start = nonzero(settings.start_bitrate, self.cfg.start_bitrate);
        let max = nonzero(settings.max_bitrate, limits.max_bitrate);
        let transport = Transport {
            id,
            call,
            settings,
            ice: Ice::new(ufrag, pwd),
            created: now,
            last_receive: None,
            idle_told: 0,
            inbound: None,
            outbound: None,
            limit: RateLimit::new(limits.max_packets_per_second),
            dtls_limit: RateLimit::new(limits.max_dtls_per_second),
            streams: FastMap::default(),
            publications: Vec::new(),
            subscriptions: Vec::new(),
            outgoing: FastMap::default(),
            ids: Ids::default(),
            arrivals: None,
            wants_remb: false,
            feedback_due: None,
            reports_due: now + SECONDS / 2,
            our_ssrc: (self.rng.next_u64() as u32) | 1,
            clock_offset: None,
            rtt: 0,
            queue: Queue::default(),
            pacer: Pacer::default(),
            twcc: self.rng.below(0x8000),
            bandwidth: Bandwidth::new(start, limits.min_bitrate, max),
            traffic: Traffic::default(),
            sending: Meter::default(),
            tick_at: None,
            nack_pending: false,
            allocate_due: None,
            allocated: 0,
        };
        let index = self.transports.insert(transport);
        self.transport_ids.insert(id, index);
        self.ufrags.insert(ufrag.as_bytes().into(), index);
        self.schedule(index, now + SECONDS);
        Ok(())
    }

    fn restart_ice(&mut self, id: TransportId, ufrag: &str, pwd: &str) -> Done {
        let index = self.transport(id)?;
        if let Some(void) = self.transports[index].ice.restart(ufrag, pwd) {
            self.ufrags.remove(&void);
        }
        self.ufrags.insert(ufrag.as_bytes().into(), index);
        Ok(())
    }

    fn set_srtp(
        &mut self,
        now: Time,
        id: TransportId,
        profile: SrtpProfile,
        local: (&[u8], &[u8]),
        remote: (&[u8], &[u8]),
        io: &mut dyn Io,
    ) -> Done {
        let index = self.transport(id)?;
        let profile = match profile {
            SrtpProfile::AeadAes128Gcm => Profile::AeadAes128Gcm,
            SrtpProfile::AeadAes256Gcm => Profile::AeadAes256Gcm,
            SrtpProfile::Aes128CmSha1_80 => Profile::Aes128CmSha1_80,
        };
        let sender = srtp::Sender::new(profile, local.0, local.1);
        let receiver = srtp::Receiver::new(profile, remote.0, remote.1);
        let (Ok(sender), Ok(receiver)) = (sender, receiver) else {
            io.event(Event::TransportFailed {
                transport: id,
                reason: "srtp_key",
            });
            return Err(Drop::NoKeys);
        };
        self.transports[index].outbound = Some(Box::new(sender));
        self.transports[index].inbound = Some(Box::new(receiver));
        self.allocate_soon(index, now);
        Ok(())
    }

    fn send_dtls(&mut self, id: TransportId, bytes: &[u8], io: &mut dyn Io) -> Done {
        let index = self.transport(id)?;
        let path = self.transports[index]
            .path()
            .ok_or(Drop::UnvalidatedSource)?;
        if !bytes.is_empty() && !io.send(path, bytes, bytes.len()) {
            return Err(Drop::SendBlocked);
        }
        Ok(())
    }

    fn close_transport(&mut self, now: Time, id: TransportId, io: &mut dyn Io) -> Done {
        let index = self.transport(id)?;
        for publication in self.transports[index].publications.clone() {
            self.unpublish(publication, io);
        }
        for subscription in self.transports[index].subscriptions.clone() {
            self.unsubscribe(now, subscription, io);
        }
        let Some(transport) = self.transports.remove(index) else {
            return Ok(());
        };
        self.transport_ids.remove(&id);
        self.dirty.retain(|dirty| *dirty != index);
        for path in transport.ice.paths() {
            self.paths.remove(&path);
        }
        for ufrag in transport.ice.local_ufrags() {
            self.ufrags.remove(ufrag);
        }
        Ok(())
    }

    fn publish(
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
    fn attach_feed(&mut self, now: Time, index: u32, io: &mut dyn Io) {
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

    fn update_publication(
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

    fn set_muted(&mut self, now: Time, id: PublicationId, muted: bool, io: &mut dyn Io) -> Done {
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

    fn subscribe(
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

    fn update_subscription(
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

    fn respec_subscription(
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

    fn set_call(&mut self, now: Time, call: CallId, settings: CallSettings, io: &mut dyn Io) {
        self.calls.entry(call).or_default().settings = settings;
        self.call_changed(now, call, io);
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
