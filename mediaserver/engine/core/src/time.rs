//! The engine's only notion of time: microseconds since the engine started, given by the caller.
//! Monotonic; the wall clock enters once, as the NTP offset in `CoreConfig`.

use std::ops::{Add, Sub};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

pub const MILLIS: u64 = 1_000;
pub const SECONDS: u64 = 1_000_000;

impl Time {
    pub const ZERO: Time = Time(0);

    pub const fn from_millis(ms: u64) -> Time {
        Time(ms * MILLIS)
    }

    pub const fn micros(self) -> u64 {
        self.0
    }

    pub const fn millis(self) -> u64 {
        self.0 / MILLIS
    }

    /// Microseconds since `earlier`; 0 when `earlier` lies ahead.
    pub const fn since(self, earlier: Time) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<u64> for Time {
    type Output = Time;
    fn add(self, micros: u64) -> Time {
        Time(self.0.saturating_add(micros))
    }
}

impl Sub<u64> for Time {
    type Output = Time;
    fn sub(self, micros: u64) -> Time {
        Time(self.0.saturating_sub(micros))
    }
}
