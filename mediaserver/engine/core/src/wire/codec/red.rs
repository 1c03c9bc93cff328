//! Redundant audio (RFC 2198): finds the primary block, for subscribers that did not negotiate
//! RED, and adds older blocks for those whose path loses much. Towards others packets pass as they
//! are.

use crate::wire::Malformed;
use crate::wire::bytes::{u8_at, u24_at};

/// libwebrtc sends at most two redundant blocks, one more costs nothing to allow.
pub const MAX_BLOCKS: usize = 8;
/// The fields of a redundant block's header have 14 and 10 bits (section 3).
pub const MAX_OFFSET: u32 = (1 << 14) - 1;
pub const MAX_LENGTH: usize = (1 << 10) - 1;
/// Bytes of that header; the primary's is one byte.
pub const HEADER: usize = 4;

/// One block: payload type, how much earlier it was (RTP clock units), and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    pub payload_type: u8,
    pub timestamp_offset: u16,
    pub data: &'a [u8],
}

/// The primary block. Refused when block lengths add up to more than the payload.
pub fn primary(payload: &[u8]) -> Result<Block<'_>, Malformed> {
    let mut blocks = Blocks::parse(payload)?;
    blocks.at = blocks.count;
    blocks.next().ok_or(Malformed::Truncated)
}

/// All blocks, oldest redundancy first, the primary last.
#[derive(Clone, Debug)]
pub struct Blocks<'a> {
    payload: &'a [u8],
    /// Redundant blocks; the primary has this number.
    count: usize,
    at: usize,
    data: [u16; MAX_BLOCKS + 2],
}

impl<'a> Blocks<'a> {
    pub fn parse(payload: &'a [u8]) -> Result<Self, Malformed> {
        let mut count = 0;
        let mut lengths = [0usize; MAX_BLOCKS];
        while u8_at(payload, 4 * count)? & 0x80 != 0 {
            let length = lengths.get_mut(count).ok_or(Malformed::TooMany)?;
            *length = (u24_at(payload, 4 * count + 1)? & 0x3FF) as usize;
            count += 1;
        }
        let mut data = [0u16; MAX_BLOCKS + 2];
        let mut at = 4 * count + 1;
        for block in 0..=count {
            data[block] = at as u16;
            at += if block < count { lengths[block] } else { 0 };
        }
        if at > payload.len() || payload.len() > usize::from(u16::MAX) {
            return Err(Malformed::Length);
        }
        data[count + 1] = payload.len() as u16;
        Ok(Self {
            payload,
            count,
            at: 0,
            data,
        })
    }

    /// Blocks beside the primary.
    pub fn redundant(&self) -> usize {
        self.count
    }

    /// Where the data of the oldest block begins.
    pub fn data_at(&self) -> usize {
        usize::from(self.data[0])
    }
}

/// Writes `payload` with `older` blocks (oldest first, each within `MAX_OFFSET` and `MAX_LENGTH`)
/// before its own; answers the length, `None` when `out` is too short or `payload` is not RED.
pub fn prepend(payload: &[u8], older: &[Block<'_>], out: &mut [u8]) -> Option<usize> {
    let (headers, data) = payload.split_at_checked(Blocks::parse(payload).ok()?.data_at())?;
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        out.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
        at += bytes.len();
        Some(())
    };
    for block in older {
        let fields = (u32::from(block.timestamp_offset) << 10) | block.data.len() as u32;
        let [_, high, middle, low] = fields.to_be_bytes();
        put(&[0x80 | block.payload_type, high, middle, low])?;
    }
    put(headers)?;
    for block in older {
        put(block.data)?;
    }
    put(data)?;
    Some(at)
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Block<'a>;

    fn next(&mut self) -> Option<Block<'a>> {
        if self.at > self.count {
            return None;
        }
        let header = 4 * self.at;
        let timestamp_offset = if self.at < self.count {
            (u24_at(self.payload, header + 1).ok()? >> 10) as u16
        } else {
            0
        };
        let block = Block {
            payload_type: self.payload.get(header)? & 0x7F,
            timestamp_offset,
            data: self
                .payload
                .get(usize::from(self.data[self.at])..usize::from(self.data[self.at + 1]))?,
        };
        self.at += 1;
        Some(block)
    }
}
