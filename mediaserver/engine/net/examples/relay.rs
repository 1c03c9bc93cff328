//! One publisher and many subscribers on loopback through a whole engine, without Python: what a
//! forwarded packet costs, for a profiler. `bench/` measures the server; this finds out why.
//! `cargo run --release --example relay -- SUBSCRIBERS RUN SIZE PACKETS_PER_SECOND SECONDS`

use std::error::Error;
use std::fs;
use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sotto_engine_core::spec::{
    Codec, CodecName, Encoding, Extensions, Kind, PublicationSpec, SrtpProfile,
    SubscriptionSettings, SubscriptionSpec,
};
use sotto_engine_core::wire::srtp::{Profile, Sender};
use sotto_engine_core::wire::stun::{IntegrityKey, Request, Role, write_request};
use sotto_engine_net::Engine;
use sotto_engine_net::config::{EngineConfig, NetLimits, Rates, TcpLimits};
use sotto_engine_net::engine::SrtpKeys;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const KEY: [u8; 16] = [7; 16];
const SALT: [u8; 12] = [9; 12];
const PUBLISHED: u32 = 0x1111;

fn config() -> EngineConfig {
    EngineConfig {
        udp_addresses: vec![IpAddr::from([127, 0, 0, 1])],
        udp_port: 0,
        tcp_addresses: Vec::new(),
        tcp_port: None,
        workers: 1,
        seed: Some(1),
        gso: true,
        max_transports: 10_000,
        max_bitrate_start: 100_000_000,
        limits: NetLimits {
            publications_per_transport: 8,
            subscriptions_per_transport: 8,
            events: 10_000,
            dtls_events_per_transport: 16,
            commands: 100_000,
            rates: Rates::default(),
            tcp: TcpLimits {
                connections: 1,
                connections_per_address: 1,
                first_frame: Duration::from_secs(1),
                idle: Duration::from_secs(1),
                stall: Duration::from_secs(1),
                send_buffer: 1,
            },
            udp_receive_buffer: 8 << 20,
            udp_send_buffer: 8 << 20,
        },
    }
}

fn codec() -> Codec {
    Codec {
        payload_type: 96,
        name: CodecName::Vp8,
        clock_rate: 90_000,
        rtx_payload_type: Some(97),
        nack: true,
        pli: true,
        fir: false,
        remb: false,
        transport_cc: false,
        fmtp: String::new(),
    }
}

/// A transport with keys, connected from a new socket by one nominating check.
fn connect(engine: &Engine) -> Result<(u64, UdpSocket)> {
    let ice = engine.create_transport(1, None)?;
    engine.set_remote_ice(ice.transport, "abcd".into(), "x".repeat(24))?;
    engine.set_srtp(
        ice.transport,
        SrtpKeys {
            profile: SrtpProfile::AeadAes128Gcm,
            local_key: KEY.into(),
            local_salt: SALT.into(),
            remote_key: KEY.into(),
            remote_salt: SALT.into(),
        },
    )?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(("127.0.0.1", engine.opened().udp_port))?;
    let username = format!("{}:abcd", ice.ufrag);
    let request = Request {
        transaction: [1; 12],
        username: &username,
        priority: 1,
        role: Role::Controlling(1),
        use_candidate: true,
    };
    let mut bytes = [0; 512];
    let key = IntegrityKey::new(ice.pwd.as_bytes());
    let size = write_request(&mut bytes, &request, &key).ok_or("too long")?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.send(&bytes[..size])?;
    socket.recv(&mut bytes)?;
    Ok((ice.transport, socket))
}

fn publish(engine: &Engine, transport: u64) -> Result<u64> {
    let encoding = Encoding {
        ssrc: Some(PUBLISHED),
        quality: 2,
        ..Encoding::default()
    };
    Ok(engine.publish(
        transport,
        PublicationSpec {
            kind: Kind::Video,
            mid: "0".into(),
            codecs: vec![codec()],
            extensions: Extensions::default(),
            encodings: vec![encoding],
            svc: false,
            screen: false,
        },
    )?)
}

fn subscribe(engine: &Engine, transport: u64, publication: u64) -> Result<()> {
    let spec = SubscriptionSpec {
        mid: "1".into(),
        ssrc: 0x2222,
        rtx_ssrc: Some(0x3333),
        codecs: vec![codec()],
        extensions: Extensions {
            mid: Some(4),
            ..Extensions::default()
        },
    };
    engine.subscribe(
        transport,
        publication,
        spec,
        SubscriptionSettings::default(),
    )?;
    Ok(())
}

/// CPU time of the worker thread, and its pinning to one core.
struct Thread(String);

