//! One UDP socket of the port that everybody shares: batches in (recvmmsg, UDP_GRO), runs out
//! (one sendmsg with UDP_SEGMENT). Tells the local address a datagram was sent to, so that
//! replies leave from it on hosts with several. Knows nothing of packets; `worker.rs` drives it.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use libc::{c_int, c_void};

use crate::sys;

/// Messages taken by one recvmmsg. With GRO each may hold 64 datagrams.
pub const BATCH: usize = 16;
/// Room for one message; the largest UDP payload, since GRO fills it.
const MESSAGE: usize = 65_536;
/// Room for the two control messages that we ask for, with alignment.
const CONTROL: usize = 128;
/// Kernels before 6.x refuse more segments than this in one send (UDP_MAX_SEGMENTS).
const MAX_SEGMENTS: usize = 64;
/// Largest payload of one GSO send: 65,535 less IPv6 and UDP headers, and some room.
const MAX_RUN: usize = 65_000;

pub struct UdpSocket {
    fd: OwnedFd,
    address: SocketAddr,
}

/// What happened to a run of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    All,
    /// The socket buffer was full: nothing, or only the first part, was sent.
    Dropped,
    /// The kernel or driver refuses segmentation on this path: send plainly.
    NoSegments,
    /// The route or the firewall refuses; nothing to do about it here.
    Refused,
}

impl UdpSocket {
    pub fn bind(address: SocketAddr, receive: usize, send: usize) -> io::Result<UdpSocket> {
        let fd = sys::socket(address, libc::SOCK_DGRAM)?;
        sys::set_option(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        if address.is_ipv6() {
            sys::set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
            sys::set_option(&fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
        } else {
            sys::set_option(&fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
        }
        // Old kernels lack GRO; then each message holds one datagram.
        let _ = sys::set_option(&fd, libc::SOL_UDP, libc::UDP_GRO, 1);
        sys::set_buffer(&fd, libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, receive);
        sys::set_buffer(&fd, libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, send);
        sys::bind(&fd, address)?;
        let address = sys::local_address(&fd)?;
        Ok(UdpSocket { fd, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn receive<'a>(&self, batch: &'a mut Batch) -> io::Result<Messages<'a>> {
        batch.prepare();
        // SAFETY: `prepare` pointed every header at buffers that live as long as `batch`.
        let count = sys::check(unsafe {
            libc::recvmmsg(
                self.fd.as_raw_fd(),
                batch.headers.as_mut_ptr(),
                BATCH as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        })?;
        Ok(Messages {
            batch,
            next: 0,
            count: count as usize,
        })
    }

    /// Sends datagrams of `segment` bytes each (the last may be shorter), from `source`.
    pub fn send_run(
        &self,
        remote: &SocketAddr,
        source: Option<IpAddr>,
        bytes: &[u8],
        segment: usize,
    ) -> Sent {
        if bytes.len() <= segment {
            return self.send(remote, source, bytes, None);
        }
        let limit = segment * (MAX_RUN / segment).clamp(1, MAX_SEGMENTS);
        for run in bytes.chunks(limit) {
            let size = (run.len() > segment).then_some(segment as u16);
            let sent = self.send(remote, source, run, size);
            if sent != Sent::All {
                return sent;
            }
        }
        Sent::All
    }

    /// The same, one datagram a call.
    pub fn send_each(
        &self,
        remote: &SocketAddr,
        source: Option<IpAddr>,
        bytes: &[u8],
        segment: usize,
    ) -> Sent {
        for datagram in bytes.chunks(segment.max(1)) {
            let sent = self.send(remote, source, datagram, None);
            if sent != Sent::All {
                return sent;
            }
        }
        Sent::All
    }

    fn send(
        &self,
        remote: &SocketAddr,
        source: Option<IpAddr>,
        bytes: &[u8],
        segment: Option<u16>,
    ) -> Sent {
        let (mut name, name_size) = sys::to_storage(remote);
        let mut part = libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast::<c_void>(),
            iov_len: bytes.len(),
        };
        let mut control = Control::new();
        // SAFETY: all zeroes is a valid msghdr.
        let mut header: libc::msghdr = unsafe { mem::zeroed() };
        header.msg_name = (&raw mut name).cast();
        header.msg_namelen = name_size;
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        control.write(&mut header, source, segment);
        // SAFETY: every pointer in `header` is to a live local or to `bytes`, which is only read.
        let result = unsafe { libc::sendmsg(self.fd.as_raw_fd(), &raw const header, 0) };
        if result >= 0 {
            Sent::All
        } else {
            refusal(segment.is_some())
        }
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

#[cold]
fn refusal(segmented: bool) -> Sent {
    match io::Error::last_os_error().raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM | libc::EINTR) => Sent::Dropped,
        // EIO: no checksum offload on the device; EINVAL, EMSGSIZE: segment above its MTU.
        Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE | libc::EOPNOTSUPP) if segmented => {
            Sent::NoSegments
        }
        _ => Sent::Refused,
    }
}

/// Control messages under construction; aligned as cmsghdr wants.
#[repr(C, align(8))]
pub struct Control {
    bytes: [u8; CONTROL],
}

impl Control {
    pub fn new() -> Control {
        Control {
            bytes: [0; CONTROL],
        }
    }

    /// Points `header` at what is asked for: the source address, the size of segments, or nothing.
    pub fn write(
        &mut self,
        header: &mut libc::msghdr,
        source: Option<IpAddr>,
        segment: Option<u16>,
    ) {
        header.msg_control = self.bytes.as_mut_ptr().cast();
        header.msg_controllen = 0;
        if let Some(source) = source {
            self.push_source(header, source);
        }
        if let Some(segment) = segment {
            self.push(header, libc::SOL_UDP, libc::UDP_SEGMENT, segment);
        }
        if header.msg_controllen == 0 {
            header.msg_control = std::ptr::null_mut();
        }
    }

    fn push<T: Copy>(&mut self, header: &mut libc::msghdr, level: c_int, kind: c_int, value: T) {
        let size = mem::size_of::<T>() as u32;
        #[allow(clippy::unnecessary_cast, reason = "u32 with musl")]
        let at = header.msg_controllen as usize;
        // SAFETY: CMSG_SPACE and CMSG_LEN only compute.
        let (space, length) = unsafe {
            (
                libc::CMSG_SPACE(size) as usize,
                libc::CMSG_LEN(size) as usize,
            )
        };
        debug_assert!(at + space <= CONTROL);
        let cmsg = libc::cmsghdr {
            cmsg_len: length as _,
            cmsg_level: level,
            cmsg_type: kind,
        };
        // SAFETY: two messages of at most 20 bytes of data fit CONTROL; writes are unaligned-safe.
        unsafe {
            let target = self.bytes.as_mut_ptr().add(at);
            target.cast::<libc::cmsghdr>().write_unaligned(cmsg);
            target
                .add(length - size as usize)
                .cast::<T>()
                .write_unaligned(value);
        }
        header.msg_controllen = (at + space) as _;
    }

    fn push_source(&mut self, header: &mut libc::msghdr, source: IpAddr) {
        match source {
            IpAddr::V4(ip) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: 0,
                    ipi_spec_dst: libc::in_addr {
                        s_addr: u32::from_ne_bytes(ip.octets()),
                    },
                    ipi_addr: libc::in_addr { s_addr: 0 },
                };
                self.push(header, libc::IPPROTO_IP, libc::IP_PKTINFO, info);
            }
            IpAddr::V6(ip) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr {
                        s6_addr: ip.octets(),
                    },
                    ipi6_ifindex: 0,
                };
                self.push(header, libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, info);
            }
        }
    }
}

