//! Counters of the sockets and the loop, beside those of the core. One per worker, published
//! with the core's snapshot; ids and numbers only.

use std::collections::BTreeMap;

use serde::Serialize;
use sotto_engine_core::snapshot::Snapshot;

#[derive(Clone, Debug, Default, Serialize)]
pub struct NetStats {
    pub datagrams_in: u64,
    /// recvmmsg calls that brought something, and messages in them (a message with GRO holds
    /// several datagrams).
    pub receives: u64,
    pub messages_in: u64,
    pub datagrams_out: u64,
    pub bytes_out: u64,
    /// sendmsg calls.
    pub sends: u64,
    pub gso_refused: u64,
    pub passed_on: u64,
    pub passed_in: u64,
    pub tcp_connections: u64,
    pub tcp_accepted: u64,
    pub tcp_cut: BTreeMap<&'static str, u64>,
    pub drops: BTreeMap<&'static str, u64>,
    pub panics: u64,
    pub last_panic: Option<String>,
    pub core_restarts: u64,
    pub lag: Lag,
}

/// How long the loop was away from its sockets: the time between two waits.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Lag {
    pub turns: u64,
    pub busy_us: u64,
    pub max_us: u64,
    /// Turns by duration: bucket i counts those of [2^i, 2^(i+1)) microseconds.
    pub buckets: [u64; 20],
}

impl Lag {
    pub fn add(&mut self, micros: u64) {
        self.turns += 1;
        self.busy_us += micros;
        self.max_us = self.max_us.max(micros);
        let bucket = (63 - micros.max(1).leading_zeros() as usize).min(self.buckets.len() - 1);
        self.buckets[bucket] += 1;
    }
}

/// What one worker publishes.
#[derive(Clone, Debug, Default)]
pub struct WorkerSnapshot {
    pub core: Snapshot,
    pub net: NetStats,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_fall_into_powers_of_two() {
        let mut lag = Lag::default();
        for micros in [0, 1, 2, 3, 1024, u64::MAX] {
            lag.add(micros % (1 << 40));
        }
        assert_eq!(
            (
                lag.buckets[0],
                lag.buckets[1],
                lag.buckets[10],
                lag.buckets[19]
            ),
            (2, 2, 1, 1)
        );
    }
}
