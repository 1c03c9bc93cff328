//! STUN (RFC 8489) as ICE (RFC 8445) uses it: binding messages only. Parsing borrows the
//! datagram; writing fills a caller's buffer. No agent, no retransmission: `ice` drives it. Long
//! because reading, checking and writing share the attributes' numbers and layout.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ring::hmac;

use super::Malformed;
use super::bytes::{Cursor, array_at, slice_at, u16_at, u32_at, u64_at};

pub const MAGIC_COOKIE: u32 = 0x2112_A442;
pub const HEADER_LEN: usize = 20;
pub const METHOD_BINDING: u16 = 0x001;

/// Enough for every message written here: 20 + addresses, 2 KiB usernames excluded.
pub const MAX_MESSAGE: usize = 1280;

const FINGERPRINT_XOR: u32 = 0x5354_554e;
const INTEGRITY_LEN: usize = 20;

mod attr {
    pub const USERNAME: u16 = 0x0006;
    pub const MESSAGE_INTEGRITY: u16 = 0x0008;
    pub const ERROR_CODE: u16 = 0x0009;
    pub const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
    pub const XOR_MAPPED_ADDRESS: u16 = 0x0020;
    pub const PRIORITY: u16 = 0x0024;
    pub const USE_CANDIDATE: u16 = 0x0025;
    pub const SOFTWARE: u16 = 0x8022;
    pub const FINGERPRINT: u16 = 0x8028;
    pub const ICE_CONTROLLED: u16 = 0x8029;
    pub const ICE_CONTROLLING: u16 = 0x802A;
    /// libwebrtc's renomination (draft-thatcher-ice-renomination).
    pub const NOMINATION: u16 = 0xC001;
    /// Comprehension-required attributes that need no action from an ICE-lite agent.
    pub const TOLERATED: [u16; 7] = [0x0001, 0x0014, 0x0015, 0x0019, 0x001C, 0x001D, 0x001E];
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Request,
    Indication,
    Success,
    Error,
}

pub type TransactionId = [u8; 12];

/// The integrity of a message does not match, or is absent where it is required.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("message integrity is missing or wrong")]
pub struct BadIntegrity;

/// The HMAC key of short-term credentials (RFC 8489 section 9.1): the password itself.
#[derive(Clone)]
pub struct IntegrityKey(hmac::Key);

impl IntegrityKey {
    pub fn new(password: &[u8]) -> Self {
        Self(hmac::Key::new(
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            password,
        ))
    }
}

/// Which end of an ICE session the sender claims to be, with its tie-breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Controlling(u64),
    Controlled(u64),
}

/// A parsed message. Attributes after MESSAGE-INTEGRITY are ignored (RFC 8489 section 14.5),
/// so what is here is what the integrity covers, once `check_integrity` has passed.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    pub class: Class,
    pub method: u16,
    pub transaction: TransactionId,
    pub username: Option<&'a [u8]>,
    pub priority: Option<u32>,
    pub use_candidate: bool,
    pub nomination: Option<u32>,
    pub role: Option<Role>,
    pub mapped: Option<SocketAddr>,
    pub error_code: Option<u16>,
    /// A FINGERPRINT was there, and right (a wrong one is `Malformed::Checksum`).
    pub fingerprint: bool,
    /// First comprehension-required attribute that we do not know: answer a request with 420.
    pub unknown_required: Option<u16>,
    integrity_at: Option<usize>,
}

/// Quick test by length, leading bits and cookie; the rest is `Message::parse`'s.
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER_LEN
        && datagram[0] & 0xC0 == 0
        && datagram[4..8] == MAGIC_COOKIE.to_be_bytes()
        && usize::from(u16::from_be_bytes([datagram[2], datagram[3]])) + HEADER_LEN
            == datagram.len()
}

