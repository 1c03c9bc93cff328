//! Safe faces of the Linux calls that `std::net` lacks: socket options before bind, epoll,
//! eventfd, socket addresses. No policy. Every `unsafe` of the crate is here or in `udp.rs`.

use std::io;
use std::mem::{self, MaybeUninit};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use libc::{c_int, c_void};

/// Turns the -1 of a system call into its errno.
pub fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

pub fn check_size(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

pub fn socket(address: SocketAddr, kind: c_int) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    // SAFETY: no pointers; a non-negative result is a descriptor that nobody else owns.
    unsafe {
        let fd = check(libc::socket(
            family,
            kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC,
            0,
        ))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

pub fn set_option(fd: &impl AsRawFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let size = mem::size_of::<c_int>() as libc::socklen_t;
    // SAFETY: the pointer and size describe `value`, which outlives the call.
    check(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            (&raw const value).cast::<c_void>(),
            size,
        )
    })?;
    Ok(())
}

/// Asks for a socket buffer, past the system's limit when privileged; less is no error.
pub fn set_buffer(fd: &impl AsRawFd, forced: c_int, plain: c_int, bytes: usize) {
    let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX / 2);
    if set_option(fd, libc::SOL_SOCKET, forced, bytes).is_err() {
        let _ = set_option(fd, libc::SOL_SOCKET, plain, bytes);
    }
}

/// Datagrams that the kernel dropped because the receive buffer was full (SO_MEMINFO).
pub fn kernel_drops(fd: &impl AsRawFd) -> u64 {
    const SO_MEMINFO: c_int = 55;
    const DROPS: usize = 8;
    let mut info = [0u32; DROPS + 1];
    let mut size = mem::size_of_val(&info) as libc::socklen_t;
    let raw = info.as_mut_ptr().cast::<c_void>();
    // SAFETY: `info` has room for `size` bytes.
    unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            SO_MEMINFO,
            raw,
            &raw mut size,
        )
    };
    u64::from(info[DROPS])
}

/// Raises this thread's priority if the process may; being refused is no error.
pub fn prefer_this_thread(nice: c_int) {
    // SAFETY: no pointers. 0 is the calling thread, which on Linux has its own priority.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, nice) };
}

pub fn bind(fd: &impl AsRawFd, address: SocketAddr) -> io::Result<()> {
    let (storage, size) = to_storage(&address);
    // SAFETY: `storage` holds an address of `size` bytes.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const storage).cast(), size) })?;
    Ok(())
}

pub fn listen(fd: &impl AsRawFd, backlog: c_int) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::listen(fd.as_raw_fd(), backlog) })?;
    Ok(())
}

pub fn local_address(fd: &impl AsRawFd) -> io::Result<SocketAddr> {
    let mut storage = empty_storage();
    let mut size = mem::size_of_val(&storage) as libc::socklen_t;
    // SAFETY: `storage` has room for `size` bytes.
    check(unsafe { libc::getsockname(fd.as_raw_fd(), (&raw mut storage).cast(), &raw mut size) })?;
    from_storage(&storage).ok_or_else(|| io::Error::other("socket has no internet address"))
}

/// Accepts one connection; `WouldBlock` when none waits.
pub fn accept(fd: &impl AsRawFd) -> io::Result<(OwnedFd, SocketAddr)> {
    let mut storage = empty_storage();
    let mut size = mem::size_of_val(&storage) as libc::socklen_t;
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: `storage` has room for `size` bytes; the result is a descriptor we alone own.
    let stream = unsafe {
        let raw = (&raw mut storage).cast();
        OwnedFd::from_raw_fd(check(libc::accept4(
            fd.as_raw_fd(),
            raw,
            &raw mut size,
            flags,
        ))?)
    };
    let remote = from_storage(&storage).ok_or_else(|| io::Error::other("no address"))?;
    Ok((stream, remote))
}

pub fn recv(fd: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the pointer and length are those of `buffer`.
    check_size(unsafe { libc::recv(fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) })
}

pub fn send(fd: &impl AsRawFd, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the pointer and length are those of `bytes`; MSG_NOSIGNAL keeps SIGPIPE away.
    check_size(unsafe {
        libc::send(
            fd.as_raw_fd(),
            bytes.as_ptr().cast(),
            bytes.len(),
            libc::MSG_NOSIGNAL,
        )
    })
}

pub fn empty_storage() -> libc::sockaddr_storage {
    // SAFETY: all zeroes is a valid sockaddr_storage (family AF_UNSPEC).
    unsafe { MaybeUninit::zeroed().assume_init() }
}

pub fn to_storage(address: &SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    let mut storage = empty_storage();
    let size = match address {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from_ne_bytes(v4.ip().octets()),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: sockaddr_storage is large and aligned enough for every address family.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(raw) };
            mem::size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: v6.ip().octets(),
                },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: as above.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in6>().write(raw) };
            mem::size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, size as libc::socklen_t)
}

pub fn from_storage(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the kernel wrote a sockaddr_in.
            let raw = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(raw.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddr::V4(SocketAddrV4::new(
                ip,
                u16::from_be(raw.sin_port),
            )))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that the kernel wrote a sockaddr_in6.
            let raw = unsafe { &*(&raw const *storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(raw.sin6_addr.s6_addr);
            let port = u16::from_be(raw.sin6_port);
            // Flow info would make one remote look like many.
            Some(SocketAddr::V6(SocketAddrV6::new(
                ip,
                port,
                0,
                raw.sin6_scope_id,
            )))
        }
        _ => None,
    }
}

