//! What a hostile participant or stranger may send, and that nobody else notices.

use std::net::SocketAddr;

use sotto_engine_core::collections::Rng;
use sotto_engine_core::path::Path;
use sotto_engine_core::time::{MILLIS, SECONDS, Time};
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
fn undisturbed(world: &mut World, mut attack: impl FnMut(&mut World)) {
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
fn keyframe_requests_are_rationed() {
    for seed in seeds() {
        let (mut world, _, _) = call(seed, 1);
        world.run(3 * SECONDS);
        let before = world.now;
        undisturbed(&mut world, |world| {
            for _ in 0..10 {
                let pli = world.clients[1].rtcp(|c| {
                    c.pli(1, 20);
                    c.fir(1, 20, 3);
                });
                let from = world.clients[1].path;
                world.inject(0, from, &pli);
            }
        });
        let asked: Vec<Time> = world.clients[0].sources[1].encoders[2]
            .plis
            .iter()
            .copied()
            .filter(|at| *at > before)
            .collect();
        assert!(asked.len() <= 7, "{} requests in 3.2 s", asked.len());
        assert!(
            asked
                .windows(2)
                .all(|pair| pair[1].since(pair[0]) >= 490 * MILLIS)
        );
        assert!(world.drops("keyframe_limited") > 1_000);
    }
}

#[test]
fn nack_of_everything_costs_a_share() {
    for seed in seeds() {
        let (mut world, _, _) = call(seed, 1);
        world.run(4 * SECONDS);
        let before = world.cores[0].snapshot(world.now);
        let mut base = 0u16;
        // A million sequence numbers in three seconds.
        undisturbed(&mut world, |world| {
            for _ in 0..4 {
                let numbers: Vec<u16> = (0..850).map(|i| base.wrapping_add(i)).collect();
                base = base.wrapping_add(850);
                let nack = world.clients[1].rtcp(|c| {
                    c.nack(1, 20, numbers);
                });
                let from = world.clients[1].path;
                world.inject(0, from, &nack);
            }
        });
        let after = world.cores[0].snapshot(world.now);
        let again = after.counters.rtx_out - before.counters.rtx_out;
        let sent = after.counters.packets_out - before.counters.packets_out;
        assert!(
            again * 100 <= sent * 30,
            "{again} of {sent} were retransmissions"
        );
        assert!(after.drops["nack_budget"] > 0);
    }
}

#[test]
fn each_packet_is_sent_again_three_times_at_most() {
    let (mut world, _, _) = call(1, 1);
    world.run(4 * SECONDS);
    world.clients[0].silent = true;
    world.run(300 * MILLIS);
    let newest = *world.clients[1].sinks[&20]
        .packets
        .keys()
        .next_back()
        .unwrap() as u16;
    let before = world.cores[0].snapshot(world.now).counters.rtx_out;
    for _ in 0..20 {
        let nack = world.clients[1].rtcp(|c| {
            c.nack(1, 20, [newest]);
        });
        let from = world.clients[1].path;
        world.inject(0, from, &nack);
        world.run(150 * MILLIS);
    }
    let after = world.cores[0].snapshot(world.now).counters.rtx_out;
    assert_eq!(after - before, 3);
}

#[test]
fn lies_about_bandwidth_stay_within_bounds() {
    for seed in seeds() {
        let (mut world, _, _) = call(seed, 1);
        world.run(3 * SECONDS);
        let transport = world.clients[1].transport;
        let mut number = 0u16;
        undisturbed(&mut world, |world| {
            number = number.wrapping_add(977);
            let rate = if number.is_multiple_of(2) {
                u64::MAX / 2
            } else {
                0
            };
            let mut fci = vec![0u8; 8];
            fci[..2].copy_from_slice(&number.to_be_bytes());
            fci[2..4].copy_from_slice(&3_000u16.to_be_bytes());
            fci[4..8].copy_from_slice(&[0xFF, 0xFF, 0xFF, 7]);
            fci.extend_from_slice(&(0x2000u16 | 3_000).to_be_bytes());
            fci.resize(fci.len() + 1_000, 0);
            let lie = world.clients[1].rtcp(|c| {
                c.remb(1, rate, &[20]);
                c.transport_cc(1, 2, &fci);
            });
            let from = world.clients[1].path;
            world.inject(0, from, &lie);
        });
        let estimate = world.cores[0].snapshot(world.now).transports[&transport].estimate;
        assert!(
            estimate.is_none_or(|e| (30_000..=100_000_000).contains(&e)),
            "{estimate:?}"
        );
    }
}

#[test]
fn bye_ends_only_ones_own_stream() {
    for seed in seeds() {
        let (mut world, _, _) = call(seed, 1);
        world.run(2 * SECONDS);
        undisturbed(&mut world, |world| {
            let bye = world.clients[1].rtcp(|c| {
                c.bye(1_000);
                c.bye(10);
            });
            let from = world.clients[1].path;
            world.inject(0, from, &bye);
        });
        assert!(world.drops("foreign_ssrc") >= 600);
        // One's own: another SSRC may follow at once.
        let bye = world.clients[0].rtcp(|c| {
            c.bye(1_000);
        });
        let from = world.clients[0].path;
        world.inject(0, from, &bye);
        let at = world.now;
        let mut next = Source::audio("0", 7_000);
        next.next = at;
        world.clients[0].sources[0] = next;
        world.run(SECONDS);
        let sink = &world.clients[1].sinks[&10];
        assert!(sink.longest_gap(at - 50 * MILLIS, world.now - 50 * MILLIS) <= 100 * MILLIS);
        assert!(sink.loss() == 0.0, "numbers go on without a hole");
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
