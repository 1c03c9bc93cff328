//! A measured window of media: when it may begin, what came in it, what is printed.

use serde_json::{Value, json};

use crate::participant::Participant;
use crate::sink::Counts;
use crate::sys::{cpu_us, now_us, own_cpu_us};

use super::{World, percentiles};

impl World {
    fn expected_streams(&self, participant: &Participant) -> usize {
        let tracks: usize = self
            .participants
            .iter()
            .map(|other| other.sources.len())
            .sum();
        tracks - participant.sources.len()
    }

    pub(super) fn subscribers(&self) -> impl Iterator<Item = &Participant> {
        let meeting = self.options.meeting > 0;
        self.participants
            .iter()
            .filter(move |participant| meeting || participant.sources.is_empty())
    }

    fn flowing(&self) -> bool {
        self.subscribers()
            .all(|participant| participant.sink.streams() >= self.expected_streams(participant))
    }

    fn sent(&self) -> u64 {
        self.participants
            .iter()
            .flat_map(|participant| &participant.sources)
            .map(|source| source.sent)
            .sum()
    }

    /// Packets that each subscriber should get, for packets `sent` by all.
    fn owed(&self, sent: u64) -> u64 {
        match self.options.meeting {
            0 => sent * self.options.subscribers as u64,
            everybody => sent * (everybody as u64 - 1),
        }
    }

    fn mark(&mut self) {
        self.participants
            .iter_mut()
            .for_each(|participant| participant.sink.mark());
    }

    fn expected(&self) -> u64 {
        self.subscribers()
            .map(|participant| participant.sink.counts().expected)
            .sum()
    }

    /// A server raises its estimate step by step: waits until it forwards all that is sent, so
    /// that what is measured is the load that was asked for. Answers how long it took.
    fn settle(&mut self) -> Result<f64, String> {
        let started = now_us();
        loop {
            let sent = self.sent();
            self.mark();
            self.run_for(1.0)?;
            let waited = (now_us() - started) as f64 / 1e6;
            let owed = self.owed(self.sent() - sent);
            if self.expected() as f64 > 0.98 * owed as f64 || waited > self.options.settle {
                return Ok(waited);
            }
        }
    }

    pub(super) fn media(&mut self) -> Result<Value, String> {
        self.join_all()?;
        self.wait(Self::flowing, "media at every subscriber")?;
        self.run_for(self.options.warmup)?;
        let settled = self.settle()?;
        let sent_before = self.sent();
        self.mark();
        let (dropped, ours) = (self.wire.dropped(), own_cpu_us());
        let (started, cpu_before) = (now_us(), cpu_us(&self.options.pids));
        self.run_for(self.options.seconds)?;
        let (elapsed, cpu_after) = (now_us() - started, cpu_us(&self.options.pids));
        let ours = own_cpu_us() - ours;
        let sent = self.sent() - sent_before;
        let mut report = self.report(
            elapsed,
            sent,
            (cpu_after.0 - cpu_before.0, cpu_after.1 - cpu_before.1),
        );
        report["settled_s"] = settled.into();
        report["delivered"] = (self.expected() as f64 / self.owed(sent).max(1) as f64).into();
        report["dropped_by_device"] = (self.wire.dropped() - dropped).into();
        report["client_share"] = (ours as f64 / elapsed as f64).into();
        report["runs"] = self.runs_report();
        Ok(report)
    }

    fn report(&self, elapsed_us: u64, sent: u64, cpu: (u64, u64)) -> Value {
        let mut total = Counts::default();
        let mut delays: Vec<u32> = Vec::new();
        for participant in self.subscribers() {
            let counts = participant.sink.counts();
            total.packets += counts.packets;
            total.expected += counts.expected;
            total.lost += counts.lost;
            total.bytes += counts.bytes;
            total.retransmitted += counts.retransmitted;
            total.dropped_on_purpose += counts.dropped_on_purpose;
            delays.extend(&participant.sink.delays_us);
        }
        let mut packets: Vec<u32> = self.subscribers().filter_map(Participant::joined).collect();
        let mut frames: Vec<u32> = self.subscribers().filter_map(Participant::shown).collect();
        let profile = self
            .participants
            .iter()
            .find_map(|p| p.receiving()?.profile);
        let cpu_total = cpu.0 + cpu.1;
        json!({
            "sent": sent, "packets": total.packets, "expected": total.expected, "lost": total.lost,
            "bytes": total.bytes, "retransmitted": total.retransmitted, "dropped_on_purpose": total.dropped_on_purpose,
            "elapsed_us": elapsed_us, "packets_per_second": total.packets as f64 * 1e6 / elapsed_us as f64,
            "cpu_user_us": cpu.0, "cpu_system_us": cpu.1,
            "cpu_us_per_packet": cpu_total as f64 / total.packets.max(1) as f64,
            "cpu_share": cpu_total as f64 / elapsed_us as f64,
            "delay_us": percentiles(&mut delays), "join_us": percentiles(&mut packets),
            "first_frame_us": percentiles(&mut frames),
            "subscribers": self.subscribers().count(), "retried": self.retried, "profile": profile.map(|profile| format!("{profile:?}")),
            "transport_cc": self.subscribers().any(|p| p.sink.transport_cc.is_some()),
            "keyframes": self.participants.iter().flat_map(|p| &p.sources).map(|s| s.keyframes).sum::<u64>(),
            "resent": self.participants.iter().flat_map(|p| &p.sources).map(|s| s.resent).sum::<u64>(),
        })
    }

    /// Share of packets by the length of the run they came in, as those saw it who can.
    fn runs_report(&self) -> Value {
        let mut runs = [0u64; 65];
        for sink in self
            .participants
            .iter()
            .map(|p| &p.sink)
            .filter(|sink| sink.probe)
        {
            runs.iter_mut()
                .zip(sink.runs)
                .for_each(|(all, one)| *all += one);
        }
        let total: u64 = runs.iter().sum();
        let share = |(length, packets): (usize, &u64)| {
            (
                length.to_string(),
                json!(*packets as f64 / total.max(1) as f64),
            )
        };
        let seen = runs.iter().enumerate().filter(|(_, packets)| **packets > 0);
        Value::Object(seen.map(share).collect())
    }
}