/// A counter that wakes an epoll; non-blocking.
pub struct EventFd(OwnedFd);

impl EventFd {
    pub fn new() -> io::Result<EventFd> {
        // SAFETY: no pointers; the result is a descriptor we alone own.
        unsafe {
            let fd = check(libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC))?;
            Ok(EventFd(OwnedFd::from_raw_fd(fd)))
        }
    }

    pub fn signal(&self) {
        let one = 1u64;
        // SAFETY: eight bytes are read from `one`. EAGAIN means it is already readable.
        unsafe { libc::write(self.0.as_raw_fd(), (&raw const one).cast(), 8) };
    }

    pub fn clear(&self) {
        let mut count = 0u64;
        // SAFETY: eight bytes are written to `count`. EAGAIN means it was clear.
        unsafe { libc::read(self.0.as_raw_fd(), (&raw mut count).cast(), 8) };
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[derive(Clone, Copy)]
pub struct Ready {
    pub token: u64,
    pub readable: bool,
    pub writable: bool,
}

pub struct Epoll {
    fd: OwnedFd,
    raw: Vec<libc::epoll_event>,
}

impl Epoll {
    pub fn new() -> io::Result<Epoll> {
        // SAFETY: no pointers; the result is a descriptor we alone own.
        let fd = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        Ok(Epoll {
            fd,
            raw: vec![libc::epoll_event { events: 0, u64: 0 }; 256],
        })
    }

    fn control(&self, op: c_int, fd: RawFd, token: u64, writable: bool) -> io::Result<()> {
        let wanted = libc::EPOLLIN | if writable { libc::EPOLLOUT } else { 0 };
        let mut event = libc::epoll_event {
            events: wanted as u32,
            u64: token,
        };
        // SAFETY: `event` outlives the call.
        check(unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), op, fd, &raw mut event) })?;
        Ok(())
    }

    pub fn add(&self, fd: &impl AsRawFd, token: u64) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_ADD, fd.as_raw_fd(), token, false)
    }

    /// Level-triggered: readable always, writable only while `writable`.
    pub fn want(&self, fd: &impl AsRawFd, token: u64, writable: bool) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_MOD, fd.as_raw_fd(), token, writable)
    }

    pub fn remove(&self, fd: &impl AsRawFd) {
        let _ = self.control(libc::EPOLL_CTL_DEL, fd.as_raw_fd(), 0, false);
    }

    /// Waits with microsecond resolution and replaces `out` by what is ready.
    pub fn wait(&mut self, timeout: Duration, out: &mut Vec<Ready>) -> io::Result<()> {
        out.clear();
        let timeout = libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: libc::c_long::from(timeout.subsec_nanos()),
        };
        // SAFETY: `raw` has room for the given count; the timeout outlives the call; no mask.
        let result = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.fd.as_raw_fd(),
                self.raw.as_mut_ptr(),
                self.raw.len(),
                &raw const timeout,
                std::ptr::null::<c_void>(),
                0usize,
            )
        };
        let count = match check(result as c_int) {
            Ok(count) => count as usize,
            Err(error) => return self.wait_coarse(error, &timeout, out),
        };
        self.collect(count, out);
        Ok(())
    }

    /// Kernels before 5.11 lack epoll_pwait2: milliseconds, rounded up.
    fn wait_coarse(
        &mut self,
        error: io::Error,
        timeout: &libc::timespec,
        out: &mut Vec<Ready>,
    ) -> io::Result<()> {
        match error.raw_os_error() {
            Some(libc::EINTR) => return Ok(()),
            Some(libc::ENOSYS | libc::EPERM) => {}
            _ => return Err(error),
        }
        let millis = timeout.tv_sec * 1000 + (timeout.tv_nsec + 999_999) / 1_000_000;
        let room = self.raw.len() as c_int;
        // SAFETY: `raw` has room for `room` events.
        let count = unsafe {
            libc::epoll_wait(
                self.fd.as_raw_fd(),
                self.raw.as_mut_ptr(),
                room,
                millis as c_int,
            )
        };
        self.collect(usize::try_from(count).unwrap_or(0), out);
        Ok(())
    }

    fn collect(&self, count: usize, out: &mut Vec<Ready>) {
        let failed = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
        out.extend(self.raw[..count].iter().map(|event| Ready {
            token: event.u64,
            readable: event.events & (libc::EPOLLIN as u32 | failed) != 0,
            writable: event.events & (libc::EPOLLOUT as u32 | failed) != 0,
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_kernel_form() {
        for text in [
            "127.0.0.1:1",
            "255.1.2.3:65535",
            "[::1]:7882",
            "[fe80::1%7]:5",
        ] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(from_storage(&to_storage(&address).0), Some(address));
        }
    }

    #[test]
    fn an_eventfd_wakes_epoll_until_cleared() {
        let mut epoll = Epoll::new().unwrap();
        let wake = EventFd::new().unwrap();
        epoll.add(&wake, 7).unwrap();
        let mut ready = Vec::new();
        epoll.wait(Duration::ZERO, &mut ready).unwrap();
        assert!(ready.is_empty());
        wake.signal();
        wake.signal();
        epoll.wait(Duration::from_secs(5), &mut ready).unwrap();
        assert_eq!(
            ready
                .iter()
                .map(|r| (r.token, r.readable))
                .collect::<Vec<_>>(),
            [(7, true)]
        );
        wake.clear();
        epoll.wait(Duration::ZERO, &mut ready).unwrap();
        assert!(ready.is_empty());
    }
}
