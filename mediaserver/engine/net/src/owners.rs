//! The transports of one worker and the pair that each has selected, learned from the core's
//! events. Answers whose path or address something is; decides nothing.

use std::collections::HashMap;
use std::net::SocketAddr;

use sotto_engine_core::command::TransportId;
use sotto_engine_core::event::Event;
use sotto_engine_core::path::Path;

#[derive(Default)]
pub struct Owners {
    transports: HashMap<TransportId, Option<Path>>,
    selected: HashMap<Path, TransportId>,
    /// How many selected pairs lead to an address.
    remotes: HashMap<SocketAddr, u32>,
}

impl Owners {
    pub fn created(&mut self, transport: TransportId) {
        self.transports.insert(transport, None);
    }

    pub fn ended(&mut self, transport: TransportId) {
        if let Some(Some(path)) = self.transports.remove(&transport) {
            self.leave(transport, path);
        }
    }

    pub fn observe(&mut self, event: &Event) {
        match event {
            Event::IceConnected { transport, path } | Event::IcePathChanged { transport, path } => {
                self.select(*transport, *path);
            }
            Event::TransportFailed { transport, .. } => self.ended(*transport),
            _ => {}
        }
    }

    fn select(&mut self, transport: TransportId, path: Path) {
        let Some(place) = self.transports.get_mut(&transport) else {
            return;
        };
        if let Some(before) = place.replace(path) {
            self.leave(transport, before);
        }
        self.selected.insert(path, transport);
        *self.remotes.entry(path.remote).or_default() += 1;
    }

    fn leave(&mut self, transport: TransportId, path: Path) {
        if self.selected.get(&path) == Some(&transport) {
            self.selected.remove(&path);
        }
        if let Some(count) = self.remotes.get_mut(&path.remote) {
            *count -= 1;
            if *count == 0 {
                self.remotes.remove(&path.remote);
            }
        }
    }

    /// The transport that has selected this pair.
    pub fn of(&self, path: Path) -> Option<TransportId> {
        self.selected.get(&path).copied()
    }

    /// A transport here talks to this address now.
    pub fn in_use(&self, remote: &SocketAddr) -> bool {
        self.remotes.contains_key(remote)
    }

    /// Forgets and names all.
    pub fn take_all(&mut self) -> Vec<TransportId> {
        let Owners { transports, .. } = std::mem::take(self);
        transports.into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(port: u16) -> Path {
        Path::udp(0, ([192, 0, 2, 1], port).into())
    }

    fn select(owners: &mut Owners, transport: u64, port: u16) {
        owners.observe(&Event::IceConnected {
            transport,
            path: path(port),
        });
    }

    #[test]
    fn an_address_is_in_use_as_long_as_a_pair_leads_to_it() {
        let mut owners = Owners::default();
        owners.created(1);
        owners.created(2);
        select(&mut owners, 1, 10);
        select(&mut owners, 2, 10);
        assert_eq!(owners.of(path(10)), Some(2));
        owners.ended(2);
        assert!(owners.in_use(&path(10).remote));
        select(&mut owners, 1, 11);
        assert!(!owners.in_use(&path(10).remote) && owners.in_use(&path(11).remote));
        owners.observe(&Event::TransportFailed {
            transport: 1,
            reason: "x",
        });
        assert!(owners.remotes.is_empty() && owners.selected.is_empty());
    }

    #[test]
    fn a_late_event_of_an_ended_transport_means_nothing() {
        let mut owners = Owners::default();
        owners.created(1);
        owners.ended(1);
        select(&mut owners, 1, 10);
        assert_eq!(owners.of(path(10)), None);
        assert!(!owners.in_use(&path(10).remote));
    }
}
