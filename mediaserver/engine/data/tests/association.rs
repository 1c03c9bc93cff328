//! Our half of an association against another stack's initiating half, in virtual time.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "helpers of a test, outside of test functions"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sctp_proto::{
    Association, AssociationHandle, ClientConfig, DatagramEvent, Endpoint, EndpointConfig, Payload,
    PayloadProtocolIdentifier as Ppi,
};
use sotto_engine_data::{Channels, Config, Event, Open, Reliability, SendError};

/// The other side: initiates, as a browser does.
struct Peer {
    endpoint: Endpoint,
    handle: AssociationHandle,
    association: Association,
}

impl Peer {
    fn new() -> Self {
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::new()), None);
        let remote: SocketAddr = "127.0.0.1:5000".parse().unwrap();
        let (handle, association) = endpoint.connect(ClientConfig::default(), remote).unwrap();
        Self {
            endpoint,
            handle,
            association,
        }
    }

    fn packets(&mut self, now: Instant) -> Vec<Bytes> {
        let mut out = Vec::new();
        while let Some(transmit) = self.association.poll_transmit(now) {
            if let Payload::RawEncode(packets) = transmit.payload {
                out.extend(packets);
            }
        }
        out
    }

    fn receive(&mut self, now: Instant, packet: Bytes) {
        let remote: SocketAddr = "127.0.0.1:5000".parse().unwrap();
        if let Some((handle, DatagramEvent::AssociationEvent(event))) =
            self.endpoint.handle(now, remote, None, None, packet)
        {
            assert_eq!(handle, self.handle);
            self.association.handle_event(event);
        }
        while self.association.poll().is_some() {}
    }

    fn open(&mut self, stream: u16, message: &[u8]) {
        let mut opened = self.association.open_stream(stream, Ppi::Binary).unwrap();
        opened.write_with_ppi(message, Ppi::Dcep).unwrap();
    }

    fn read(&mut self, stream: u16) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        while let Ok(mut readable) = self.association.stream(stream) {
            let Ok(Some(chunks)) = readable.read() else {
                break;
            };
            let mut data = vec![0; chunks.len()];
            chunks.read(&mut data).unwrap();
            out.push(data);
        }
        out
    }
}

/// Carries packets both ways until nobody has any; `lose` says which to drop.
fn settle(now: &mut Instant, ours: &mut Channels, peer: &mut Peer, lose: &mut dyn FnMut() -> bool) {
    for _ in 0..400 {
        let mut moved = false;
        for packet in peer.packets(*now) {
            moved = true;
            if !lose() {
                ours.receive(*now, &packet);
            }
        }
        while let Some(packets) = ours.transmit(*now) {
            moved = true;
            for packet in packets {
                if !lose() {
                    peer.receive(*now, packet);
                }
            }
        }
        if !moved {
            *now += Duration::from_millis(50);
            ours.timer(*now);
            peer.association.handle_timeout(*now);
        }
    }
}

fn events(ours: &mut Channels) -> Vec<Event> {
    std::iter::from_fn(|| ours.event()).collect()
}

fn lossy_open() -> Vec<u8> {
    // OPEN, unordered with 0 retransmissions, label "_lossy" (RFC 8832 section 5.1).
    let mut message = vec![0x03, 0x81, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0];
    message.extend(b"_lossy");
    message
}

#[test]
fn a_channel_of_the_peer_carries_messages_both_ways() {
    let (mut now, mut ours, mut peer) = (
        Instant::now(),
        Channels::new(Config::default(), true),
        Peer::new(),
    );
    let mut never = || false;
    settle(&mut now, &mut ours, &mut peer, &mut never);
    assert_eq!(events(&mut ours), [Event::Connected]);
    peer.open(0, &lossy_open());
    settle(&mut now, &mut ours, &mut peer, &mut never);
    let open = Open {
        label: "_lossy".into(),
        protocol: String::new(),
        ordered: false,
        reliability: Reliability::Retransmits(0),
    };
    assert_eq!(
        events(&mut ours),
        [Event::Opened {
            stream: 0,
            open,
            ours: false
        }]
    );
    assert_eq!(peer.read(0), [vec![0x02]]);

    let big = vec![7; 100_000];
    ours.send(0, &big[..60_000], true).unwrap();
    ours.send(0, b"", true).unwrap();
    settle(&mut now, &mut ours, &mut peer, &mut never);
    assert_eq!(peer.read(0), [big[..60_000].to_vec(), vec![0]]);
    peer.association
        .stream(0)
        .unwrap()
        .write_with_ppi(b"hello", Ppi::String)
        .unwrap();
    settle(&mut now, &mut ours, &mut peer, &mut never);
    let data = Bytes::from_static(b"hello");
    assert_eq!(
        events(&mut ours),
        [Event::Received {
            stream: 0,
            data,
            binary: false
        }]
    );
}

