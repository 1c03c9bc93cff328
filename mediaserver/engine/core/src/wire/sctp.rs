//! The guard before aiortc's SCTP (RFC 9260): every chunk and parameter length is checked
//! before Python sees a byte. It is not an association; it keeps no state. `py` exposes it as
//! `check_sctp`, called for each DTLS record.

use super::Malformed;
use super::bytes::{crc_table, crc_update, slice_at, u8_at, u16_at, u32_at};

const COMMON_HEADER: usize = 12;
/// DTLS over a 1,500 B path never carries more; a longer packet is not from a WebRTC peer.
pub const MAX_PACKET: usize = 2048;
/// More chunks than a 1,500 B packet of the smallest useful chunks needs.
pub const MAX_CHUNKS: usize = 256;
/// RFC 9260 allows 65,535; WebRTC peers open 1,024 or fewer, aiortc at most 65,535.
const MIN_INITIAL_WINDOW: u32 = 1500;

mod chunk {
    pub const DATA: u8 = 0;
    pub const INIT: u8 = 1;
    pub const INIT_ACK: u8 = 2;
    pub const SACK: u8 = 3;
    pub const HEARTBEAT: u8 = 4;
    pub const HEARTBEAT_ACK: u8 = 5;
    pub const ABORT: u8 = 6;
    pub const SHUTDOWN: u8 = 7;
    pub const ERROR: u8 = 9;
    pub const COOKIE_ECHO: u8 = 10;
    pub const RECONFIG: u8 = 130;
    pub const FORWARD_TSN: u8 = 192;
}

/// Why an SCTP packet must not be passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SctpError {
    #[error("{0}")]
    Malformed(#[from] Malformed),
    #[error("packet longer than {MAX_PACKET} bytes")]
    TooLong,
    #[error("wrong checksum")]
    Checksum,
    #[error("no chunk")]
    Empty,
    #[error("chunk length below 4 or outside the packet")]
    ChunkLength,
    #[error("chunk shorter than its type needs")]
    ChunkShort,
    #[error("parameter length below 4 or outside its chunk")]
    ParameterLength,
    #[error("INIT, INIT-ACK or SHUTDOWN-COMPLETE with other chunks, or INIT with a tag")]
    Bundled,
    #[error("INIT with a zero tag, no streams or a window below {MIN_INITIAL_WINDOW}")]
    Init,
    #[error("more than {MAX_CHUNKS} chunks")]
    TooManyChunks,
}

/// What a well-formed packet says, for the caller's own checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub source_port: u16,
    pub destination_port: u16,
    pub verification_tag: u32,
    pub chunks: usize,
    /// Bytes of user data in all DATA chunks.
    pub data_bytes: usize,
    /// Initiate tag of an INIT or INIT-ACK.
    pub initiate_tag: Option<u32>,
}

/// Checks one packet whole; see `SctpError` for what is refused.
pub fn check(packet: &[u8]) -> Result<Facts, SctpError> {
    if packet.len() > MAX_PACKET {
        return Err(SctpError::TooLong);
    }
    let checksum = u32_at(packet, 8)?;
    if checksum.swap_bytes() != checksum_of(packet) {
        return Err(SctpError::Checksum);
    }
    let mut facts = Facts {
        source_port: u16_at(packet, 0)?,
        destination_port: u16_at(packet, 2)?,
        verification_tag: u32_at(packet, 4)?,
        chunks: 0,
        data_bytes: 0,
        initiate_tag: None,
    };
    let mut alone = false;
    let mut rest = &packet[COMMON_HEADER..];
    while !rest.is_empty() {
        if facts.chunks == MAX_CHUNKS {
            return Err(SctpError::TooManyChunks);
        }
        let len = usize::from(u16_at(rest, 2).map_err(|_| SctpError::ChunkLength)?);
        let chunk = rest
            .get(..len)
            .filter(|_| len >= 4)
            .ok_or(SctpError::ChunkLength)?;
        check_chunk(chunk, &mut facts)?;
        alone |= matches!(chunk[0], chunk::INIT | chunk::INIT_ACK | 14);
        facts.chunks += 1;
        // The last chunk's padding may be missing (RFC 9260 section 3.2 asks receivers to cope).
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
    }
    match (facts.chunks, alone) {
        (0, _) => Err(SctpError::Empty),
        (2.., true) => Err(SctpError::Bundled),
        _ => Ok(facts),
    }
}

