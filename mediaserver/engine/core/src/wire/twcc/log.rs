//! Arrival log of one publisher's transport-wide sequence numbers, and its feedback.

use super::{REFERENCE_US, TICK_US};
use crate::wire::bytes::Cursor;

/// Sequence numbers kept: at 5,000 packets/s and a feedback each 100 ms, eight times what is
/// needed. A jump beyond it starts a new log.
const KEPT: usize = 4096;
/// More than this in one feedback would not fit a datagram in the worst case.
const MAX_REPORTED: u16 = 400;
const NEVER: u64 = u64::MAX;

/// Remembers arrivals until they are written into a feedback. One for each transport that
/// publishes with transport-cc; 32 KB, so made when the first packet carries the extension.
pub struct ArrivalLog {
    arrivals: Box<[u64; KEPT]>,
    /// Unwrapped sequence number of the next one to report.
    next: u64,
    /// One past the highest seen; `next == end` means nothing to report.
    end: u64,
    feedback_count: u8,
}

impl Default for ArrivalLog {
    fn default() -> Self {
        Self {
            arrivals: Box::new([NEVER; KEPT]),
            next: 0,
            end: 0,
            feedback_count: 0,
        }
    }
}

impl ArrivalLog {
    /// `at_us` must not be `u64::MAX`. Duplicates keep their first arrival; a late packet that
    /// was reported lost is reported again.
    pub fn record(&mut self, sequence: u16, at_us: u64) {
        let unwrapped = self.unwrap(sequence);
        if unwrapped >= self.end {
            self.advance_to(unwrapped);
        } else if self.end - unwrapped > KEPT as u64 {
            return;
        }
        let slot = &mut self.arrivals[unwrapped as usize % KEPT];
        if *slot == NEVER {
            *slot = at_us;
            self.next = self.next.min(unwrapped);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.next == self.end
    }

    /// Writes the FCI of one feedback (`rtcp::Compound::transport_cc` frames it) and moves on.
    /// Call again while it answers `Some`. `None`: nothing to report, or no room.
    pub fn write(&mut self, out: &mut [u8]) -> Option<usize> {
        let received = self.first_received()?;
        let first = self.next;
        let reference = self.arrival(received)? as i64 / REFERENCE_US;
        let (statuses, count) = self.plan(first, reference);
        let mut cursor = Cursor::new(out);
        cursor.put_u16(first as u16);
        cursor.put_u16(count);
        cursor.put_u24((reference & 0xFF_FFFF) as u32);
        cursor.put_u8(self.feedback_count);
        put_chunks(&mut cursor, &statuses[..usize::from(count)]);
        self.put_deltas(
            &mut cursor,
            first,
            reference,
            &statuses[..usize::from(count)],
        );
        let len = cursor.finish()?;
        self.feedback_count = self.feedback_count.wrapping_add(1);
        self.next = first + u64::from(count);
        Some(len)
    }

    /// Nearest to the highest seen. The first packet starts one period above zero, so that a
    /// late one has room below.
    fn unwrap(&self, sequence: u16) -> u64 {
        if self.end == 0 {
            return (1 << 16) + u64::from(sequence);
        }
        let last = self.end - 1;
        let ahead = sequence.wrapping_sub(last as u16) as i16;
        last.wrapping_add_signed(i64::from(ahead))
    }

    fn advance_to(&mut self, unwrapped: u64) {
        if self.end == 0 || unwrapped - self.end >= KEPT as u64 {
            self.arrivals.fill(NEVER);
            self.next = unwrapped;
        } else {
            for skipped in self.end..=unwrapped {
                self.arrivals[skipped as usize % KEPT] = NEVER;
            }
        }
        self.end = unwrapped + 1;
        self.next = self.next.max(self.end.saturating_sub(KEPT as u64));
    }

    fn arrival(&self, unwrapped: u64) -> Option<u64> {
        Some(self.arrivals[unwrapped as usize % KEPT]).filter(|at| *at != NEVER)
    }

    /// What is missing before it is reported lost with it, as libwebrtc does, unless it is so much
    /// that it fills the feedback: else a loss between two feedbacks would be told by neither.
    fn first_received(&mut self) -> Option<u64> {
        let Some(received) = (self.next..self.end).find(|at| self.arrival(*at).is_some()) else {
            self.next = self.end;
            return None;
        };
        if received - self.next >= u64::from(MAX_REPORTED) / 2 {
            self.next = received;
        }
        Some(received)
    }

    /// Status symbols from `first` on, as far as one feedback reaches; ends with a received one.
    fn plan(&self, first: u64, reference: i64) -> ([u8; MAX_REPORTED as usize], u16) {
        let mut statuses = [0u8; MAX_REPORTED as usize];
        let mut clock = reference * REFERENCE_US / TICK_US;
        let mut count = 0;
        let end = self.end.min(first + u64::from(MAX_REPORTED));
        for sequence in first..end {
            let Some(at) = self.arrival(sequence) else {
                continue;
            };
            let ticks = at as i64 / TICK_US;
            let Ok(delta) = i16::try_from(ticks - clock) else {
                break;
            };
            let offset = (sequence - first) as usize;
            statuses[offset] = if (0..=255).contains(&delta) { 1 } else { 2 };
            count = offset as u16 + 1;
            clock = ticks;
        }
        (statuses, count)
    }

    fn put_deltas(&self, cursor: &mut Cursor<'_>, first: u64, reference: i64, statuses: &[u8]) {
        let mut clock = reference * REFERENCE_US / TICK_US;
        for (offset, status) in statuses.iter().enumerate() {
            let Some(at) = self.arrival(first + offset as u64).filter(|_| *status != 0) else {
                continue;
            };
            let ticks = at as i64 / TICK_US;
            let delta = ticks - clock;
            clock = ticks;
            match status {
                1 => cursor.put_u8(delta as u8),
                _ => cursor.put_u16(delta as i16 as u16),
            }
        }
    }
}

/// Run-length chunks for runs of at least seven, else vectors of seven two-bit symbols.
fn put_chunks(cursor: &mut Cursor<'_>, statuses: &[u8]) {
    let mut rest = statuses;
    while let Some(&first) = rest.first() {
        let run = rest.iter().take_while(|status| **status == first).count();
        let (word, taken) = if run >= 7 || run == rest.len() {
            ((u16::from(first) << 13) | run as u16, run)
        } else if rest.iter().take(14).all(|status| *status < 2) {
            (vector(rest, 14, 1), rest.len().min(14))
        } else {
            (vector(rest, 7, 2), rest.len().min(7))
        };
        cursor.put_u16(word);
        rest = &rest[taken..];
    }
}

/// A status vector chunk of `slots` symbols, `bits` each; missing symbols are zero.
fn vector(statuses: &[u8], slots: usize, bits: usize) -> u16 {
    let flag = if bits == 2 { 0xC000 } else { 0x8000 };
    (0..slots).fold(flag, |word, slot| {
        let status = u16::from(statuses.get(slot).copied().unwrap_or(0));
        word | (status << (bits * (slots - 1 - slot)))
    })
}
