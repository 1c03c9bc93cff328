//! Opens every socket of an engine before a thread starts: the same UDP port on each address and
//! worker, likewise TCP. Refuses a port that somebody else has, which SO_REUSEPORT alone would
//! share in silence.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crate::config::EngineConfig;
use crate::error::EngineError;
use crate::sys;
use crate::tcp::Listener;
use crate::udp::UdpSocket;
use crate::worker::Sockets;

type Result<T> = std::result::Result<T, EngineError>;

/// Two base-36 digits of the ufrag number the workers.
const MAX_WORKERS: u16 = 36 * 36;
/// Sockets of one worker of each kind.
const MAX_ADDRESSES: usize = 64;
/// Tries to find a port that is free on all addresses.
const TRIES: usize = 32;

/// What was bound.
#[derive(Clone, Debug)]
pub struct Opened {
    pub udp_port: u16,
    pub udp_addresses: Vec<IpAddr>,
    pub tcp_port: Option<u16>,
    pub tcp_addresses: Vec<IpAddr>,
}

pub fn worker_count(wanted: u16) -> Result<u16> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from) as u16;
    match wanted {
        0 => Ok(cores().clamp(1, MAX_WORKERS)),
        1..=MAX_WORKERS => Ok(wanted),
        _ => Err(EngineError::Config(format!(
            "workers must be at most {MAX_WORKERS}"
        ))),
    }
}

pub fn open(config: &EngineConfig, workers: u16) -> Result<(Vec<Sockets>, Opened)> {
    for (name, addresses) in [
        ("udp", &config.udp_addresses),
        ("tcp", &config.tcp_addresses),
    ] {
        if addresses.len() > MAX_ADDRESSES {
            return Err(EngineError::Config(format!(
                "at most {MAX_ADDRESSES} {name} addresses"
            )));
        }
    }
    if config.udp_addresses.is_empty() {
        return Err(EngineError::Config("udp_addresses is empty".to_owned()));
    }
    let limits = &config.limits;
    let (receive, send) = (limits.udp_receive_buffer, limits.udp_send_buffer);
    let bind_udp = |address| UdpSocket::bind(address, receive, send);
    let (udp_port, udp_addresses) = choose(
        "udp",
        &config.udp_addresses,
        config.udp_port,
        libc::SOCK_DGRAM,
    )?;
    let mut sockets = Vec::new();
    for _ in 0..workers {
        let udp = bind_all("udp", &udp_addresses, udp_port, bind_udp)?;
        sockets.push(Sockets {
            udp,
            listeners: Vec::new(),
        });
    }
    let mut opened = Opened {
        udp_port,
        udp_addresses,
        tcp_port: None,
        tcp_addresses: Vec::new(),
    };
    let Some(tcp_port) = config.tcp_port.filter(|_| !config.tcp_addresses.is_empty()) else {
        return Ok((sockets, opened));
    };
    let (port, addresses) = choose("tcp", &config.tcp_addresses, tcp_port, libc::SOCK_STREAM)?;
    for worker in &mut sockets {
        worker.listeners = bind_all("tcp", &addresses, port, Listener::bind)?;
    }
    opened.tcp_port = Some(port);
    opened.tcp_addresses = addresses;
    Ok((sockets, opened))
}

fn bind_all<T>(
    proto: &'static str,
    addresses: &[IpAddr],
    port: u16,
    bind: impl Fn(SocketAddr) -> io::Result<T>,
) -> Result<Vec<T>> {
    let each = |ip: &IpAddr| {
        let address = SocketAddr::new(*ip, port);
        bind(address).map_err(|source| EngineError::Bind {
            proto,
            address,
            source,
        })
    };
    addresses.iter().map(each).collect()
}

/// A port that nobody has on any of the addresses, and the addresses this host can bind.
fn choose(
    proto: &'static str,
    addresses: &[IpAddr],
    port: u16,
    kind: libc::c_int,
) -> Result<(u16, Vec<IpAddr>)> {
    let usable = usable(addresses, kind);
    for attempt in 1.. {
        match probe(proto, &usable, port, kind) {
            Ok(port) => return Ok((port, usable)),
            Err(error) if port != 0 || attempt == TRIES => return Err(error),
            Err(_) => {}
        }
    }
    unreachable!("the loop returns")
}

/// Everything, less a wildcard of a family that this host does not have at all, when another
/// address remains: hosts without IPv6 are common and the default asks for both.
fn usable(addresses: &[IpAddr], kind: libc::c_int) -> Vec<IpAddr> {
    let absent = |ip: &IpAddr| {
        let address = SocketAddr::new(*ip, 0);
        let opened = sys::socket(address, kind).and_then(|fd| sys::bind(&fd, address));
        let code = opened.err().and_then(|error| error.raw_os_error());
        ip.is_unspecified() && matches!(code, Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL))
    };
    let present: Vec<_> = addresses.iter().copied().filter(|ip| !absent(ip)).collect();
    if present.is_empty() {
        addresses.to_vec()
    } else {
        present
    }
}

/// Binds without SO_REUSEPORT, so that another process on the port is an error; the sockets
/// close again at once, and the real ones follow.
fn probe(
    proto: &'static str,
    addresses: &[IpAddr],
    mut port: u16,
    kind: libc::c_int,
) -> Result<u16> {
    let mut held = Vec::new();
    for ip in addresses {
        let address = SocketAddr::new(*ip, port);
        let bound = || -> io::Result<_> {
            let fd = sys::socket(address, kind)?;
            if address.is_ipv6() {
                sys::set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
            }
            if kind == libc::SOCK_STREAM {
                // Past the TIME_WAIT of our own former life; a listener still refuses it.
                sys::set_option(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
            }
            sys::bind(&fd, address)?;
            Ok((sys::local_address(&fd)?.port(), fd))
        };
        let (got, fd) = bound().map_err(|source| EngineError::Bind {
            proto,
            address,
            source,
        })?;
        port = got;
        held.push(fd);
    }
    Ok(port)
}
