//! Statistics of one `Core`, for metrics and the operators' pages. Ids only: no address, name or token.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::spec::{CodecName, Kind};

#[derive(Clone, Debug, Default, Serialize)]
pub struct Snapshot {
    pub worker: u16,
    pub at_ms: u64,
    pub counters: Counters,
    pub drops: BTreeMap<&'static str, u64>,
    pub transports: BTreeMap<u64, TransportStats>,
    pub publications: BTreeMap<u64, PublicationStats>,
    pub subscriptions: BTreeMap<u64, SubscriptionStats>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counters {
    pub packets_in: u64,
    pub bytes_in: u64,
    pub packets_out: u64,
    pub bytes_out: u64,
    pub padding_out: u64,
    pub runs_out: u64,
    /// Runs sent by length: 1, 2, 3-4, 5-8, 9-16, 17 and more.
    pub run_lengths: [u64; 6],
    pub rtx_out: u64,
    /// Those of `rtx_out` that answer a NACK; the others are probes.
    pub repairs_out: u64,
    pub repair_bytes_out: u64,
    pub rtx_in: u64,
    pub rtcp_in: u64,
    pub rtcp_out: u64,
    pub stun_in: u64,
    pub stun_out: u64,
    pub nacks_in: u64,
    pub nacks_out: u64,
    pub plis_in: u64,
    pub plis_out: u64,
    pub keyframes_suppressed: u64,
    pub probes: u64,
    pub to_workers: u64,
    pub transports: u64,
    pub publications: u64,
    pub subscriptions: u64,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct TransportStats {
    pub call: u64,
    pub connected: bool,
    pub protocol: &'static str,
    pub packets_in: u64,
    pub bytes_in: u64,
    pub packets_out: u64,
    pub bytes_out: u64,
    /// Round trip, ms; of RTCP (RFC 3550 section 6.4.1) or transport-cc feedback.
    pub rtt_ms: f64,
    /// Bandwidth estimate towards this remote, bit/s; null when it gives no feedback.
    pub estimate: Option<u64>,
    pub allocated: u64,
    pub sent_bitrate: u64,
    pub loss_out: f64,
    pub queued: usize,
    /// Milliseconds since anything authenticated arrived.
    pub last_receive_ms: Option<u64>,
    pub publications: usize,
    pub subscriptions: usize,
}

#[derive(Clone, Debug, Serialize)]
pub struct PublicationStats {
    pub transport: u64,
    pub call: u64,
    pub kind: Kind,
    pub muted: bool,
    pub demand: i8,
    pub audible: bool,
    pub encodings: Vec<EncodingStats>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct EncodingStats {
    pub quality: u8,
    pub ssrc: Option<u32>,
    pub codec: Option<CodecName>,
    pub packets: u64,
    pub bytes: u64,
    pub lost: i64,
    pub loss: f64,
    pub duplicates: u64,
    pub jitter_ms: f64,
    pub bitrate: u64,
    pub fps: f64,
    pub keyframes: u64,
    pub nacks: u64,
    pub plis: u64,
    pub recovered: u64,
    pub last_receive_ms: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct SubscriptionStats {
    pub transport: u64,
    pub publication: u64,
    pub packets: u64,
    pub bytes: u64,
    pub retransmitted: u64,
    pub padding: u64,
    pub lost: i64,
    pub loss: f64,
    pub jitter_ms: f64,
    pub rtt_ms: f64,
    pub nacks: u64,
    pub plis: u64,
    pub fps: f64,
    pub spatial: Option<u8>,
    pub temporal: Option<u8>,
    pub target_spatial: Option<u8>,
    pub allocated: u64,
    pub paused: bool,
    pub switches: u64,
    pub last_send_ms: Option<u64>,
}
