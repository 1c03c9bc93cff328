//! Whether redundant audio (RFC 2198) goes without its redundancy. Redundancy repairs loss; on a
//! path that loses nothing but is narrow it takes from video what video needs to keep all frames of
//! its smallest picture, and fills the queue whose overflow would lose audio.

use crate::bandwidth::Bandwidth;
use crate::time::{SECONDS, Time};

/// A path that by itself loses this much needs the redundancy. What a full queue drops comes back
/// when less is sent.
const LOSSY: f64 = 0.05;
/// It comes back when there is room for it and this much more for video, and stays away at first
/// this long; twice as long after each time that it came back for nothing.
const ROOM: (u64, u64) = (115, 100);
const PAUSES: (u64, u64) = (4 * SECONDS, 32 * SECONDS);
const RELAPSE: u64 = 10 * SECONDS;

#[derive(Clone, Copy, Debug, Default)]
pub struct Lean {
    on: bool,
    changed: Time,
    pause: u64,
}

impl Lean {
    /// `audio` with and without redundancy, `low` what the smallest pictures need (bit/s).
    pub fn judge(&mut self, now: Time, bandwidth: &Bandwidth, audio: (u64, u64), low: u64) -> bool {
        let (whole, lean) = audio;
        let Some(estimate) = bandwidth.estimate().filter(|_| lean < whole) else {
            self.on = false;
            return false;
        };
        let inherent = bandwidth.inherent_loss(now);
        let since = now.since(self.changed);
        let change = if self.on {
            let room = estimate >= whole + low * ROOM.0 / ROOM.1;
            inherent > LOSSY || (room && since >= self.pause)
        } else {
            bandwidth.is_limited(now) && estimate < whole + low && inherent <= LOSSY
        };
        if change {
            self.on = !self.on;
            self.changed = now;
            if self.on {
                let again = if since < RELAPSE { self.pause * 2 } else { 0 };
                self.pause = again.clamp(PAUSES.0, PAUSES.1);
            }
        }
        self.on
    }
}
