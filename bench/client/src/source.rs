//! A synthetic track: bursts of RTP packets of one size, each with the time it was sent.
//! Video looks like VP8 to a server (descriptor, key frames when asked); audio like Opus.

use sotto_engine_core::wire::ext::{AudioLevel, Form};
use sotto_engine_core::wire::rtp::{Fields, HeaderWriter};

use crate::sdp::Kind;

pub const MAGIC: [u8; 4] = *b"SBnc";
/// VP8 descriptor with a 15-bit picture id, TL0PICIDX and TID; then the 10 bytes of a key
/// frame's header (RFC 6386 section 9.1).
const VP8_HEAD: usize = 6 + 10;
/// An Opus TOC byte: 20 ms, CELT fullband, mono.
const OPUS_TOC: u8 = 0xF8;

/// Offset of magic and time inside the payload.
pub const fn stamp_at(kind: Kind) -> usize {
    match kind {
        Kind::Video => VP8_HEAD,
        _ => 1,
    }
}

/// Extension ids from the server's answer; `None` is not negotiated.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids {
    pub mid: Option<u8>,
    pub audio_level: Option<u8>,
    pub transport_cc: Option<u8>,
}

pub struct Source {
    pub kind: Kind,
    pub cid: String,
    pub ssrc: u32,
    pub mid: String,
    pub ids: Ids,
    pub payload_type: u8,
    /// Packets of one burst (video frame); 1 for audio.
    pub burst: u32,
    pub size: usize,
    pub period_us: u64,
    pub next_us: u64,
    pub keyframe_wanted: bool,
    pub sent: u64,
    pub keyframes: u64,
    pub resent: u64,
    index: u64,
    timestamp: u32,
    picture: u16,
    tl0: u8,
    /// The last packets as they were sent, by sequence number, for NACKs.
    history: Vec<(u16, Vec<u8>)>,
}

const HISTORY: usize = 512;

impl Source {
    pub fn new(kind: Kind, ssrc: u32, burst: u32, size: usize, period_us: u64) -> Self {
        Self {
            kind,
            cid: format!("track-{ssrc:x}"),
            ssrc,
            mid: String::new(),
            ids: Ids::default(),
            payload_type: if kind == Kind::Video { 96 } else { 111 },
            burst,
            size: size.max(VP8_HEAD + 12),
            period_us,
            next_us: u64::MAX,
            keyframe_wanted: true,
            sent: 0,
            keyframes: 0,
            resent: 0,
            index: u64::from(ssrc & 0x3FFF),
            timestamp: ssrc,
            picture: 1,
            tl0: 0,
            history: vec![(0, Vec::new()); HISTORY],
        }
    }

    /// Writes and sends the next burst. `transport_sequence` is shared by the transport; `send`
    /// leaves what it sent in its last argument.
    pub fn emit(
        &mut self,
        transport_sequence: &mut u16,
        mut send: impl FnMut(u64, &[u8], &[u8], &mut Vec<u8>),
    ) {
        let keyframe = self.kind == Kind::Video && std::mem::take(&mut self.keyframe_wanted);
        self.keyframes += u64::from(keyframe);
        for number in 0..self.burst {
            let mut head = [0u8; 64];
            let len = self.header(&mut head, number + 1 == self.burst, *transport_sequence);
            *transport_sequence = transport_sequence.wrapping_add(1);
            let mut payload = [0u8; 1400];
            self.payload(&mut payload, number == 0, keyframe);
            let kept = &mut self.history[self.index as usize % HISTORY];
            kept.0 = self.index as u16;
            kept.1.clear();
            send(self.index, &head[..len], &payload[..self.size], &mut kept.1);
            self.index += 1;
            self.sent += 1;
        }
        let ticks = if self.kind == Kind::Video { 90 } else { 48 };
        self.timestamp = self
            .timestamp
            .wrapping_add((self.period_us * ticks / 1000) as u32);
        self.picture = (self.picture + 1) & 0x7FFF;
        self.tl0 = self.tl0.wrapping_add(1);
    }

    /// Sends a packet again, byte for byte.
    pub fn resend(&mut self, sequence: u16, send: impl FnOnce(&[u8])) {
        let (kept, bytes) = &self.history[usize::from(sequence) % HISTORY];
        if *kept == sequence && !bytes.is_empty() {
            self.resent += 1;
            send(bytes);
        }
    }

    fn header(&self, out: &mut [u8], last: bool, transport_sequence: u16) -> usize {
        let fields = Fields {
            marker: last && self.kind == Kind::Video,
            payload_type: self.payload_type,
            sequence: self.index as u16,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
        };
        let mut writer = HeaderWriter::new(out, &fields, Form::OneByte);
        if let Some(id) = self.ids.mid {
            writer.element(id, self.mid.as_bytes());
        }
        if let Some(id) = self.ids.transport_cc {
            writer.element(id, &transport_sequence.to_be_bytes());
        }
        if let Some(id) = self.ids.audio_level.filter(|_| self.kind == Kind::Audio) {
            writer.element(
                id,
                &AudioLevel {
                    voice: true,
                    level: 20,
                }
                .bytes(),
            );
        }
        writer.finish().unwrap_or(0)
    }

    fn payload(&self, out: &mut [u8], first: bool, keyframe: bool) {
        match self.kind {
            Kind::Video => {
                let [high, low] = (0x8000 | self.picture).to_be_bytes();
                out[..6].copy_from_slice(&[
                    if first { 0x90 } else { 0x80 },
                    0xE0,
                    high,
                    low,
                    self.tl0,
                    0x20,
                ]);
                // Frame tag: P bit, version 0, shown; key frames add start code and size.
                let tag = if keyframe { 0x10 } else { 0x11 };
                out[6..16]
                    .copy_from_slice(&[tag, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01]);
            }
            _ => out[0] = OPUS_TOC,
        }
        let at = stamp_at(self.kind);
        out[at..at + 4].copy_from_slice(&MAGIC);
        out[at + 4..at + 12].copy_from_slice(&crate::sys::wall_us().to_be_bytes());
    }
}

/// What a decrypted payload that `Source` wrote is a part of.
pub enum Part {
    /// Of a picture: whether it is the first one, and whether of a key frame.
    Video {
        first: bool,
        keyframe: bool,
    },
    Audio,
}

pub fn part(payload: &[u8]) -> Option<Part> {
    let stamped = |kind| payload.get(stamp_at(kind)..stamp_at(kind) + 4) == Some(MAGIC.as_slice());
    if stamped(Kind::Video) {
        return Some(Part::Video {
            first: payload[0] & 0x10 != 0,
            keyframe: payload[6] & 1 == 0,
        });
    }
    stamped(Kind::Audio).then_some(Part::Audio)
}

/// The time in a decrypted payload that `Source` wrote.
pub fn sent_us(payload: &[u8]) -> Option<u64> {
    [Kind::Video, Kind::Audio].into_iter().find_map(|kind| {
        let stamp = payload.get(stamp_at(kind)..stamp_at(kind) + 12)?;
        let (magic, time) = stamp.split_first_chunk::<4>()?;
        (*magic == MAGIC).then(|| u64::from_be_bytes(time.try_into().unwrap_or_default()))
    })
}
