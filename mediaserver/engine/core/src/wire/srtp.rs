//! SRTP and SRTCP: AEAD_AES_128_GCM and AEAD_AES_256_GCM (RFC 7714), AES_CM_128_HMAC_SHA1_80
//! (RFC 3711). Key schedules are made once per direction; per packet nothing is allocated.
//! `Sender` keeps no per-stream state (its caller numbers packets), `Receiver` keeps the
//! rollover counter and replay window of each SSRC. `transport` owns both.

mod cipher;
mod replay;

pub use cipher::{Profile, SrtpError};
pub use replay::{ReplayWindow, estimate_index};

use std::collections::HashMap;

use cipher::{Direction, RTCP_HEADER, SRTCP_INDEX_LEN};

use super::rtp;

/// An authenticated SSRC costs about 300 B; more than this on one transport is an attack.
pub const MAX_STREAMS: usize = 1024;

/// Protects what we send. `&self` for RTP, so many streams share it.
pub struct Sender {
    keys: Direction,
    rtcp_index: u32,
}

impl Sender {
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        Ok(Self {
            keys: Direction::new(profile, key, salt)?,
            rtcp_index: 0,
        })
    }

    pub fn profile(&self) -> Profile {
        self.keys.profile()
    }

    /// What `protect_rtp` reads, for whoever wants it in the cache.
    pub fn for_rtp(&self) -> &impl Sized {
        self.keys.for_rtp()
    }

    /// Writes header, payload, `padding` bytes of padding and tag into `out`; answers the length.
    /// `index` is the 48-bit packet index, rollover counter << 16 | sequence number, and its low
    /// half must be the header's sequence number. `padding` > 0 sets the P bit in the copy.
    /// Needs `header + payload + padding + profile().rtp_overhead()` bytes of `out`.
    pub fn protect_rtp(
        &self,
        index: u64,
        header: &[u8],
        payload: &[u8],
        padding: u8,
        out: &mut [u8],
    ) -> Result<usize, SrtpError> {
        let plain = header.len() + payload.len() + usize::from(padding);
        if header.len() < rtp::FIXED_LEN || out.len() < plain + self.profile().rtp_overhead() {
            return Err(SrtpError::Short);
        }
        out[..header.len()].copy_from_slice(header);
        out[header.len()..header.len() + payload.len()].copy_from_slice(payload);
        self.protect_rtp_in_place(index, out, header.len(), payload.len(), padding)
    }

    /// The same when header and payload lie in `out` already (a payload with patched bytes).
    pub fn protect_rtp_in_place(
        &self,
        index: u64,
        out: &mut [u8],
        header_len: usize,
        payload_len: usize,
        padding: u8,
    ) -> Result<usize, SrtpError> {
        let body_end = header_len + payload_len;
        let plain = body_end + usize::from(padding);
        let total = plain + self.profile().rtp_overhead();
        if header_len < rtp::FIXED_LEN || out.len() < total {
            return Err(SrtpError::Short);
        }
        if padding > 0 {
            out[0] |= 0x20;
            out[body_end..plain].fill(0);
            out[plain - 1] = padding;
        }
        self.keys.seal_rtp(index, &mut out[..total], header_len);
        Ok(total)
    }

    /// Protects a compound packet; each call uses the next SRTCP index.
    pub fn protect_rtcp(&mut self, compound: &[u8], out: &mut [u8]) -> Result<usize, SrtpError> {
        let total = compound.len() + self.profile().rtcp_overhead();
        if compound.len() < RTCP_HEADER || out.len() < total {
            return Err(SrtpError::Short);
        }
        if self.rtcp_index > cipher::MAX_RTCP_INDEX {
            return Err(SrtpError::Exhausted);
        }
        out[..compound.len()].copy_from_slice(compound);
        self.keys
            .seal_rtcp(self.rtcp_index, &mut out[..total], compound.len());
        self.rtcp_index += 1;
        Ok(total)
    }
}

/// One authenticated RTP packet. `header` is what `rtp::Header::parse` reads from it.
#[derive(Clone, Copy, Debug)]
pub struct Unprotected {
    pub header: rtp::Header,
    /// Extended packet index: rollover counter << 16 | sequence number.
    pub index: u64,
    /// Length of the decrypted packet, header and padding included.
    pub len: usize,
}

