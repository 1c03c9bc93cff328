//! RTP header extensions (RFC 8285): both element forms, and the ten extensions that a call
//! uses. Ids are negotiated per peer connection: `Ids` maps them, values are typed here.

use super::Malformed;
use super::bytes::{u16_at, u24_at, u64_at};

/// How elements are framed (RFC 8285 sections 4.2 and 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    OneByte,
    TwoByte,
}

impl Form {
    pub const fn from_profile(profile: u16) -> Option<Self> {
        match profile {
            0xBEDE => Some(Self::OneByte),
            0x1000..=0x100F => Some(Self::TwoByte),
            _ => None,
        }
    }

    pub const fn profile(self) -> u16 {
        match self {
            Self::OneByte => 0xBEDE,
            Self::TwoByte => 0x1000,
        }
    }

    /// Whether an element of this id and length can be written in this form.
    pub const fn fits(self, id: u8, len: usize) -> bool {
        match self {
            Self::OneByte => id >= 1 && id <= 14 && len >= 1 && len <= 16,
            Self::TwoByte => id >= 1 && len <= 255,
        }
    }
}

/// Where the elements lie in a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub form: Form,
    pub start: usize,
    pub end: usize,
}

/// One element: its id, its value, and where the value starts in the datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    pub id: u8,
    pub value: &'a [u8],
    pub at: usize,
}

/// Walks the elements of a block. Ends at id 15 of the one-byte form and at an element that
/// overruns the block (that last one as an error, once).
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    bytes: &'a [u8],
    form: Form,
    at: usize,
}

impl<'a> Elements<'a> {
    pub fn new(block: Block, bytes: &'a [u8]) -> Self {
        Self {
            bytes: bytes.get(..block.end).unwrap_or(&[]),
            form: block.form,
            at: block.start,
        }
    }

    pub const fn empty() -> Self {
        Self {
            bytes: &[],
            form: Form::OneByte,
            at: 0,
        }
    }

    fn framing(&self) -> Option<Result<(u8, usize, usize), Malformed>> {
        let first = *self.bytes.get(self.at)?;
        match self.form {
            Form::OneByte if first >> 4 == 15 => None,
            Form::OneByte => Some(Ok((first >> 4, usize::from(first & 0x0F) + 1, 1))),
            Form::TwoByte => match self.bytes.get(self.at + 1) {
                Some(len) => Some(Ok((first, usize::from(*len), 2))),
                None => Some(Err(Malformed::Truncated)),
            },
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Result<Element<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.bytes.get(self.at) == Some(&0) {
            self.at += 1;
        }
        let (id, len, head) = match self.framing()? {
            Ok(framing) => framing,
            Err(error) => {
                self.at = usize::MAX;
                return Some(Err(error));
            }
        };
        let at = self.at + head;
        match self.bytes.get(at..at + len) {
            Some(value) => {
                self.at = at + len;
                Some(Ok(Element { id, value, at }))
            }
            None => {
                self.at = usize::MAX;
                Some(Err(Malformed::Length))
            }
        }
    }
}

/// The extensions that are negotiated; every other one is refused in SDP and never forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    Mid,
    Rid,
    Rrid,
    AudioLevel,
    AbsSendTime,
    TransportCc,
    AbsCaptureTime,
    Orientation,
    PlayoutDelay,
    DependencyDescriptor,
}

impl Kind {
    pub const ALL: [Self; 10] = [
        Self::Mid,
        Self::Rid,
        Self::Rrid,
        Self::AudioLevel,
        Self::AbsSendTime,
        Self::TransportCc,
        Self::AbsCaptureTime,
        Self::Orientation,
        Self::PlayoutDelay,
        Self::DependencyDescriptor,
    ];

    /// The name used between Python and the engine.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mid => "mid",
            Self::Rid => "rid",
            Self::Rrid => "rrid",
            Self::AudioLevel => "audio_level",
            Self::AbsSendTime => "abs_send_time",
            Self::TransportCc => "transport_cc",
            Self::AbsCaptureTime => "abs_capture_time",
            Self::Orientation => "orientation",
            Self::PlayoutDelay => "playout_delay",
            Self::DependencyDescriptor => "dependency_descriptor",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Negotiated ids of one m-section, by kind. Zero (no id) means not negotiated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids([u8; Kind::ALL.len()]);

impl Ids {
    pub fn set(&mut self, kind: Kind, id: u8) {
        self.0[kind as usize] = id;
    }

    pub fn get(&self, kind: Kind) -> Option<u8> {
        match self.0[kind as usize] {
            0 => None,
            id => Some(id),
        }
    }

