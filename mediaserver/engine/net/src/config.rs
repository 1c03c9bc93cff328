//! What an engine is built from: the Rust twin of `EngineConfig` in engine_types.py, whose
//! comments give the reasons of each default. Read by the py crate, checked in `engine.rs`.

use std::net::IpAddr;
use std::time::Duration;

use sotto_engine_core::config::Limits;

#[derive(Clone, Debug)]
pub struct EngineConfig {
    pub udp_addresses: Vec<IpAddr>,
    pub udp_port: u16,
    pub tcp_addresses: Vec<IpAddr>,
    pub tcp_port: Option<u16>,
    pub workers: u16,
    pub seed: Option<u64>,
    pub gso: bool,
    pub max_transports: usize,
    pub max_bitrate_start: u64,
    pub limits: NetLimits,
}

#[derive(Clone, Debug)]
pub struct NetLimits {
    pub publications_per_transport: usize,
    pub subscriptions_per_transport: usize,
    pub events: usize,
    pub dtls_events_per_transport: u32,
    pub commands: usize,
    pub rates: Rates,
    pub tcp: TcpLimits,
    pub udp_receive_buffer: usize,
    pub udp_send_buffer: usize,
}

/// What one transport may send us and ask of us; see `Limits` of the core.
#[derive(Clone, Debug)]
pub struct Rates {
    pub packets_per_second: u32,
    pub dtls_per_second: u32,
    pub keyframe_interval_ms: u32,
    pub keyframes_per_second: u32,
    pub repair_percent: u32,
    pub repair_bitrate: u32,
}

impl Default for Rates {
    fn default() -> Rates {
        let core = Limits::default();
        Rates {
            packets_per_second: core.max_packets_per_second,
            dtls_per_second: core.max_dtls_per_second,
            keyframe_interval_ms: core.keyframe_interval_ms,
            keyframes_per_second: core.keyframes_per_requester,
            repair_percent: core.repair.share,
            repair_bitrate: core.max_repair_bitrate,
        }
    }
}

#[derive(Clone, Debug)]
pub struct TcpLimits {
    pub connections: usize,
    pub connections_per_address: usize,
    pub first_frame: Duration,
    pub idle: Duration,
    pub stall: Duration,
    pub send_buffer: usize,
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Loopback, any port, two workers: what unit tests start from.
    pub fn config() -> EngineConfig {
        EngineConfig {
            udp_addresses: vec![IpAddr::from([127, 0, 0, 1])],
            udp_port: 0,
            tcp_addresses: vec![IpAddr::from([127, 0, 0, 1])],
            tcp_port: Some(0),
            workers: 2,
            seed: Some(1),
            gso: true,
            max_transports: 100,
            max_bitrate_start: 1_000_000,
            limits: NetLimits {
                publications_per_transport: 8,
                subscriptions_per_transport: 8,
                events: 1000,
                dtls_events_per_transport: 16,
                commands: 1000,
                rates: Rates::default(),
                tcp: TcpLimits {
                    connections: 100,
                    connections_per_address: 50,
                    first_frame: Duration::from_millis(300),
                    idle: Duration::from_secs(2),
                    stall: Duration::from_secs(1),
                    send_buffer: 1 << 16,
                },
                udp_receive_buffer: 1 << 20,
                udp_send_buffer: 1 << 20,
            },
        }
    }
}