#[derive(Default)]
struct Stream {
    ssrc: u32,
    rtp: Option<ReplayWindow>,
    rtcp: Option<ReplayWindow>,
}

/// Unprotects what we receive, in place. State for an SSRC is made only by a packet that
/// authenticates, at most `MAX_STREAMS`; `forget` releases one.
pub struct Receiver {
    keys: Direction,
    streams: Vec<Stream>,
    by_ssrc: HashMap<u32, usize>,
    last: usize,
}

impl Receiver {
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<Self, SrtpError> {
        Ok(Self {
            keys: Direction::new(profile, key, salt)?,
            streams: Vec::new(),
            by_ssrc: HashMap::new(),
            last: 0,
        })
    }

    pub fn profile(&self) -> Profile {
        self.keys.profile()
    }

    /// Replays, unauthentic and malformed packets are refused, and change nothing.
    pub fn unprotect_rtp(&mut self, packet: &mut [u8]) -> Result<Unprotected, SrtpError> {
        let header = rtp::Header::parse(packet)?;
        let slot = self.find(header.ssrc);
        let window = slot.and_then(|slot| self.streams[slot].rtp.as_ref());
        let index = match window {
            Some(window) => estimate_index(window.highest(), header.sequence),
            None => u64::from(header.sequence),
        };
        if window.is_some_and(|window| window.seen(index)) {
            return Err(SrtpError::Replay);
        }
        if slot.is_none() && self.streams.len() >= MAX_STREAMS {
            return Err(SrtpError::TooManyStreams);
        }
        let len = self.keys.open_rtp(index, packet, header.len, header.ssrc)?;
        self.stream(slot, header.ssrc)
            .rtp
            .get_or_insert_with(ReplayWindow::default)
            .record(index);
        Ok(Unprotected { header, index, len })
    }

    /// Answers the length of the decrypted compound packet at the start of `packet`.
    pub fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Result<usize, SrtpError> {
        if packet.len() < RTCP_HEADER + self.profile().rtcp_overhead() {
            return Err(SrtpError::Short);
        }
        let ssrc = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        let index = self.keys.rtcp_index(packet)?;
        let slot = self.find(ssrc);
        let window = slot.and_then(|slot| self.streams[slot].rtcp.as_ref());
        if window.is_some_and(|window| window.seen(u64::from(index))) {
            return Err(SrtpError::Replay);
        }
        if slot.is_none() && self.streams.len() >= MAX_STREAMS {
            return Err(SrtpError::TooManyStreams);
        }
        let len = self.keys.open_rtcp(packet, ssrc)?;
        self.stream(slot, ssrc)
            .rtcp
            .get_or_insert_with(ReplayWindow::default)
            .record(u64::from(index));
        Ok(len)
    }

    /// Releases an SSRC's state. Its old packets would be accepted again: call it only when
    /// nothing is bound to the SSRC any more.
    pub fn forget(&mut self, ssrc: u32) {
        let Some(slot) = self.by_ssrc.remove(&ssrc) else {
            return;
        };
        self.streams.swap_remove(slot);
        if let Some(moved) = self.streams.get(slot) {
            self.by_ssrc.insert(moved.ssrc, slot);
        }
    }

    fn find(&mut self, ssrc: u32) -> Option<usize> {
        if self
            .streams
            .get(self.last)
            .is_some_and(|stream| stream.ssrc == ssrc)
        {
            return Some(self.last);
        }
        let slot = *self.by_ssrc.get(&ssrc)?;
        self.last = slot;
        Some(slot)
    }

    fn stream(&mut self, slot: Option<usize>, ssrc: u32) -> &mut Stream {
        let slot = slot.unwrap_or_else(|| {
            self.streams.push(Stream {
                ssrc,
                ..Stream::default()
            });
            self.by_ssrc.insert(ssrc, self.streams.len() - 1);
            self.streams.len() - 1
        });
        &mut self.streams[slot]
    }
}

const _: () = assert!(SRTCP_INDEX_LEN == 4);