    pub fn kind_of(&self, id: u8) -> Option<Kind> {
        if id == 0 {
            return None;
        }
        Kind::ALL
            .into_iter()
            .find(|kind| self.0[*kind as usize] == id)
    }
}

/// RFC 6464: level is in -dBov, 0 the loudest and 127 silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    pub voice: bool,
    pub level: u8,
}

impl AudioLevel {
    pub fn read(value: &[u8]) -> Result<Self, Malformed> {
        let byte = *value.first().ok_or(Malformed::Truncated)?;
        Ok(Self {
            voice: byte & 0x80 != 0,
            level: byte & 0x7F,
        })
    }

    pub const fn bytes(self) -> [u8; 1] {
        [((self.voice as u8) << 7) | (self.level & 0x7F)]
    }
}

/// abs-capture-time: NTP time (UQ32.32) and, when known, the clock offset (Q32.32).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsCaptureTime {
    pub ntp: u64,
    pub offset: Option<i64>,
}

impl AbsCaptureTime {
    pub fn read(value: &[u8]) -> Result<Self, Malformed> {
        let offset = match value.len() {
            8 => None,
            16 => Some(u64_at(value, 8)? as i64),
            _ => return Err(Malformed::Length),
        };
        Ok(Self {
            ntp: u64_at(value, 0)?,
            offset,
        })
    }
}

/// Video playout delay limits in units of 10 ms, 12 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutDelay {
    pub min: u16,
    pub max: u16,
}

impl PlayoutDelay {
    pub fn read(value: &[u8]) -> Result<Self, Malformed> {
        let word = u24_at(value, 0)?;
        Ok(Self {
            min: (word >> 12) as u16,
            max: (word & 0xFFF) as u16,
        })
    }

    pub const fn bytes(self) -> [u8; 3] {
        let word = ((self.min as u32 & 0xFFF) << 12) | (self.max as u32 & 0xFFF);
        [(word >> 16) as u8, (word >> 8) as u8, word as u8]
    }
}

/// 24-bit send time, 6 bits of seconds and 18 of fraction, from microseconds.
pub const fn abs_send_time(us: u64) -> [u8; 3] {
    let ticks = (us % 64_000_000) * (1 << 18) / 1_000_000;
    [(ticks >> 16) as u8, (ticks >> 8) as u8, ticks as u8]
}

/// Everything that one packet's extensions said, by the section's ids. Unknown ids and values
/// of a wrong length are skipped: an extension is never a reason to lose the packet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<'a> {
    pub mid: Option<&'a str>,
    pub rid: Option<&'a str>,
    pub rrid: Option<&'a str>,
    pub audio_level: Option<AudioLevel>,
    /// 6.18 fixed point seconds.
    pub abs_send_time: Option<u32>,
    pub transport_cc: Option<u16>,
    pub abs_capture_time: Option<AbsCaptureTime>,
    /// Camera, flip and rotation bits (3GPP TS 26.114 section 7.4.5).
    pub orientation: Option<u8>,
    pub playout_delay: Option<PlayoutDelay>,
    pub dependency_descriptor: Option<&'a [u8]>,
}

impl<'a> Values<'a> {
    pub fn read(ids: &Ids, elements: Elements<'a>) -> Self {
        let mut values = Self::default();
        for element in elements.flatten() {
            if let Some(kind) = ids.kind_of(element.id) {
                values.set(kind, element.value);
            }
        }
        values
    }

    fn set(&mut self, kind: Kind, value: &'a [u8]) {
        match kind {
            Kind::Mid => self.mid = name(value),
            Kind::Rid => self.rid = name(value),
            Kind::Rrid => self.rrid = name(value),
            Kind::AudioLevel => self.audio_level = AudioLevel::read(value).ok(),
            Kind::AbsSendTime => self.abs_send_time = u24_at(value, 0).ok(),
            Kind::TransportCc => self.transport_cc = u16_at(value, 0).ok(),
            Kind::AbsCaptureTime => self.abs_capture_time = AbsCaptureTime::read(value).ok(),
            Kind::Orientation => self.orientation = value.first().copied(),
            Kind::PlayoutDelay => self.playout_delay = PlayoutDelay::read(value).ok(),
            Kind::DependencyDescriptor => self.dependency_descriptor = Some(value),
        }
    }
}

/// mid, rid and rrid: at most 16 characters of the token alphabet (RFC 8852 section 3.1).
fn name(value: &[u8]) -> Option<&str> {
    let fits =
        matches!(value.len(), 1..=16) && value.iter().all(|byte| matches!(byte, 0x21..=0x7E));
    if fits {
        std::str::from_utf8(value).ok()
    } else {
        None
    }
}
