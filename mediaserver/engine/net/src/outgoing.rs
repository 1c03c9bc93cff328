//! Several runs in one sendmmsg: headers, addresses and control messages, written anew for each call
//! into boxes that stay where they are. The bytes are the caller's, borrowed until `send` returns.

use std::marker::PhantomData;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use libc::c_void;

use crate::sys;
use crate::udp::{Control, UdpSocket};

/// Runs of one call.
pub const MAX_TOGETHER: usize = 16;

pub struct Outgoing {
    headers: Box<[libc::mmsghdr]>,
    parts: Box<[libc::iovec]>,
    names: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
}

// SAFETY: the raw pointers lead into the boxes of this value, or to bytes that `Filling` borrows;
// outside of a `Filling` nobody follows them.
unsafe impl Send for Outgoing {}

/// A call under construction, alive as long as the bytes that it names.
pub struct Filling<'a> {
    to: &'a mut Outgoing,
    count: usize,
    bytes: PhantomData<&'a [u8]>,
}

impl Outgoing {
    pub fn new() -> Outgoing {
        // SAFETY: all zeroes is a valid mmsghdr and iovec.
        let (header, part) = unsafe { (mem::zeroed(), mem::zeroed()) };
        Outgoing {
            headers: vec![header; MAX_TOGETHER].into(),
            parts: vec![part; MAX_TOGETHER].into(),
            names: vec![sys::empty_storage(); MAX_TOGETHER].into(),
            controls: (0..MAX_TOGETHER).map(|_| Control::new()).collect(),
        }
    }

    pub fn fill(&mut self) -> Filling<'_> {
        Filling {
            to: self,
            count: 0,
            bytes: PhantomData,
        }
    }
}

impl<'a> Filling<'a> {
    /// A run of datagrams of `segment` bytes (the last may be shorter), from `source`; at most
    /// `MAX_TOGETHER` of them.
    pub fn push(
        &mut self,
        remote: &SocketAddr,
        source: Option<IpAddr>,
        bytes: &'a [u8],
        segment: usize,
    ) {
        let (at, to) = (self.count, &mut *self.to);
        self.count += 1;
        let (name, name_size) = sys::to_storage(remote);
        to.names[at] = name;
        to.parts[at].iov_base = bytes.as_ptr().cast_mut().cast::<c_void>();
        to.parts[at].iov_len = bytes.len();
        let header = &mut to.headers[at].msg_hdr;
        header.msg_name = (&raw mut to.names[at]).cast();
        header.msg_namelen = name_size;
        header.msg_iov = &raw mut to.parts[at];
        header.msg_iovlen = 1;
        let segment = (bytes.len() > segment).then_some(segment as u16);
        to.controls[at].write(header, source, segment);
    }

    /// How many left, in order. What stopped the next one is learned by sending it alone.
    pub fn send(self, socket: &UdpSocket) -> usize {
        // SAFETY: `push` pointed the first `count` headers at the boxes and at bytes that are
        // borrowed for `'a`; the kernel only reads the bytes.
        let sent = sys::check(unsafe {
            libc::sendmmsg(
                socket.as_raw_fd(),
                self.to.headers.as_mut_ptr(),
                self.count as u32,
                0,
            )
        });
        sent.map_or(0, |sent| sent as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket as Plain;

    use super::*;

    fn bound() -> UdpSocket {
        UdpSocket::bind("127.0.0.1:0".parse().unwrap(), 1 << 20, 1 << 20).unwrap()
    }

    fn reader() -> Plain {
        let socket = Plain::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    fn read(socket: &Plain) -> Vec<Vec<u8>> {
        let mut buffer = [0u8; 2048];
        std::iter::from_fn(|| {
            let size = socket.recv(&mut buffer).ok()?;
            Some(buffer[..size].to_vec())
        })
        .collect()
    }

    #[test]
    fn each_remote_gets_its_own_run_cut_at_its_own_size() {
        let (from, a, b) = (bound(), reader(), reader());
        let (to_a, to_b) = (a.local_addr().unwrap(), b.local_addr().unwrap());
        let mut outgoing = Outgoing::new();
        for _ in 0..2 {
            let mut call = outgoing.fill();
            call.push(&to_a, None, &[1; 250], 100);
            call.push(&to_b, Some([127, 0, 0, 1].into()), &[2; 60], 60);
            call.push(&to_a, None, &[3; 40], 20);
            assert_eq!(call.send(&from), 3);
        }
        let one = [
            vec![1; 100],
            vec![1; 100],
            vec![1; 50],
            vec![3; 20],
            vec![3; 20],
        ];
        assert_eq!(read(&a), [one.clone(), one].concat());
        assert_eq!(read(&b), [vec![2; 60], vec![2; 60]]);
    }

    #[test]
    fn what_follows_a_refused_run_is_left_to_the_next_call() {
        let (from, a) = (bound(), reader());
        let to = a.local_addr().unwrap();
        let nowhere = "127.0.0.1:0".parse().unwrap();
        let mut outgoing = Outgoing::new();
        let mut call = outgoing.fill();
        call.push(&to, None, b"one", 3);
        call.push(&nowhere, None, b"two", 3);
        call.push(&to, None, b"three", 5);
        assert_eq!(call.send(&from), 1);
        assert_eq!(read(&a), [b"one".to_vec()]);
        let mut call = outgoing.fill();
        call.push(&nowhere, None, b"two", 3);
        assert_eq!(call.send(&from), 0);
    }
}
