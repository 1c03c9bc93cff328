//! RTCP compound packets (RFC 3550 section 6, RFC 4585, RFC 5104, REMB, transport-cc): an
//! iterator over what arrives, a writer for what we send. Encryption is `srtp`'s, meaning is
//! `core`'s. Unknown packet types and XR are tolerated and named, never an error.

mod write;

pub use write::{Compound, ReceptionReport, SenderInfo};

use super::Malformed;
use super::bytes::{u16_at, u24_at, u32_at, u64_at};
use super::twcc;

pub const SR: u8 = 200;
pub const RR: u8 = 201;
pub const SDES: u8 = 202;
pub const BYE: u8 = 203;
pub const APP: u8 = 204;
pub const RTPFB: u8 = 205;
pub const PSFB: u8 = 206;
pub const XR: u8 = 207;

/// One packet of a compound. Slices borrow the decrypted datagram.
#[derive(Clone, Debug)]
pub enum Packet<'a> {
    SenderReport {
        ssrc: u32,
        info: SenderInfo,
        reports: Reports<'a>,
    },
    ReceiverReport {
        ssrc: u32,
        reports: Reports<'a>,
    },
    /// Descriptions are not used (CNAMEs come from SDP): only counted.
    SourceDescription {
        chunks: u8,
    },
    Bye {
        ssrcs: Ssrcs<'a>,
    },
    Nack {
        sender: u32,
        media: u32,
        lost: Lost<'a>,
    },
    TransportCc {
        sender: u32,
        media: u32,
        feedback: twcc::Feedback<'a>,
    },
    Pli {
        sender: u32,
        media: u32,
    },
    Fir {
        sender: u32,
        entries: FirEntries<'a>,
    },
    Remb {
        sender: u32,
        bitrate: u64,
        ssrcs: Ssrcs<'a>,
    },
    ExtendedReport {
        ssrc: u32,
        blocks: ExtendedBlocks<'a>,
    },
    /// APP, other feedback formats and types that we do not use.
    Other {
        packet_type: u8,
        count: u8,
    },
}

/// Packets of a compound, in order. After an error the iterator ends.
#[derive(Clone, Debug)]
pub struct Packets<'a> {
    rest: &'a [u8],
}

impl<'a> Packets<'a> {
    pub fn new(compound: &'a [u8]) -> Self {
        Self { rest: compound }
    }

    fn split(&mut self) -> Result<Packet<'a>, Malformed> {
        let rest = std::mem::take(&mut self.rest);
        if rest.len() < 4 {
            return Err(Malformed::Truncated);
        }
        if rest[0] >> 6 != 2 {
            return Err(Malformed::Version);
        }
        let len = 4 * (usize::from(u16_at(rest, 2)?) + 1);
        let (packet, after) = rest.split_at_checked(len).ok_or(Malformed::Length)?;
        self.rest = after;
        let body = match packet[0] & 0x20 != 0 {
            true => unpad(packet)?,
            false => &packet[4..],
        };
        read(packet[0] & 0x1F, packet[1], body)
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let packet = self.split();
        if packet.is_err() {
            self.rest = &[];
        }
        Some(packet)
    }
}

fn unpad(packet: &[u8]) -> Result<&[u8], Malformed> {
    match packet.last() {
        Some(&count) if count > 0 && usize::from(count) <= packet.len() - 4 => {
            Ok(&packet[4..packet.len() - usize::from(count)])
        }
        _ => Err(Malformed::Padding),
    }
}

/// `body` is what follows the first four bytes, without padding.
fn read(count: u8, packet_type: u8, body: &[u8]) -> Result<Packet<'_>, Malformed> {
    match (packet_type, count) {
        (SR, _) => Ok(Packet::SenderReport {
            ssrc: u32_at(body, 0)?,
            info: SenderInfo {
                ntp: u64_at(body, 4)?,
                rtp: u32_at(body, 12)?,
                packets: u32_at(body, 16)?,
                octets: u32_at(body, 20)?,
            },
            reports: Reports::new(body, 24, count)?,
        }),
        (RR, _) => Ok(Packet::ReceiverReport {
            ssrc: u32_at(body, 0)?,
            reports: Reports::new(body, 4, count)?,
        }),
        (SDES, _) => Ok(Packet::SourceDescription { chunks: count }),
        (BYE, _) => {
            let len = 4 * usize::from(count);
            Ok(Packet::Bye {
                ssrcs: Ssrcs(body.get(..len).ok_or(Malformed::Length)?),
            })
        }
        (RTPFB, 1) => Ok(Packet::Nack {
            sender: u32_at(body, 0)?,
            media: u32_at(body, 4)?,
            lost: Lost(whole_words(&body[8..])?),
        }),
        (RTPFB, 15) => Ok(Packet::TransportCc {
            sender: u32_at(body, 0)?,
            media: u32_at(body, 4)?,
            feedback: twcc::Feedback::parse(&body[8..])?,
        }),
        (PSFB, 1) => Ok(Packet::Pli {
            sender: u32_at(body, 0)?,
            media: u32_at(body, 4)?,
        }),
        (PSFB, 4) => Ok(Packet::Fir {
            sender: u32_at(body, 0)?,
            entries: FirEntries::new(body)?,
        }),
        (PSFB, 15) if body.get(8..12) == Some(b"REMB") => read_remb(body),
        (XR, _) => Ok(Packet::ExtendedReport {
            ssrc: u32_at(body, 0)?,
            blocks: ExtendedBlocks(&body[4..]),
        }),
        _ => Ok(Packet::Other { packet_type, count }),
    }
}

