//! Reads `EngineConfig` of engine_types.py by attribute.

use std::net::IpAddr;
use std::time::Duration;

use pyo3::prelude::*;
use sotto_engine_net::config as net;

use crate::error;

#[derive(FromPyObject)]
pub struct EngineConfig {
    udp_addresses: Vec<String>,
    udp_port: u16,
    tcp_addresses: Vec<String>,
    tcp_port: Option<u16>,
    workers: u16,
    seed: Option<u64>,
    gso: bool,
    max_transports: usize,
    max_bitrate_start: u64,
    limits: EngineLimits,
}

#[derive(FromPyObject)]
struct EngineLimits {
    publications_per_transport: usize,
    subscriptions_per_transport: usize,
    events: usize,
    dtls_events_per_transport: u32,
    commands: usize,
    packets_per_second: u32,
    dtls_per_second: u32,
    keyframe_interval_ms: u32,
    keyframes_per_second: u32,
    repair_percent: u32,
    repair_bitrate: u32,
    tcp_connections: usize,
    tcp_connections_per_address: usize,
    tcp_first_frame_ms: u64,
    tcp_idle_ms: u64,
    tcp_send_buffer: usize,
    tcp_stall_ms: u64,
    udp_receive_buffer: usize,
    udp_send_buffer: usize,
}

fn addresses(texts: &[String]) -> PyResult<Vec<IpAddr>> {
    let parse = |text: &String| {
        text.parse()
            .map_err(|_| error::config(format!("{text:?} is not an IP address")))
    };
    texts.iter().map(parse).collect()
}

impl EngineConfig {
    pub fn into_net(self) -> PyResult<net::EngineConfig> {
        Ok(net::EngineConfig {
            udp_addresses: addresses(&self.udp_addresses)?,
            udp_port: self.udp_port,
            tcp_addresses: addresses(&self.tcp_addresses)?,
            tcp_port: self.tcp_port,
            workers: self.workers,
            seed: self.seed,
            gso: self.gso,
            max_transports: self.max_transports,
            max_bitrate_start: self.max_bitrate_start,
            limits: self.limits.into_net(),
        })
    }
}

impl EngineLimits {
    fn into_net(self) -> net::NetLimits {
        net::NetLimits {
            publications_per_transport: self.publications_per_transport,
            subscriptions_per_transport: self.subscriptions_per_transport,
            events: self.events,
            dtls_events_per_transport: self.dtls_events_per_transport,
            commands: self.commands,
            rates: net::Rates {
                packets_per_second: self.packets_per_second,
                dtls_per_second: self.dtls_per_second,
                keyframe_interval_ms: self.keyframe_interval_ms,
                keyframes_per_second: self.keyframes_per_second,
                repair_percent: self.repair_percent,
                repair_bitrate: self.repair_bitrate,
            },
            tcp: net::TcpLimits {
                connections: self.tcp_connections,
                connections_per_address: self.tcp_connections_per_address,
                first_frame: Duration::from_millis(self.tcp_first_frame_ms),
                idle: Duration::from_millis(self.tcp_idle_ms),
                stall: Duration::from_millis(self.tcp_stall_ms),
                send_buffer: self.tcp_send_buffer,
            },
            udp_receive_buffer: self.udp_receive_buffer,
            udp_send_buffer: self.udp_send_buffer,
        }
    }
}
