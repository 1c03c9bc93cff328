//! What a client sends: Opus frames, or VP8 in up to three encodings with three temporal layers.
//! Each payload says which frame and packet it is, so that a receiver can check what it got.

use std::collections::BTreeMap;

use sotto_engine_core::time::{SECONDS, Time};

use crate::specs::{OPUS, RED, VP8, VP8_RTX};

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
    /// Percent of the mean frame by phase; frames are equal without.
    pub weights: [u64; 4],
    /// Audio repeats the packet before (RFC 2198).
    pub red: bool,
}

pub const MTU: usize = 1_100;
/// Bytes of an Opus frame of 20 ms inside RED.
pub const RED_FRAME: usize = 115;
const EQUAL: [u64; 4] = [100; 4];
/// Shares of the four frames of a period as libwebrtc's VP8 spends them: 57 % on the base layer.
const LIBWEBRTC: [u64; 4] = [228, 56, 60, 56];

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
            weights: EQUAL,
            red: false,
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
            weights: EQUAL,
            red: false,
        }
    }

    /// Opus at 48 kbit/s with one redundant frame, as native clients publish it.
    pub fn redundant_audio(mid: &'static str, ssrc: u32) -> Source {
        Source {
            red: true,
            ..Source::audio(mid, ssrc)
        }
    }

    /// Simulcast as libwebrtc sends it: large base frames, sizes that vary, 15 frames a second.
    pub fn native_video(mid: &'static str, ssrc: u32, bitrates: &[u64]) -> Source {
        Source {
            fps: 15,
            weights: LIBWEBRTC,
            ..Source::video(mid, ssrc, bitrates)
        }
    }

    /// Packets of the frames that are due.
    pub fn produce(&mut self, now: Time) -> Vec<Plain> {
        let mut out = Vec::new();
        while self.next <= now {
            let at = self.next;
            self.next = at + SECONDS / self.fps;
            let (audio, level, fps) = (self.audio, self.level, self.fps);
            let (weights, red) = (self.weights, self.red);
            for encoder in self.encoders.iter_mut().filter(|e| e.enabled) {
                if audio {
                    encoder.audio_frame(at, level, red, &mut out);
                } else {
                    let mean = (encoder.bitrate / 8 / fps) as usize;
                    let mean = self.frame_bytes.unwrap_or(mean);
                    encoder.video_frame(at, mean, &weights, &mut out);
                }
            }
        }
        out
    }

    pub fn keyframe_request(&mut self, now: Time, ssrc: u32) {
        // One encoder makes all of a native client's simulcast, and all key frames at once.
        let asked = self.encoders.iter().any(|e| e.ssrc == ssrc);
        for encoder in &mut self.encoders {
            encoder.keyframe |= encoder.ssrc == ssrc || (asked && self.weights != EQUAL);
            if encoder.ssrc == ssrc {
                encoder.plis.push(now);
            }
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

    fn audio_frame(&mut self, at: Time, level: u8, red: bool, out: &mut Vec<Plain>) {
        self.index += 1;
        self.frame += 1;
        let frame = |number: u32, size: usize| {
            let mut frame = number.to_be_bytes().to_vec();
            frame.resize(size, 0xA5);
            frame
        };
        let mut payload = Vec::new();
        if red {
            // RFC 2198 section 3: 14 bits of offset (20 ms), 10 bits of length.
            let head = (960u32 << 10) | RED_FRAME as u32;
            payload.push(0x80 | OPUS);
            payload.extend_from_slice(&head.to_be_bytes()[1..]);
            payload.push(OPUS);
            payload.extend(frame(self.frame - 1, RED_FRAME));
            payload.extend(frame(self.frame, RED_FRAME));
        } else {
            payload.extend(frame(self.frame, 80));
        }
        let packet = Plain {
            payload_type: if red { RED } else { OPUS },
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
    fn video_frame(&mut self, at: Time, mean: usize, weights: &[u64; 4], out: &mut Vec<Plain>) {
        let key = std::mem::take(&mut self.keyframe);
        if key {
            self.phase = 0;
            self.keyframes += 1;
        }
        let phase = (self.phase % 4) as usize;
        let temporal = [0u8, 2, 1, 2][phase];
        let sync = !key && matches!(phase, 1 | 2);
        self.phase += 1;
        self.frame += 1;
        self.picture = (self.picture + 1) & 0x7FFF;
        if temporal == 0 {
            self.tl0 = self.tl0.wrapping_add(1);
        }
        let mut size = mean * weights[phase] as usize / 100;
        if key {
            size = mean * 3;
        }
        if *weights != EQUAL {
            // A fifth more or less, by the frame's number.
            let dice = self.frame.wrapping_mul(0x9E37_79B9) >> 24;
            size = size * (205 + dice as usize * 100 / 255) / 255;
        }
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
        if *weights != EQUAL && self.rid == Some("q") {
            self.padding(at, out);
        }
    }

    /// What a sender that looks for bandwidth puts between frames of its lowest encoding.
    fn padding(&mut self, at: Time, out: &mut Vec<Plain>) {
        for _ in 0..8 {
            self.index += 1;
            let packet = Plain {
                payload_type: VP8,
                ssrc: self.ssrc,
                index: self.index,
                timestamp: self.timestamp(at, 90_000),
                marker: false,
                payload: Vec::new(),
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
