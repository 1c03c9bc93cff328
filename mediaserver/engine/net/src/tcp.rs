//! ICE over passive TCP (RFC 6544): datagrams framed by a 16-bit length (RFC 4571 section 2)
//! on accepted connections. Every buffer is bounded, every wait has an end. Which worker a
//! connection belongs to is decided in `worker.rs` by the ufrag of its first frame.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

use sotto_engine_core::path::Path;
use sotto_engine_core::time::Time;
use sotto_engine_core::wire::framing::{MAX_FRAME, PREFIX};

use crate::config::TcpLimits;
use crate::sys;

/// What one read may bring.
const READ: usize = 64 * 1024;
/// Room for a read behind what was kept, which at a hand-over is a whole read.
pub const SCRATCH: usize = 2 * READ + PREFIX + MAX_FRAME;
/// Unsent bytes the kernel keeps; freshness of media against throughput on long paths.
const KERNEL_UNSENT: usize = 128 * 1024;
/// Handshakes waiting to be accepted.
const BACKLOG: libc::c_int = 1024;

/// Why a connection ended; the label of its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cut {
    Closed,
    Oversize,
    NotStun,
    NoFrame,
    Unanswered,
    Idle,
    Stalled,
}

impl Cut {
    pub fn label(self) -> &'static str {
        match self {
            Cut::Closed => "closed",
            Cut::Oversize => "oversize",
            Cut::NotStun => "not_stun",
            Cut::NoFrame => "no_frame",
            Cut::Unanswered => "unanswered",
            Cut::Idle => "idle",
            Cut::Stalled => "stalled",
        }
    }
}

pub struct Listener {
    fd: OwnedFd,
}

