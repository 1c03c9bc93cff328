//! What a client sends: Opus frames, or VP8 in up to three encodings with three temporal layers.
//! Each payload says which frame and packet it is, so that a receiver can check what it got.

use std::collections::BTreeMap;

use sotto_engine_core::time::{SECONDS, Time};

use crate::specs::{OPUS, VP8, VP8_RTX};

/// One packet before protection.
#[derive(Clone, Debug)]
pub struct Plain {
    pub payload_type: u8,
    pub ssrc: u32,
    pub index: u64,
    pub timestamp: u32,
    pub marker: bool,
    pub payload: Vec<u8>,
    pub level: Option<u8>,
    pub rid: Option<&'static str>,
    pub rrid: Option<&'static str>,
    pub descriptor: Vec<u8>,
}

#[derive(Debug)]
pub struct Encoder {
    pub ssrc: u32,
    pub rtx_ssrc: u32,
    pub rid: Option<&'static str>,
    pub bitrate: u64,
    pub enabled: bool,
    pub sent: BTreeMap<u64, Plain>,
    pub index: u64,
    rtx_index: u64,
    pub picture: u16,
    pub tl0: u8,
    pub keyframe: bool,
    pub keyframes: u32,
    pub plis: Vec<Time>,
    pub frame: u32,
    phase: u32,
    timestamp_offset: u32,
}

#[derive(Debug)]
pub struct Source {
    pub mid: &'static str,
    pub audio: bool,
    pub encoders: Vec<Encoder>,
    pub fps: u64,
    pub next: Time,
    /// -dBov for audio.
    pub level: u8,
    pub frame_bytes: Option<usize>,
}

pub const MTU: usize = 1_100;

impl Source {
    pub fn audio(mid: &'static str, ssrc: u32) -> Source {
        Source {
            mid,
            audio: true,
            encoders: vec![Encoder::new(ssrc, None, 32_000)],
            fps: 50,
            next: Time::ZERO,
            level: 30,
            frame_bytes: None,
        }
    }

    pub fn video(mid: &'static str, ssrc: u32, bitrates: &[u64]) -> Source {
        let rids = ["q", "h", "f"];
        let encoders = bitrates.iter().enumerate().map(|(i, bitrate)| {
            let rid = (bitrates.len() > 1).then(|| rids[i]);
            Encoder::new(ssrc + 10 * i as u32, rid, *bitrate)
        });
        Source {
            mid,
            audio: false,
            encoders: encoders.collect(),
            fps: 30,
            next: Time::ZERO,
            level: 0,
            frame_bytes: None,
        }
    }

    /// Packets of the frames that are due.
    pub fn produce(&mut self, now: Time) -> Vec<Plain> {
        let mut out = Vec::new();
        while self.next <= now {
            let at = self.next;
            self.next = at + SECONDS / self.fps;
            let (audio, level, fps) = (self.audio, self.level, self.fps);
            for encoder in self.encoders.iter_mut().filter(|e| e.enabled) {
                if audio {
                    encoder.audio_frame(at, level, &mut out);
                } else {
                    encoder.video_frame(at, fps, self.frame_bytes, &mut out);
                }
            }
        }
        out
    }

    pub fn keyframe_request(&mut self, now: Time, ssrc: u32) {
        for encoder in self.encoders.iter_mut().filter(|e| e.ssrc == ssrc) {
            encoder.keyframe = true;
            encoder.plis.push(now);
        }
    }

    /// The RTX packet for a NACK.
    pub fn retransmit(&mut self, ssrc: u32, sequence: u16) -> Option<Plain> {
        let encoder = self.encoders.iter_mut().find(|e| e.ssrc == ssrc)?;
        encoder.retransmit(sequence)
    }
}

impl Encoder {
    fn new(ssrc: u32, rid: Option<&'static str>, bitrate: u64) -> Encoder {
        Encoder {
            ssrc,
            rtx_ssrc: ssrc + 5,
            rid,
            bitrate,
            enabled: true,
            sent: BTreeMap::new(),
            index: u64::from(ssrc % 30_000) + 100,
            rtx_index: 7,
            picture: (ssrc % 0x7000) as u16,
            tl0: (ssrc % 251) as u8,
            keyframe: true,
            keyframes: 0,
            plis: Vec::new(),
            frame: 0,
            phase: 0,
            timestamp_offset: ssrc.wrapping_mul(0x9E37_79B9),
        }
    }

    pub fn timestamp(&self, at: Time, clock: u64) -> u32 {
        ((at.micros() * clock / SECONDS) as u32).wrapping_add(self.timestamp_offset)
    }

