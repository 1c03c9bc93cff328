//! The receiver's clock, as feedback tells it.

/// 24 bits of 64 ms (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
const PERIOD_US: i64 = (1 << 24) * 64_000;

#[derive(Debug, Default)]
pub struct ArrivalClock {
    last: Option<i64>,
    total: i64,
}

impl ArrivalClock {
    /// Anything was seen to arrive.
    pub fn runs(&self) -> bool {
        self.last.is_some()
    }

    /// Arrival on an endless clock that begins with the first; microseconds.
    pub fn unwrap(&mut self, arrival: i64) -> i64 {
        let last = self.last.unwrap_or(arrival);
        let step = (arrival - last + PERIOD_US / 2).rem_euclid(PERIOD_US) - PERIOD_US / 2;
        self.last = Some(arrival);
        self.total += step;
        self.total
    }
}
