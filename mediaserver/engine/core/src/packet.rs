//! One received media packet, decrypted and parsed once: what every subscription of it shares.

use std::sync::Arc;

use crate::command::PublicationId;
use crate::spec::CodecName;
use crate::time::Time;
use crate::wire::codec::dd::Structure;

/// Facts about a packet that do not depend on who receives it.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    pub arrival: Time,
    /// Extended sequence number of the encoding (RFC 3550 A.1), starts near 2^32 so that it never underflows.
    pub seq: u64,
    pub timestamp: u32,
    pub marker: bool,
    /// Index into `PublicationSpec::codecs`.
    pub codec: u8,
    pub name: CodecName,
    pub keyframe: bool,
    pub frame_start: bool,
    pub frame_end: bool,
    pub spatial: u8,
    pub temporal: u8,
    /// A receiver at a lower temporal layer may switch up to this packet's layer here.
    pub switch_up: bool,
    pub picture: PictureId,
    /// Offset of the Opus frame inside a RED payload (RFC 2198) and 0 otherwise.
    pub red_primary: u16,
    pub audio_level: Option<u8>,
    pub orientation: Option<u8>,
    pub playout_delay: Option<[u8; 3]>,
    pub abs_capture_time: Option<u64>,
    /// Length of the raw dependency descriptor kept before the payload.
    pub descriptor_len: u8,
    /// Dependency descriptor: decode targets this frame belongs to, as a bit mask; 0 when unknown.
    pub decode_targets: u32,
}

/// Where the codec's own numbering sits inside the payload, so that it can be patched in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PictureId {
    pub id: u16,
    pub tl0: u8,
    /// Byte offset of the picture id; 0 when absent.
    pub id_at: u8,
    /// 15-bit form.
    pub long: bool,
    /// Byte offset of TL0PICIDX; 0 when absent.
    pub tl0_at: u8,
    /// Dependency descriptor frame number.
    pub frame_number: u16,
}

#[derive(Clone, Debug)]
pub struct MediaPacket {
    pub publication: PublicationId,
    pub encoding: u8,
    pub facts: Facts,
    /// Dependency descriptor (if any) followed by the payload without padding.
    pub bytes: Box<[u8]>,
    /// Set on the packet that brought it.
    pub structure: Option<Arc<Structure>>,
}
