//! Clocks, epoll, batched receives and /proc: everything that asks the operating system.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

fn clock(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
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
        let mut event = libc::epoll_event {
            events: libc::EPOLLIN as u32,
            u64: token,
        };
        // SAFETY: `event` is valid for the call.
        match unsafe {
            libc::epoll_ctl(self.0, libc::EPOLL_CTL_ADD, source.as_raw_fd(), &mut event)
        } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// Tokens that are ready, waiting at most `timeout_us`.
    pub fn wait(&self, timeout_us: u64, tokens: &mut Vec<u64>) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 256];
        let time = libc::timespec {
            tv_sec: (timeout_us / 1_000_000) as i64,
            tv_nsec: (timeout_us % 1_000_000 * 1000) as i64,
        };
        // SAFETY: `events` holds 256 entries, `time` is valid, no signal mask.
        let count = unsafe {
            libc::epoll_pwait2(self.0, events.as_mut_ptr(), 256, &time, std::ptr::null())
        };
        tokens.clear();
        tokens.extend(
            events
                .iter()
                .take(count.max(0) as usize)
                .map(|event| event.u64),
        );
    }
}

impl Drop for Epoll {
    fn drop(&mut self) {
        // SAFETY: the descriptor is ours.
        unsafe { libc::close(self.0) };
    }
}

/// Waits end when they should, not up to 50 us later.
pub fn precise_timers() {
    // SAFETY: no pointers; the slack of this thread, in nanoseconds.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1000) };
}

/// User and system time of this process.
pub fn own_cpu_us() -> u64 {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
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
    unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            pointer,
            size_of::<i32>() as u32,
        )
    };
}

/// Lets the kernel hand over a whole GSO run as one buffer, which tells how long runs are.
pub fn receive_runs(socket: &impl AsRawFd) {
    set(socket, libc::SOL_UDP, libc::UDP_GRO, 1);
}

const CONTROL_WORDS: usize = 12;

/// Buffers for `recvmmsg`, shared by all sockets of a kind.
pub struct Batch {
    size: usize,
    data: Vec<u8>,
    control: Vec<[u64; CONTROL_WORDS]>,
    headers: Vec<libc::mmsghdr>,
    vectors: Vec<libc::iovec>,
}

impl Batch {
    /// `size` bytes for each of `count` datagrams, or runs of them.
    pub fn new(count: usize, size: usize) -> Self {
        let mut data = vec![0u8; count * size];
        let mut control = vec![[0u64; CONTROL_WORDS]; count];
        let mut vectors: Vec<libc::iovec> = data
            .chunks_mut(size)
            .map(|data| libc::iovec {
                iov_base: data.as_mut_ptr().cast(),
                iov_len: size,
            })
            .collect();
        let headers = (0..count)
            .map(|at| {
                // SAFETY: all zeros is a valid mmsghdr.
                let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
                header.msg_hdr.msg_iov = &raw mut vectors[at];
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_control = control[at].as_mut_ptr().cast();
                header
            })
            .collect();
        Self {
            size,
            data,
            control,
            headers,
            vectors,
        }
    }

    /// As many datagrams as wait and fit; how many came.
    pub fn receive(&mut self, socket: &impl AsRawFd) -> usize {
        debug_assert_eq!(self.vectors.len(), self.headers.len());
        for header in &mut self.headers {
            header.msg_hdr.msg_controllen = CONTROL_WORDS * 8;
        }
        let most = self.headers.len() as u32;
        // SAFETY: headers point into vectors that live and do not move with `self`.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                most,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        count.max(0) as usize
    }

    pub fn capacity(&self) -> usize {
        self.headers.len()
    }

    pub fn datagram(&mut self, at: usize) -> &mut [u8] {
        let len = (self.headers[at].msg_len as usize).min(self.size);
        &mut self.data[at * self.size..at * self.size + len]
    }

    /// The data words of a control message.
    fn control(&self, at: usize, level: i32, kind: i32) -> Option<&[u64]> {
        let used = self.headers[at].msg_hdr.msg_controllen / 8;
        let mut rest = &self.control[at][..used.min(CONTROL_WORDS)];
        let wanted = (level as u64) | ((kind as u64) << 32);
        // struct cmsghdr: its length in bytes, then level and type.
        while let [len, head, ..] = rest {
            let words = (*len as usize).div_ceil(8).clamp(2, rest.len());
            if *head == wanted {
                return Some(&rest[2..words]);
            }
            rest = &rest[words..];
        }
        None
    }

    /// The kernel's receive time in wall-clock microseconds, when it was asked for.
    pub fn received_us(&self, at: usize) -> Option<u64> {
        let time = self.control(at, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)?;
        Some(time.first()? * 1_000_000 + time.get(1)? / 1000)
    }

    /// Bytes of each datagram in the run at `at`.
    pub fn segment(&self, at: usize) -> Option<usize> {
        let words = self.control(at, libc::SOL_UDP, libc::UDP_GRO)?;
        words
            .first()
            .map(|word| (*word & 0xFFFF) as usize)
            .filter(|segment| *segment > 0)
    }
}

/// User and system time of processes, in microseconds (resolution 10 ms).
pub fn cpu_us(pids: &[u32]) -> (u64, u64) {
    pids.iter()
        .filter_map(|pid| read_cpu(*pid))
        .fold((0, 0), |total, one| (total.0 + one.0, total.1 + one.1))
}

fn read_cpu(pid: u32) -> Option<(u64, u64)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    Some((ticks(11)? * 10_000, ticks(12)? * 10_000))
}