fn whole_words(bytes: &[u8]) -> Result<&[u8], Malformed> {
    if bytes.len().is_multiple_of(4) {
        Ok(bytes)
    } else {
        Err(Malformed::Length)
    }
}

/// draft-alvestrand-rmcat-remb section 2.2.
fn read_remb(body: &[u8]) -> Result<Packet<'_>, Malformed> {
    let word = u32_at(body, 12)?;
    let count = (word >> 24) as usize;
    let exponent = (word >> 18) & 0x3F;
    let mantissa = u64::from(word & 0x3FFFF);
    let bitrate = mantissa
        .checked_shl(exponent)
        .filter(|rate| rate >> exponent == mantissa)
        .unwrap_or(u64::MAX);
    let ssrcs = body.get(16..16 + 4 * count).ok_or(Malformed::Length)?;
    Ok(Packet::Remb {
        sender: u32_at(body, 0)?,
        bitrate,
        ssrcs: Ssrcs(ssrcs),
    })
}

/// Report blocks of an SR or RR.
#[derive(Clone, Debug)]
pub struct Reports<'a>(&'a [u8]);

const REPORT_LEN: usize = 24;

impl<'a> Reports<'a> {
    fn new(body: &'a [u8], at: usize, count: u8) -> Result<Self, Malformed> {
        let end = at + REPORT_LEN * usize::from(count);
        Ok(Self(body.get(at..end).ok_or(Malformed::Length)?))
    }
}

impl Iterator for Reports<'_> {
    type Item = ReceptionReport;

    fn next(&mut self) -> Option<ReceptionReport> {
        let (block, rest) = self.0.split_at_checked(REPORT_LEN)?;
        self.0 = rest;
        // 24-bit two's complement (RFC 3550 section 6.4.1).
        let lost = u24_at(block, 5).ok()?;
        Some(ReceptionReport {
            ssrc: u32_at(block, 0).ok()?,
            fraction_lost: block[4],
            cumulative_lost: ((lost << 8) as i32) >> 8,
            highest_sequence: u32_at(block, 8).ok()?,
            jitter: u32_at(block, 12).ok()?,
            last_sr: u32_at(block, 16).ok()?,
            delay_since_last_sr: u32_at(block, 20).ok()?,
        })
    }
}

#[derive(Clone, Debug)]
pub struct Ssrcs<'a>(&'a [u8]);

impl Iterator for Ssrcs<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let (ssrc, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*ssrc))
    }
}

/// Sequence numbers of a generic NACK, expanded (RFC 4585 section 6.2.1): at most 17 for each
/// four bytes of the packet.
#[derive(Clone, Debug)]
pub struct Lost<'a>(&'a [u8]);

impl<'a> IntoIterator for Lost<'a> {
    type Item = u16;
    type IntoIter = LostIter<'a>;

    fn into_iter(self) -> LostIter<'a> {
        LostIter {
            rest: self.0,
            base: 0,
            mask: 0,
        }
    }
}

#[derive(Clone, Debug)]
pub struct LostIter<'a> {
    rest: &'a [u8],
    base: u16,
    /// Bit n: base + 1 + n is still to be reported.
    mask: u16,
}

impl Iterator for LostIter<'_> {
    type Item = u16;

    fn next(&mut self) -> Option<u16> {
        if self.mask != 0 {
            let bit = self.mask.trailing_zeros() as u16;
            self.mask &= self.mask - 1;
            return Some(self.base.wrapping_add(1 + bit));
        }
        let ([a, b, c, d], rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        self.base = u16::from_be_bytes([*a, *b]);
        self.mask = u16::from_be_bytes([*c, *d]);
        Some(self.base)
    }
}

/// (SSRC, command sequence number) of a FIR (RFC 5104 section 4.3.1).
#[derive(Clone, Debug)]
pub struct FirEntries<'a>(&'a [u8]);

impl<'a> FirEntries<'a> {
    fn new(body: &'a [u8]) -> Result<Self, Malformed> {
        let entries = body.get(8..).ok_or(Malformed::Truncated)?;
        if entries.len() % 8 == 0 {
            Ok(Self(entries))
        } else {
            Err(Malformed::Length)
        }
    }
}

impl Iterator for FirEntries<'_> {
    type Item = (u32, u8);

    fn next(&mut self) -> Option<(u32, u8)> {
        let (entry, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some((u32_at(entry, 0).ok()?, entry[4]))
    }
}

/// What we read of an XR (RFC 3611): the receiver's reference time and its answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtendedBlock {
    ReceiverReferenceTime { ntp: u64 },
    DelaySinceLast { ssrc: u32, last_rr: u32, delay: u32 },
    Other(u8),
}

/// Blocks of an XR; ends silently at one that overruns. Only the first sub-block of a DLRR
/// block is read.
#[derive(Clone, Debug)]
pub struct ExtendedBlocks<'a>(&'a [u8]);

impl Iterator for ExtendedBlocks<'_> {
    type Item = ExtendedBlock;

    fn next(&mut self) -> Option<ExtendedBlock> {
        let kind = *self.0.first()?;
        let len = 4 + 4 * usize::from(u16_at(self.0, 2).ok()?);
        let (block, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(match (kind, block.len()) {
            (4, 12) => ExtendedBlock::ReceiverReferenceTime {
                ntp: u64_at(block, 4).ok()?,
            },
            (5, 16..) => ExtendedBlock::DelaySinceLast {
                ssrc: u32_at(block, 4).ok()?,
                last_rr: u32_at(block, 8).ok()?,
                delay: u32_at(block, 12).ok()?,
            },
            _ => ExtendedBlock::Other(kind),
        })
    }
}
