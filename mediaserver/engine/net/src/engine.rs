//! The handle that Python holds: starts and stops the workers, makes ids and credentials, knows
//! which worker owns what, and turns calls into commands. Never touches a packet. Safe from any
//! thread; no call waits for the network.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use sotto_engine_core::command::{Command, PublicationId, SubscriptionId, TransportId};
use sotto_engine_core::config::{CoreConfig, Limits};
use sotto_engine_core::egress::history::Repair;
use sotto_engine_core::event::Event;
use sotto_engine_core::spec::{
    CallSettings, PublicationSpec, SrtpProfile, SubscriptionSettings, SubscriptionSpec,
    TransportSettings,
};

use crate::check;
use crate::config::EngineConfig;
use crate::credentials::{LocalIce, credentials, system_random};
use crate::error::EngineError;
use crate::events::{EventQueue, Notice};
use crate::mailbox::Mailbox;
use crate::open::{self, Opened};
use crate::registry::Registry;
use crate::shared::Shared;
#[cfg(test)]
use crate::stats::WorkerSnapshot;
use crate::worker::Worker;

type Result<T> = std::result::Result<T, EngineError>;

/// Seconds from the NTP era (1900) to the Unix epoch (RFC 5905 section 6).
const NTP_OFFSET: u64 = 2_208_988_800;

pub struct SrtpKeys {
    pub profile: SrtpProfile,
    pub local_key: Vec<u8>,
    pub local_salt: Vec<u8>,
    pub remote_key: Vec<u8>,
    pub remote_salt: Vec<u8>,
}

pub struct Engine {
    shared: Arc<Shared>,
    registry: Mutex<Registry>,
    threads: Mutex<Option<Vec<JoinHandle<()>>>>,
    opened: Opened,
}

impl Engine {
    /// Binds every socket, then starts the workers; nothing is left behind when it fails.
    pub fn new(config: EngineConfig) -> Result<Engine> {
        let workers = open::worker_count(config.workers)?;
        let (sockets, opened) = open::open(&config, workers)?;
        let core_config = core_config(&config, workers)?;
        let failed = |error: io::Error| EngineError::Config(format!("cannot start: {error}"));
        let shared = Arc::new(Shared::new(config, workers).map_err(failed)?);
        let mut ready = Vec::new();
        for (index, sockets) in (0..workers).zip(sockets) {
            let worker = Worker::new(shared.clone(), index, sockets, core_config.clone());
            ready.push(worker.map_err(failed)?);
        }
        let engine = Engine {
            registry: Mutex::new(Registry::new(workers, &shared.config)),
            threads: Mutex::new(Some(Vec::new())),
            shared,
            opened,
        };
        for (index, worker) in ready.into_iter().enumerate() {
            // On failure dropping the engine stops the threads already started.
            let thread = spawn(index, worker).map_err(failed)?;
            engine.threads().get_or_insert_default().push(thread);
        }
        Ok(engine)
    }