#[test]
fn our_channel_is_up_when_the_peer_acknowledges_it_and_survives_loss() {
    let (mut now, mut ours, mut peer) = (
        Instant::now(),
        Channels::new(Config::default(), true),
        Peer::new(),
    );
    let mut seed = 7u64;
    let mut every_fifth = || {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (seed >> 33).is_multiple_of(5)
    };
    let open = Open {
        label: "_reliable".into(),
        protocol: String::new(),
        ordered: true,
        reliability: Reliability::Reliable,
    };
    let stream = ours.open(open.clone()).unwrap();
    assert_eq!(stream, 1);
    assert_eq!(ours.send(stream, b"early", true), Err(SendError::Closed));
    settle(&mut now, &mut ours, &mut peer, &mut every_fifth);
    assert!(peer.read(stream)[0].ends_with(b"_reliable"));
    peer.association
        .stream(stream)
        .unwrap()
        .write_with_ppi(&[0x02], Ppi::Dcep)
        .unwrap();
    settle(&mut now, &mut ours, &mut peer, &mut every_fifth);
    assert_eq!(
        events(&mut ours),
        [
            Event::Connected,
            Event::Opened {
                stream,
                open,
                ours: true
            }
        ]
    );
    let sent: Vec<Vec<u8>> = (0..50u8).map(|n| vec![n; 1000]).collect();
    for message in &sent {
        ours.send(stream, message, true).unwrap();
    }
    let mut got = Vec::new();
    for _ in 0..20 {
        settle(&mut now, &mut ours, &mut peer, &mut every_fifth);
        got.extend(peer.read(stream));
    }
    let names = |list: &[Vec<u8>]| list.iter().map(|m| (m[0], m.len())).collect::<Vec<_>>();
    assert_eq!(names(&got), names(&sent));
}

#[test]
fn what_exceeds_a_bound_is_refused_and_loses_nothing_else() {
    let config = Config {
        send_buffer: 10_000,
        channels: 2,
        max_message: 8_000,
        ..Config::default()
    };
    let (mut now, mut ours, mut peer) = (Instant::now(), Channels::new(config, true), Peer::new());
    let mut never = || false;
    settle(&mut now, &mut ours, &mut peer, &mut never);
    for stream in [0, 2, 4] {
        peer.open(stream, &lossy_open());
    }
    settle(&mut now, &mut ours, &mut peer, &mut never);
    let opened = events(&mut ours)
        .iter()
        .filter(|event| matches!(event, Event::Opened { .. }))
        .count();
    assert_eq!((opened, ours.refused()), (2, 1));
    assert_eq!(ours.send(0, &[0; 8_001], true), Err(SendError::TooLarge));
    ours.send(0, &[0; 8_000], true).unwrap();
    assert_eq!(ours.send(0, &[0; 8_000], true), Err(SendError::Full));
    settle(&mut now, &mut ours, &mut peer, &mut never);
    ours.send(0, &[0; 8_000], true).unwrap();
}

#[test]
fn junk_is_counted_and_ends_nothing() {
    let (mut now, mut ours, mut peer) = (
        Instant::now(),
        Channels::new(Config::default(), true),
        Peer::new(),
    );
    let mut never = || false;
    settle(&mut now, &mut ours, &mut peer, &mut never);
    let mut seed = 1u64;
    for length in 0..600usize {
        let junk: Vec<u8> = (0..length)
            .map(|_| {
                seed = seed
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                (seed >> 33) as u8
            })
            .collect();
        assert!(!ours.receive(now, &junk));
    }
    assert_eq!(ours.refused(), 600);
    peer.open(0, &lossy_open());
    settle(&mut now, &mut ours, &mut peer, &mut never);
    assert_eq!(events(&mut ours).len(), 2);
}
