//! One participant's connection: its ICE agent, SRTP both ways, what it publishes and subscribes,
//! and what waits to be sent. Made by `commands`, driven by `receive`, `send` and `housekeeping`.

use std::collections::VecDeque;

use crate::bandwidth::Bandwidth;
use crate::bandwidth::lean::Lean;
use crate::bandwidth::rich::Rich;
use crate::collections::{FastMap, Rng};
use crate::command::{CallId, TransportId};
use crate::config::Limits;
use crate::egress::pacer::Pacer;
use crate::egress::record::Record;
use crate::ice::Ice;
use crate::ingress::publication::Stream;
use crate::ingress::reception::Meter;
use crate::path::Path;
use crate::spec::{Extensions, TransportSettings};
use crate::time::{MILLIS, SECONDS, Time};
use crate::wire::ext::{Ids, Kind};
use crate::wire::{srtp, twcc};

/// More than this waiting for one subscriber is a second of 4K video: it will not catch up.
pub const MAX_QUEUE: usize = 4_096;

/// Token bucket: so many units (packets, bytes) a second, with a quarter of a second of burst.
#[derive(Clone, Copy, Debug)]
pub struct RateLimit {
    rate: u32,
    tokens: u64,
    at: Time,
}

impl RateLimit {
    pub fn new(rate: u32) -> RateLimit {
        RateLimit {
            rate,
            tokens: u64::from(rate) * SECONDS / 4,
            at: Time::ZERO,
        }
    }

    /// False when the source exceeds its rate.
    pub fn allow(&mut self, now: Time) -> bool {
        self.take(now, 1)
    }

    /// False, and nothing taken, when so many units exceed the rate.
    pub fn take(&mut self, now: Time, units: u64) -> bool {
        let full = u64::from(self.rate) * SECONDS / 4;
        let elapsed = now.since(self.at).min(SECONDS);
        self.tokens = (self.tokens + elapsed * u64::from(self.rate)).min(full);
        self.at = now;
        let Some(left) = self.tokens.checked_sub(units * SECONDS) else {
            return false;
        };
        self.tokens = left;
        true
    }
}

/// Records by urgency: audio and probes first, then answers to NACK, then video.
#[derive(Debug, Default)]
pub struct Queue {
    /// Never waits for the pacer.
    pub urgent: VecDeque<Record>,
    pub rtx: VecDeque<Record>,
    pub video: VecDeque<Record>,
    /// Payload bytes of `rtx` and `video`.
    pub bytes: u64,
    pub first: Option<Time>,
    /// A frame is complete: no reason to wait for more.
    pub complete: bool,
    pub dirty: bool,
}