impl Listener {
    pub fn bind(address: SocketAddr) -> io::Result<Listener> {
        let fd = sys::socket(address, libc::SOCK_STREAM)?;
        sys::set_option(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
        sys::set_option(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        if address.is_ipv6() {
            sys::set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
        }
        sys::bind(&fd, address)?;
        sys::listen(&fd, BACKLOG)?;
        Ok(Listener { fd })
    }

    pub fn accept(&self) -> io::Result<(OwnedFd, SocketAddr)> {
        sys::accept(&self.fd)
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Connections open now, in all and by address; IPv6 counts by /64, which one host may own.
pub struct Admission {
    total: usize,
    per_address: usize,
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One place; given back when dropped.
pub struct Permit {
    admission: Arc<Admission>,
    key: IpAddr,
}

impl Admission {
    pub fn new(limits: &TcpLimits) -> Arc<Admission> {
        let (total, per_address) = (limits.connections, limits.connections_per_address);
        Arc::new(Admission {
            total,
            per_address,
            open: Mutex::default(),
        })
    }

    pub fn admit(self: &Arc<Admission>, ip: IpAddr) -> Option<Permit> {
        let key = match ip {
            IpAddr::V4(_) => ip,
            IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX)).into(),
        };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.values().sum::<usize>() >= self.total {
            return None;
        }
        let count = open.entry(key).or_default();
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(Permit {
            admission: self.clone(),
            key,
        })
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self
            .admission
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}

/// States: waiting for a first frame, waiting for a first answer, in use.
pub struct Connection {
    fd: OwnedFd,
    path: Path,
    /// Start of a frame whose rest has not come; or, at hand-over, whole frames.
    kept: Vec<u8>,
    output: Output,
    opened: Time,
    active: Time,
    framed: bool,
    answered: bool,
    /// Registered for writability.
    waiting: bool,
    _permit: Permit,
}

/// Bytes that the kernel has not taken yet.
#[derive(Default)]
struct Output {
    bytes: Vec<u8>,
    sent: usize,
    since: Time,
}

/// What one read brought: `end` bytes of scratch are to be split into frames.
pub struct Read {
    pub end: usize,
    pub cut: Option<Cut>,
}

impl Connection {
    pub fn new(
        fd: OwnedFd,
        local: u16,
        remote: SocketAddr,
        id: u32,
        now: Time,
        permit: Permit,
    ) -> Connection {
        let _ = sys::set_option(&fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1);
        let unsent = KERNEL_UNSENT as libc::c_int;
        let _ = sys::set_option(&fd, libc::IPPROTO_TCP, libc::TCP_NOTSENT_LOWAT, unsent);
        Connection {
            fd,
            path: Path::tcp(local, remote, id),
            kept: Vec::new(),
            output: Output::default(),
            opened: now,
            active: now,
            framed: false,
            answered: false,
            waiting: false,
            _permit: permit,
        }
    }

    pub fn path(&self) -> Path {
        self.path
    }

    /// Reads what is there into `scratch`, behind what was kept.
    pub fn read(&mut self, now: Time, scratch: &mut [u8]) -> Read {
        let start = self.kept.len();
        scratch[..start].copy_from_slice(&self.kept);
        self.kept.clear();
        match sys::recv(&self.fd, &mut scratch[start..start + READ]) {
            Ok(0) => Read {
                end: start,
                cut: Some(Cut::Closed),
            },
            Ok(count) => {
                self.active = now;
                Read {
                    end: start + count,
                    cut: None,
                }
            }
            Err(error) if waits(&error) => Read {
                end: start,
                cut: None,
            },
            Err(_) => Read {
                end: start,
                cut: Some(Cut::Closed),
            },
        }
    }

    /// Keeps the start of a frame for the next read.
    pub fn keep(&mut self, bytes: &[u8]) {
        self.kept.clear();
        self.kept.extend_from_slice(bytes);
    }

    /// Keeps all frames, the first one included, for the worker that they belong to.
    pub fn keep_for_another(&mut self, frames: &[u8]) {
        self.keep(frames);
        self.framed = false;
    }

    /// True when the interest in writability has to change, to `wanted`.
    pub fn wants_write(&mut self, wanted: bool) -> bool {
        std::mem::replace(&mut self.waiting, wanted) != wanted
    }

    /// True for the first frame only.
    pub fn first_frame(&mut self) -> bool {
        !std::mem::replace(&mut self.framed, true)
    }

    /// Queues datagrams of `segment` bytes each, whole frames or nothing; how many were refused.
    pub fn queue(&mut self, now: Time, bytes: &[u8], segment: usize, limit: usize) -> usize {
        self.answered = true;
        let mut refused = 0;
        for datagram in bytes.chunks(segment.max(1)) {
            let Ok(size) = u16::try_from(datagram.len()) else {
                refused += 1;
                continue;
            };
            let waiting = self.output.bytes.len() - self.output.sent;
            if waiting + PREFIX + datagram.len() > limit {
                refused += 1;
                continue;
            }
            if waiting == 0 {
                self.output.since = now;
            }
            self.output.bytes.extend_from_slice(&size.to_be_bytes());
            self.output.bytes.extend_from_slice(datagram);
        }
        refused
    }

    /// Writes what the kernel takes; true when something is left.
    pub fn flush(&mut self, now: Time) -> Result<bool, Cut> {
        let output = &mut self.output;
        while output.sent < output.bytes.len() {
            match sys::send(&self.fd, &output.bytes[output.sent..]) {
                Ok(count) => {
                    output.sent += count;
                    output.since = now;
                    self.active = now;
                }
                Err(error) if waits(&error) => {
                    // Keep the buffer from growing by its sent part.
                    output.bytes.drain(..output.sent);
                    output.sent = 0;
                    return Ok(true);
                }
                Err(_) => return Err(Cut::Closed),
            }
        }
        output.sent = 0;
        output.bytes.clear();
        if output.bytes.capacity() > 64 * 1024 {
            output.bytes = Vec::new();
        }
        Ok(false)
    }

    /// The reason to end it now, if time has run out.
    pub fn overdue(&self, now: Time, limits: &TcpLimits) -> Option<Cut> {
        let past = |since: Time, limit: std::time::Duration| {
            u128::from(now.since(since)) > limit.as_micros()
        };
        if !self.framed && past(self.opened, limits.first_frame) {
            return Some(Cut::NoFrame);
        }
        if !self.answered && past(self.opened, limits.first_frame) {
            return Some(Cut::Unanswered);
        }
        if self.output.sent < self.output.bytes.len() && past(self.output.since, limits.stall) {
            return Some(Cut::Stalled);
        }
        past(self.active, limits.idle).then_some(Cut::Idle)
    }
}

impl AsRawFd for Connection {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

fn waits(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;

    fn limits() -> TcpLimits {
        TcpLimits {
            connections: 3,
            connections_per_address: 2,
            first_frame: Duration::from_secs(5),
            idle: Duration::from_secs(30),
            stall: Duration::from_secs(5),
            send_buffer: 4096,
        }
    }

    fn pair() -> (Connection, TcpStream) {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let client = TcpStream::connect(sys::local_address(&listener).unwrap()).unwrap();
        let (fd, remote) = loop {
            match listener.accept() {
                Err(error) if waits(&error) => {}
                other => break other.unwrap(),
            }
        };
        let permit = Admission::new(&limits()).admit(remote.ip()).unwrap();
        (
            Connection::new(fd, 0, remote, 1, Time::ZERO, permit),
            client,
        )
    }

    #[test]
    fn what_does_not_fit_the_buffer_is_refused_whole() {
        let (mut connection, mut client) = pair();
        let refused = connection.queue(Time::ZERO, &[5; 6000], 1000, 4096);
        assert_eq!(refused, 2);
        assert_eq!(connection.flush(Time::ZERO), Ok(false));
        let mut got = vec![0; 4 * 1002];
        client.read_exact(&mut got).unwrap();
        assert_eq!(got[..3], [3, 232, 5]);
    }

    #[test]
    fn a_reader_that_stops_is_cut_and_one_that_reads_is_not() {
        let (mut connection, _client) = pair();
        connection.first_frame();
        let mut left = false;
        while !left {
            assert_eq!(
                connection.queue(Time::ZERO, &[0; 60_000], 1200, usize::MAX),
                0
            );
            left = connection.flush(Time::ZERO).unwrap();
        }
        let limits = limits();
        assert_eq!(connection.overdue(Time::from_millis(4_900), &limits), None);
        assert_eq!(
            connection.overdue(Time::from_millis(5_100), &limits),
            Some(Cut::Stalled)
        );
    }

    #[test]
    fn silence_ends_a_connection_at_each_stage() {
        let (mut connection, mut client) = pair();
        let at = |ms| Time::from_millis(ms);
        assert_eq!(connection.overdue(at(5_100), &limits()), Some(Cut::NoFrame));
        assert!(connection.first_frame() && !connection.first_frame());
        assert_eq!(
            connection.overdue(at(5_100), &limits()),
            Some(Cut::Unanswered)
        );
        connection.queue(at(0), b"x", 1, 100);
        assert_eq!(connection.flush(at(0)), Ok(false));
        assert_eq!(connection.overdue(at(29_000), &limits()), None);
        assert_eq!(connection.overdue(at(30_100), &limits()), Some(Cut::Idle));
        client.write_all(b"a").unwrap();
        let mut scratch = vec![0; SCRATCH];
        while connection.read(at(30_000), &mut scratch).end == 0 {}
        assert_eq!(connection.overdue(at(30_100), &limits()), None);
        drop(client);
        while connection.read(at(30_000), &mut scratch).cut != Some(Cut::Closed) {}
    }

    #[test]
    fn connections_are_counted_by_address_and_in_all() {
        let admission = Admission::new(&limits());
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = admission.admit(ip("2001:db8::1")).unwrap();
        let second = admission.admit(ip("2001:db8::2")).unwrap();
        assert!(admission.admit(ip("2001:db8::3")).is_none(), "same /64");
        let _third = admission.admit(ip("192.0.2.1")).unwrap();
        assert!(
            admission.admit(ip("192.0.2.2")).is_none(),
            "all places taken"
        );
        drop((first, second));
        assert!(admission.admit(ip("2001:db8::3")).is_some());
    }
}
