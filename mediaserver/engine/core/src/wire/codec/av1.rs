//! AV1 aggregation header (AV1 RTP specification section 4.4) and OBU types. Layers come from
//! the dependency descriptor (`dd`), not from here.

use crate::wire::Malformed;
use crate::wire::bytes::u8_at;

const OBU_SEQUENCE_HEADER: u8 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aggregation {
    /// Z: the first element continues one of the packet before.
    pub continues: bool,
    /// Y: the last element continues in the next packet.
    pub continued: bool,
    /// W: number of elements, 0 when each has a length.
    pub count: u8,
    /// N: first packet of a coded video sequence, that is, of a key frame.
    pub new_sequence: bool,
    /// The first element is a sequence header (also true at key frames of senders that leave
    /// N clear).
    pub sequence_header: bool,
}

impl Aggregation {
    pub const fn keyframe(&self) -> bool {
        self.new_sequence || self.sequence_header
    }

    /// Z and N together are contradictory and refused (same section).
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let head = u8_at(payload, 0)?;
        let mut aggregation = Self {
            continues: head & 0x80 != 0,
            continued: head & 0x40 != 0,
            count: (head >> 4) & 0x03,
            new_sequence: head & 0x08 != 0,
            sequence_header: false,
        };
        if aggregation.continues && aggregation.new_sequence {
            return Err(Malformed::Value);
        }
        let at = if aggregation.count == 1 {
            1
        } else {
            1 + leb128_len(&payload[1..])?
        };
        aggregation.sequence_header =
            !aggregation.continues && (u8_at(payload, at)? >> 3) & 0x0F == OBU_SEQUENCE_HEADER;
        Ok(aggregation)
    }
}

fn leb128_len(bytes: &[u8]) -> Result<usize, Malformed> {
    match bytes.iter().take(8).position(|byte| byte & 0x80 == 0) {
        Some(last) => Ok(last + 1),
        None => Err(Malformed::Length),
    }
}
