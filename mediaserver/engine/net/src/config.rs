//! What an engine is built from: the Rust twin of `EngineConfig` in engine_types.py, whose
//! comments give the reasons of each default. Read by the py crate, checked in `engine.rs`.

use std::net::IpAddr;
use std::time::Duration;

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
    pub tcp: TcpLimits,
    pub udp_receive_buffer: usize,
    pub udp_send_buffer: usize,
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
