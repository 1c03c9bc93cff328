//! Turns a decrypted payload into facts, once per packet. Keeps only what later packets of the
//! same encoding are read against: the dependency structure, and the timestamp of the last frame.

use std::sync::Arc;

use crate::packet::{Facts, PictureId};
use crate::spec::CodecName;
use crate::time::Time;
use crate::wire::codec::dd::{self, Dti, Structure};
use crate::wire::codec::{av1, h264, h265, red, vp8, vp9};
use crate::wire::ext::Values;
use crate::wire::{Malformed, rtp};

/// Longest dependency descriptor kept (the two-byte form allows 255).
pub const MAX_DESCRIPTOR: usize = 255;

#[derive(Default)]
pub struct CodecState {
    pub structure: Option<Arc<Structure>>,
    last_timestamp: Option<u32>,
}

/// Where a packet came from, as far as facts repeat it.
pub struct Origin {
    pub arrival: Time,
    pub seq: u64,
    pub codec: u8,
    pub name: CodecName,
}

impl CodecState {
    /// Facts of a packet that is padding only: nothing to forward, but a number that is taken.
    pub fn padding(&self, origin: &Origin, header: &rtp::Header) -> Facts {
        blank(origin, header, &Values::default())
    }

    /// Facts of one packet; true in `.1` when a new dependency structure was kept.
    pub fn read(
        &mut self,
        origin: &Origin,
        header: &rtp::Header,
        values: &Values<'_>,
        payload: &[u8],
    ) -> Result<(Facts, bool), Malformed> {
        let mut facts = blank(origin, header, values);
        facts.frame_start = self.last_timestamp != Some(header.timestamp);
        self.last_timestamp = Some(header.timestamp);
        match origin.name {
            CodecName::Vp8 => read_vp8(&mut facts, payload)?,
            CodecName::Vp9 => read_vp9(&mut facts, payload)?,
            CodecName::H264 => facts.keyframe = h264::facts(payload).keyframe(),
            CodecName::H265 => {
                let found = h265::facts(payload);
                facts.keyframe = found.keyframe();
                facts.temporal = found.temporal;
            }
            CodecName::Av1 => facts.keyframe = av1::Aggregation::parse(payload)?.keyframe(),
            CodecName::Red => facts.red_primary = primary_offset(payload)?,
            CodecName::Opus | CodecName::Pcmu | CodecName::Pcma => {}
        }
        if matches!(origin.name, CodecName::H264 | CodecName::H265) && facts.keyframe {
            // Parameter sets or the slice itself: a receiver may start at either.
            facts.frame_start = true;
        }
        let fresh = match values.dependency_descriptor {
            Some(value) if value.len() <= MAX_DESCRIPTOR => self.read_descriptor(&mut facts, value),
            _ => false,
        };
        Ok((facts, fresh))
    }

    /// A descriptor that cannot be resolved (its key frame was lost) is left out; the packet is
    /// forwarded as if there were none.
    fn read_descriptor(&mut self, facts: &mut Facts, value: &[u8]) -> bool {
        let Ok(parsed) = dd::parse(value, self.structure.as_deref()) else {
            return false;
        };
        let fresh = parsed.structure.is_some();
        if let Some(structure) = parsed.structure {
            self.structure = Some(Arc::from(structure));
        }
        let descriptor = parsed.descriptor;
        facts.descriptor_len = value.len() as u8;
        facts.spatial = descriptor.spatial;
        facts.temporal = descriptor.temporal;
        facts.frame_start = descriptor.mandatory.start_of_frame;
        facts.frame_end = descriptor.mandatory.end_of_frame;
        facts.picture.frame_number = descriptor.mandatory.frame_number;
        if facts.name == CodecName::Av1 {
            facts.keyframe = descriptor.mandatory.has_structure && facts.frame_start;
        }
        facts.switch_up = descriptor.dtis.contains(&Dti::Switch);
        facts.decode_targets = targets(&descriptor.dtis);
        fresh
    }
}

fn targets(dtis: &[Dti]) -> u32 {
    let present = dtis
        .iter()
        .enumerate()
        .filter(|(_, dti)| **dti != Dti::NotPresent);
    present.fold(0, |mask, (index, _)| mask | (1 << index))
}

fn read_vp8(facts: &mut Facts, payload: &[u8]) -> Result<(), Malformed> {
    let found = vp8::Descriptor::parse(payload)?;
    facts.keyframe = found.keyframe;
    facts.frame_start = found.frame_start;
    facts.temporal = found.temporal.unwrap_or(0);
    facts.switch_up = found.layer_sync;
    let wide = found.picture_id.is_some_and(|id| id.wide);
    facts.picture = PictureId {
        id: found.picture_id.map_or(0, |id| id.value),
        tl0: found.tl0_pic_idx.unwrap_or(0),
        id_at: if found.picture_id.is_some() { 2 } else { 0 },
        long: wide,
        tl0_at: match (found.tl0_pic_idx, found.picture_id) {
            (None, _) => 0,
            (Some(_), None) => 2,
            (Some(_), Some(id)) => 3 + u8::from(id.wide),
        },
        frame_number: 0,
    };
    Ok(())
}

fn read_vp9(facts: &mut Facts, payload: &[u8]) -> Result<(), Malformed> {
    let found = vp9::Descriptor::parse(payload)?;
    facts.keyframe = found.keyframe();
    facts.frame_start = found.frame_start;
    facts.frame_end = found.frame_end;
    facts.spatial = found.spatial();
    facts.temporal = found.temporal();
    facts.switch_up = found.layers.is_some_and(|l| l.switching_up);
    let tl0 = found.layers.and_then(|l| l.tl0_pic_idx);
    facts.picture = PictureId {
        id: found.picture_id.map_or(0, |id| id.value),
        tl0: tl0.unwrap_or(0),
        id_at: if found.picture_id.is_some() { 1 } else { 0 },
        long: found.picture_id.is_some_and(|id| id.wide),
        tl0_at: match (tl0, found.picture_id) {
            (None, _) => 0,
            (Some(_), None) => 2,
            (Some(_), Some(id)) => 3 + u8::from(id.wide),
        },
        frame_number: 0,
    };
    Ok(())
}

/// Offset of the primary block, which is last (RFC 2198 section 3).
fn primary_offset(payload: &[u8]) -> Result<u16, Malformed> {
    let block = red::primary(payload)?;
    Ok((payload.len() - block.data.len()) as u16)
}

fn blank(origin: &Origin, header: &rtp::Header, values: &Values<'_>) -> Facts {
    Facts {
        arrival: origin.arrival,
        seq: origin.seq,
        timestamp: header.timestamp,
        marker: header.marker,
        codec: origin.codec,
        name: origin.name,
        keyframe: false,
        frame_start: false,
        frame_end: header.marker,
        spatial: 0,
        temporal: 0,
        switch_up: false,
        picture: PictureId::default(),
        red_primary: 0,
        audio_level: values.audio_level.map(|l| l.bytes()[0]),
        orientation: values.orientation,
        playout_delay: values.playout_delay.map(|d| d.bytes()),
        abs_capture_time: values.abs_capture_time.map(|t| t.ntp),
        descriptor_len: 0,
        decode_targets: 0,
    }
}
