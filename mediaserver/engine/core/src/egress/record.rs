//! A packet that waits to be sent: where its payload lies, and the numbers it will carry.
//! Small and `Copy`, because there is one per packet per subscriber.

use crate::egress::redundancy::MOST;
use crate::time::Time;

pub const MARKER: u8 = 1;
/// Send only the Opus frame of a RED payload.
pub const STRIP_RED: u8 = 2;
/// Sent on the RTX stream (RFC 4588).
pub const RTX: u8 = 4;
/// Padding only: fills a number whose packet is not forwarded.
pub const FILL: u8 = 8;
/// Sent again with the same bytes, where no RTX was negotiated.
pub const AGAIN: u8 = 16;
/// Part of a bandwidth probe.
pub const PROBE: u8 = 32;
/// With this many more redundant blocks than the publisher sent: one bit for each.
pub const RICH: [u8; MOST] = [64, 128];

#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub subscription: u32,
    pub timestamp: u32,
    /// Extended sequence number in the encoding's ring.
    pub source: u64,
    /// Extended outgoing sequence number.
    pub seq: u64,
    pub picture: u16,
    pub frame: u16,
    pub tl0: u8,
    pub encoding: u8,
    pub flags: u8,
    /// Codec index of the publication.
    pub codec: u8,
    /// Payload bytes, for the pacer's arithmetic.
    pub size: u16,
    pub queued: Time,
}

impl Record {
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Redundant blocks to add.
    pub fn added(&self) -> usize {
        RICH.iter().filter(|flag| self.has(**flag)).count()
    }
}
