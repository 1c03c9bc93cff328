//! What one participant receives: counts and sequence from headers, delay of a sample, NACKs
//! for what is missing, and the feedback that keeps a server sending.

use sotto_engine_core::wire::rtcp::{Compound, ReceptionReport};
use sotto_engine_core::wire::rtp::{Header, split_rtx};
use sotto_engine_core::wire::srtp::{Receiver, ReplayWindow, estimate_index};
use sotto_engine_core::wire::twcc::ArrivalLog;

use self::first_frame::FirstFrame;

mod first_frame;

const NACK_AFTER_US: u64 = 5_000;
const NACK_AGAIN_US: u64 = 100_000;
const NACK_TRIES: u8 = 10;
const MISSING_MAX: usize = 1000;
const OWN_SSRC: u32 = 0xBE7C_0001;
/// What we tell a server that asks by REMB: never the limit here.
const REMB_BITRATE: u64 = 100_000_000;

struct Missing {
    index: u64,
    at_us: u64,
    tries: u8,
}

struct Stream {
    ssrc: u32,
    first: u64,
    window: ReplayWindow,
    unique: u64,
    highest_at_mark: u64,
    unique_at_mark: u64,
    missing: Vec<Missing>,
    expected_at_report: u64,
    unique_at_report: u64,
}

/// Totals over a measured window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub packets: u64,
    pub expected: u64,
    pub lost: u64,
    pub bytes: u64,
    pub retransmitted: u64,
    pub dropped_on_purpose: u64,
}

pub struct Sink {
    streams: Vec<Stream>,
    /// Decrypt and measure.
    pub sampled: bool,
    /// Its socket shows GSO runs; `runs` counts packets by the length of their run.
    pub probe: bool,
    pub runs: [u64; 65],
    pub loss_percent: f64,
    pub delays_us: Vec<u32>,
    /// When the first packet came.
    pub first_us: Option<u64>,
    pub first_frame: FirstFrame,
    pub transport_cc: Option<u8>,
    pub remb: bool,
    pub rtx_payload_types: [bool; 128],
    counts: Counts,
    counts_at_mark: Counts,
    log: ArrivalLog,
    random: u64,
    next_feedback_us: u64,
    next_report_us: u64,
}

impl Sink {
    pub fn new(number: u64, sampled: bool, loss_percent: f64) -> Self {
        Self {
            streams: Vec::new(),
            sampled,
            probe: false,
            runs: [0; 65],
            loss_percent,
            delays_us: Vec::new(),
            first_us: None,
            first_frame: FirstFrame::default(),
            transport_cc: None,
            remb: false,
            rtx_payload_types: [false; 128],
            counts: Counts::default(),
            counts_at_mark: Counts::default(),
            log: ArrivalLog::default(),
            random: 0x9E37_79B9_7F4A_7C15 ^ (number << 20),
            // Spread over the period, so that feedback of many is not one burst.
            next_feedback_us: number * 997 % 100_000,
            next_report_us: number * 9973 % 1_000_000,
        }
    }

    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Starts the measured window.
    pub fn mark(&mut self) {
        self.counts_at_mark = self.counts;
        self.delays_us.clear();
        self.runs = [0; 65];
        for stream in &mut self.streams {
            stream.highest_at_mark = stream.window.highest();
            stream.unique_at_mark = stream.unique;
        }
    }

