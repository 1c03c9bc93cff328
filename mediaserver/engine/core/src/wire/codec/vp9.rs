//! VP9 payload descriptor (RFC 9628 section 4.2) with its scalability structure. In-band picture
//! ids stay as the publisher numbered them, except after a switch between simulcast encodings.

use crate::wire::Malformed;
use crate::wire::bytes::{u8_at, u16_at};

pub use super::vp8::PictureId;

/// Spatial layers that the three bits of the structure allow.
pub const MAX_SPATIAL: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    pub len: usize,
    pub picture_id: Option<PictureId>,
    /// P: predicted from an earlier picture.
    pub inter_picture: bool,
    /// F: flexible mode, with reference indices.
    pub flexible: bool,
    /// B and E: first and last packet of one layer's frame.
    pub frame_start: bool,
    pub frame_end: bool,
    /// Z: not a reference for higher spatial layers of the same picture.
    pub not_inter_layer_reference: bool,
    pub layers: Option<Layers>,
    pub structure: Option<Structure>,
    picture_id_at: u8,
    tl0_at: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layers {
    pub temporal: u8,
    /// U: a receiver of a lower temporal layer may switch up here.
    pub switching_up: bool,
    pub spatial: u8,
    /// D: needs the spatial layer below in the same picture.
    pub inter_layer: bool,
    /// Only outside flexible mode.
    pub tl0_pic_idx: Option<u8>,
}

/// Number of spatial layers and, when given, their sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure {
    pub spatial_layers: u8,
    pub sizes: Option<[(u16, u16); MAX_SPATIAL]>,
}

impl Descriptor {
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let flags = u8_at(payload, 0)?;
        let mut descriptor = Self {
            len: 0,
            picture_id: None,
            inter_picture: flags & 0x40 != 0,
            flexible: flags & 0x10 != 0,
            frame_start: flags & 0x08 != 0,
            frame_end: flags & 0x04 != 0,
            not_inter_layer_reference: flags & 0x01 != 0,
            layers: None,
            structure: None,
            picture_id_at: 1,
            tl0_at: 0,
        };
        let mut at = 1;
        if flags & 0x80 != 0 {
            let wide = u8_at(payload, at)? & 0x80 != 0;
            let value = if wide {
                u16_at(payload, at)? & 0x7FFF
            } else {
                u16::from(u8_at(payload, at)?)
            };
            descriptor.picture_id = Some(PictureId { value, wide });
            at += 1 + usize::from(wide);
        }
        if flags & 0x20 != 0 {
            descriptor.read_layers(payload, &mut at)?;
        }
        if descriptor.flexible && descriptor.inter_picture {
            skip_references(payload, &mut at)?;
        }
        if flags & 0x02 != 0 {
            descriptor.structure = Some(read_structure(payload, &mut at)?);
        }
        if at > payload.len() {
            return Err(Malformed::Truncated);
        }
        descriptor.len = at;
        Ok(descriptor)
    }

    /// First packet of a picture that needs no other: of the lowest spatial layer, not predicted.
    pub fn keyframe(&self) -> bool {
        self.frame_start && !self.inter_picture && self.spatial() == 0
    }

    pub fn spatial(&self) -> u8 {
        self.layers.map_or(0, |layers| layers.spatial)
    }

    pub fn temporal(&self) -> u8 {
        self.layers.map_or(0, |layers| layers.temporal)
    }

    /// As `vp8::Descriptor::rewrite`.
    pub fn rewrite(&self, payload: &mut [u8], picture_id: u16, tl0_pic_idx: u8) {
        if let Some(id) = self.picture_id {
            id.write(payload, usize::from(self.picture_id_at), picture_id);
        }
        if let Some(target) = payload
            .get_mut(usize::from(self.tl0_at))
            .filter(|_| self.tl0_at > 0)
        {
            *target = tl0_pic_idx;
        }
    }

    fn read_layers(&mut self, payload: &[u8], at: &mut usize) -> Result<(), Malformed> {
        let byte = u8_at(payload, *at)?;
        *at += 1;
        let mut tl0_pic_idx = None;
        if !self.flexible {
            self.tl0_at = *at as u8;
            tl0_pic_idx = Some(u8_at(payload, *at)?);
            *at += 1;
        }
        self.layers = Some(Layers {
            temporal: byte >> 5,
            switching_up: byte & 0x10 != 0,
            spatial: (byte >> 1) & 0x07,
            inter_layer: byte & 0x01 != 0,
            tl0_pic_idx,
        });
        Ok(())
    }
}

/// At most three reference indices, each saying whether another follows.
fn skip_references(payload: &[u8], at: &mut usize) -> Result<(), Malformed> {
    for _ in 0..3 {
        let byte = u8_at(payload, *at)?;
        *at += 1;
        if byte & 1 == 0 {
            return Ok(());
        }
    }
    Err(Malformed::TooMany)
}

fn read_structure(payload: &[u8], at: &mut usize) -> Result<Structure, Malformed> {
    let head = u8_at(payload, *at)?;
    *at += 1;
    let spatial_layers = (head >> 5) + 1;
    let sizes = match head & 0x10 != 0 {
        true => Some(read_sizes(payload, at, spatial_layers)?),
        false => None,
    };
    if head & 0x08 != 0 {
        let pictures = u8_at(payload, *at)?;
        *at += 1;
        for _ in 0..pictures {
            let references = (u8_at(payload, *at)? >> 2) & 0x03;
            *at += 1 + usize::from(references);
        }
    }
    Ok(Structure {
        spatial_layers,
        sizes,
    })
}

fn read_sizes(
    payload: &[u8],
    at: &mut usize,
    layers: u8,
) -> Result<[(u16, u16); MAX_SPATIAL], Malformed> {
    let mut sizes = [(0, 0); MAX_SPATIAL];
    for size in sizes.iter_mut().take(usize::from(layers)) {
        *size = (u16_at(payload, *at)?, u16_at(payload, *at + 2)?);
        *at += 4;
    }
    Ok(sizes)
}
