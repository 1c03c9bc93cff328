//! Which worker a remote address belongs to, when the kernel gives its datagrams to another.
//! An entry is made only after the owner has authenticated a request from that address, so a
//! forged source cannot divert anybody's packets. One table per worker, bounded and aged.

use std::collections::HashMap;
use std::net::SocketAddr;

use sotto_engine_core::ice;
use sotto_engine_core::time::{SECONDS, Time};
use sotto_engine_core::wire::stun::{Class, Message, is_stun};

/// About 6 MB; as many remotes as the engine has transports, and again as many pairs.
const MAX: usize = 65_536;
/// Remotes check their pair at least this often (RFC 7675 section 5.1), so silence is an end.
const IDLE: u64 = 60 * SECONDS;
/// Time between two walks through the table.
const WALK: u64 = 10 * SECONDS;

#[derive(Default)]
pub struct Routes {
    known: HashMap<SocketAddr, Route>,
    walked: Time,
}

struct Route {
    worker: u16,
    used: Time,
}

impl Routes {
    pub fn find(&mut self, now: Time, remote: &SocketAddr) -> Option<u16> {
        if self.known.is_empty() {
            return None;
        }
        let route = self.known.get_mut(remote)?;
        route.used = now;
        Some(route.worker)
    }

    pub fn contains(&self, remote: &SocketAddr) -> bool {
        self.known.contains_key(remote)
    }

    /// False when the table is full.
    pub fn learn(&mut self, now: Time, remote: SocketAddr, worker: u16) -> bool {
        if self.known.len() >= MAX && !self.known.contains_key(&remote) {
            return false;
        }
        self.known.insert(remote, Route { worker, used: now });
        true
    }

    pub fn remove(&mut self, remote: &SocketAddr) {
        self.known.remove(remote);
    }

    pub fn age(&mut self, now: Time) {
        if now.since(self.walked) >= WALK {
            self.walked = now;
            self.known.retain(|_, route| now.since(route.used) < IDLE);
        }
    }
}

/// A STUN binding request by its first two bytes (RFC 8489 section 5).
pub fn is_request(datagram: &[u8]) -> bool {
    datagram.starts_with(&[0, 1]) && is_stun(datagram)
}

/// The worker that the local ufrag of a binding request names; nothing is authenticated here.
pub fn owner(datagram: &[u8]) -> Option<u16> {
    if !is_request(datagram) {
        return None;
    }
    let message = Message::parse(datagram).ok()?;
    if message.class != Class::Request {
        return None;
    }
    ice::worker_of(message.username_parts()?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(username: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
        bytes.extend_from_slice(&[9; 12]);
        bytes.extend_from_slice(&6u16.to_be_bytes());
        bytes.extend_from_slice(&(username.len() as u16).to_be_bytes());
        bytes.extend_from_slice(username);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let length = (bytes.len() - 20) as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    #[test]
    fn the_ufrag_names_the_worker() {
        assert_eq!(owner(&request(b"01abcdef:xyz")), Some(1));
        assert_eq!(owner(&request(b"10abcdef:xyz")), Some(36));
        assert_eq!(owner(&request(b"no-colon")), None);
        assert_eq!(owner(&request(b"!!:x")), None);
        assert_eq!(owner(&request(b"01abcdef:xyz")[..24]), None);
        assert_eq!(owner(b""), None);
    }

    #[test]
    fn silent_routes_are_forgotten() {
        let mut routes = Routes::default();
        let [a, b]: [SocketAddr; 2] = ["192.0.2.1:1", "192.0.2.1:2"].map(|t| t.parse().unwrap());
        assert!(routes.learn(Time::ZERO, a, 1) && routes.learn(Time::ZERO, b, 2));
        assert_eq!(routes.find(Time(50 * SECONDS), &a), Some(1));
        routes.age(Time(70 * SECONDS));
        assert_eq!(routes.find(Time(70 * SECONDS), &b), None);
        assert_eq!(routes.find(Time(70 * SECONDS), &a), Some(1));
    }

    #[test]
    fn the_table_is_bounded() {
        let mut routes = Routes::default();
        let remote = |i: usize| SocketAddr::from(([10, 0, (i >> 16) as u8, 1], i as u16));
        assert!((0..MAX).all(|i| routes.learn(Time::ZERO, remote(i), 1)));
        assert!(!routes.learn(Time::ZERO, remote(MAX), 1));
        assert!(
            routes.learn(Time::ZERO, remote(0), 2),
            "a known one may move"
        );
    }
}