/// Buffers of one recvmmsg, reused for ever; about a megabyte for each worker.
pub struct Batch {
    headers: Box<[libc::mmsghdr]>,
    parts: Box<[libc::iovec]>,
    names: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    data: Box<[u8]>,
}

// SAFETY: the raw pointers lead into the batch's own boxes only, and `prepare` writes them anew
// before each use.
unsafe impl Send for Batch {}

impl Batch {
    pub fn new() -> Batch {
        // SAFETY: all zeroes is a valid mmsghdr and iovec.
        let (header, part) = unsafe { (mem::zeroed(), mem::zeroed()) };
        Batch {
            headers: vec![header; BATCH].into(),
            parts: vec![part; BATCH].into(),
            names: vec![sys::empty_storage(); BATCH].into(),
            controls: (0..BATCH).map(|_| Control::new()).collect(),
            data: vec![0; BATCH * MESSAGE].into(),
        }
    }

    fn prepare(&mut self) {
        for (index, header) in self.headers.iter_mut().enumerate() {
            let part = &mut self.parts[index];
            part.iov_base = self.data[index * MESSAGE..].as_mut_ptr().cast();
            part.iov_len = MESSAGE;
            let header = &mut header.msg_hdr;
            header.msg_name = (&raw mut self.names[index]).cast();
            header.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = part;
            header.msg_iovlen = 1;
            header.msg_control = self.controls[index].bytes.as_mut_ptr().cast();
            header.msg_controllen = CONTROL as _;
            header.msg_flags = 0;
        }
    }
}

impl Default for Batch {
    fn default() -> Batch {
        Batch::new()
    }
}

/// One message: one or more datagrams of `segment` bytes from one remote.
pub struct Message<'a> {
    pub remote: SocketAddr,
    /// The local address it was sent to.
    pub local: Option<IpAddr>,
    pub segment: usize,
    pub bytes: &'a mut [u8],
}

pub struct Messages<'a> {
    batch: &'a mut Batch,
    next: usize,
    count: usize,
}

