//! Packets sent with a transport-wide number, until feedback speaks of them.

use crate::collections::prefetch;
use crate::time::{SECONDS, Time};

const START: usize = 256;
const MAX: usize = 8_192;

/// Small, since every packet to everybody leaves one: 12 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    /// Low half of the time; `sent_at` gives the whole.
    sent: u32,
    pub sequence: u16,
    pub size: u16,
    pub probe: bool,
    /// 0 unknown, 1 lost, 2 received.
    pub fate: u8,
}

impl Packet {
    /// When it left, as far as `now` is within an hour of it.
    pub fn sent_at(&self, now: Time) -> Time {
        now - u64::from((now.micros() as u32).wrapping_sub(self.sent))
    }
}

#[derive(Debug, Default)]
pub struct SentPackets {
    ring: Vec<Option<Packet>>,
}

impl SentPackets {
    pub fn push(&mut self, now: Time, sequence: u16, size: usize, probe: bool) {
        if self.ring.is_empty() {
            self.ring.resize(START, None);
        }
        let at = self.at(sequence);
        let young =
            self.ring[at].is_some_and(|p| p.fate == 0 && now.since(p.sent_at(now)) < SECONDS);
        if young && self.ring.len() < MAX {
            self.grow();
        }
        let at = self.at(sequence);
        self.ring[at] = Some(Packet {
            sent: now.micros() as u32,
            sequence,
            size: size as u16,
            probe,
            fate: 0,
        });
    }

    /// The places of the next `count` packets.
    pub fn prefetch(&self, next: u16, count: usize) {
        if !self.ring.is_empty() {
            let at = self.at(next);
            let end = (at + count).min(self.ring.len());
            prefetch(&self.ring[at..end]);
        }
    }

    fn at(&self, sequence: u16) -> usize {
        usize::from(sequence) & (self.ring.len() - 1)
    }

    fn grow(&mut self) {
        let larger = self.ring.len() * 2;
        let old = std::mem::replace(&mut self.ring, vec![None; larger]);
        for packet in old.into_iter().flatten() {
            let at = self.at(packet.sequence);
            self.ring[at] = Some(packet);
        }
    }

    pub fn get_mut(&mut self, sequence: u16) -> Option<&mut Packet> {
        if self.ring.is_empty() {
            return None;
        }
        let at = self.at(sequence);
        self.ring[at].as_mut().filter(|p| p.sequence == sequence)
    }
}
