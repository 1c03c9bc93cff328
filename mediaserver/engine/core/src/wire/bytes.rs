//! Bounded reads, writes and bit reads over slices: the only place where wire code indexes.
//! A read outside answers `Malformed::Truncated`; a write outside marks the cursor as full.

use super::Malformed;

pub fn u8_at(bytes: &[u8], at: usize) -> Result<u8, Malformed> {
    bytes.get(at).copied().ok_or(Malformed::Truncated)
}

pub fn u16_at(bytes: &[u8], at: usize) -> Result<u16, Malformed> {
    array_at(bytes, at).map(u16::from_be_bytes)
}

pub fn u24_at(bytes: &[u8], at: usize) -> Result<u32, Malformed> {
    let [a, b, c] = array_at(bytes, at)?;
    Ok(u32::from_be_bytes([0, a, b, c]))
}

pub fn u32_at(bytes: &[u8], at: usize) -> Result<u32, Malformed> {
    array_at(bytes, at).map(u32::from_be_bytes)
}

pub fn u64_at(bytes: &[u8], at: usize) -> Result<u64, Malformed> {
    array_at(bytes, at).map(u64::from_be_bytes)
}

pub fn array_at<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N], Malformed> {
    at.checked_add(N)
        .and_then(|end| bytes.get(at..end))
        .and_then(|part| part.try_into().ok())
        .ok_or(Malformed::Truncated)
}

pub fn slice_at(bytes: &[u8], at: usize, len: usize) -> Result<&[u8], Malformed> {
    at.checked_add(len)
        .and_then(|end| bytes.get(at..end))
        .ok_or(Malformed::Length)
}

/// Writes forward into a borrowed buffer. Once something did not fit, nothing more is written
/// and `finish` answers `None`, so a writer needs one check, at its end.
pub struct Cursor<'b> {
    out: &'b mut [u8],
    at: usize,
    full: bool,
}

impl<'b> Cursor<'b> {
    pub fn new(out: &'b mut [u8]) -> Self {
        Self {
            out,
            at: 0,
            full: false,
        }
    }

    pub fn position(&self) -> usize {
        self.at
    }

    pub fn is_full(&self) -> bool {
        self.full
    }

    pub fn put(&mut self, bytes: &[u8]) {
        match self.out.get_mut(self.at..self.at + bytes.len()) {
            Some(target) if !self.full => {
                target.copy_from_slice(bytes);
                self.at += bytes.len();
            }
            _ => self.full = true,
        }
    }

    pub fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    pub fn put_u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    pub fn put_u24(&mut self, value: u32) {
        let [_, a, b, c] = value.to_be_bytes();
        self.put(&[a, b, c]);
    }

    pub fn put_u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    pub fn put_u64(&mut self, value: u64) {
        self.put(&value.to_be_bytes());
    }

    pub fn zeros_to_multiple_of_4(&mut self) {
        while !self.at.is_multiple_of(4) && !self.full {
            self.put_u8(0);
        }
    }

    /// Overwrites what was written before, for length fields known late.
    pub fn patch(&mut self, at: usize, bytes: &[u8]) {
        if at + bytes.len() <= self.at {
            self.out[at..at + bytes.len()].copy_from_slice(bytes);
        }
    }

    /// Forgets what was written from `at` on, and that it did not fit.
    pub fn rewind(&mut self, at: usize) {
        self.at = at.min(self.at);
        self.full = false;
    }

    pub fn written(&self) -> &[u8] {
        &self.out[..self.at]
    }

    pub fn finish(self) -> Option<usize> {
        (!self.full).then_some(self.at)
    }
}

/// Reads bits from the most significant on.
#[derive(Clone)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Position in bits.
    pub fn position(&self) -> usize {
        self.at
    }

    pub fn flag(&mut self) -> Result<bool, Malformed> {
        Ok(self.take(1)? == 1)
    }

    /// The next `count` bits, at most 32.
    pub fn take(&mut self, count: u32) -> Result<u32, Malformed> {
        let mut value = 0u32;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or(Malformed::Truncated)?;
            let bit = (byte >> (7 - self.at % 8)) & 1;
            value = (value << 1) | u32::from(bit);
            self.at += 1;
        }
        Ok(value)
    }

    /// `ns(n)` of the AV1 specification, section 4.10.7: a value below `n`.
    pub fn non_symmetric(&mut self, n: u32) -> Result<u32, Malformed> {
        if n <= 1 {
            return Ok(0);
        }
        let width = 32 - n.leading_zeros();
        let short = (1u64 << width) - u64::from(n);
        let value = self.take(width - 1)?;
        if u64::from(value) < short {
            return Ok(value);
        }
        let extra = self.take(1)?;
        u32::try_from((u64::from(value) << 1) + u64::from(extra) - short)
            .map_err(|_| Malformed::Value)
    }
}

/// The table of a reflected CRC-32 polynomial, made at compile time.
pub const fn crc_table(polynomial: u32) -> [u32; 256] {
    let mut table = [0u32; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                (value >> 1) ^ polynomial
            } else {
                value >> 1
            };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

pub fn crc(table: &[u32; 256], bytes: &[u8]) -> u32 {
    !crc_update(table, !0, bytes)
}

/// One more part of a CRC that is computed over several slices; starts from `!0`.
pub fn crc_update(table: &[u32; 256], state: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(state, |crc, byte| {
        (crc >> 8) ^ table[((crc ^ u32::from(*byte)) & 0xFF) as usize]
    })
}
