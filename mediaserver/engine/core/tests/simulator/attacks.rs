//! What a hostile participant or stranger may send, and that nobody else notices. What a participant
//! may claim in RTCP is in `lies`.

use std::net::SocketAddr;

use sotto_engine_core::collections::Rng;
use sotto_engine_core::path::Path;
use sotto_engine_core::time::{MILLIS, SECONDS};
use sotto_engine_core::wire::ext;
use sotto_engine_core::wire::rtp::{Fields, HeaderWriter};

use crate::forwarding::call;
use crate::source::{Plain, Source};
use crate::specs;
use crate::world::{World, seeds};

fn stranger() -> Path {
    Path::udp(0, SocketAddr::from(([198, 51, 100, 9], 9_999)))
}

/// The audio of client 1 has no hole from here on while `attack` runs each 10 ms for 3 s.
pub fn undisturbed(world: &mut World, mut attack: impl FnMut(&mut World)) {
    let since = world.now;
    for _ in 0..300 {
        attack(world);
        world.run(10 * MILLIS);
    }
    world.run(200 * MILLIS);
    let sink = &world.clients[1].sinks[&10];
    let gap = sink.longest_gap(since, world.now - 100 * MILLIS);
    assert!(gap <= 45 * MILLIS, "a gap of {} ms", gap / MILLIS);
    assert!(sink.loss() < 0.001);
}

#[test]
fn junk_from_strangers_and_members_goes_nowhere() {
    for seed in seeds() {
        let (mut world, _, _) = call(seed, 1);
        world.run(2 * SECONDS);
        let mut rng = Rng::new(seed);
        let sent_before = world.strays;
        let member = world.clients[0].path;
        undisturbed(&mut world, |world| {
            for _ in 0..20 {
                let len = rng.below(200) as usize;
                let mut bytes: Vec<u8> = (0..len).map(|_| rng.next_u64() as u8).collect();
                if let Some(first) = bytes.first_mut() {
                    *first = rng.next_u64() as u8;
                }
                let from = if rng.below(2) == 0 {
                    stranger()
                } else {
                    member
                };
                world.inject(0, from, &bytes);
            }
        });
        assert_eq!(
            world.strays, sent_before,
            "something was answered to a stranger"
        );
        assert!(world.drops("unvalidated_source") > 100);
        assert!(world.drops("auth_fail") > 100);
    }
}

#[test]
fn every_first_byte_and_length_is_survived() {
    let mut world = World::new(1, 1);
    let client = world.join(0);
    world.run(300 * MILLIS);
    let member = world.clients[client].path;
    for first in 0..=255u8 {
        for len in [0usize, 1, 2, 3, 4, 8, 11, 12, 13, 20, 28, 40] {
            let mut bytes = vec![0x41; len];
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            world.inject(0, member, &bytes);
            world.inject(0, stranger(), &bytes);
        }
    }
    assert!(world.drops("empty") > 0);
}

#[test]
fn replayed_packets_are_not_forwarded() {
    for seed in seeds() {
        let (mut world, _, _) = call(seed, 1);
        world.run(2 * SECONDS);
        let from = world.clients[0].path;
        let mut recorded: Vec<Vec<u8>> = Vec::new();
        let mut source = Source::audio("0", 1_000);
        source.next = world.now;
        source.encoders[0].index = 40_000;
        for step in 0..50u64 {
            for packet in source.produce(world.now + step * 20 * MILLIS) {
                recorded.push(world.clients[0].protect("0", &packet));
            }
        }
        world.clients[0].silent = true;
        for bytes in &recorded {
            world.inject(0, from, bytes);
        }
        world.run(SECONDS);
        let before = world.clients[1].sinks[&10].packets.len();
        for bytes in &recorded {
            world.inject(0, from, bytes);
        }
        world.run(SECONDS);
        assert_eq!(world.clients[1].sinks[&10].packets.len(), before);
        assert_eq!(world.drops("replay"), recorded.len() as u64);
    }
}

