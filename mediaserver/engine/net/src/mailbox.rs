//! What others hand to a worker: commands from Python, and from other workers peer messages,
//! datagrams that belong here, and accepted TCP connections. One lock a batch, never one a
//! packet; an eventfd wakes the owner, at most once until it has looked.

use std::collections::VecDeque;
use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sotto_engine_core::command::Command;
use sotto_engine_core::peer::PeerMessage;

use crate::sys::EventFd;
use crate::tcp::Connection;

/// Media messages waiting for a worker that does not keep up; more are dropped, as a full
/// socket buffer would. About 20 MB of payload.
const MEDIA: usize = 16_384;
/// Bytes of forwarded datagrams waiting, for the same reason.
const DATAGRAM_BYTES: usize = 4 << 20;

/// Datagrams that the kernel gave to one worker and that belong to another.
#[derive(Debug, Default)]
pub struct Datagrams {
    pub from: u16,
    pub bytes: Vec<u8>,
    pub items: Vec<Datagram>,
}

#[derive(Clone, Copy, Debug)]
pub struct Datagram {
    pub remote: SocketAddr,
    /// Index of the UDP socket, the same on every worker, and the address that was asked.
    pub socket: u16,
    pub local: Option<IpAddr>,
    pub size: u32,
}

impl Datagrams {
    pub fn push(&mut self, datagram: Datagram, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.items.push(datagram);
    }
}

/// Everything that waited, taken at once.
#[derive(Default)]
pub struct Inbox {
    pub commands: VecDeque<Command>,
    pub peers: Vec<(u16, PeerMessage)>,
    pub datagrams: Vec<Datagrams>,
    pub connections: Vec<Connection>,
    /// Remote addresses that another worker has authenticated: its datagrams go there.
    pub owned: Vec<(SocketAddr, u16)>,
    pub stop: bool,
    media: usize,
    datagram_bytes: usize,
    woken: bool,
}

pub struct Mailbox {
    inbox: Mutex<Inbox>,
    wake: EventFd,
    max_commands: usize,
}

impl Mailbox {
    pub fn new(max_commands: usize) -> io::Result<Mailbox> {
        Ok(Mailbox {
            inbox: Mutex::default(),
            wake: EventFd::new()?,
            max_commands,
        })
    }

    /// A panic while the lock is held leaves whole messages, so poison means nothing here.
    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, mut inbox: MutexGuard<'_, Inbox>) {
        if !mem::replace(&mut inbox.woken, true) {
            drop(inbox);
            self.wake.signal();
        }
    }

    /// False when the queue is full. Ends of things always fit: refusing them would leak.
    pub fn command(&self, command: Command) -> bool {
        let mut inbox = self.lock();
        let ending = matches!(
            command,
            Command::CloseTransport { .. }
                | Command::Unpublish { .. }
                | Command::Unsubscribe { .. }
        );
        if inbox.stop || (inbox.commands.len() >= self.max_commands && !ending) {
            return false;
        }
        inbox.commands.push_back(command);
        self.wake(inbox);
        true
    }

    /// Takes all of `messages`; returns how many media packets did not fit.
    pub fn peers(&self, from: u16, messages: &mut Vec<PeerMessage>) -> u64 {
        let mut inbox = self.lock();
        let mut dropped = 0;
        for message in messages.drain(..) {
            if matches!(message, PeerMessage::Media(_)) {
                if inbox.media >= MEDIA {
                    dropped += 1;
                    continue;
                }
                inbox.media += 1;
            }
            inbox.peers.push((from, message));
        }
        self.wake(inbox);
        dropped
    }

    /// Returns how many datagrams did not fit.
    pub fn datagrams(&self, batch: Datagrams) -> u64 {
        let mut inbox = self.lock();
        if inbox.datagram_bytes + batch.bytes.len() > DATAGRAM_BYTES {
            return batch.items.len() as u64;
        }
        inbox.datagram_bytes += batch.bytes.len();
        inbox.datagrams.push(batch);
        self.wake(inbox);
        0
    }

    pub fn connection(&self, connection: Connection) {
        let mut inbox = self.lock();
        inbox.connections.push(connection);
        self.wake(inbox);
    }

    pub fn owned(&self, remote: SocketAddr, worker: u16) {
        let mut inbox = self.lock();
        inbox.owned.push((remote, worker));
        self.wake(inbox);
    }

    pub fn stop(&self) {
        let mut inbox = self.lock();
        inbox.stop = true;
        self.wake(inbox);
    }

    pub fn take(&self) -> Inbox {
        self.wake.clear();
        let mut inbox = self.lock();
        let stop = inbox.stop;
        let taken = mem::take(&mut *inbox);
        inbox.stop = stop;
        taken
    }
}

impl AsRawFd for Mailbox {
    fn as_raw_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_refuses_all_but_ends() {
        let mailbox = Mailbox::new(2).unwrap();
        let mute = |id| Command::SetPublicationMuted { id, muted: true };
        assert!(mailbox.command(mute(1)) && mailbox.command(mute(2)));
        assert!(!mailbox.command(mute(3)));
        assert!(mailbox.command(Command::CloseTransport { id: 4 }));
        assert_eq!(mailbox.take().commands.len(), 3);
        assert!(mailbox.command(mute(5)));
    }

    #[test]
    fn media_beyond_the_bound_is_dropped_and_counted_but_nothing_else() {
        use sotto_engine_core::peer::PeerMessage::Leave;
        let mailbox = Mailbox::new(1).unwrap();
        let mut messages: Vec<_> = (0..10).map(|publication| Leave { publication }).collect();
        assert_eq!(mailbox.peers(1, &mut messages), 0);
        assert_eq!(mailbox.take().peers.len(), 10);
    }

    #[test]
    fn forwarded_datagrams_are_bounded_in_bytes() {
        let mailbox = Mailbox::new(1).unwrap();
        let remote = "127.0.0.1:9".parse().unwrap();
        let batch = || {
            let mut batch = Datagrams::default();
            let size = (DATAGRAM_BYTES / 2) as u32;
            let item = Datagram {
                remote,
                socket: 0,
                local: None,
                size,
            };
            batch.push(item, &vec![0; DATAGRAM_BYTES / 2]);
            batch
        };
        assert_eq!(mailbox.datagrams(batch()) + mailbox.datagrams(batch()), 0);
        assert_eq!(mailbox.datagrams(batch()), 1);
        assert_eq!(mailbox.take().datagrams.len(), 2);
        assert_eq!(mailbox.datagrams(batch()), 0);
    }

    #[test]
    fn after_stop_nothing_is_taken_any_more() {
        let mailbox = Mailbox::new(8).unwrap();
        mailbox.stop();
        assert!(mailbox.take().stop);
        assert!(!mailbox.command(Command::CloseTransport { id: 1 }));
    }
}
