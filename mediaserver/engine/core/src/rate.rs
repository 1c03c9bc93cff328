//! Rate over the last two seconds, for what is decided by it: one large frame moves it little.

use crate::time::{MILLIS, SECONDS, Time};

const BUCKET: u64 = 250 * MILLIS;
const BUCKETS: u64 = 8;

#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    buckets: [u32; BUCKETS as usize],
    /// Number of the newest bucket, and how many have been lived through, up to all.
    newest: u64,
    filled: u64,
}

impl Window {
    pub fn add(&mut self, now: Time, bytes: usize) {
        let bucket = now.micros() / BUCKET;
        if bucket != self.newest || self.filled == 0 {
            self.advance(bucket);
        }
        let slot = &mut self.buckets[(self.newest % BUCKETS) as usize];
        *slot = slot.saturating_add(bytes as u32);
    }

    fn advance(&mut self, bucket: u64) {
        let ahead = bucket.saturating_sub(self.newest);
        if self.filled == 0 || ahead >= BUCKETS {
            // After a silence, the window starts anew.
            self.buckets = [0; BUCKETS as usize];
            self.filled = 1;
            self.newest = bucket;
            return;
        }
        for step in 1..=ahead {
            self.buckets[((self.newest + step) % BUCKETS) as usize] = 0;
        }
        self.filled = (self.filled + ahead).min(BUCKETS);
        self.newest += ahead;
    }

    /// bit/s; 0 after two seconds of silence.
    pub fn rate(&self, now: Time) -> u64 {
        let bucket = now.micros() / BUCKET;
        let ahead = bucket.saturating_sub(self.newest);
        if self.filled == 0 || ahead >= BUCKETS {
            return 0;
        }
        let lived = (self.filled + ahead).min(BUCKETS);
        let bytes: u64 = (0..lived - ahead)
            .map(|back| u64::from(self.buckets[((self.newest - back) % BUCKETS) as usize]))
            .sum();
        let span = (lived - 1) * BUCKET + now.micros() % BUCKET;
        bytes * 8 * SECONDS / span.max(SECONDS / 2)
    }
}