#[test]
fn an_ssrc_belongs_to_whoever_bound_it_first() {
    for seed in seeds() {
        let (mut world, _, _) = call(seed, 1);
        world.run(2 * SECONDS);
        // The same SSRC, mid and rid on another transport are another stream.
        let thief = world.join(0);
        world.publish(thief, specs::audio("0"), Source::audio("0", 1_000));
        let before = world.now;
        world.run(2 * SECONDS);
        let sink = &world.clients[1].sinks[&10];
        assert!(sink.longest_gap(before, world.now - 50 * MILLIS) <= 45 * MILLIS);
        assert_eq!(sink.duplicates, 0);
        // On one transport, a second section that claims it is refused.
        let second = specs::audio("9");
        let mut claimed = second.clone();
        claimed.encodings[0].ssrc = Some(1_000);
        world.publish(0, claimed, Source::audio("9", 1_500));
        assert_eq!(world.drops("ssrc_conflict"), 1);
        // And so is another SSRC for an encoding that is alive.
        let packet = Plain {
            payload_type: specs::OPUS,
            ssrc: 4_242,
            index: 7,
            timestamp: 0,
            marker: false,
            payload: vec![1; 40],
            level: Some(10),
            rid: None,
            rrid: None,
            descriptor: Vec::new(),
        };
        let bytes = world.clients[0].protect("0", &packet);
        let from = world.clients[0].path;
        world.inject(0, from, &bytes);
        assert_eq!(world.drops("ssrc_conflict"), 2);
    }
}

#[test]
fn a_flood_of_one_source_is_cut() {
    for seed in seeds() {
        let (mut world, _, _) = call(seed, 1);
        let flooder = world.join(0);
        world.publish(flooder, specs::audio("0"), Source::audio("0", 5_000));
        world.run(2 * SECONDS);
        let mut index = 60_000u64;
        undisturbed(&mut world, |world| {
            for _ in 0..500 {
                index += 1;
                let packet = Plain {
                    payload_type: specs::OPUS,
                    ssrc: 5_000,
                    index,
                    timestamp: index as u32,
                    marker: false,
                    payload: vec![0; 60],
                    level: None,
                    rid: None,
                    rrid: None,
                    descriptor: Vec::new(),
                };
                let bytes = world.clients[flooder].protect("0", &packet);
                let from = world.clients[flooder].path;
                world.inject(0, from, &bytes);
            }
        });
        assert!(world.drops("over_rate") > 100_000);
    }
}

#[test]
fn damaged_headers_and_padding_are_counted() {
    let (mut world, _, _) = call(1, 1);
    world.run(SECONDS);
    let from = world.clients[0].path;
    let mut rng = Rng::new(3);
    for index in 0..2_000u64 {
        let fields = Fields {
            marker: rng.below(2) == 0,
            payload_type: [specs::OPUS, specs::VP8, specs::VP8_RTX, specs::RED]
                [rng.below(4) as usize],
            sequence: (30_000 + index) as u16,
            timestamp: rng.next_u64() as u32,
            ssrc: [1_000, 2_000, 2_005, 9][rng.below(4) as usize],
        };
        let mut header = [0u8; 128];
        let form = if rng.below(2) == 0 {
            ext::Form::OneByte
        } else {
            ext::Form::TwoByte
        };
        let mut writer = HeaderWriter::new(&mut header, &fields, form);
        for _ in 0..rng.below(4) {
            let value: Vec<u8> = (0..rng.below(16) + 1)
                .map(|_| rng.next_u64() as u8)
                .collect();
            writer.element(rng.below(14) as u8 + 1, &value);
        }
        let len = writer.finish().unwrap();
        header[0] |= if rng.below(3) == 0 { 0x20 } else { 0 };
        let payload: Vec<u8> = (0..rng.below(30)).map(|_| rng.next_u64() as u8).collect();
        let mut out = [0u8; 400];
        let sender = &world.clients[0].sender;
        let size = sender
            .protect_rtp(30_000 + index, &header[..len], &payload, 0, &mut out)
            .unwrap();
        world.inject(0, from, &out[..size]);
    }
    world.run(SECONDS);
    assert!(world.drops("malformed") > 0);
    assert!(world.drops("unknown_ssrc") > 0);
}
