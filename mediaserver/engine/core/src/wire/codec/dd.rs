//! Dependency descriptor (AV1 RTP specification, appendix A): which frame a packet belongs to,
//! what it depends on, which decode targets need it. A `Structure` arrives with key frames and
//! is kept by the publication; a descriptor without one is read against it.

mod structure;

pub use structure::{Dti, MAX_CHAINS, MAX_TARGETS, MAX_TEMPLATES, Structure, Template};

use crate::wire::Malformed;
use crate::wire::bytes::{Bits, u8_at, u16_at};
use structure::{read_chain_diffs, read_dtis};

/// The three bytes that each descriptor starts with; readable without any structure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mandatory {
    pub start_of_frame: bool,
    pub end_of_frame: bool,
    pub template_id: u8,
    pub frame_number: u16,
    /// Bytes beyond the mandatory ones follow.
    pub extended: bool,
    /// A template structure follows: this is a key frame's packet.
    pub has_structure: bool,
}

impl Mandatory {
    pub fn parse(value: &[u8]) -> Result<Self, Malformed> {
        let first = u8_at(value, 0)?;
        Ok(Self {
            start_of_frame: first & 0x80 != 0,
            end_of_frame: first & 0x40 != 0,
            template_id: first & 0x3F,
            frame_number: u16_at(value, 1)?,
            extended: value.len() > 3,
            has_structure: value.len() > 3 && value[3] & 0x80 != 0,
        })
    }
}

/// One packet's descriptor, resolved against its structure. 200 B, on the stack.
#[derive(Clone, Debug)]
pub struct Descriptor {
    pub mandatory: Mandatory,
    /// The decode targets that the publisher still sends, one bit each; all when never limited.
    pub active_targets: Option<u32>,
    pub spatial: u8,
    pub temporal: u8,
    /// Indication for each decode target of the structure.
    pub dtis: [Dti; MAX_TARGETS],
    /// Distances to the frames that this one refers to.
    pub frame_diffs: FrameDiffs,
    pub chain_diffs: [u8; MAX_CHAINS],
    pub size: Option<(u16, u16)>,
}

/// At most as many references as 4-bit template or custom lists may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameDiffs {
    values: [u16; 16],
    count: u8,
}

impl FrameDiffs {
    pub fn as_slice(&self) -> &[u16] {
        &self.values[..usize::from(self.count)]
    }

    fn push(&mut self, value: u16) -> Result<(), Malformed> {
        let slot = self
            .values
            .get_mut(usize::from(self.count))
            .ok_or(Malformed::TooMany)?;
        *slot = value;
        self.count += 1;
        Ok(())
    }
}

/// What one descriptor brought: its facts and, on key frames, the structure to keep.
#[derive(Clone, Debug)]
pub struct Parsed {
    pub descriptor: Descriptor,
    pub structure: Option<Box<Structure>>,
}

#[derive(Clone, Copy, Default)]
struct Flags {
    structure: bool,
    active_targets: bool,
    custom_dtis: bool,
    custom_frame_diffs: bool,
    custom_chains: bool,
}

/// `known` is the structure of the last key frame; `MissingState` without one, or when the
/// template id is not of it (a lost key frame). Allocates only for a new structure.
pub fn parse(value: &[u8], known: Option<&Structure>) -> Result<Parsed, Malformed> {
    let mandatory = Mandatory::parse(value)?;
    let mut bits = Bits::new(value);
    bits.take(24)?;
    let flags = match mandatory.extended {
        true => Flags {
            structure: bits.flag()?,
            active_targets: bits.flag()?,
            custom_dtis: bits.flag()?,
            custom_frame_diffs: bits.flag()?,
            custom_chains: bits.flag()?,
        },
        false => Flags::default(),
    };
    let structure = match flags.structure {
        true => Some(Box::new(Structure::read(&mut bits)?)),
        false => None,
    };
    let Some(used) = structure.as_deref().or(known) else {
        return Err(Malformed::MissingState);
    };
    let descriptor = read_frame(&mut bits, mandatory, flags, used)?;
    Ok(Parsed {
        descriptor,
        structure,
    })
}