impl<'a> Message<'a> {
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        if !is_stun(bytes) {
            return Err(Malformed::Version);
        }
        if !bytes.len().is_multiple_of(4) {
            return Err(Malformed::Length);
        }
        let kind = u16_at(bytes, 0)?;
        let mut message = Self {
            bytes,
            class: class_of(kind),
            method: (kind & 0x000F) | ((kind & 0x00E0) >> 1) | ((kind & 0x3E00) >> 2),
            transaction: array_at(bytes, 8)?,
            username: None,
            priority: None,
            use_candidate: false,
            nomination: None,
            role: None,
            mapped: None,
            error_code: None,
            fingerprint: false,
            unknown_required: None,
            integrity_at: None,
        };
        message.read_attributes()?;
        Ok(message)
    }

    /// `LOCAL:REMOTE` of an ICE username, split at its first colon (RFC 8445 section 7.2.2).
    pub fn username_parts(&self) -> Option<(&'a [u8], &'a [u8])> {
        let name = self.username?;
        let colon = name.iter().position(|byte| *byte == b':')?;
        Some((&name[..colon], &name[colon + 1..]))
    }

    /// RFC 8489 section 14.5; the comparison takes the same time wherever the tags differ.
    pub fn check_integrity(&self, key: &IntegrityKey) -> Result<(), BadIntegrity> {
        let at = self.integrity_at.ok_or(BadIntegrity)?;
        let tag = &self.bytes[at + 4..at + 4 + INTEGRITY_LEN];
        let computed = integrity(key, &self.bytes[..at]);
        let difference = computed
            .as_ref()
            .iter()
            .zip(tag)
            .fold(0u8, |acc, (a, b)| acc | (a ^ b));
        if std::hint::black_box(difference) == 0 {
            Ok(())
        } else {
            Err(BadIntegrity)
        }
    }

    fn read_attributes(&mut self) -> Result<(), Malformed> {
        let mut at = HEADER_LEN;
        while at < self.bytes.len() {
            if self.fingerprint {
                return Err(Malformed::Value);
            }
            let kind = u16_at(self.bytes, at)?;
            let len = usize::from(u16_at(self.bytes, at + 2)?);
            let value = slice_at(self.bytes, at + 4, len)?;
            match kind {
                attr::FINGERPRINT => self.read_fingerprint(at, value)?,
                _ if self.integrity_at.is_some() => {}
                _ => self.read_attribute(kind, at, value)?,
            }
            at += 4 + len.next_multiple_of(4);
        }
        if at == self.bytes.len() {
            Ok(())
        } else {
            Err(Malformed::Length)
        }
    }

    fn read_attribute(&mut self, kind: u16, at: usize, value: &'a [u8]) -> Result<(), Malformed> {
        match kind {
            attr::USERNAME if value.len() > 513 => return Err(Malformed::Length),
            attr::USERNAME => self.username = Some(value),
            attr::MESSAGE_INTEGRITY if value.len() != INTEGRITY_LEN => {
                return Err(Malformed::Length);
            }
            attr::MESSAGE_INTEGRITY => self.integrity_at = Some(at),
            attr::PRIORITY => self.priority = Some(u32_at(value, 0)?),
            attr::USE_CANDIDATE => self.use_candidate = true,
            attr::NOMINATION => self.nomination = Some(u32_at(value, 0)?),
            attr::ICE_CONTROLLING => self.role = Some(Role::Controlling(u64_at(value, 0)?)),
            attr::ICE_CONTROLLED => self.role = Some(Role::Controlled(u64_at(value, 0)?)),
            attr::XOR_MAPPED_ADDRESS => self.mapped = Some(read_address(value, &self.transaction)?),
            attr::ERROR_CODE => self.error_code = Some(read_error_code(value)?),
            attr::UNKNOWN_ATTRIBUTES => {}
            other if other < 0x8000 && !attr::TOLERATED.contains(&other) => {
                self.unknown_required.get_or_insert(other);
            }
            _ => {}
        }
        Ok(())
    }

    fn read_fingerprint(&mut self, at: usize, value: &[u8]) -> Result<(), Malformed> {
        if value.len() != 4 {
            return Err(Malformed::Length);
        }
        if u32_at(value, 0)? != crc32(&self.bytes[..at]) ^ FINGERPRINT_XOR {
            return Err(Malformed::Checksum);
        }
        self.fingerprint = true;
        Ok(())
    }
}