impl Thread {
    fn find(name: &str) -> Result<Thread> {
        for task in fs::read_dir("/proc/self/task")? {
            let path = task?.path();
            if fs::read_to_string(path.join("comm"))?.trim() == name {
                let id = path
                    .file_name()
                    .ok_or("no id")?
                    .to_string_lossy()
                    .into_owned();
                return Ok(Thread(id));
            }
        }
        Err("no such thread".into())
    }

    fn pin(&self, core: usize) -> Result<()> {
        // SAFETY: a zeroed cpu_set_t is empty and valid.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            libc::CPU_SET(core, &mut set);
            libc::sched_setaffinity(
                self.0.parse()?,
                size_of::<libc::cpu_set_t>(),
                &raw const set,
            );
        }
        Ok(())
    }

    fn nanoseconds(&self) -> Result<u64> {
        let text = fs::read_to_string(format!("/proc/self/task/{}/schedstat", self.0))?;
        Ok(text.split(' ').next().ok_or("empty")?.parse()?)
    }
}

fn drain(sockets: &[UdpSocket], stop: &AtomicBool, received: &AtomicU64) {
    let mut buffer = [0; 2048];
    while !stop.load(Ordering::Relaxed) {
        let mut count = 0;
        for socket in sockets {
            while socket.recv(&mut buffer).is_ok() {
                count += 1;
            }
        }
        received.fetch_add(count, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// One frame: a burst of packets, the last one with the marker.
fn frame(sender: &Sender, number: u64, run: usize, size: usize) -> Vec<Vec<u8>> {
    let packet = |at: usize| {
        let sequence = number * run as u64 + at as u64;
        let marker = if at + 1 == run { 0x80 } else { 0 };
        let mut header = vec![0x80, marker | 96];
        header.extend_from_slice(&(sequence as u16).to_be_bytes());
        header.extend_from_slice(&((number * 3000) as u32).to_be_bytes());
        header.extend_from_slice(&PUBLISHED.to_be_bytes());
        let mut payload = vec![0xAA; size];
        // VP8 descriptor (RFC 7741 section 4.2) and frame tag: the first frame is a key frame.
        payload[0] = if at == 0 { 0x10 } else { 0 };
        let tag = [
            u8::from(number > 0),
            0,
            0,
            0x9d,
            0x01,
            0x2a,
            0x80,
            0x02,
            0xe0,
            0x01,
        ];
        payload[1..11].copy_from_slice(&tag);
        let mut out = vec![0; size + 64];
        let length = sender.protect_rtp(sequence, &header, &payload, 0, &mut out);
        out.truncate(length.unwrap_or(0));
        out
    };
    (0..run).map(packet).collect()
}

fn main() -> Result<()> {
    let arguments: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|a| a.parse().ok())
        .collect();
    let argument = |at: usize, or: usize| arguments.get(at).copied().unwrap_or(or);
    let (subscribers, run, size) = (argument(0, 80), argument(1, 8), argument(2, 1100));
    let (rate, seconds) = (argument(3, 20_000), argument(4, 5));
    let engine = Engine::new(config())?;
    let (transport, publisher) = connect(&engine)?;
    let publication = publish(&engine, transport)?;
    let mut sockets = Vec::new();
    for _ in 0..subscribers {
        let (transport, socket) = connect(&engine)?;
        subscribe(&engine, transport, publication)?;
        socket.set_nonblocking(true)?;
        sockets.push(socket);
    }
    let worker = Thread::find("sotto-media-0")?;
    worker.pin(0)?;
    Thread(std::process::id().to_string()).pin(1)?;
    let (stop, received) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let reader = {
        let (stop, received) = (stop.clone(), received.clone());
        std::thread::spawn(move || drain(&sockets, &stop, &received))
    };
    let sender = Sender::new(Profile::AeadAes128Gcm, &KEY, &SALT)?;
    let frames = rate * seconds / (subscribers * run);
    let pause = Duration::from_nanos((1_000_000_000 * subscribers * run / rate) as u64);
    let before = worker.nanoseconds()?;
    for number in 0..frames as u64 {
        for packet in frame(&sender, number, run, size) {
            publisher.send(&packet)?;
        }
        std::thread::sleep(pause);
    }
    std::thread::sleep(Duration::from_millis(1200));
    let spent = worker.nanoseconds()? - before;
    stop.store(true, Ordering::Relaxed);
    let _ = reader.join();
    let count = received.load(Ordering::Relaxed);
    println!("{} of {} packets", count, frames * run * subscribers);
    println!(
        "{:.2} us a packet",
        spent as f64 / 1000.0 / count.max(1) as f64
    );
    println!("{}", String::from_utf8_lossy(&engine.snapshot()?[..900]));
    Ok(())
}