    /// What came since `mark`.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts {
            packets: self.counts.packets - self.counts_at_mark.packets,
            bytes: self.counts.bytes - self.counts_at_mark.bytes,
            retransmitted: self.counts.retransmitted - self.counts_at_mark.retransmitted,
            dropped_on_purpose: self.counts.dropped_on_purpose
                - self.counts_at_mark.dropped_on_purpose,
            ..Counts::default()
        };
        for stream in &self.streams {
            let expected = stream.window.highest() - stream.highest_at_mark;
            counts.expected += expected;
            counts.lost += expected.saturating_sub(stream.unique - stream.unique_at_mark);
        }
        counts
    }

    /// `length` datagrams came in one send.
    pub fn on_run(&mut self, length: usize) {
        self.runs[length.min(64)] += length as u64;
    }

    /// One RTP datagram as it came. `arrived_us` is wall-clock, for the delay.
    pub fn on_rtp(
        &mut self,
        packet: &mut [u8],
        now_us: u64,
        arrived_us: Option<u64>,
        keys: &mut Receiver,
    ) {
        if self.loss_percent > 0.0 && self.chance() < self.loss_percent / 100.0 {
            self.counts.dropped_on_purpose += 1;
            return;
        }
        let Ok(header) = Header::parse(packet) else {
            return;
        };
        self.counts.packets += 1;
        self.counts.bytes += packet.len() as u64;
        if let Some(id) = self.transport_cc {
            let element = header
                .elements(packet)
                .flatten()
                .find(|element| element.id == id);
            if let Some([high, low]) = element.map(|element| element.value) {
                self.log.record(u16::from_be_bytes([*high, *low]), now_us);
            }
        }
        if self.rtx_payload_types[usize::from(header.payload_type)] {
            return self.on_retransmission(packet, keys);
        }
        self.first_us.get_or_insert(now_us);
        self.on_sequence(header.ssrc, header.sequence, now_us);
        if self.sampled || self.first_frame.at_us.is_none() {
            self.on_media(packet, now_us, arrived_us, keys);
        }
    }

    fn on_media(
        &mut self,
        packet: &mut [u8],
        now_us: u64,
        arrived_us: Option<u64>,
        keys: &mut Receiver,
    ) {
        let Ok(opened) = keys.unprotect_rtp(packet) else {
            return;
        };
        let header = &opened.header;
        let payload = header.payload(&packet[..opened.len]).unwrap_or_default();
        if self.first_frame.at_us.is_none() {
            self.first_frame.on_packet(header, payload, now_us);
        }
        let sent = crate::source::sent_us(payload);
        if let (true, Some(arrived), Some(sent)) = (self.sampled, arrived_us, sent) {
            let delay = arrived.saturating_sub(sent).min(u64::from(u32::MAX));
            self.delays_us.push(delay as u32);
        }
    }

    fn on_sequence(&mut self, ssrc: u32, sequence: u16, now_us: u64) {
        let at = match self.streams.iter().position(|stream| stream.ssrc == ssrc) {
            Some(at) => at,
            None => {
                let first = u64::from(sequence) + (1 << 16);
                self.streams.push(Stream::new(ssrc, first));
                self.streams.len() - 1
            }
        };
        let stream = &mut self.streams[at];
        let highest = stream.window.highest();
        let index = if stream.unique == 0 {
            stream.first
        } else {
            estimate_index(highest, sequence)
        };
        if stream.window.seen(index) {
            return;
        }
        stream.window.record(index);
        stream.unique += 1;
        if stream.unique > 1 {
            for lost in highest + 1..index {
                if stream.missing.len() < MISSING_MAX {
                    stream.missing.push(Missing {
                        index: lost,
                        at_us: now_us + NACK_AFTER_US,
                        tries: 0,
                    });
                }
            }
        }
        if index < highest {
            stream.missing.retain(|missing| missing.index != index);
        }
    }

    fn on_retransmission(&mut self, packet: &mut [u8], keys: &mut Receiver) {
        let Ok(opened) = keys.unprotect_rtp(packet) else {
            return;
        };
        let payload = opened
            .header
            .payload(&packet[..opened.len])
            .unwrap_or_default();
        let Some((original, rest)) = split_rtx(payload) else {
            return;
        };
        if rest.is_empty() {
            return;
        }
        self.counts.retransmitted += 1;
        for stream in &mut self.streams {
            let found = stream
                .missing
                .iter()
                .position(|missing| missing.index as u16 == original);
            if let Some(found) = found {
                let index = stream.missing.swap_remove(found).index;
                stream.window.record(index);
                stream.unique += 1;
                return;
            }
        }
    }

    /// Writes the feedback that is due into `compound`.
    pub fn feedback(&mut self, now_us: u64, compound: &mut Compound<'_>) {
        if now_us >= self.next_report_us {
            self.next_report_us = now_us + 1_000_000;
            self.report(compound);
        }
        if now_us >= self.next_feedback_us {
            self.next_feedback_us = now_us + 100_000;
            let mut feedback = [0u8; 900];
            let media = self.streams.first().map_or(0, |stream| stream.ssrc);
            while let Some(len) = self.log.write(&mut feedback) {
                if !compound.transport_cc(OWN_SSRC, media, &feedback[..len]) {
                    break;
                }
            }
        }
        for stream in &mut self.streams {
            stream.missing.retain(|missing| missing.tries < NACK_TRIES);
            let mut due: Vec<u16> = Vec::new();
            for missing in stream
                .missing
                .iter_mut()
                .filter(|missing| missing.at_us <= now_us)
                .take(200)
            {
                missing.at_us = now_us + NACK_AGAIN_US;
                missing.tries += 1;
                due.push(missing.index as u16);
            }
            compound.nack(OWN_SSRC, stream.ssrc, due);
        }
    }

    fn report(&mut self, compound: &mut Compound<'_>) {
        let mut reports = Vec::with_capacity(self.streams.len());
        for stream in self.streams.iter_mut().take(31) {
            let expected = stream.window.highest() + 1 - stream.first;
            let (new_expected, new_unique) = (
                expected - stream.expected_at_report,
                stream.unique - stream.unique_at_report,
            );
            let lost = new_expected.saturating_sub(new_unique);
            (stream.expected_at_report, stream.unique_at_report) = (expected, stream.unique);
            reports.push(ReceptionReport {
                ssrc: stream.ssrc,
                fraction_lost: (lost * 256 / new_expected.max(1)).min(255) as u8,
                cumulative_lost: expected.saturating_sub(stream.unique) as i32,
                highest_sequence: (stream.window.highest() - (1 << 16)) as u32,
                ..ReceptionReport::default()
            });
        }
        compound.receiver_report(OWN_SSRC, &reports);
        if self.remb && self.transport_cc.is_none() {
            let ssrcs: Vec<u32> = self.streams.iter().map(|stream| stream.ssrc).collect();
            compound.remb(OWN_SSRC, REMB_BITRATE, &ssrcs);
        }
    }

    fn chance(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Stream {
    fn new(ssrc: u32, first: u64) -> Self {
        Self {
            ssrc,
            first,
            window: ReplayWindow::default(),
            unique: 0,
            highest_at_mark: first - 1,
            unique_at_mark: 0,
            missing: Vec::new(),
            expected_at_report: 0,
            unique_at_report: 0,
        }
    }
}