fn class_of(kind: u16) -> Class {
    match (kind & 0x0100 != 0, kind & 0x0010 != 0) {
        (false, false) => Class::Request,
        (false, true) => Class::Indication,
        (true, false) => Class::Success,
        (true, true) => Class::Error,
    }
}

fn read_error_code(value: &[u8]) -> Result<u16, Malformed> {
    let class = u16::from(value.get(2).copied().ok_or(Malformed::Truncated)? & 0x07);
    let number = u16::from(value.get(3).copied().ok_or(Malformed::Truncated)?);
    if !(3..=6).contains(&class) || number > 99 {
        return Err(Malformed::Value);
    }
    Ok(class * 100 + number)
}

/// RFC 8489 section 14.2.
fn read_address(value: &[u8], transaction: &TransactionId) -> Result<SocketAddr, Malformed> {
    let port = u16_at(value, 2)? ^ (MAGIC_COOKIE >> 16) as u16;
    let ip = match (value.get(1), value.len()) {
        (Some(1), 8) => IpAddr::V4(Ipv4Addr::from(u32_at(value, 4)? ^ MAGIC_COOKIE)),
        (Some(2), 20) => {
            let plain = u128::from_be_bytes(array_at(value, 4)?) ^ address_mask(transaction);
            IpAddr::V6(Ipv6Addr::from(plain))
        }
        _ => return Err(Malformed::Value),
    };
    Ok(SocketAddr::new(ip, port))
}

fn address_mask(transaction: &TransactionId) -> u128 {
    let mut mask = [0u8; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    mask[4..].copy_from_slice(transaction);
    u128::from_be_bytes(mask)
}

/// HMAC-SHA1 over the message up to its integrity attribute, with the header's length field
/// as if the message ended with that attribute.
fn integrity(key: &IntegrityKey, before: &[u8]) -> hmac::Tag {
    let len = (before.len() - HEADER_LEN + 4 + INTEGRITY_LEN) as u16;
    let mut context = hmac::Context::with_key(&key.0);
    context.update(&before[..2]);
    context.update(&len.to_be_bytes());
    context.update(&before[4..]);
    context.sign()
}

/// What a request that we send carries.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub transaction: TransactionId,
    /// `REMOTE:LOCAL` from the point of view of the sender.
    pub username: &'a str,
    pub priority: u32,
    pub role: Role,
    pub use_candidate: bool,
}

/// A binding request with integrity and fingerprint. `None`: `out` is too small.
pub fn write_request(out: &mut [u8], request: &Request<'_>, key: &IntegrityKey) -> Option<usize> {
    let mut writer = Writer::new(out, Class::Request, &request.transaction);
    writer.attribute(attr::USERNAME, request.username.as_bytes());
    writer.attribute(attr::PRIORITY, &request.priority.to_be_bytes());
    match request.role {
        Role::Controlling(tie) => writer.attribute(attr::ICE_CONTROLLING, &tie.to_be_bytes()),
        Role::Controlled(tie) => writer.attribute(attr::ICE_CONTROLLED, &tie.to_be_bytes()),
    }
    if request.use_candidate {
        writer.attribute(attr::USE_CANDIDATE, &[]);
    }
    writer.integrity(key);
    writer.fingerprint()
}

/// The answer to a binding request: the address it was seen from. `None`: `out` is too small.
pub fn write_success(
    out: &mut [u8],
    transaction: &TransactionId,
    from: SocketAddr,
    key: &IntegrityKey,
) -> Option<usize> {
    let mut writer = Writer::new(out, Class::Success, transaction);
    let (value, len) = xor_address(from, transaction);
    writer.attribute(attr::XOR_MAPPED_ADDRESS, &value[..len]);
    writer.integrity(key);
    writer.fingerprint()
}

