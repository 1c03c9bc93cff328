//! Clocks, epoll, batched receives and /proc: everything that asks the operating system.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

fn clock(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec to write to.
    unsafe { libc::clock_gettime(id, &mut time) };
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1000
}

/// Monotonic microseconds, for schedules.
pub fn now_us() -> u64 {
    clock(libc::CLOCK_MONOTONIC)
}

/// Wall-clock microseconds, as the kernel stamps received packets.
pub fn wall_us() -> u64 {
    clock(libc::CLOCK_REALTIME)
}

pub struct Epoll(RawFd);

impl Epoll {
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointers.
        match unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) } {
            -1 => Err(io::Error::last_os_error()),
            fd => Ok(Self(fd)),
        }
    }

    /// Level-triggered reads under `token`. Closing the descriptor removes it.
    pub fn add(&self, source: &impl AsRawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        // SAFETY: `event` is valid for the call.
        match unsafe { libc::epoll_ctl(self.0, libc::EPOLL_CTL_ADD, source.as_raw_fd(), &mut event) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// Tokens that are ready, waiting at most `timeout_us`.
    pub fn wait(&self, timeout_us: u64, tokens: &mut Vec<u64>) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 256];
        let time = libc::timespec { tv_sec: (timeout_us / 1_000_000) as i64, tv_nsec: (timeout_us % 1_000_000 * 1000) as i64 };
        // SAFETY: `events` holds 256 entries, `time` is valid, no signal mask.
        let count = unsafe { libc::epoll_pwait2(self.0, events.as_mut_ptr(), 256, &time, std::ptr::null()) };
        tokens.clear();
        tokens.extend(events.iter().take(count.max(0) as usize).map(|event| event.u64));
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours.
        unsafe { libc::close(self.0) };
    }
}

pub fn receive_buffer(socket: &impl AsRawFd, bytes: i32) {
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes);
    set(socket, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes);
}

/// Asks for the kernel's receive time of each datagram, so that a delay does not hold the time
/// that the datagram waited for this client.
pub fn receive_times(socket: &impl AsRawFd) {
    set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1);
}

fn set(socket: &impl AsRawFd, level: i32, name: i32, value: i32) {
    let pointer = (&raw const value).cast();
    // SAFETY: `pointer` is an i32 for the time of the call. A refusal costs precision only.
    unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, pointer, size_of::<i32>() as u32) };
}

const BATCH: usize = 64;
const SIZE: usize = 2048;
const CONTROL: usize = 64;

/// Buffers for `recvmmsg`, shared by all sockets.
pub struct Batch {
    data: Box<[[u8; SIZE]; BATCH]>,
    control: Box<[[u64; CONTROL / 8]; BATCH]>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Batch {
    pub fn new() -> Self {
        let mut data = Box::new([[0u8; SIZE]; BATCH]);
        let mut control = Box::new([[0u64; CONTROL / 8]; BATCH]);
        let mut vectors: Vec<libc::iovec> =
            data.iter_mut().map(|data| libc::iovec { iov_base: data.as_mut_ptr().cast(), iov_len: SIZE }).collect();
        let headers = (0..BATCH)
            .map(|at| {
                // SAFETY: all zeros is a valid mmsghdr.
                let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
                header.msg_hdr.msg_iov = &raw mut vectors[at];
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_control = control[at].as_mut_ptr().cast();
                header
            })
            .collect();
        Self { data, control, vectors, headers }
    }

    /// Up to 64 datagrams; how many came.
    pub fn receive(&mut self, socket: &impl AsRawFd) -> usize {
        debug_assert_eq!(self.vectors.len(), BATCH);
        for header in &mut self.headers {
            header.msg_hdr.msg_controllen = CONTROL;
        }
        // SAFETY: headers point into boxes and a vector that live and do not move with `self`.
        let count = unsafe {
            libc::recvmmsg(socket.as_raw_fd(), self.headers.as_mut_ptr(), BATCH as u32, libc::MSG_DONTWAIT, std::ptr::null_mut())
        };
        count.max(0) as usize
    }

    pub fn datagram(&mut self, at: usize) -> &mut [u8] {
        let len = self.headers[at].msg_len as usize;
        &mut self.data[at][..len.min(SIZE)]
    }

    /// The kernel's receive time in wall-clock microseconds, when it was asked for.
    pub fn received_us(&self, at: usize) -> Option<u64> {
        let header = &self.headers[at].msg_hdr;
        if header.msg_controllen < size_of::<libc::cmsghdr>() + size_of::<libc::timespec>() {
            return None;
        }
        let words = &self.control[at];
        // struct cmsghdr { len, level/type }, then the timespec.
        let kind = words[1];
        let expected = (libc::SOL_SOCKET as u64) | ((libc::SO_TIMESTAMPNS as u64) << 32);
        (kind == expected).then(|| words[2] * 1_000_000 + words[3] / 1000)
    }
}

/// User and system time of processes, in microseconds (resolution 10 ms).
pub fn cpu_us(pids: &[u32]) -> (u64, u64) {
    pids.iter().filter_map(|pid| read_cpu(*pid)).fold((0, 0), |total, one| (total.0 + one.0, total.1 + one.1))
}

fn read_cpu(pid: u32) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    Some((ticks(11)? * 10_000, ticks(12)? * 10_000))
}
