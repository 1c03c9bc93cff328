//! What the outside asks for, handed to who does it; transports come and go here.

use crate::bandwidth::Bandwidth;
use crate::command::{CallId, Command, TransportId};
use crate::core::Core;
use crate::drops::Drop;
use crate::event::Event;
use crate::ice::Ice;
use crate::io::Io;
use crate::spec::{CallSettings, SrtpProfile, TransportSettings};
use crate::time::{SECONDS, Time};
use crate::transport::Transport;
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
            } => {
                let (local, remote) = (
                    (&local_key[..], &local_salt[..]),
                    (&remote_key[..], &remote_salt[..]),
                );
                self.set_srtp(now, id, profile, local, remote, io)
            }
            Command::SendDtls { id, bytes } => self.send_dtls(id, &bytes, io),
            Command::CapTransport { id, bitrate } => self.cap_transport(now, id, bitrate),
            Command::CloseTransport { id } => self.close_transport(now, id, io),
            Command::SetCall { call, settings } => {
                self.set_call(now, call, settings, io);
                Ok(())
            }
            media => self.apply_media(now, media, io),
        }
    }

    fn apply_media(&mut self, now: Time, command: Command, io: &mut dyn Io) -> Done {
        match command {
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
            } => {
                let source = (publication, publication_worker);
                self.subscribe(now, (id, transport), source, (spec, settings), io)
            }
            Command::UpdateSubscription { id, settings } => {
                self.update_subscription(now, id, settings, io)
            }
            Command::RespecSubscription { id, spec } => self.respec_subscription(now, id, spec, io),
            Command::Unsubscribe { id } => {
                let index = self.subscription(id)?;
                self.unsubscribe(now, index, io);
                Ok(())
            }
            _ => Ok(()),
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
        let transport = Transport::new(
            (id, call, settings),
            Ice::new(ufrag, pwd),
            now,
            limits,
            Bandwidth::new(start, limits.min_bitrate, max),
            &mut self.rng,
        );
        let index = self.transports.insert(transport);
        self.transport_ids.insert(id, index);
        self.ufrags.insert(ufrag.as_bytes().into(), index);
        self.schedule(index, now + SECONDS);
        Ok(())
    }

    fn cap_transport(&mut self, now: Time, id: TransportId, bitrate: u64) -> Done {
        let index = self.transport(id)?;
        self.transports[index].cap = (bitrate > 0).then_some(bitrate);
        self.allocate_soon(index, now);
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

    fn set_call(&mut self, now: Time, call: CallId, settings: CallSettings, io: &mut dyn Io) {
        self.calls.entry(call).or_default().settings = settings;
        self.call_changed(now, call, io);
    }
}
