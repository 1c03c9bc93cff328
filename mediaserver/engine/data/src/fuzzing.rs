//! A target for cargo-fuzz (`engine/fuzz`) and for the replay of its corpus by `cargo test`: a peer
//! that made the handshake as a browser does, and then says what it likes under the right tag and
//! checksum. That a participant is authenticated does not make it friendly.

use std::time::{Duration, Instant};

use sotto_engine_core::wire::sctp::checksum_of;

use crate::{Channels, Config, Event};

/// A target: its name, which is also its corpus directory, and its function.
pub type Target = (&'static str, fn(&[u8]));

pub const TARGETS: [Target; 1] = [("association", association)];

const PORT: u16 = 5000;
const TAG: u32 = 0x0050_7707;
/// The number of the peer's first DATA chunk, and of its first request to reset streams.
const FIRST: u32 = 1;
const STEP: Duration = Duration::from_millis(50);

mod chunk {
    pub const INIT: u8 = 1;
    pub const INIT_ACK: u8 = 2;
    pub const SACK: u8 = 3;
    pub const SHUTDOWN: u8 = 7;
    pub const COOKIE_ECHO: u8 = 10;
    pub const RECONFIG: u8 = 130;
    pub const FORWARD_TSN: u8 = 192;
}
mod parameter {
    pub const COOKIE: u16 = 7;
    pub const RESET_ANSWER: u16 = 16;
    pub const EXTENSIONS: u16 = 0x8008;
    pub const PARTIAL_RELIABILITY: u16 = 0xC000;
}

/// Packets follow each other: a byte of time that passes first, in steps of 50 ms, the length of
/// the chunks in two bytes, and the chunks. What they say of our numbers counts from our first.
pub fn association(data: &[u8]) {
    let mut peer = Peer::connected();
    let mut rest = data;
    while let [steps, high, low, more @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(more.len());
        let (chunks, after) = more.split_at(length);
        peer.wait(u32::from(*steps));
        peer.say(chunks);
        rest = after;
    }
    peer.ours.close();
    peer.wait(1);
}

struct Peer {
    ours: Channels,
    now: Instant,
    tag: u32,
    first: u32,
    config: Config,
}

impl Peer {
    fn connected() -> Self {
        let config = Config::default();
        #[expect(
            clippy::disallowed_methods,
            reason = "an Instant has no other beginning"
        )]
        let now = Instant::now();
        let ours = Channels::new(config, true);
        let (tag, first) = (0, 0);
        let mut peer = Self {
            ours,
            now,
            tag,
            first,
            config,
        };
        let answer = peer.exchange(&init(TAG));
        let (tag, first, cookie) = init_ack(&answer).expect("an INIT is answered");
        (peer.tag, peer.first) = (tag, first);
        peer.exchange(&chunk(chunk::COOKIE_ECHO, cookie));
        assert_eq!(peer.ours.event(), Some(Event::Connected));
        peer
    }

    /// The packet that our side sends first in answer.
    fn exchange(&mut self, chunks: &[u8]) -> Vec<u8> {
        self.ours.receive(self.now, &packet(self.tag, chunks));
        let sent = self.ours.transmit(self.now).unwrap_or_default();
        sent.first()
            .map(|packet| packet.to_vec())
            .unwrap_or_default()
    }

    fn wait(&mut self, steps: u32) {
        self.now += STEP * steps;
        if self.ours.next_timer().is_some_and(|due| due <= self.now) {
            self.ours.timer(self.now);
        }
        self.settle();
    }

    fn say(&mut self, chunks: &[u8]) {
        let mut chunks = chunks.to_vec();
        count_from(&mut chunks, self.first);
        self.ours.receive(self.now, &packet(self.tag, &chunks));
        self.settle();
    }

    /// What was heard is said again, so that the sending half has work; nothing grows beyond its
    /// bound.
    fn settle(&mut self) {
        while let Some(event) = self.ours.event() {
            let _ = match event {
                Event::Opened { stream, .. } => self.ours.send(stream, b"", true),
                Event::Received {
                    stream,
                    data,
                    binary,
                } => self.ours.send(stream, &data, binary),
                _ => Ok(()),
            };
        }
        assert!(self.ours.buffered() <= self.config.send_buffer);
        while self.ours.transmit(self.now).is_some() {}
    }
}

