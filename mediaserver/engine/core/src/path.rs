//! How a remote is reached. A value, not a connection: `net` owns the sockets behind it.

use std::net::SocketAddr;

/// IPv4 and UDP headers: a narrow path carries them too.
pub const HEADERS: usize = 28;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proto {
    Udp,
    Tcp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    pub proto: Proto,
    /// Index of the local socket the datagram came in on, and leaves by.
    pub local: u16,
    pub remote: SocketAddr,
    /// TCP connection id; 0 for UDP.
    pub conn: u32,
}

impl Path {
    pub fn udp(local: u16, remote: SocketAddr) -> Path {
        Path {
            proto: Proto::Udp,
            local,
            remote,
            conn: 0,
        }
    }

    pub fn tcp(local: u16, remote: SocketAddr, conn: u32) -> Path {
        Path {
            proto: Proto::Tcp,
            local,
            remote,
            conn,
        }
    }
}
