//! H.264 payloads (RFC 6184): does a packet start, or carry, a key frame. Single NAL units,
//! STAP-A/B, MTAP and FU-A/B are looked into; slices are not parsed.

use crate::wire::bytes::u16_at;

const IDR: u8 = 5;
const SPS: u8 = 7;
const STAP_A: u8 = 24;
const STAP_B: u8 = 25;
const MTAP16: u8 = 26;
const MTAP24: u8 = 27;
const FU_A: u8 = 28;
const FU_B: u8 = 29;

/// What the NAL units of one packet are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// A sequence parameter set is here: with libwebrtc, the first packet of a key frame.
    pub sps: bool,
    /// An IDR slice, or the start of a fragmented one, is here.
    pub idr: bool,
}

impl Facts {
    /// A receiver may start at this packet.
    pub const fn keyframe(self) -> bool {
        self.sps || self.idr
    }

    fn add(&mut self, nal_type: u8) {
        self.sps |= nal_type == SPS;
        self.idr |= nal_type == IDR;
    }
}

/// Malformed aggregates give the facts read before the fault: a decoder will judge the rest.
pub fn facts(payload: &[u8]) -> Facts {
    let mut facts = Facts::default();
    let Some(first) = payload.first() else {
        return facts;
    };
    match first & 0x1F {
        STAP_A => aggregate(payload, 1, 0, &mut facts),
        STAP_B => aggregate(payload, 3, 0, &mut facts),
        MTAP16 => aggregate(payload, 3, 3, &mut facts),
        MTAP24 => aggregate(payload, 3, 4, &mut facts),
        FU_A | FU_B => {
            if let Some(head) = payload.get(1).filter(|head| *head & 0x80 != 0) {
                facts.add(head & 0x1F);
            }
        }
        nal_type => facts.add(nal_type),
    }
    facts
}

/// `skip` bytes lie between each size field and its NAL unit.
fn aggregate(payload: &[u8], start: usize, skip: usize, facts: &mut Facts) {
    let mut at = start;
    while let Ok(size) = u16_at(payload, at) {
        let size = usize::from(size);
        let Some(head) = payload.get(at + 2 + skip).filter(|_| size > 0) else {
            return;
        };
        if at + 2 + skip + size > payload.len() {
            return;
        }
        facts.add(head & 0x1F);
        at += 2 + skip + size;
    }
}
