//! The other end: sockets that wake their reader, or a TUN device that wakes nobody. One thread
//! reads and counts until it is told to stop.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use sotto_bench_tun::Tun;

use crate::options::Options;
use crate::pin;

/// The receivers and the thread that reads them.
pub struct Reader {
    pub targets: Vec<SocketAddrV4>,
    stop: Arc<AtomicBool>,
    received: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

const FIRST_PORT: u16 = 10_000;
/// How often a TUN is looked at when it was empty.
const LOOK: Duration = Duration::from_micros(50);

impl Reader {
    pub fn start(options: &Options) -> Result<Self, String> {
        let (stop, received) = (Arc::default(), Arc::default());
        let (until, count, core) = (Arc::clone(&stop), Arc::clone(&received), options.cores.1);
        let behind = |at: usize| SocketAddrV4::new(options.tun_address, FIRST_PORT + at as u16);
        let (targets, thread) = if options.tun.is_empty() {
            let (sockets, targets) = sockets(options.receivers).map_err(|e| e.to_string())?;
            let work = move || drain(&sockets, &until, &count);
            (targets, spawn(core, work))
        } else {
            let tun = Tun::open(&options.tun, options.segments)?;
            let work = move || look(&tun, &until, &count);
            (
                (0..options.receivers).map(behind).collect(),
                spawn(core, work),
            )
        };
        Ok(Self {
            targets,
            stop,
            received,
            thread,
        })
    }

    /// How many packets came.
    pub fn finish(self) -> Result<u64, String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .map_err(|_| "the reader failed".to_owned())?;
        Ok(self.received.load(Ordering::Relaxed))
    }
}

fn spawn(core: usize, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    std::thread::spawn(move || {
        pin(core);
        work();
    })
}

fn sockets(count: usize) -> io::Result<(Vec<UdpSocket>, Vec<SocketAddrV4>)> {
    let mut made = (Vec::new(), Vec::new());
    for _ in 0..count {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        made.1.push(SocketAddrV4::new(
            Ipv4Addr::LOCALHOST,
            socket.local_addr()?.port(),
        ));
        made.0.push(socket);
    }
    Ok(made)
}

/// Reads the device until told to stop.
fn look(tun: &Tun, stop: &AtomicBool, received: &AtomicU64) {
    let mut buffer = Tun::buffer();
    while !stop.load(Ordering::Relaxed) {
        match tun.read(&mut buffer) {
            Some(run) => {
                let packets = run.data.len().div_ceil(run.segment) as u64;
                received.fetch_add(packets, Ordering::Relaxed);
            }
            None => std::thread::sleep(LOOK),
        }
    }
}

/// An epoll over all receivers. Waking a waiting reader is part of what loopback charges to the
/// sender, so the limit must pay it as the servers do.
fn watch(sockets: &[UdpSocket]) -> i32 {
    // SAFETY: no pointers; each event lives for its call.
    unsafe {
        let epoll = libc::epoll_create1(libc::EPOLL_CLOEXEC);
        for (at, socket) in sockets.iter().enumerate() {
            let mut event = libc::epoll_event {
                events: libc::EPOLLIN as u32,
                u64: at as u64,
            };
            libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &mut event);
        }
        epoll
    }
}

/// Reads all receivers until told to stop, as the load client does.
fn drain(sockets: &[UdpSocket], stop: &AtomicBool, received: &AtomicU64) {
    let mut data = vec![[0u8; 2048]; 64];
    let mut vectors: Vec<libc::iovec> = data
        .iter_mut()
        .map(|data| libc::iovec {
            iov_base: data.as_mut_ptr().cast(),
            iov_len: 2048,
        })
        .collect();
    // SAFETY: zeros are a valid mmsghdr; the vectors outlive the calls.
    let mut headers: Vec<libc::mmsghdr> = vec![unsafe { std::mem::zeroed() }; 64];
    for (header, vector) in headers.iter_mut().zip(&mut vectors) {
        header.msg_hdr.msg_iov = vector;
        header.msg_hdr.msg_iovlen = 1;
    }
    let epoll = watch(sockets);
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 256];
    while !stop.load(Ordering::Relaxed) {
        // SAFETY: `events` holds 256 entries.
        let ready = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), 256, 50) };
        for event in events.iter().take(ready.max(0) as usize) {
            let at = event.u64 as usize;
            let socket = sockets[at].as_raw_fd();
            // SAFETY: the headers point to buffers that live; the descriptor is open.
            let count = unsafe {
                libc::recvmmsg(
                    socket,
                    headers.as_mut_ptr(),
                    64,
                    libc::MSG_DONTWAIT,
                    std::ptr::null_mut(),
                )
            };
            received.fetch_add(count.max(0) as u64, Ordering::Relaxed);
        }
    }
    // SAFETY: ours, and used no more.
    unsafe { libc::close(epoll) };
}
