//! VP8 payload descriptor (RFC 7741 section 4.2) and the first byte of the payload header.
//! Picture id and TL0PICIDX are rewritten in place, so that a switch between encodings or a
//! dropped temporal layer leaves no gap.

use crate::wire::Malformed;
use crate::wire::bytes::{u8_at, u16_at};

/// Picture id with its width: 7-bit ids stay 7-bit when they are rewritten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureId {
    pub value: u16,
    pub wide: bool,
}

impl PictureId {
    pub const fn mask(self) -> u16 {
        if self.wide { 0x7FFF } else { 0x7F }
    }

    /// Writes `value` in the width of `self`.
    pub(super) fn write(self, payload: &mut [u8], at: usize, value: u16) {
        let [high, low] = (value & self.mask()).to_be_bytes();
        match (self.wide, payload.get_mut(at..)) {
            (true, Some([first, second, ..])) => (*first, *second) = (0x80 | high, low),
            (false, Some([only, ..])) => *only = low,
            _ => {}
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Length of the descriptor; the VP8 payload header follows.
    pub len: usize,
    /// S bit with partition 0: the first packet of a frame.
    pub frame_start: bool,
    /// N bit: no later frame depends on this one.
    pub non_reference: bool,
    pub picture_id: Option<PictureId>,
    pub tl0_pic_idx: Option<u8>,
    pub temporal: Option<u8>,
    /// Y bit: a receiver of a lower temporal layer may switch up here.
    pub layer_sync: bool,
    pub key_idx: Option<u8>,
    /// True on the first packet of a key frame (RFC 6386 section 9.1, P bit clear).
    pub keyframe: bool,
    picture_id_at: u8,
    tl0_at: u8,
}

impl Descriptor {
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let first = u8_at(payload, 0)?;
        let extended = if first & 0x80 != 0 {
            u8_at(payload, 1)?
        } else {
            0
        };
        let mut at = if first & 0x80 != 0 { 2 } else { 1 };
        let mut descriptor = Self {
            len: 0,
            frame_start: first & 0x10 != 0 && first & 0x07 == 0,
            non_reference: first & 0x20 != 0,
            picture_id: None,
            tl0_pic_idx: None,
            temporal: None,
            layer_sync: false,
            key_idx: None,
            keyframe: false,
            picture_id_at: 0,
            tl0_at: 0,
        };
        if extended & 0x80 != 0 {
            descriptor.picture_id_at = at as u8;
            descriptor.picture_id = Some(read_picture_id(payload, &mut at)?);
        }
        if extended & 0x40 != 0 {
            descriptor.tl0_at = at as u8;
            descriptor.tl0_pic_idx = Some(u8_at(payload, at)?);
            at += 1;
        }
        if extended & 0x30 != 0 {
            let byte = u8_at(payload, at)?;
            at += 1;
            if extended & 0x20 != 0 {
                descriptor.temporal = Some(byte >> 6);
                descriptor.layer_sync = byte & 0x20 != 0;
            }
            descriptor.key_idx = (extended & 0x10 != 0).then_some(byte & 0x1F);
        }
        descriptor.len = at;
        descriptor.keyframe = descriptor.frame_start && u8_at(payload, at)? & 0x01 == 0;
        Ok(descriptor)
    }

    /// Writes other numbers over those of `payload`, which starts with the bytes that this
    /// descriptor was parsed from. Fields that are not there stay absent; values are masked.
    pub fn rewrite(&self, payload: &mut [u8], picture_id: u16, tl0_pic_idx: u8) {
        if let Some(id) = self.picture_id {
            id.write(payload, usize::from(self.picture_id_at), picture_id);
        }
        if let Some(target) = payload
            .get_mut(usize::from(self.tl0_at))
            .filter(|_| self.tl0_pic_idx.is_some())
        {
            *target = tl0_pic_idx;
        }
    }
}

fn read_picture_id(payload: &[u8], at: &mut usize) -> Result<PictureId, Malformed> {
    let short = u8_at(payload, *at)?;
    if short & 0x80 == 0 {
        *at += 1;
        return Ok(PictureId {
            value: u16::from(short),
            wide: false,
        });
    }
    let value = u16_at(payload, *at)? & 0x7FFF;
    *at += 2;
    Ok(PictureId { value, wide: true })
}
