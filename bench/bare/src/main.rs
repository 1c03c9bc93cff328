//! The limit: what header, AES-128-GCM and one `sendmsg` with GSO cost for each packet at a run
//! length, to many receivers on loopback, at the pace of a benchmark. It knows no protocol; no
//! server can do less per packet. `bench/run.py` prints it beside the servers.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use serde_json::json;

const HEADER: usize = 20;
const TAG: usize = 16;

struct Options {
    receivers: usize,
    size: usize,
    run: usize,
    /// Packets per second in all, as frames of `run` packets; 0 is as fast as possible.
    rate: u64,
    seconds: f64,
    cores: (usize, usize),
    gso: bool,
}

impl Options {
    fn parse() -> Result<Self, String> {
        let mut options = Self {
            receivers: 200,
            size: 1100,
            run: 8,
            rate: 20_000,
            seconds: 2.0,
            cores: (0, 1),
            gso: true,
        };
        let mut words = std::env::args().skip(1);
        while let (Some(name), Some(value)) = (words.next(), words.next()) {
            let number: f64 = value.parse().map_err(|_| format!("{name}: not a number"))?;
            match name.as_str() {
                "--receivers" => options.receivers = number as usize,
                "--size" => options.size = number as usize,
                "--run" => options.run = number as usize,
                "--rate" => options.rate = number as u64,
                "--seconds" => options.seconds = number,
                "--send-core" => options.cores.0 = number as usize,
                "--receive-core" => options.cores.1 = number as usize,
                "--gso" => options.gso = number != 0.0,
                _ => return Err(format!("unknown option {name}")),
            }
        }
        Ok(options)
    }
}