/// Adds what comes before our first number to what acknowledges one of ours.
fn count_from(chunks: &mut [u8], first: u32) {
    let mut rest = chunks;
    while let [kind, _, high, low, ..] = *rest {
        let length = usize::from(u16::from_be_bytes([high, low]))
            .next_multiple_of(4)
            .max(4);
        let (this, after) = rest.split_at_mut(length.min(rest.len()));
        let at = match (kind, this.get(4..6)) {
            (chunk::SACK | chunk::SHUTDOWN, _) => 4,
            (chunk::RECONFIG, Some(kind)) if kind == parameter::RESET_ANSWER.to_be_bytes() => 8,
            _ => this.len(),
        };
        if let Some(number) = this
            .get_mut(at..)
            .and_then(|from| from.first_chunk_mut::<4>())
        {
            *number = u32::from_be_bytes(*number)
                .wrapping_add(first.wrapping_sub(1))
                .to_be_bytes();
        }
        rest = after;
    }
}

fn init(tag: u32) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend(tag.to_be_bytes());
    out.extend(131_072u32.to_be_bytes());
    out.extend([4, 0, 4, 0]); // 1,024 streams each way
    out.extend(FIRST.to_be_bytes());
    out.extend(parameter(parameter::PARTIAL_RELIABILITY, &[]));
    let extensions = [chunk::RECONFIG, chunk::FORWARD_TSN];
    out.extend(parameter(parameter::EXTENSIONS, &extensions));
    chunk(chunk::INIT, &out)
}

/// Our tag, our first number, and the cookie.
fn init_ack(packet: &[u8]) -> Option<(u32, u32, &[u8])> {
    let chunk = packet
        .get(12..)
        .filter(|chunk| chunk.first() == Some(&chunk::INIT_ACK))?;
    let tag = u32::from_be_bytes(*chunk.get(4..)?.first_chunk()?);
    let first = u32::from_be_bytes(*chunk.get(16..)?.first_chunk()?);
    let mut rest = chunk.get(20..)?;
    loop {
        let [a, b, c, d, ..] = *rest else { return None };
        let length = usize::from(u16::from_be_bytes([c, d])).max(4);
        if u16::from_be_bytes([a, b]) == parameter::COOKIE {
            return Some((tag, first, rest.get(4..length)?));
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

fn packet(tag: u32, chunks: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(12 + chunks.len());
    out.extend(PORT.to_be_bytes());
    out.extend(PORT.to_be_bytes());
    out.extend(tag.to_be_bytes());
    out.extend([0; 4]);
    out.extend(chunks);
    let checksum = checksum_of(&out).to_le_bytes();
    if let Some(place) = out.get_mut(8..12) {
        place.copy_from_slice(&checksum);
    }
    out
}

fn chunk(kind: u8, body: &[u8]) -> Vec<u8> {
    padded([kind, 0], body)
}

fn parameter(kind: u16, body: &[u8]) -> Vec<u8> {
    padded(kind.to_be_bytes(), body)
}

/// Its head, its length in two bytes, and what it says, up to a multiple of four.
fn padded(head: [u8; 2], body: &[u8]) -> Vec<u8> {
    let length = 4 + body.len();
    let mut out = head.to_vec();
    out.extend(u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes());
    out.extend(body);
    out.resize(length.next_multiple_of(4), 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_further_init_is_refused_and_leaves_nothing() {
        let mut peer = Peer::connected();
        let before = peer.ours.remembered();
        for tag in 1..100 {
            assert!(!peer.ours.receive(peer.now, &packet(0, &init(tag))));
        }
        assert_eq!(peer.ours.remembered(), before);
        assert!(before.contains("AssociationHandle"), "{before}");
        assert_eq!(peer.ours.refused(), 99);
        // That of our own is one whose answer was lost.
        assert!(peer.ours.receive(peer.now, &packet(0, &init(TAG))));
    }
}
