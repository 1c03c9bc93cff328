//! More redundancy for audio than its publisher gave it: the frames before those that a packet
//! repeats, from the ring, as further blocks of RFC 2198.

use crate::egress::ring::Ring;
use crate::packet::Facts;
use crate::spec::CodecName;
use crate::wire::codec::red::{self, Block, Blocks, HEADER, MAX_LENGTH, MAX_OFFSET};

/// Blocks that are added at most.
pub const MOST: usize = 2;
/// A packet stays whole on every path.
const LARGEST: usize = 1_000;

/// Blocks to go before those of a payload, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct Older<'a> {
    blocks: [Block<'a>; MOST],
    count: usize,
    len: usize,
}

impl<'a> Older<'a> {
    /// Up to `wanted` frames from before the oldest that `payload` repeats. `None` where there are
    /// none, and where the payload's oldest block is not what the ring holds for that time: then it
    /// only looks like RED (an encrypted frame), and must stay as it is.
    pub fn find(
        ring: &'a Ring,
        facts: &Facts,
        payload: &'a [u8],
        wanted: usize,
    ) -> Option<Older<'a>> {
        let mut blocks = Blocks::parse(payload).ok()?;
        let repeated = blocks.redundant() as u64;
        let oldest = blocks.next().filter(|_| repeated > 0)?;
        let anchor = frame(ring, facts, facts.seq.checked_sub(repeated)?)?;
        if (anchor.timestamp_offset, anchor.data) != (oldest.timestamp_offset, oldest.data) {
            return None;
        }
        let mut older = Older {
            blocks: [anchor; MOST],
            count: 0,
            len: 0,
        };
        for back in (1..=wanted.min(MOST) as u64).rev() {
            let found = facts.seq.checked_sub(repeated + back);
            let Some(block) = found.and_then(|seq| frame(ring, facts, seq)) else {
                continue;
            };
            let len = older.len + HEADER + block.data.len();
            if block.timestamp_offset > oldest.timestamp_offset && payload.len() + len <= LARGEST {
                older.blocks[older.count] = Block {
                    payload_type: oldest.payload_type,
                    ..block
                };
                older.count += 1;
                older.len = len;
            }
        }
        (older.count > 0).then_some(older)
    }

    /// Bytes that they add.
    pub fn size(&self) -> usize {
        self.len
    }

    /// Writes the payload with them; `None` when `out` is too short.
    pub fn write(&self, payload: &[u8], out: &mut [u8]) -> Option<usize> {
        red::prepend(payload, &self.blocks[..self.count], out)
    }
}

/// The primary frame of an earlier packet as a redundant block of this one.
fn frame<'a>(ring: &'a Ring, facts: &Facts, seq: u64) -> Option<Block<'a>> {
    let (earlier, bytes) = ring.get(seq)?;
    let offset = facts.timestamp.wrapping_sub(earlier.timestamp);
    let data =
        bytes.get(usize::from(earlier.descriptor_len) + usize::from(earlier.red_primary)..)?;
    let same = earlier.name == CodecName::Red && earlier.codec == facts.codec;
    let fits = (1..=MAX_OFFSET).contains(&offset) && (1..=MAX_LENGTH).contains(&data.len());
    (same && fits).then_some(Block {
        payload_type: 0,
        timestamp_offset: offset as u16,
        data,
    })
}
