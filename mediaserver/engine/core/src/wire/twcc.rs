//! transport-cc feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1):
//! `Feedback` reads what a subscriber says of our packets, `ArrivalLog` remembers when a
//! publisher's packets came and writes what we say of them. No estimator, no clock.

mod log;

pub use log::ArrivalLog;

use super::Malformed;
use super::bytes::{u8_at, u16_at, u24_at};

/// Unit of arrival deltas.
pub const TICK_US: i64 = 250;
/// Unit of the reference time.
pub const REFERENCE_US: i64 = 64_000;

/// One feedback message, validated whole: iterating cannot fail.
#[derive(Clone, Copy, Debug)]
pub struct Feedback<'a> {
    /// First transport-wide sequence number reported.
    pub base: u16,
    /// How many sequence numbers are reported, received or not.
    pub count: u16,
    /// Arrival clock of the sender of the feedback, in microseconds; wraps with 24 bits of 64 ms.
    pub reference_us: i64,
    pub feedback_count: u8,
    chunks: &'a [u8],
    deltas: &'a [u8],
}

/// What became of one packet: its transport-wide sequence number and, when it was received, the
/// arrival in microseconds of the receiver's clock (same origin as `Feedback::reference_us`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    pub sequence: u16,
    pub arrival_us: Option<i64>,
}

impl<'a> Feedback<'a> {
    /// `fci` is what follows the media SSRC. A message whose chunks or deltas end early is
    /// refused.
    pub fn parse(fci: &'a [u8]) -> Result<Self, Malformed> {
        let count = u16_at(fci, 2)?;
        let body = fci.get(8..).ok_or(Malformed::Truncated)?;
        let reference = ((u24_at(fci, 4)? << 8) as i32) >> 8;
        let (chunk_words, delta_bytes) = measure(body, count)?;
        let (chunks, deltas) = body
            .split_at_checked(2 * chunk_words)
            .ok_or(Malformed::Length)?;
        Ok(Self {
            base: u16_at(fci, 0)?,
            count,
            reference_us: i64::from(reference) * REFERENCE_US,
            feedback_count: u8_at(fci, 7)?,
            chunks,
            deltas: deltas.get(..delta_bytes).ok_or(Malformed::Length)?,
        })
    }

    pub fn reports(&self) -> Reports<'a> {
        Reports {
            statuses: Statuses::new(self.chunks, self.count),
            deltas: self.deltas,
            sequence: self.base,
            clock_us: self.reference_us,
        }
    }
}

/// Number of chunks that `count` statuses take and bytes that their deltas take.
fn measure(body: &[u8], count: u16) -> Result<(usize, usize), Malformed> {
    let mut statuses = Statuses::new(body, count);
    let mut delta_bytes = 0;
    for _ in 0..count {
        delta_bytes += statuses.next().ok_or(Malformed::Truncated)?.delta_len();
    }
    Ok((statuses.chunk, delta_bytes))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Lost,
    Small,
    Large,
}

impl Status {
    fn from_bits(bits: u16) -> Self {
        match bits & 3 {
            1 => Self::Small,
            2 => Self::Large,
            // 3 is reserved; libwebrtc treats it as not received.
            _ => Self::Lost,
        }
    }

    fn delta_len(self) -> usize {
        match self {
            Self::Lost => 0,
            Self::Small => 1,
            Self::Large => 2,
        }
    }
}

/// Statuses from run-length and vector chunks.
#[derive(Clone, Debug)]
struct Statuses<'a> {
    bytes: &'a [u8],
    /// Chunks taken so far.
    chunk: usize,
    word: u16,
    /// Statuses of `word` still to give.
    left_in_chunk: u16,
    left: u16,
}

impl<'a> Statuses<'a> {
    fn new(bytes: &'a [u8], count: u16) -> Self {
        Self {
            bytes,
            chunk: 0,
            word: 0,
            left_in_chunk: 0,
            left: count,
        }
    }

    fn load(&mut self) -> Option<()> {
        self.word = u16_at(self.bytes, 2 * self.chunk).ok()?;
        self.chunk += 1;
        self.left_in_chunk = match self.word >> 14 {
            0 | 1 => self.word & 0x1FFF,
            2 => 14,
            _ => 7,
        };
        Some(())
    }
}

impl Iterator for Statuses<'_> {
    type Item = Status;

    fn next(&mut self) -> Option<Status> {
        if self.left == 0 {
            return None;
        }
        // A run of length zero is legal and useless; the walk is bounded by the message.
        while self.left_in_chunk == 0 {
            self.load()?;
        }
        self.left -= 1;
        self.left_in_chunk -= 1;
        Some(match self.word >> 14 {
            0 | 1 => Status::from_bits(self.word >> 13),
            2 => Status::from_bits((self.word >> self.left_in_chunk) & 1),
            _ => Status::from_bits(self.word >> (2 * self.left_in_chunk)),
        })
    }
}

#[derive(Clone, Debug)]
pub struct Reports<'a> {
    statuses: Statuses<'a>,
    deltas: &'a [u8],
    sequence: u16,
    clock_us: i64,
}

impl Iterator for Reports<'_> {
    type Item = Report;

    fn next(&mut self) -> Option<Report> {
        let status = self.statuses.next()?;
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let (delta, rest) = self.deltas.split_at_checked(status.delta_len())?;
        self.deltas = rest;
        let ticks = match *delta {
            [] => {
                return Some(Report {
                    sequence,
                    arrival_us: None,
                });
            }
            [small] => i64::from(small),
            [high, low, ..] => i64::from(i16::from_be_bytes([high, low])),
        };
        self.clock_us += ticks * TICK_US;
        Some(Report {
            sequence,
            arrival_us: Some(self.clock_us),
        })
    }
}
