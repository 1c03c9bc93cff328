//! How a peer connection's datagrams travel: a UDP socket of its own on loopback, or a port of
//! the one TUN device that all share. Knows no ICE and no media.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::rc::Rc;

use sotto_bench_tun::Tun;

use crate::options::Options;

/// Ports of the TUN's participants; each peer connection gets the next one.
const FIRST_PORT: u16 = 10_000;
const NOBODY: u64 = u64::MAX;

/// Where links come from.
#[derive(Clone)]
pub enum Wire {
    Sockets(Ipv4Addr),
    Tun(Rc<Shared>),
}

pub struct Shared {
    pub tun: Tun,
    server: Ipv4Addr,
    ours: Ipv4Addr,
    next: Cell<u16>,
    /// The token of each port's owner.
    owners: RefCell<Vec<u64>>,
}

/// One end of a path to the server.
pub enum Link {
    Socket(UdpSocket, SocketAddr),
    Port(Port),
}

pub struct Port {
    shared: Rc<Shared>,
    address: SocketAddrV4,
    peer: Cell<Option<SocketAddrV4>>,
}

impl Wire {
    pub fn new(options: &Options) -> Result<Self, String> {
        let address = |text: &String| text.parse().map_err(|_| format!("no IPv4 address: {text}"));
        let server = address(&options.address)?;
        if options.tun.is_empty() {
            return Ok(Self::Sockets(server));
        }
        Ok(Self::Tun(Rc::new(Shared {
            tun: Tun::open(&options.tun, options.segments)?,
            server,
            ours: address(&options.tun_address)?,
            next: Cell::new(FIRST_PORT),
            owners: RefCell::new(vec![NOBODY; 1 << 16]),
        })))
    }

    /// A path of its own for `token`.
    pub fn link(&self, token: u64) -> io::Result<Link> {
        match self {
            Self::Sockets(address) => {
                let socket = UdpSocket::bind((*address, 0))?;
                socket.set_nonblocking(true)?;
                crate::sys::receive_buffer(&socket, 4 << 20);
                let address = socket.local_addr()?;
                Ok(Link::Socket(socket, address))
            }
            Self::Tun(shared) => Ok(Link::Port(shared.port(token))),
        }
    }

    /// Every subscriber's runs are seen, not only those of a probe.
    pub fn shows_runs(&self) -> bool {
        matches!(self, Self::Tun(_))
    }

    pub fn dropped(&self) -> u64 {
        match self {
            Self::Sockets(_) => 0,
            Self::Tun(shared) => shared.tun.dropped(),
        }
    }
}

impl Shared {
    fn port(self: &Rc<Self>, token: u64) -> Port {
        let number = self.next.get();
        self.next.set(number.checked_add(1).unwrap_or(FIRST_PORT));
        self.owners.borrow_mut()[usize::from(number)] = token;
        Port {
            shared: self.clone(),
            address: SocketAddrV4::new(self.ours, number),
            peer: Cell::new(None),
        }
    }

    /// Whose port it is.
    pub fn owner(&self, port: u16) -> Option<u64> {
        Some(self.owners.borrow()[usize::from(port)]).filter(|token| *token != NOBODY)
    }
}

impl Link {
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Socket(_, address) => *address,
            Self::Port(port) => port.address.into(),
        }
    }

    pub fn socket(&self) -> Option<&UdpSocket> {
        match self {
            Self::Socket(socket, _) => Some(socket),
            Self::Port(_) => None,
        }
    }

    /// Takes a candidate of the server on the wanted address only: an answer from another of a
    /// machine's addresses would not reach a connected socket.
    pub fn connect(&self, candidate: SocketAddr) -> bool {
        match (self, candidate) {
            (Self::Socket(socket, address), _) => {
                candidate.ip() == address.ip() && socket.connect(candidate).is_ok()
            }
            (Self::Port(port), SocketAddr::V4(address)) if *address.ip() == port.shared.server => {
                port.peer.set(Some(address));
                true
            }
            _ => false,
        }
    }

    pub fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Socket(socket, _) => socket.peer_addr().ok(),
            Self::Port(port) => port.peer.get().map(SocketAddr::V4),
        }
    }

    pub fn send(&self, bytes: &[u8]) {
        match self {
            // A full socket buffer is a loss like any other.
            Self::Socket(socket, _) => drop(socket.send(bytes)),
            Self::Port(port) => {
                if let Some(peer) = port.peer.get() {
                    port.shared.tun.write(port.address, peer, bytes);
                }
            }
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let owners = &mut self.shared.owners.borrow_mut();
        owners[usize::from(self.address.port())] = NOBODY;
    }
}
