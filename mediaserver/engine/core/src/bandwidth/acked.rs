//! Rate at which our packets arrive, over half a second of the receiver's clock. What no feedback
//! told of, since it was lost itself, is left out of that time.

const BUCKET_US: i64 = 25_000;
const BUCKETS: usize = 20;

#[derive(Debug, Default)]
pub struct AckedRate {
    buckets: [u64; BUCKETS],
    /// Bit of each bucket of which nobody told.
    untold: u32,
    /// Number of the last feedback, and whether one was lost before it.
    feedback: Option<u8>,
    missed: bool,
    /// Number of the newest bucket.
    newest: i64,
    /// How many buckets have been lived through, up to all.
    filled: usize,
}

impl AckedRate {
    /// What is added next comes from the feedback of this number.
    pub fn tell(&mut self, number: u8) {
        let last = self.feedback.replace(number);
        self.missed = last.is_some_and(|last| last.wrapping_add(1) != number);
    }

    pub fn add(&mut self, arrival_us: i64, bytes: usize) {
        let missed = std::mem::take(&mut self.missed);
        let bucket = arrival_us.div_euclid(BUCKET_US);
        if self.filled == 0 {
            self.newest = bucket;
            self.filled = 1;
        }
        let ahead = bucket - self.newest;
        if ahead > 0 {
            let cleared = ahead.min(BUCKETS as i64);
            for step in 1..=cleared {
                let at = (self.newest + step).rem_euclid(BUCKETS as i64) as usize;
                self.buckets[at] = 0;
                let between = missed && step < ahead;
                self.untold = self.untold & !(1 << at) | u32::from(between) << at;
            }
            // After a silence, the window starts anew.
            self.filled = if ahead >= BUCKETS as i64 {
                1
            } else {
                (self.filled + ahead as usize).min(BUCKETS)
            };
            self.newest = bucket;
            if ahead >= BUCKETS as i64 {
                self.buckets = [0; BUCKETS];
                self.untold = 0;
            }
        } else if -ahead >= BUCKETS as i64 {
            return;
        }
        let at = bucket.rem_euclid(BUCKETS as i64) as usize;
        self.buckets[at] += bytes as u64;
        self.untold &= !(1 << at);
    }

    /// bit/s; `None` until a quarter of a second was seen.
    pub fn rate(&self) -> Option<u64> {
        if self.filled < BUCKETS / 2 {
            return None;
        }
        let told = self.filled - self.untold.count_ones() as usize;
        let bytes: u64 = self.buckets.iter().sum();
        Some(bytes * 8 * 1_000_000 / (told.max(1) as u64 * BUCKET_US as u64))
    }
}
