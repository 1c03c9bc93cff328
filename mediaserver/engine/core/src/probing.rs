//! Trains of packets that find out whether a path carries more than what flows. The estimator says
//! when and how much; `allocate` asks it at each of its turns.

use crate::core::Core;
use crate::egress::record::{FILL, PROBE, RTX, Record};
use crate::spec::Kind;
use crate::time::Time;
use crate::transport::Transport;

/// A train is found among so many of the newest packets, or not at all.
const REACH: u64 = 256;

impl Core {
    /// Sends a probe train when the estimator wants to know: recent packets once more, as RTX.
    pub(crate) fn probe(&mut self, now: Time, index: u32, desired: u64) {
        let transport = &self.transports[index];
        if !transport.bandwidth.can_probe() || !transport.can_send() {
            return;
        }
        let Some((source, paused)) = self.probed(transport) else {
            return;
        };
        let transport = &mut self.transports[index];
        let Some((bytes, small)) = transport.bandwidth.probe(now, desired, paused) else {
            return;
        };
        self.counters.probes += 1;
        self.queue_train(now, index, source, bytes, small);
        let queue = &mut self.transports[index].queue;
        queue.first.get_or_insert(now);
        queue.complete = true;
        if !queue.dirty {
            queue.dirty = true;
            self.dirty.push(index);
        }
    }

    /// The subscription whose packets go once more, and whether it is paused: one that flows, or
    /// else one that would.
    fn probed(&self, transport: &Transport) -> Option<(u32, bool)> {
        let able = |s: &u32, flows: bool| {
            let entry = &self.subscriptions[*s];
            entry.kind == Kind::Video
                && entry.selector.current().is_some() == flows
                && (flows || entry.paused_by_bandwidth)
                && entry.spec.rtx_ssrc.is_some()
                && !entry.identical
                && entry.history.newest().is_some()
        };
        let mut all = transport.subscriptions.iter().copied();
        let flowing = all.clone().find(|s| able(s, true));
        let source = flowing.or_else(|| all.find(|s| able(s, false)))?;
        Some((source, flowing.is_none()))
    }

    fn queue_train(&mut self, now: Time, index: u32, source: u32, bytes: usize, small: bool) {
        let entry = &self.subscriptions[source];
        let queue = &mut self.transports[index].queue;
        // What a paused one sent is no longer in the ring: padding does as well.
        let latest = |record: &Record| {
            let encoding = self.feeds[entry.feed]
                .encodings
                .get(usize::from(record.encoding))?;
            encoding.ring.latest()
        };
        let (mut queued, mut back) = (0, 0);
        while queued < bytes && back < REACH {
            // When the stream is short of packets, the newest go round again.
            let record = entry.history.recent(now, source, back % 16);
            let record = record.or_else(|| entry.history.recent(now, source, 0));
            back += 1;
            let Some(mut record) = record else { break };
            record.flags |= RTX | PROBE;
            if let (true, Some(source)) = (small, latest(&record)) {
                record.flags |= FILL;
                record.source = source;
                record.size = 255;
            }
            queued += usize::from(record.size) + 60;
            queue.urgent.push_back(record);
        }
    }
}
