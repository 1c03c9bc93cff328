//! RTP fixed header, CSRCs, extension block and padding (RFC 3550 section 5.1, RFC 8285).
//! `Header` holds facts and offsets, not a borrow, so the datagram can be decrypted in place
//! between parsing the header and reading the payload.

use super::Malformed;
use super::bytes::{Cursor, u16_at, u32_at};
use super::ext;

pub const FIXED_LEN: usize = 12;
/// RTX (RFC 4588) puts the original sequence number before the payload.
pub const RTX_OSN_LEN: usize = 2;

/// Facts of one RTP header. Offsets are into the datagram it was parsed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    /// The P bit. The padding itself is encrypted: read it with `payload` after decryption.
    pub padding: bool,
    pub csrc_count: u8,
    /// `None`: the X bit is clear, or the profile is neither 0xBEDE nor 0x100x.
    pub extension: Option<ext::Block>,
    /// Offset of the payload: fixed part, CSRCs and extension block.
    pub len: usize,
}

impl Header {
    /// Reads everything that SRTP leaves in the clear. A header that does not fit is refused;
    /// elements of the extension block are checked by `ext::Elements`.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        if bytes.len() < FIXED_LEN {
            return Err(Malformed::Truncated);
        }
        if bytes[0] >> 6 != 2 {
            return Err(Malformed::Version);
        }
        let csrc_count = bytes[0] & 0x0F;
        let csrc_end = FIXED_LEN + 4 * usize::from(csrc_count);
        let (extension, len) = match bytes[0] & 0x10 != 0 {
            true => read_extension_block(bytes, csrc_end)?,
            false => (None, csrc_end),
        };
        if len > bytes.len() {
            return Err(Malformed::Length);
        }
        Ok(Self {
            marker: bytes[1] & 0x80 != 0,
            payload_type: bytes[1] & 0x7F,
            sequence: u16_at(bytes, 2)?,
            timestamp: u32_at(bytes, 4)?,
            ssrc: u32_at(bytes, 8)?,
            padding: bytes[0] & 0x20 != 0,
            csrc_count,
            extension,
            len,
        })
    }

    /// The payload of a decrypted packet without its padding. A padding count of zero or one
    /// that is longer than the payload is refused (RFC 3550 section 5.1). An empty answer is
    /// valid: a packet of padding only, as senders use it to probe.
    pub fn payload<'a>(&self, decrypted: &'a [u8]) -> Result<&'a [u8], Malformed> {
        let body = decrypted.get(self.len..).ok_or(Malformed::Truncated)?;
        if !self.padding {
            return Ok(body);
        }
        match body.last() {
            Some(&count) if count > 0 && usize::from(count) <= body.len() => {
                Ok(&body[..body.len() - usize::from(count)])
            }
            _ => Err(Malformed::Padding),
        }
    }

    /// Extension elements; empty when there is no block.
    pub fn elements<'a>(&self, bytes: &'a [u8]) -> ext::Elements<'a> {
        match self.extension {
            Some(block) => ext::Elements::new(block, bytes),
            None => ext::Elements::empty(),
        }
    }
}

fn read_extension_block(bytes: &[u8], at: usize) -> Result<(Option<ext::Block>, usize), Malformed> {
    let profile = u16_at(bytes, at)?;
    let words = usize::from(u16_at(bytes, at + 2)?);
    let start = at + 4;
    let end = start + 4 * words;
    if end > bytes.len() {
        return Err(Malformed::Length);
    }
    let block = ext::Form::from_profile(profile).map(|form| ext::Block { form, start, end });
    Ok((block, end))
}

/// The original sequence number of an RTX payload and what follows it (RFC 4588 section 4).
/// `None`: shorter than two bytes. An empty rest is valid (a probe) and must not be forwarded.
pub fn split_rtx(payload: &[u8]) -> Option<(u16, &[u8])> {
    let (osn, rest) = payload.split_first_chunk::<RTX_OSN_LEN>()?;
    Some((u16::from_be_bytes(*osn), rest))
}

/// Values of the fixed header that we write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
}

/// Writes a header: fixed part at once, then extension elements, then `finish`. The P bit is
/// `srtp::Sender`'s to set, which appends the padding. CSRCs are not written.
pub struct HeaderWriter<'b> {
    cursor: Cursor<'b>,
    form: ext::Form,
    any: bool,
}

impl<'b> HeaderWriter<'b> {
    /// `form` is fixed from the start: `OneByte` unless an id above 14 or a value longer than
    /// 16 bytes (a dependency descriptor with its structure) will be written.
    pub fn new(out: &'b mut [u8], fields: &Fields, form: ext::Form) -> Self {
        let mut cursor = Cursor::new(out);
        let mut fixed = [0u8; FIXED_LEN];
        fixed[0] = 0x80;
        fixed[1] = (u8::from(fields.marker) << 7) | (fields.payload_type & 0x7F);
        fixed[2..4].copy_from_slice(&fields.sequence.to_be_bytes());
        fixed[4..8].copy_from_slice(&fields.timestamp.to_be_bytes());
        fixed[8..12].copy_from_slice(&fields.ssrc.to_be_bytes());
        cursor.put(&fixed);
        Self {
            cursor,
            form,
            any: false,
        }
    }

    /// Adds one element. What does not fit the form (see `new`) is left out: answers the
    /// offset of the value inside the header, or `None`.
    pub fn element(&mut self, id: u8, value: &[u8]) -> Option<usize> {
        if !self.form.fits(id, value.len()) {
            return None;
        }
        if !self.any {
            self.any = true;
            self.cursor.patch(0, &[0x90]);
            self.cursor.put_u16(self.form.profile());
            self.cursor.put_u16(0);
        }
        match self.form {
            ext::Form::OneByte => self.cursor.put_u8((id << 4) | (value.len() as u8 - 1)),
            ext::Form::TwoByte => self.cursor.put(&[id, value.len() as u8]),
        }
        let at = self.cursor.position();
        self.cursor.put(value);
        (!self.cursor.is_full()).then_some(at)
    }

    /// Length of the header. `None`: the buffer was too small.
    pub fn finish(mut self) -> Option<usize> {
        if self.any {
            self.cursor.zeros_to_multiple_of_4();
            let words = (self.cursor.position() - FIXED_LEN - 4) / 4;
            self.cursor
                .patch(FIXED_LEN + 2, &(words as u16).to_be_bytes());
        }
        self.cursor.finish()
    }
}