    fn push(&mut self, packet: Plain, out: &mut Vec<Plain>) {
        self.sent.insert(packet.index, packet.clone());
        if self.sent.len() > 2_000 {
            self.sent.pop_first();
        }
        out.push(packet);
    }

    fn audio_frame(&mut self, at: Time, level: u8, out: &mut Vec<Plain>) {
        self.index += 1;
        self.frame += 1;
        let mut payload = self.frame.to_be_bytes().to_vec();
        payload.resize(80, 0xA5);
        let packet = Plain {
            payload_type: OPUS,
            ssrc: self.ssrc,
            index: self.index,
            timestamp: self.timestamp(at, 48_000),
            marker: false,
            payload,
            level: Some(level),
            rid: None,
            rrid: None,
            descriptor: Vec::new(),
        };
        self.push(packet, out);
    }

    /// L1T3: temporal ids 0 2 1 2.
    fn video_frame(&mut self, at: Time, fps: u64, bytes: Option<usize>, out: &mut Vec<Plain>) {
        let key = std::mem::take(&mut self.keyframe);
        if key {
            self.phase = 0;
            self.keyframes += 1;
        }
        let temporal = [0u8, 2, 1, 2][(self.phase % 4) as usize];
        let sync = !key && matches!(self.phase % 4, 1 | 2);
        self.phase += 1;
        self.frame += 1;
        self.picture = (self.picture + 1) & 0x7FFF;
        if temporal == 0 {
            self.tl0 = self.tl0.wrapping_add(1);
        }
        let size = bytes.unwrap_or((self.bitrate / 8 / fps) as usize) * if key { 3 } else { 1 };
        let count = size.div_ceil(MTU).max(1);
        for part in 0..count {
            self.index += 1;
            let payload = self.vp8(key, temporal, sync, part, count, size / count);
            let packet = Plain {
                payload_type: VP8,
                ssrc: self.ssrc,
                index: self.index,
                timestamp: self.timestamp(at, 90_000),
                marker: part + 1 == count,
                payload,
                level: None,
                rid: self.rid,
                rrid: None,
                descriptor: Vec::new(),
            };
            self.push(packet, out);
        }
    }

    fn vp8(
        &self,
        key: bool,
        temporal: u8,
        sync: bool,
        part: usize,
        count: usize,
        size: usize,
    ) -> Vec<u8> {
        let start = if part == 0 { 0x10 } else { 0 };
        let mut payload = vec![
            0x80 | start,
            0xE0,
            0x80 | (self.picture >> 8) as u8,
            self.picture as u8,
            self.tl0,
            (temporal << 6) | if sync { 0x20 } else { 0 },
            // First byte of the frame header: P bit clear on key frames.
            if key { 0 } else { 1 },
        ];
        payload.extend_from_slice(&self.ssrc.to_be_bytes());
        payload.extend_from_slice(&self.frame.to_be_bytes());
        payload.extend_from_slice(&[part as u8, count as u8, u8::from(key)]);
        payload.resize(size.max(payload.len() + 4), 0x5A);
        payload
    }

    fn retransmit(&mut self, sequence: u16) -> Option<Plain> {
        let back = (self.index as u16).wrapping_sub(sequence);
        let original = self
            .sent
            .get(&self.index.checked_sub(u64::from(back))?)?
            .clone();
        self.rtx_index += 1;
        let mut payload = sequence.to_be_bytes().to_vec();
        payload.extend_from_slice(&original.payload);
        Some(Plain {
            payload_type: VP8_RTX,
            ssrc: self.rtx_ssrc,
            index: self.rtx_index,
            payload,
            rid: None,
            rrid: self.rid,
            descriptor: Vec::new(),
            ..original
        })
    }
}

/// What a received VP8 payload says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub picture: u16,
    pub tl0: u8,
    pub temporal: u8,
    pub encoder: u32,
    pub frame: u32,
    pub part: u8,
    pub count: u8,
    pub key: bool,
}

pub fn read_stamp(payload: &[u8]) -> Option<Stamp> {
    let word = |at: usize| {
        Some(u32::from_be_bytes(
            payload.get(at..at + 4)?.try_into().ok()?,
        ))
    };
    Some(Stamp {
        picture: u16::from_be_bytes([*payload.get(2)? & 0x7F, *payload.get(3)?]),
        tl0: *payload.get(4)?,
        temporal: *payload.get(5)? >> 6,
        encoder: word(7)?,
        frame: word(11)?,
        part: *payload.get(15)?,
        count: *payload.get(16)?,
        key: *payload.get(17)? == 1,
    })
}