/// CRC-32C over the packet with its checksum field as zeros (RFC 9260 section 6.8).
pub fn checksum_of(packet: &[u8]) -> u32 {
    const TABLE: [u32; 256] = crc_table(0x82F6_3B78);
    let (before, after) = packet.split_at(packet.len().min(8));
    let state = crc_update(&TABLE, !0, before);
    let state = crc_update(&TABLE, state, &[0; 4]);
    !crc_update(&TABLE, state, after.get(4..).unwrap_or(&[]))
}

/// `chunk` is header and value, at least four bytes, without padding.
fn check_chunk(chunk: &[u8], facts: &mut Facts) -> Result<(), SctpError> {
    match chunk[0] {
        chunk::DATA => {
            // RFC 9260 section 3.3.1: a DATA chunk without user data is a protocol violation.
            need(chunk, 17)?;
            facts.data_bytes += chunk.len() - 16;
            Ok(())
        }
        chunk::INIT | chunk::INIT_ACK => check_init(chunk, facts),
        chunk::SACK => {
            need(chunk, 16)?;
            let blocks = usize::from(u16_at(chunk, 12)?) + usize::from(u16_at(chunk, 14)?);
            if chunk.len() == 16 + 4 * blocks {
                Ok(())
            } else {
                Err(SctpError::ChunkLength)
            }
        }
        chunk::HEARTBEAT | chunk::HEARTBEAT_ACK => parameters(&chunk[4..], 0),
        chunk::ABORT | chunk::ERROR => parameters(&chunk[4..], 0),
        chunk::SHUTDOWN if chunk.len() != 8 => Err(SctpError::ChunkLength),
        chunk::COOKIE_ECHO => need(chunk, 5),
        chunk::RECONFIG => check_reconfig(chunk),
        chunk::FORWARD_TSN => {
            need(chunk, 8)?;
            if chunk.len().is_multiple_of(4) {
                Ok(())
            } else {
                Err(SctpError::ChunkLength)
            }
        }
        _ => Ok(()),
    }
}

fn need(chunk: &[u8], len: usize) -> Result<(), SctpError> {
    if chunk.len() >= len {
        Ok(())
    } else {
        Err(SctpError::ChunkShort)
    }
}

fn check_init(chunk: &[u8], facts: &mut Facts) -> Result<(), SctpError> {
    need(chunk, 20)?;
    let tag = u32_at(chunk, 4)?;
    let bad_tag = chunk[0] == chunk::INIT && facts.verification_tag != 0;
    if bad_tag {
        return Err(SctpError::Bundled);
    }
    let window = u32_at(chunk, 8)?;
    if tag == 0 || window < MIN_INITIAL_WINDOW || u16_at(chunk, 12)? == 0 || u16_at(chunk, 14)? == 0
    {
        return Err(SctpError::Init);
    }
    facts.initiate_tag = Some(tag);
    parameters(&chunk[20..], 0)
}

/// RFC 6525: one or two parameters, and the stream lists inside them whole.
fn check_reconfig(chunk: &[u8]) -> Result<(), SctpError> {
    let body = &chunk[4..];
    parameters(body, 4)?;
    let mut at = 0;
    while at + 4 <= body.len() {
        let kind = u16_at(body, at)?;
        let len = usize::from(u16_at(body, at + 2)?);
        let value = slice_at(body, at, len)?;
        let (fixed, listed) = match kind {
            13 => (16, true),
            14 => (8, true),
            15 => (8, false),
            16 => (12, false),
            17 | 18 => (12, false),
            _ => (4, false),
        };
        if value.len() < fixed || (listed && (value.len() - fixed) % 2 != 0) {
            return Err(SctpError::ParameterLength);
        }
        at += len.next_multiple_of(4);
    }
    Ok(())
}

/// Walks type-length-value parameters; each length at least four (and `4 + least`) and inside.
fn parameters(mut rest: &[u8], least: usize) -> Result<(), SctpError> {
    while !rest.is_empty() {
        let len = usize::from(u16_at(rest, 2).map_err(|_| SctpError::ParameterLength)?);
        if len < 4 + least || len > rest.len() {
            return Err(SctpError::ParameterLength);
        }
        u8_at(rest, len - 1)?;
        rest = rest.get(len.next_multiple_of(4)..).unwrap_or(&[]);
    }
    Ok(())
}
