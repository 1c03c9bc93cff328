//! Rate at which our packets arrive, over half a second of the receiver's clock.

const BUCKET_US: i64 = 25_000;
const BUCKETS: usize = 20;

#[derive(Debug, Default)]
pub struct AckedRate {
    buckets: [u64; BUCKETS],
    /// Number of the newest bucket.
    newest: i64,
    /// How many buckets have been lived through, up to all.
    filled: usize,
}

impl AckedRate {
    pub fn add(&mut self, arrival_us: i64, bytes: usize) {
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
            }
        } else if -ahead >= BUCKETS as i64 {
            return;
        }
        self.buckets[bucket.rem_euclid(BUCKETS as i64) as usize] += bytes as u64;
    }

    /// bit/s; `None` until a quarter of a second was seen.
    pub fn rate(&self) -> Option<u64> {
        if self.filled < BUCKETS / 2 {
            return None;
        }
        let bytes: u64 = self.buckets.iter().sum();
        Some(bytes * 8 * 1_000_000 / (self.filled as u64 * BUCKET_US as u64))
    }
}