impl Queue {
    pub fn len(&self) -> usize {
        self.urgent.len() + self.rtx.len() + self.video.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn clear(&mut self) {
        self.urgent.clear();
        self.rtx.clear();
        self.video.clear();
        self.bytes = 0;
        self.first = None;
        self.complete = false;
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Traffic {
    pub packets_in: u64,
    pub bytes_in: u64,
    pub packets_out: u64,
    pub bytes_out: u64,
}

pub struct Transport {
    pub id: TransportId,
    pub call: CallId,
    pub settings: TransportSettings,
    pub ice: Ice,
    pub created: Time,
    pub last_receive: Option<Time>,
    /// 0, or the last of 4, 10 and 30 s that was told.
    pub idle_told: u32,
    pub inbound: Option<Box<srtp::Receiver>>,
    pub outbound: Option<Box<srtp::Sender>>,
    pub limit: RateLimit,
    pub dtls_limit: RateLimit,
    /// Bytes of answers to NACK.
    pub repair_limit: RateLimit,
    /// Inbound SSRC to encoding; only from signalling or authenticated packets.
    pub streams: FastMap<u32, Stream>,
    pub publications: Vec<u32>,
    pub subscriptions: Vec<u32>,
    /// Outgoing SSRC (media and RTX) to subscription.
    pub outgoing: FastMap<u32, u32>,
    /// Extension ids of everything published here: one bundle, so one numbering (RFC 8843 9.2).
    pub ids: Ids,
    pub arrivals: Option<Box<twcc::ArrivalLog>>,
    pub wants_remb: bool,
    pub feedback_due: Option<Time>,
    pub reports_due: Time,
    pub our_ssrc: u32,
    /// Our NTP time minus the publisher's, from its first sender report.
    pub clock_offset: Option<u64>,
    pub rtt: u64,
    pub queue: Queue,
    pub pacer: Pacer,
    pub lean: Lean,
    pub rich: Rich,
    pub twcc: u64,
    pub bandwidth: Bandwidth,
    pub traffic: Traffic,
    pub sending: Meter,
    pub tick_at: Option<Time>,
    pub nack_pending: bool,
    pub allocate_due: Option<Time>,
    /// bit/s that the owner allows at most, whatever the path takes.
    pub cap: Option<u64>,
    /// bit/s that the last allocation spends.
    pub allocated: u64,
}

impl Transport {
    pub fn new(
        (id, call, settings): (TransportId, CallId, TransportSettings),
        ice: Ice,
        now: Time,
        limits: &Limits,
        bandwidth: Bandwidth,
        rng: &mut Rng,
    ) -> Transport {
        Transport {
            id,
            call,
            settings,
            ice,
            created: now,
            last_receive: None,
            idle_told: 0,
            inbound: None,
            outbound: None,
            limit: RateLimit::new(limits.max_packets_per_second),
            dtls_limit: RateLimit::new(limits.max_dtls_per_second),
            repair_limit: RateLimit::new(limits.max_repair_bitrate / 8),
            streams: FastMap::default(),
            publications: Vec::new(),
            subscriptions: Vec::new(),
            outgoing: FastMap::default(),
            ids: Ids::default(),
            arrivals: None,
            wants_remb: false,
            feedback_due: None,
            reports_due: now + SECONDS / 2,
            our_ssrc: (rng.next_u64() as u32) | 1,
            clock_offset: None,
            rtt: 0,
            queue: Queue::default(),
            pacer: Pacer::default(),
            lean: Lean::default(),
            rich: Rich::default(),
            twcc: rng.below(0x8000),
            bandwidth,
            traffic: Traffic::default(),
            sending: Meter::default(),
            tick_at: None,
            nack_pending: false,
            allocate_due: None,
            cap: None,
            allocated: 0,
        }
    }

    pub fn path(&self) -> Option<Path> {
        self.ice.selected()
    }

    /// A pair is selected and keys are set.
    pub fn can_send(&self) -> bool {
        self.outbound.is_some() && self.ice.selected().is_some()
    }

    /// Adds a section's extension ids; the sections of a bundle agree on them.
    pub fn merge_ids(&mut self, extensions: &Extensions) {
        for (kind, id) in named(extensions) {
            if let Some(id) = id {
                self.ids.set(kind, id);
            }
        }
    }

    /// Round trip, or a cautious guess before the first measurement.
    pub fn rtt_or_guess(&self) -> u64 {
        if self.rtt == 0 {
            100 * MILLIS
        } else {
            self.rtt
        }
    }

    pub fn measured_rtt(&mut self, micros: u64) {
        let sane = micros.clamp(MILLIS / 2, 10 * SECONDS);
        self.rtt = if self.rtt == 0 {
            sane
        } else {
            (self.rtt * 7 + sane) / 8
        };
    }
}

pub fn named(e: &Extensions) -> [(Kind, Option<u8>); 10] {
    [
        (Kind::Mid, e.mid),
        (Kind::Rid, e.rid),
        (Kind::Rrid, e.rrid),
        (Kind::AudioLevel, e.audio_level),
        (Kind::AbsSendTime, e.abs_send_time),
        (Kind::TransportCc, e.transport_cc),
        (Kind::AbsCaptureTime, e.abs_capture_time),
        (Kind::Orientation, e.orientation),
        (Kind::PlayoutDelay, e.playout_delay),
        (Kind::DependencyDescriptor, e.dependency_descriptor),
    ]
}