fn pin(core: usize) {
    // SAFETY: a zeroed cpu_set_t is empty and valid; 0 is the calling thread.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

fn clock_ns(id: libc::clockid_t) -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid to write to.
    unsafe { libc::clock_gettime(id, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
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
fn drain(sockets: Vec<UdpSocket>, stop: Arc<AtomicBool>, received: Arc<AtomicU64>, core: usize) {
    pin(core);
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
    let epoll = watch(&sockets);
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

struct Sender {
    socket: UdpSocket,
    keys: Vec<LessSafeKey>,
    targets: Vec<libc::sockaddr_in>,
    payloads: Vec<Vec<u8>>,
    arena: Vec<u8>,
    sequence: u64,
    gso: bool,
}

impl Sender {
    fn new(options: &Options, addresses: &[SocketAddr]) -> Result<Self, String> {
        let socket = UdpSocket::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        let key = |at: usize| UnboundKey::new(&AES_128_GCM, &[at as u8; 16]).map(LessSafeKey::new);
        let keys = (0..addresses.len())
            .map(key)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| error.to_string())?;
        let target = |address: &SocketAddr| libc::sockaddr_in {
            sin_family: libc::AF_INET as u16,
            sin_port: address.port().to_be(),
            sin_addr: libc::in_addr {
                s_addr: u32::from_be_bytes([127, 0, 0, 1]).to_be(),
            },
            sin_zero: [0; 8],
        };
        Ok(Self {
            socket,
            keys,
            targets: addresses.iter().map(target).collect(),
            payloads: (0..64u8).map(|at| vec![at; options.size]).collect(),
            arena: vec![0; 64 * (HEADER + options.size + TAG)],
            sequence: 0,
            gso: options.gso,
        })
    }

    /// Header and GCM of `run` packets into the arena, then one send.
    fn send(&mut self, target: usize, run: usize) {
        let segment = HEADER + self.payloads[0].len() + TAG;
        for at in 0..run {
            let sequence = self.sequence + at as u64;
            let payload = &self.payloads[sequence as usize % self.payloads.len()];
            let packet = &mut self.arena[at * segment..(at + 1) * segment];
            packet[..2].copy_from_slice(&[0x90, 96]);
            packet[2..4].copy_from_slice(&(sequence as u16).to_be_bytes());
            packet[4..8].copy_from_slice(&(sequence as u32).to_be_bytes());
            packet[8..12].copy_from_slice(&(target as u32).to_be_bytes());
            packet[12..20].copy_from_slice(&[0xBE, 0xDE, 0, 1, 0x31, 0, 0, 0]);
            packet[HEADER..HEADER + payload.len()].copy_from_slice(payload);
            let mut nonce = [0u8; 12];
            nonce[..8].copy_from_slice(&sequence.to_le_bytes());
            let (header, rest) = packet.split_at_mut(HEADER);
            let (text, tag) = rest.split_at_mut(payload.len());
            let nonce = Nonce::assume_unique_for_key(nonce);
            if let Ok(sealed) =
                self.keys[target].seal_in_place_separate_tag(nonce, Aad::from(&*header), text)
            {
                tag.copy_from_slice(sealed.as_ref());
            }
        }
        if self.gso {
            self.send_bytes(target, 0, run * segment, segment);
        } else {
            (0..run).for_each(|at| self.send_bytes(target, at * segment, segment, segment));
        }
    }

    fn send_bytes(&mut self, target: usize, at: usize, len: usize, segment: usize) {
        let mut vector = libc::iovec {
            iov_base: self.arena[at..at + len].as_mut_ptr().cast(),
            iov_len: len,
        };
        let mut control = [0u64; 4];
        // SAFETY: all pointers are to locals and fields that outlive the call; the control
        // buffer is aligned and large enough for one 16-bit message.
        unsafe {
            let mut header: libc::msghdr = std::mem::zeroed();
            header.msg_name = (&raw mut self.targets[target]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as u32;
            header.msg_iov = &mut vector;
            header.msg_iovlen = 1;
            if len > segment {
                header.msg_control = control.as_mut_ptr().cast();
                header.msg_controllen = libc::CMSG_SPACE(2) as usize;
                let message = libc::CMSG_FIRSTHDR(&header);
                (*message).cmsg_level = libc::SOL_UDP;
                (*message).cmsg_type = libc::UDP_SEGMENT;
                (*message).cmsg_len = libc::CMSG_LEN(2) as usize;
                libc::CMSG_DATA(message)
                    .cast::<u16>()
                    .write_unaligned(segment as u16);
            }
            libc::sendmsg(self.socket.as_raw_fd(), &header, 0);
        }
    }
}

fn measure(options: &Options) -> Result<serde_json::Value, String> {
    let sockets: Vec<UdpSocket> = (0..options.receivers)
        .map(|_| UdpSocket::bind("127.0.0.1:0"))
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())?;
    let addresses: Vec<SocketAddr> = sockets
        .iter()
        .map(UdpSocket::local_addr)
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())?;
    let (stop, received) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let reader = {
        let (stop, received, core) = (stop.clone(), received.clone(), options.cores.1);
        std::thread::spawn(move || drain(sockets, stop, received, core))
    };
    pin(options.cores.0);
    let mut sender = Sender::new(options, &addresses)?;
    // At the wanted rate each round sends one run to every receiver.
    let per_round = (options.receivers * options.run) as u64;
    let period_ns = if options.rate > 0 {
        per_round * 1_000_000_000 / options.rate
    } else {
        0
    };
    let (begin, cpu) = (
        clock_ns(libc::CLOCK_MONOTONIC),
        clock_ns(libc::CLOCK_THREAD_CPUTIME_ID),
    );
    let (mut sent, mut next) = (0u64, begin);
    while clock_ns(libc::CLOCK_MONOTONIC) - begin < (options.seconds * 1e9) as u64 {
        for target in 0..options.receivers {
            sender.send(target, options.run);
        }
        sender.sequence += options.run as u64;
        sent += per_round;
        next += period_ns;
        let now = clock_ns(libc::CLOCK_MONOTONIC);
        if next > now {
            std::thread::sleep(std::time::Duration::from_nanos(next - now));
        }
    }
    let cpu = clock_ns(libc::CLOCK_THREAD_CPUTIME_ID) - cpu;
    let elapsed = clock_ns(libc::CLOCK_MONOTONIC) - begin;
    std::thread::sleep(std::time::Duration::from_millis(50));
    stop.store(true, Ordering::Relaxed);
    reader.join().map_err(|_| "the reader failed".to_owned())?;
    Ok(json!({
        "packets": sent, "received": received.load(Ordering::Relaxed),
        "packets_per_second": sent as f64 * 1e9 / elapsed as f64,
        "cpu_us_per_packet": cpu as f64 / 1000.0 / sent.max(1) as f64,
    }))
}

fn main() -> ExitCode {
    match Options::parse().and_then(|options| measure(&options)) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
