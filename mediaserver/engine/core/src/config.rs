//! What a `Core` is told once. Every limit is documented with the trade-off it makes.

use crate::egress::history::Repair;

#[derive(Clone, Debug)]
pub struct CoreConfig {
    /// Number of workers in this engine; `Core::new` gets its own index.
    pub workers: u16,
    /// Seed of the core's generator (SSRC-free: sequence starts, DTLS-free: padding choices). `net` draws it from the OS.
    pub seed: u64,
    /// NTP time (32.32 fixed point, RFC 3550 section 4) of `Time::ZERO`.
    pub ntp_epoch: u64,
    /// First estimate of a subscriber's bandwidth, bit/s.
    pub start_bitrate: u64,
    pub limits: Limits,
}

#[derive(Clone, Debug)]
pub struct Limits {
    /// Transports on one worker; more are refused with `TransportFailed`.
    pub max_transports: usize,
    /// Publications of one transport.
    pub max_publications: usize,
    /// Subscriptions of one transport.
    pub max_subscriptions: usize,
    /// Packets a second accepted from one transport (RTP and RTCP); the rest are counted and dropped.
    pub max_packets_per_second: u32,
    /// Shortest time between two keyframe requests to one encoding, ms.
    pub keyframe_interval_ms: u32,
    /// Keyframe requests a second that one subscriber may cause.
    pub keyframes_per_requester: u32,
    /// Answers to NACK of one subscriber: each packet this often, and this share of a subscription's
    /// bitrate; paths that lose many packets get more (`Repair::at`).
    pub repair: Repair,
    /// All answers to NACK of one transport, bit/s, whatever it says of its losses: three fifths of a
    /// stream of 5 Mbit/s, which is what a path with the worst loss needs for one.
    pub max_repair_bitrate: u32,
    /// DTLS datagrams a second handed to Python from one transport: a handshake needs about ten, data
    /// channels the rest (4,000 are about 35 Mbit/s of file transfer).
    pub max_dtls_per_second: u32,
    /// Largest packet sent, without IP and UDP headers.
    pub mtu: usize,
    /// Upper bound of a bandwidth estimate, bit/s; feedback that claims more is a lie.
    pub max_bitrate: u64,
    /// Lower bound of a bandwidth estimate, bit/s; keeps audio alive.
    pub min_bitrate: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_transports: 20_000,
            max_publications: 64,
            max_subscriptions: 2_048,
            max_packets_per_second: 8_000,
            keyframe_interval_ms: 500,
            keyframes_per_requester: 2,
            repair: Repair {
                times: 3,
                share: 25,
            },
            max_repair_bitrate: 3_000_000,
            max_dtls_per_second: 4_000,
            mtu: 1_232,
            max_bitrate: 100_000_000,
            min_bitrate: 30_000,
        }
    }
}

impl Default for CoreConfig {
    fn default() -> CoreConfig {
        CoreConfig {
            workers: 1,
            seed: 1,
            ntp_epoch: 0xE000_0000 << 32,
            start_bitrate: 1_000_000,
            limits: Limits::default(),
        }
    }
}