impl Messages<'_> {
    pub fn count(&self) -> usize {
        self.count
    }

    /// Lends the next message; skips what has no usable address. Not an Iterator: it lends.
    pub fn next(&mut self) -> Option<Message<'_>> {
        while self.next < self.count {
            let index = self.next;
            self.next += 1;
            let Some(remote) = sys::from_storage(&self.batch.names[index]) else {
                continue;
            };
            let size = (self.batch.headers[index].msg_len as usize).min(MESSAGE);
            let (local, segment) = ancillary(&self.batch.headers[index].msg_hdr);
            let start = index * MESSAGE;
            let bytes = &mut self.batch.data[start..start + size];
            let segment = segment.filter(|&s| s > 0).unwrap_or(size).max(1);
            return Some(Message {
                remote,
                local,
                segment,
                bytes,
            });
        }
        None
    }
}

/// The local address and the GRO segment size among the control messages.
fn ancillary(header: &libc::msghdr) -> (Option<IpAddr>, Option<usize>) {
    let (mut local, mut segment) = (None, None);
    // SAFETY: the kernel wrote `msg_controllen` bytes of well-formed control messages.
    unsafe {
        let mut cmsg = libc::CMSG_FIRSTHDR(header);
        while !cmsg.is_null() {
            let data = libc::CMSG_DATA(cmsg);
            match ((*cmsg).cmsg_level, (*cmsg).cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    let ip = Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes());
                    local = Some(IpAddr::V4(ip));
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    local = Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let size = data.cast::<c_int>().read_unaligned();
                    segment = usize::try_from(size).ok();
                }
                _ => {}
            }
            cmsg = libc::CMSG_NXTHDR(header, cmsg);
        }
    }
    (local, segment)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(ip: &str) -> (UdpSocket, UdpSocket) {
        let address: SocketAddr = ip.parse().unwrap();
        let any = |a| UdpSocket::bind(a, 1 << 20, 1 << 20).unwrap();
        (any(address), any(address))
    }

    fn collect(socket: &UdpSocket) -> Vec<(Option<IpAddr>, Vec<u8>)> {
        let mut batch = Batch::new();
        let mut all = Vec::new();
        while let Ok(mut messages) = socket.receive(&mut batch) {
            while let Some(message) = messages.next() {
                let local = message.local;
                all.extend(
                    message
                        .bytes
                        .chunks(message.segment)
                        .map(|d| (local, d.to_vec())),
                );
            }
        }
        all
    }

    #[test]
    fn a_run_arrives_as_its_datagrams() {
        for ip in ["127.0.0.1:0", "[::1]:0"] {
            let (a, b) = pair(ip);
            let bytes: Vec<u8> = (0..150 * 1100 + 300).map(|i| (i / 1100) as u8).collect();
            assert_eq!(a.send_run(&b.address(), None, &bytes, 1100), Sent::All);
            let got = collect(&b);
            let want: Vec<_> = bytes.chunks(1100).map(<[u8]>::to_vec).collect();
            assert_eq!(got.iter().map(|(_, d)| d.clone()).collect::<Vec<_>>(), want);
            assert!(
                got.iter()
                    .all(|(local, _)| *local == Some(b.address().ip()))
            );
        }
    }

    #[test]
    fn plain_sends_carry_the_same_datagrams() {
        let (a, b) = pair("127.0.0.1:0");
        assert_eq!(a.send_each(&b.address(), None, &[7; 250], 100), Sent::All);
        let sizes: Vec<_> = collect(&b).iter().map(|(_, d)| d.len()).collect();
        assert_eq!(sizes, [100, 100, 50]);
    }

    #[test]
    fn replies_leave_from_the_address_that_was_asked() {
        let everywhere = UdpSocket::bind("0.0.0.0:0".parse().unwrap(), 1 << 16, 1 << 16).unwrap();
        let client = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), 1 << 16, 1 << 16).unwrap();
        let asked: SocketAddr = ([127, 0, 0, 9], everywhere.address().port()).into();
        assert_eq!(client.send_run(&asked, None, b"x", 1), Sent::All);
        let source = collect(&everywhere)[0].0;
        assert_eq!(source, Some(asked.ip()));
        let run = [1u8; 40];
        assert_eq!(
            everywhere.send_run(&client.address(), source, &run, 10),
            Sent::All
        );
        let mut batch = Batch::new();
        let mut messages = client.receive(&mut batch).unwrap();
        assert_eq!(messages.next().unwrap().remote, asked);
    }

    #[test]
    fn one_port_serves_many_sockets() {
        let first = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), 1 << 16, 1 << 16).unwrap();
        assert!(UdpSocket::bind(first.address(), 1 << 16, 1 << 16).is_ok());
    }

    #[test]
    fn segments_above_the_limit_of_the_kernel_fall_back() {
        let (a, b) = pair("127.0.0.1:0");
        // No device takes a segment that with its headers exceeds 65,535.
        let sent = a.send(&b.address(), None, &[0; 65_520], Some(65_510));
        assert_eq!(sent, Sent::NoSegments);
    }
}
