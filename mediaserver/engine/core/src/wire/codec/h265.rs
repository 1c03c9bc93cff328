//! H.265 payloads (RFC 7798): key frames and temporal ids in single NAL units, aggregation
//! packets and fragmentation units. Without DONL fields, as WebRTC uses it (sprop-max-don-diff
//! absent).

use crate::wire::bytes::u16_at;

const VPS: u8 = 32;
const SPS: u8 = 33;
const AP: u8 = 48;
const FU: u8 = 49;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// A video or sequence parameter set is here.
    pub parameter_set: bool,
    /// An IRAP slice (types 16 to 23), or the start of a fragmented one.
    pub irap: bool,
    /// Temporal layer from the payload header; 0 for the base.
    pub temporal: u8,
}

impl Facts {
    pub const fn keyframe(self) -> bool {
        self.parameter_set || self.irap
    }

    fn add(&mut self, nal_type: u8) {
        self.parameter_set |= nal_type == VPS || nal_type == SPS;
        self.irap |= matches!(nal_type, 16..=23);
    }
}

/// Malformed aggregates give the facts read before the fault.
pub fn facts(payload: &[u8]) -> Facts {
    let mut facts = Facts::default();
    let [head, tail, rest @ ..] = payload else {
        return facts;
    };
    facts.temporal = (tail & 0x07).saturating_sub(1);
    match (head >> 1) & 0x3F {
        AP => aggregate(rest, &mut facts),
        FU => {
            if let Some(head) = rest.first().filter(|head| *head & 0x80 != 0) {
                facts.add(head & 0x3F);
            }
        }
        nal_type => facts.add(nal_type),
    }
    facts
}

fn aggregate(mut rest: &[u8], facts: &mut Facts) {
    while let Ok(size) = u16_at(rest, 0) {
        let Some(nal) = rest.get(2..2 + usize::from(size)) else {
            return;
        };
        let Some(head) = nal.first() else { return };
        facts.add((head >> 1) & 0x3F);
        rest = &rest[2 + nal.len()..];
    }
}
