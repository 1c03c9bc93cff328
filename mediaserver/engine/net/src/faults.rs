//! A panic in the core ends one transport where it can be named, never the worker; too many of them
//! rebuild the core. Part of a worker's state.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sotto_engine_core::Core;
use sotto_engine_core::command::Command;
use sotto_engine_core::path::Path;
use sotto_engine_core::time::SECONDS;

use crate::events::Notice;
use crate::io::Net;
use crate::panics;
use crate::worker::State;

/// Panics outside of any transport before the core is rebuilt, and the time they count in.
const FAULTS: u32 = 3;
const FAULT_WINDOW: u64 = 10 * SECONDS;

impl State {
    /// Runs the core; false when it panicked.
    pub fn guard(&mut self, act: impl FnOnce(&mut Core, &mut Net)) -> bool {
        let (core, net) = (&mut self.core, &mut self.net);
        if catch_unwind(AssertUnwindSafe(|| act(core, net))).is_ok() {
            return true;
        }
        self.note_panic();
        false
    }

    #[cold]
    pub fn note_panic(&mut self) {
        self.net.stats.panics += 1;
        self.net.stats.last_panic = Some(panics::last());
        let now = self.net.now;
        if now.since(self.fault_at) > FAULT_WINDOW {
            self.faults = 0;
            self.fault_at = now;
        }
        self.faults += 1;
        if self.faults >= FAULTS {
            self.rebuild();
        }
    }

    /// Ends the transport whose datagram made the core panic.
    #[cold]
    pub fn end_broken(&mut self, path: Path) {
        let Some(transport) = self.net.owners.of(path) else {
            return;
        };
        self.net.owners.ended(transport);
        let now = self.net.now;
        self.guard(|core, net| core.command(now, Command::CloseTransport { id: transport }, net));
        self.tell_broken(transport);
    }

    /// The core's state cannot be trusted any more: a new one, and everybody of this worker rejoins.
    #[cold]
    fn rebuild(&mut self) {
        self.faults = 0;
        self.net.stats.core_restarts += 1;
        self.core = Core::new(self.core_config.clone(), self.net.index);
        for transport in self.net.owners.take_all() {
            self.tell_broken(transport);
        }
    }

    fn tell_broken(&mut self, transport: u64) {
        let reason = format!("internal error at {}", panics::last());
        self.net.events.push(Notice::Broken { transport, reason });
    }
}

#[cfg(test)]
mod tests {
    use super::FAULTS;
    use crate::Engine;
    use crate::events::Notice;
    use crate::worker::tests::{client, engine, until};

    fn broken(engine: &Engine) -> Vec<u64> {
        let named = |notice| match notice {
            Notice::Broken { transport, reason } => {
                assert!(
                    reason.starts_with("internal error at worker.rs:"),
                    "{reason}"
                );
                Some(transport)
            }
            _ => None,
        };
        engine.events(100).into_iter().filter_map(named).collect()
    }

    #[test]
    fn a_panic_of_a_stranger_ends_nobody_and_the_worker_goes_on() {
        let engine = engine(1);
        let ice = engine.create_transport(1, None).unwrap();
        client(&engine).send(b"\xffpanic").unwrap();
        until(|| engine.snapshots()[0].net.panics == 1);
        assert!(broken(&engine).is_empty());
        assert!(engine.restart_ice(ice.transport).is_ok());
        until(|| {
            engine.snapshots()[0]
                .core
                .transports
                .contains_key(&ice.transport)
        });
    }

    #[test]
    fn repeated_panics_rebuild_the_core_and_everybody_is_told() {
        let engine = engine(1);
        let ids = [1, 1].map(|call| engine.create_transport(call, None).unwrap().transport);
        let client = client(&engine);
        let mut told = Vec::new();
        for _ in 0..FAULTS {
            client.send(b"\xffpanic").unwrap();
        }
        until(|| {
            told.extend(broken(&engine));
            told.len() == 2
        });
        told.sort_unstable();
        assert_eq!(told, ids);
        assert!(engine.restart_ice(ids[0]).is_err(), "forgotten");
        let next = engine.create_transport(2, None).unwrap().transport;
        until(|| engine.snapshots()[0].core.transports.contains_key(&next));
        assert_eq!(engine.snapshots()[0].net.core_restarts, 1);
    }
}
