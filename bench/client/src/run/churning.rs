//! Many joins and leaves, one after another.

use serde_json::{Value, json};

use crate::sys::now_us;

use super::joining::Plan;
use super::{World, percentiles};

impl World {
    /// Joins and leaves, a few at a time; the room and its publisher stay.
    pub(super) fn churn(&mut self) -> Result<Value, String> {
        self.options.subscribers = 0;
        self.join_all()?;
        let publishers = self.participants.len();
        let (mut joins, mut frames): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
        let mut started = 0;
        let at = now_us();
        let gap_us = (1e6 / self.options.join_rate) as u64;
        let mut next_us = at;
        while joins.len() < self.options.churn {
            if started < self.options.churn
                && now_us() >= next_us
                && self.participants.len() < publishers + self.options.in_flight
            {
                self.start(Plan {
                    publishes: false,
                    subscribes: true,
                });
                started += 1;
                next_us += gap_us;
            }
            self.turn();
            if let Some(failure) = self.failure() {
                return Err(failure);
            }
            self.reap(publishers, &mut joins, &mut frames)?;
        }
        let elapsed = now_us() - at;
        Ok(json!({
            "joins": joins.len(), "elapsed_us": elapsed,
            "joins_per_second": joins.len() as f64 * 1e6 / elapsed as f64, "join_us": percentiles(&mut joins),
            "first_frame_us": percentiles(&mut frames),
        }))
    }

    /// Who saw a picture leaves. Slots are reused only when all are empty, so tokens stay right.
    fn reap(
        &mut self,
        publishers: usize,
        joins: &mut Vec<u32>,
        frames: &mut Vec<u32>,
    ) -> Result<(), String> {
        let now = now_us();
        let mut busy = false;
        for participant in &mut self.participants[publishers..] {
            match participant.shown() {
                Some(shown) if participant.signal.is_some() => {
                    joins.extend(participant.joined());
                    frames.push(shown);
                    participant.leave();
                    participant.signal = None;
                    participant.pcs = [None, None];
                }
                Some(_) => {}
                None if now - participant.started_us > (self.options.timeout * 1e6) as u64 => {
                    return Err(format!("participant {} saw no picture", participant.number));
                }
                None => busy = true,
            }
        }
        if !busy {
            self.participants.truncate(publishers);
        }
        Ok(())
    }
}
