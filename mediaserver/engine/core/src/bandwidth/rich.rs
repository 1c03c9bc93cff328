//! Whether redundant audio (RFC 2198) gets more redundancy than its publisher gave it. Native
//! clients repeat one frame, so two packets lost in a row are a gap: one frame in eleven at 30 %
//! loss. One more block makes it one in 37, two make it one in 123.

use crate::bandwidth::Bandwidth;
use crate::time::Time;

/// Loss from which one block is added, and two.
const LOSSY: f64 = 0.08;
const BAD: f64 = 0.16;
/// Below this all goes again as the publisher sent it.
const CLEAN: f64 = 0.04;

#[derive(Clone, Copy, Debug, Default)]
pub struct Rich {
    blocks: u8,
}

impl Rich {
    /// Blocks to add. `audio` with and without its publisher's redundancy, `low` what the smallest
    /// pictures need (bit/s): more redundancy never takes what these need.
    pub fn judge(&mut self, now: Time, bandwidth: &Bandwidth, audio: (u64, u64), low: u64) -> u8 {
        let (whole, lean) = audio;
        let loss = bandwidth.loss();
        let wanted = match self.blocks {
            _ if loss >= BAD => 2,
            blocks if loss >= LOSSY => blocks.max(1),
            blocks if loss >= CLEAN => blocks,
            _ => 0,
        };
        let room = bandwidth
            .estimate()
            .filter(|_| bandwidth.is_limited(now))
            .map_or(u64::MAX, |estimate| estimate.saturating_sub(whole + low));
        let each = whole.saturating_sub(lean);
        self.blocks = (0..=wanted)
            .rev()
            .find(|blocks| u64::from(*blocks) * each <= room)
            .unwrap_or(0);
        self.blocks
    }
}