fn read_frame(
    bits: &mut Bits<'_>,
    mandatory: Mandatory,
    flags: Flags,
    structure: &Structure,
) -> Result<Descriptor, Malformed> {
    let active_targets = match (flags.active_targets, flags.structure) {
        (true, _) => Some(bits.take(u32::from(structure.targets))?),
        (false, true) => Some(structure.all_targets()),
        (false, false) => None,
    };
    let template = structure
        .template(mandatory.template_id)
        .ok_or(Malformed::MissingState)?;
    let mut descriptor = Descriptor {
        mandatory,
        active_targets,
        spatial: template.spatial,
        temporal: template.temporal,
        dtis: template.dtis,
        frame_diffs: template.frame_diffs,
        chain_diffs: template.chain_diffs,
        size: structure.size(template.spatial),
    };
    if flags.custom_dtis {
        descriptor.dtis = read_dtis(bits, structure.targets)?;
    }
    if flags.custom_frame_diffs {
        descriptor.frame_diffs = read_frame_diffs_sized(bits)?;
    }
    if flags.custom_chains {
        descriptor.chain_diffs = read_chain_diffs(bits, structure.chains, 8)?;
    }
    Ok(descriptor)
}

/// `frame_fdiffs`: pairs of size in nibbles and value minus one, ended by size zero.
fn read_frame_diffs_sized(bits: &mut Bits<'_>) -> Result<FrameDiffs, Malformed> {
    let mut diffs = FrameDiffs::default();
    loop {
        match bits.take(2)? {
            0 => return Ok(diffs),
            nibbles => diffs.push(bits.take(4 * nibbles)? as u16 + 1)?,
        }
    }
}

/// Renumbers the frame in place; `value` is a descriptor that `Mandatory::parse` accepts.
pub fn rewrite_frame_number(value: &mut [u8], frame_number: u16) {
    if let Some(target) = value.get_mut(1..3) {
        target.copy_from_slice(&frame_number.to_be_bytes());
    }
}

/// Copies the descriptor `value` into `out` with `mask` as its active decode targets, so that a
/// receiver does not wait for layers that are not forwarded to it. Works on descriptors with
/// and without a mask of their own; one that brings a structure is read against that one (and
/// allocates), others against `known`. Answers the length. `None`: no room, or malformed.
pub fn write_active_targets(
    value: &[u8],
    known: &Structure,
    mask: u32,
    out: &mut [u8],
) -> Option<usize> {
    let mandatory = Mandatory::parse(value).ok()?;
    let mut reader = Bits::new(value);
    reader.take(24).ok()?;
    let mut writer = BitWriter::new(out);
    writer.put(u32::from(value[0]), 8)?;
    writer.put(u32::from(mandatory.frame_number), 16)?;
    if !mandatory.extended {
        writer.put(0b01000, 5)?;
        writer.put(mask, u32::from(known.targets))?;
        return Some(writer.len());
    }
    let flags = reader.take(5).ok()?;
    writer.put(flags | 0b01000, 5)?;
    let mut own = None;
    if flags & 0b10000 != 0 {
        let start = reader.position();
        own = Some(Structure::read(&mut reader).ok()?);
        writer.copy(value, start, reader.position())?;
    }
    let structure = own.as_ref().unwrap_or(known);
    if flags & 0b01000 != 0 {
        reader.take(u32::from(structure.targets)).ok()?;
    }
    writer.put(mask, u32::from(structure.targets))?;
    // The rest: custom fields, then zero padding, which may move by some bits.
    let start = reader.position();
    let frame = Flags {
        custom_dtis: flags & 0b00100 != 0,
        custom_frame_diffs: flags & 0b00010 != 0,
        custom_chains: flags & 0b00001 != 0,
        ..Flags::default()
    };
    skip_custom(&mut reader, frame, structure).ok()?;
    writer.copy(value, start, reader.position())?;
    Some(writer.len())
}

fn skip_custom(bits: &mut Bits<'_>, flags: Flags, structure: &Structure) -> Result<(), Malformed> {
    if flags.custom_dtis {
        read_dtis(bits, structure.targets)?;
    }
    if flags.custom_frame_diffs {
        read_frame_diffs_sized(bits)?;
    }
    if flags.custom_chains {
        read_chain_diffs(bits, structure.chains, 8)?;
    }
    Ok(())
}

struct BitWriter<'b> {
    out: &'b mut [u8],
    at: usize,
}

impl<'b> BitWriter<'b> {
    fn new(out: &'b mut [u8]) -> Self {
        Self { out, at: 0 }
    }

    fn put(&mut self, value: u32, count: u32) -> Option<()> {
        for bit in (0..count).rev() {
            let byte = self.out.get_mut(self.at / 8)?;
            if self.at.is_multiple_of(8) {
                *byte = 0;
            }
            *byte |= (((value >> bit) & 1) as u8) << (7 - self.at % 8);
            self.at += 1;
        }
        Some(())
    }

    fn copy(&mut self, from: &[u8], start: usize, end: usize) -> Option<()> {
        for at in start..end {
            let byte = *from.get(at / 8)?;
            self.put(u32::from((byte >> (7 - at % 8)) & 1), 1)?;
        }
        Some(())
    }

    fn len(&self) -> usize {
        self.at.div_ceil(8)
    }
}
