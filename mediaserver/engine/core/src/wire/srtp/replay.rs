//! Packet index estimation and replay window (RFC 3711 sections 3.3.1 and 3.3.2).

/// Packets that may arrive this much late; older ones are refused as replays.
pub const WINDOW: u64 = 1024;
const WORDS: usize = (WINDOW / 64) as usize;

/// Which of the last 1,024 indices were seen, as a ring of bits. Indices are 48-bit for RTP,
/// 31-bit for RTCP.
#[derive(Clone, Default)]
pub struct ReplayWindow {
    highest: Option<u64>,
    bits: [u64; WORDS],
}

impl ReplayWindow {
    /// The highest index recorded; 0 before the first.
    pub fn highest(&self) -> u64 {
        self.highest.unwrap_or(0)
    }

    /// Seen before, or too old to tell.
    pub fn seen(&self, index: u64) -> bool {
        match self.highest {
            None => false,
            Some(highest) if index > highest => false,
            Some(highest) if highest - index >= WINDOW => true,
            Some(_) => self.bits[word(index)] & bit(index) != 0,
        }
    }

    /// Only for an index that authenticated.
    pub fn record(&mut self, index: u64) {
        let highest = self.highest.unwrap_or(index);
        if index > highest {
            self.clear_between(highest, index);
        }
        if self.highest.is_none() || index > highest {
            self.highest = Some(index);
        }
        if highest.saturating_sub(index) < WINDOW {
            self.bits[word(index)] |= bit(index);
        }
    }

    fn clear_between(&mut self, highest: u64, index: u64) {
        if index - highest >= WINDOW {
            self.bits = [0; WORDS];
            return;
        }
        for passed in highest + 1..=index {
            self.bits[word(passed)] &= !bit(passed);
        }
    }
}

fn word(index: u64) -> usize {
    ((index / 64) % WORDS as u64) as usize
}

fn bit(index: u64) -> u64 {
    1 << (index % 64)
}

/// The 48-bit index nearest to `highest` whose low half is `sequence`.
pub fn estimate_index(highest: u64, sequence: u16) -> u64 {
    let rollover = highest >> 16;
    let last = highest & 0xFFFF;
    let sequence = u64::from(sequence);
    let rollover = if last < 0x8000 && sequence > last + 0x8000 {
        // Before the first rollover there is no earlier one: the packet is a late start.
        match rollover.checked_sub(1) {
            Some(earlier) => earlier,
            None => return sequence,
        }
    } else if last >= 0x8000 && sequence < last - 0x8000 {
        rollover + 1
    } else {
        rollover
    };
    (rollover << 16) | sequence
}