/// An error response; `unknown` goes into UNKNOWN-ATTRIBUTES (code 420). Without a key when
/// the request could not be authenticated (RFC 8489 section 9.1.3). `None`: `out` is too small.
pub fn write_error(
    out: &mut [u8],
    transaction: &TransactionId,
    code: u16,
    unknown: Option<u16>,
    key: Option<&IntegrityKey>,
) -> Option<usize> {
    let mut writer = Writer::new(out, Class::Error, transaction);
    writer.attribute(
        attr::ERROR_CODE,
        &[0, 0, (code / 100) as u8, (code % 100) as u8],
    );
    if let Some(kind) = unknown {
        writer.attribute(attr::UNKNOWN_ATTRIBUTES, &kind.to_be_bytes());
    }
    if let Some(key) = key {
        writer.integrity(key);
    }
    writer.fingerprint()
}

fn xor_address(address: SocketAddr, transaction: &TransactionId) -> ([u8; 20], usize) {
    let mut value = [0u8; 20];
    value[2..4].copy_from_slice(&(address.port() ^ (MAGIC_COOKIE >> 16) as u16).to_be_bytes());
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => {
            value[1] = 1;
            value[4..8].copy_from_slice(&(u32::from(ip) ^ MAGIC_COOKIE).to_be_bytes());
            (value, 8)
        }
        IpAddr::V6(ip) => {
            value[1] = 2;
            value[4..20]
                .copy_from_slice(&(u128::from(ip) ^ address_mask(transaction)).to_be_bytes());
            (value, 20)
        }
    }
}

/// Writes one message attribute by attribute; the header's length follows at each step.
pub struct Writer<'b>(Cursor<'b>);

impl<'b> Writer<'b> {
    pub fn new(out: &'b mut [u8], class: Class, transaction: &TransactionId) -> Self {
        let bits = match class {
            Class::Request => 0x0000,
            Class::Indication => 0x0010,
            Class::Success => 0x0100,
            Class::Error => 0x0110,
        };
        let mut cursor = Cursor::new(out);
        cursor.put_u16(METHOD_BINDING | bits);
        cursor.put_u16(0);
        cursor.put_u32(MAGIC_COOKIE);
        cursor.put(transaction);
        Self(cursor)
    }

    pub fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.0.put_u16(kind);
        self.0.put_u16(value.len() as u16);
        self.0.put(value);
        self.0.zeros_to_multiple_of_4();
        self.set_length(0);
    }

    pub fn software(&mut self, name: &str) {
        self.attribute(attr::SOFTWARE, name.as_bytes());
    }

    pub fn integrity(&mut self, key: &IntegrityKey) {
        if self.0.is_full() {
            return;
        }
        let tag = integrity(key, self.0.written());
        self.attribute(attr::MESSAGE_INTEGRITY, tag.as_ref());
    }

    /// The last attribute; ends the message.
    pub fn fingerprint(mut self) -> Option<usize> {
        self.set_length(8);
        let crc = crc32(self.0.written()) ^ FINGERPRINT_XOR;
        self.attribute(attr::FINGERPRINT, &crc.to_be_bytes());
        self.finish()
    }

    pub fn finish(self) -> Option<usize> {
        self.0.finish()
    }

    fn set_length(&mut self, ahead: usize) {
        let len = self.0.position().saturating_sub(HEADER_LEN) + ahead;
        self.0.patch(2, &(len as u16).to_be_bytes());
    }
}

/// CRC-32 of ISO 3309, as FINGERPRINT asks (RFC 8489 section 14.7).
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = super::bytes::crc_table(0xEDB8_8320);
    super::bytes::crc(&TABLE, bytes)
}