    fn threads(&self) -> MutexGuard<'_, Option<Vec<JoinHandle<()>>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn registry(&self) -> Result<MutexGuard<'_, Registry>> {
        if self.threads().is_none() {
            return Err(EngineError::Closed);
        }
        Ok(self.registry.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    pub fn workers(&self) -> u16 {
        self.shared.workers()
    }

    #[cfg(test)]
    pub(crate) fn snapshots(&self) -> Vec<WorkerSnapshot> {
        self.shared.snapshots()
    }

    pub fn event_queue(&self) -> &EventQueue {
        &self.shared.events
    }

    /// Takes waiting events, and forgets what they say has ended.
    pub fn events(&self, limit: usize) -> Vec<Notice> {
        let notices = self.shared.events.take(limit);
        for notice in &notices {
            let ended = match notice {
                Notice::Event(Event::TransportFailed { transport, .. })
                | Notice::Broken { transport, .. } => *transport,
                _ => continue,
            };
            if let Ok(mut registry) = self.registry() {
                registry.remove_transport(ended);
            }
        }
        notices
    }

    /// Takes the registry's lock by its guard, so that commands leave in the order of calls.
    fn send(&self, _order: &Registry, worker: u16, command: Command) -> Result<()> {
        let taken = self.shared.mailboxes[usize::from(worker)].command(command);
        if taken {
            Ok(())
        } else {
            Err(EngineError::Busy)
        }
    }

    pub fn create_transport(&self, call: u64, worker: Option<u16>) -> Result<LocalIce> {
        let mut registry = self.registry()?;
        let (id, worker) = registry.add_transport(call, worker)?;
        let sent = credentials(id, worker).and_then(|ice| {
            let (ufrag, pwd) = (ice.ufrag.clone(), ice.pwd.clone());
            let settings = TransportSettings::default();
            let create = Command::CreateTransport {
                id,
                call,
                ufrag,
                pwd,
                settings,
            };
            self.send(&registry, worker, create)?;
            Ok(ice)
        });
        if sent.is_err() {
            registry.remove_transport(id);
        }
        sent
    }

    pub fn set_remote_ice(&self, id: TransportId, ufrag: String, pwd: String) -> Result<()> {
        check::remote_ice(&ufrag, &pwd)?;
        let registry = self.registry()?;
        let worker = registry.transport(id)?;
        self.send(&registry, worker, Command::SetRemoteIce { id, ufrag, pwd })
    }

    pub fn restart_ice(&self, id: TransportId) -> Result<LocalIce> {
        let registry = self.registry()?;
        let worker = registry.transport(id)?;
        let ice = credentials(id, worker)?;
        let (ufrag, pwd) = (ice.ufrag.clone(), ice.pwd.clone());
        self.send(&registry, worker, Command::RestartIce { id, ufrag, pwd })?;
        Ok(ice)
    }

    pub fn set_srtp(&self, id: TransportId, keys: SrtpKeys) -> Result<()> {
        check::srtp(&keys)?;
        let SrtpKeys {
            profile,
            local_key,
            local_salt,
            remote_key,
            remote_salt,
        } = keys;
        let command = Command::SetSrtp {
            id,
            profile,
            local_key,
            local_salt,
            remote_key,
            remote_salt,
        };
        let registry = self.registry()?;
        let worker = registry.transport(id)?;
        self.send(&registry, worker, command)
    }

    pub fn send_dtls(&self, id: TransportId, bytes: Vec<u8>) -> Result<()> {
        check::dtls(&bytes)?;
        let registry = self.registry()?;
        let worker = registry.transport(id)?;
        self.send(&registry, worker, Command::SendDtls { id, bytes })
    }

    /// See `Command::CapTransport`.
    pub fn cap_transport(&self, id: TransportId, bitrate: u64) -> Result<()> {
        let registry = self.registry()?;
        let worker = registry.transport(id)?;
        self.send(&registry, worker, Command::CapTransport { id, bitrate })
    }

    pub fn close_transport(&self, id: TransportId) -> Result<()> {
        let mut registry = self.registry()?;
        match registry.remove_transport(id) {
            Some(worker) => self.send(&registry, worker, Command::CloseTransport { id }),
            None => Ok(()),
        }
    }

    pub fn publish(&self, transport: TransportId, spec: PublicationSpec) -> Result<PublicationId> {
        check::publication(&spec)?;
        let mut registry = self.registry()?;
        let (id, worker) = registry.add_publication(transport)?;
        let sent = self.send(
            &registry,
            worker,
            Command::Publish {
                id,
                transport,
                spec,
            },
        );
        if sent.is_err() {
            registry.remove_publication(id);
        }
        sent.map(|()| id)
    }

    pub fn update_publication(&self, id: PublicationId, spec: PublicationSpec) -> Result<()> {
        check::publication(&spec)?;
        let registry = self.registry()?;
        let worker = registry.publication(id)?;
        self.send(&registry, worker, Command::UpdatePublication { id, spec })
    }

    pub fn set_publication_muted(&self, id: PublicationId, muted: bool) -> Result<()> {
        let registry = self.registry()?;
        let worker = registry.publication(id)?;
        self.send(
            &registry,
            worker,
            Command::SetPublicationMuted { id, muted },
        )
    }

    pub fn unpublish(&self, id: PublicationId) -> Result<()> {
        let mut registry = self.registry()?;
        match registry.remove_publication(id) {
            Some(worker) => self.send(&registry, worker, Command::Unpublish { id }),
            None => Ok(()),
        }
    }

    pub fn subscribe(
        &self,
        transport: TransportId,
        publication: PublicationId,
        spec: SubscriptionSpec,
        settings: SubscriptionSettings,
    ) -> Result<SubscriptionId> {
        check::subscription(&spec)?;
        let mut registry = self.registry()?;
        let publication_worker = registry.publication(publication)?;
        let (id, worker) = registry.add_subscription(transport)?;
        let command = Command::Subscribe {
            id,
            transport,
            publication,
            publication_worker,
            spec,
            settings,
        };
        let sent = self.send(&registry, worker, command);
        if sent.is_err() {
            registry.remove_subscription(id);
        }
        sent.map(|()| id)
    }

    pub fn update_subscription(
        &self,
        id: SubscriptionId,
        settings: SubscriptionSettings,
    ) -> Result<()> {
        let registry = self.registry()?;
        let worker = registry.subscription(id)?;
        self.send(
            &registry,
            worker,
            Command::UpdateSubscription { id, settings },
        )
    }

    pub fn respec_subscription(&self, id: SubscriptionId, spec: SubscriptionSpec) -> Result<()> {
        check::subscription(&spec)?;
        let registry = self.registry()?;
        let worker = registry.subscription(id)?;
        self.send(&registry, worker, Command::RespecSubscription { id, spec })
    }

    pub fn unsubscribe(&self, id: SubscriptionId) -> Result<()> {
        let mut registry = self.registry()?;
        match registry.remove_subscription(id) {
            Some(worker) => self.send(&registry, worker, Command::Unsubscribe { id }),
            None => Ok(()),
        }
    }

    pub fn set_call(&self, call: u64, settings: CallSettings) -> Result<()> {
        let registry = self.registry()?;
        (0..self.workers()).try_for_each(|worker| {
            self.send(&registry, worker, Command::SetCall { call, settings })
        })
    }

    pub fn snapshot(&self) -> Result<Vec<u8>> {
        drop(self.registry()?);
        Ok(crate::report::json(
            &self.shared.snapshots(),
            self.shared.events.lost_total(),
        ))
    }

    /// Stops the workers and waits for them; their sockets close with them.
    pub fn close(&self) {
        let Some(threads) = self.threads().take() else {
            return;
        };
        self.shared.mailboxes.iter().for_each(Mailbox::stop);
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}

fn spawn(index: usize, mut worker: Worker) -> io::Result<JoinHandle<()>> {
    // The kernel keeps 15 characters of a thread's name.
    let name = format!("sotto-media-{index}");
    std::thread::Builder::new()
        .name(name)
        .spawn(move || worker.run())
}

fn core_config(config: &EngineConfig, workers: u16) -> Result<CoreConfig> {
    let mut seed = [0; 8];
    system_random(&mut seed)?;
    Ok(CoreConfig {
        workers,
        seed: config.seed.unwrap_or(u64::from_ne_bytes(seed)),
        ntp_epoch: ntp_now(),
        start_bitrate: config.max_bitrate_start,
        limits: core_limits(config),
    })
}

fn core_limits(config: &EngineConfig) -> Limits {
    let (limits, rates) = (&config.limits, &config.limits.rates);
    let default = Limits::default();
    Limits {
        max_transports: config.max_transports,
        max_publications: limits.publications_per_transport,
        max_subscriptions: limits.subscriptions_per_transport,
        max_packets_per_second: rates.packets_per_second,
        max_dtls_per_second: rates.dtls_per_second,
        keyframe_interval_ms: rates.keyframe_interval_ms,
        keyframes_per_requester: rates.keyframes_per_second,
        repair: Repair {
            share: rates.repair_percent,
            ..default.repair
        },
        max_repair_bitrate: rates.repair_bitrate,
        ..default
    }
}

/// Wall clock as NTP 32.32 fixed point, read once: later times follow the engine's own clock.
#[expect(
    clippy::disallowed_methods,
    reason = "the NTP offset is read once, here"
)]
fn ntp_now() -> u64 {
    let unix = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let fraction = (u64::from(unix.subsec_nanos()) << 32) / 1_000_000_000;
    ((unix.as_secs() + NTP_OFFSET) << 32) | fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_is_after_2025() {
        assert!(ntp_now() >> 32 > NTP_OFFSET + 1_735_689_600);
    }
}
