//! How much a subscriber's path carries, and who gets it.

use crate::time::Time;
use crate::wire::twcc;

pub struct Bandwidth {
    estimate: Option<u64>,
}

impl Bandwidth {
    pub fn new(_start: u64, _min: u64, _max: u64) -> Bandwidth {
        Bandwidth { estimate: None }
    }

    pub fn sent(&mut self, _now: Time, _sequence: u16, _size: usize, _probe: bool) {}

    pub fn on_feedback(&mut self, _now: Time, _feedback: &twcc::Feedback<'_>) -> u64 {
        0
    }

    pub fn on_remb(&mut self, _now: Time, _bitrate: u64) {}

    pub fn on_loss(&mut self, _now: Time, _fraction: f64) {}

    pub fn estimate(&self) -> Option<u64> {
        self.estimate
    }
}
