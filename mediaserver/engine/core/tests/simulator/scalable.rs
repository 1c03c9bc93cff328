//! RED and its Opus, SVC by VP9's own layers, and publications that are muted or change.

use sotto_engine_core::command::Command;
use sotto_engine_core::spec::{Codec, CodecName, SubscriptionSettings};
use sotto_engine_core::time::{MILLIS, SECONDS};
use sotto_engine_core::wire::codec::dd;

use crate::client::Sink;
use crate::forwarding::{assert_continuous, call};
use crate::source::{Plain, Source};
use crate::specs;
use crate::world::{World, seeds};

const VP9: u8 = 98;

fn send(world: &mut World, client: usize, mid: &str, packet: &Plain) {
    let bytes = world.clients[client].protect(mid, packet);
    world.client_sends(client, &bytes);
}

fn plain(payload_type: u8, ssrc: u32, index: u64, timestamp: u32, payload: Vec<u8>) -> Plain {
    Plain {
        payload_type,
        ssrc,
        index,
        timestamp,
        marker: false,
        payload,
        level: None,
        rid: None,
        rrid: None,
        descriptor: Vec::new(),
    }
}

/// One redundant block of 8 bytes, then the primary of 20 (RFC 2198 section 3).
fn red_payload(index: u64) -> Vec<u8> {
    let offset = 960u16;
    let mut payload = vec![
        0x80 | specs::OPUS,
        (offset >> 6) as u8,
        (offset << 2) as u8,
        8,
        specs::OPUS,
    ];
    payload.extend_from_slice(&[0xEE; 8]);
    payload.extend_from_slice(&[index as u8; 20]);
    payload
}

#[test]
fn red_is_stripped_for_those_who_did_not_negotiate_it() {
    for seed in seeds() {
        let mut world = World::new(seed, 1);
        let publisher = world.join(0);
        let (with, without) = (world.join(0), world.join(0));
        let mut spec = specs::audio("0");
        let red = specs::codec(CodecName::Red, specs::RED, None);
        spec.codecs.insert(0, red.clone());
        let mut silent = Source::audio("0", 1_000);
        silent.encoders[0].enabled = false;
        let audio = world.publish(publisher, spec, silent);
        world.subscribe(
            with,
            audio,
            publisher,
            specs::subscription("a", 10, vec![red, specs::opus()]),
        );
        world.subscribe(
            without,
            audio,
            publisher,
            specs::subscription("a", 10, vec![specs::opus()]),
        );
        world.run(SECONDS);
        for index in 0..100u64 {
            let packet = plain(
                specs::RED,
                1_000,
                500 + index,
                index as u32 * 960,
                red_payload(index),
            );
            send(&mut world, publisher, "0", &packet);
            world.run(20 * MILLIS);
        }
        world.run(100 * MILLIS);
        let whole: Vec<_> = world.clients[with].sinks[&10].packets.values().collect();
        let stripped: Vec<_> = world.clients[without].sinks[&10].packets.values().collect();
        assert_eq!((whole.len(), stripped.len()), (100, 100));
        assert!(
            whole
                .iter()
                .all(|g| g.payload_type == specs::RED && g.payload.len() == 33)
        );
        assert!(
            stripped
                .iter()
                .all(|g| g.payload_type == specs::OPUS && g.payload.len() == 20)
        );
        assert!(
            stripped
                .iter()
                .enumerate()
                .all(|(i, g)| g.payload[0] == i as u8)
        );
    }
}

/// VP9 with three spatial layers in one stream, non-flexible mode, one packet per layer frame.
fn vp9_picture(world: &mut World, publisher: usize, picture: u16, index: &mut u64, key: bool) {
    for spatial in 0..3u8 {
        // I, P, L, B, E; picture id of 15 bits; T, U, S, D; TL0PICIDX.
        let predicted = if key { 0 } else { 0x40 };
        let mut payload = vec![
            0x80 | predicted | 0x20 | 0x08 | 0x04,
            0x80 | (picture >> 8) as u8,
            picture as u8,
        ];
        payload.push((spatial << 1) | u8::from(spatial > 0));
        payload.push(picture as u8);
        payload.extend_from_slice(&[spatial; 200]);
        let mut packet = plain(VP9, 3_000, *index, u32::from(picture) * 3_000, payload);
        packet.marker = spatial == 2;
        send(world, publisher, "1", &packet);
        *index += 1;
    }
}

fn pictures(sink: &Sink) -> Vec<(u32, usize, bool)> {
    let mut out: Vec<(u32, usize, bool)> = Vec::new();
    for got in sink.packets.values() {
        match out.last_mut() {
            Some(last) if last.0 == got.timestamp => {
                last.1 += 1;
                last.2 = got.marker;
            }
            _ => out.push((got.timestamp, 1, got.marker)),
        }
    }
    out
}

/// A publisher of one SVC stream that the test writes itself, and a subscriber.
fn svc_call(seed: u64, codec: &Codec) -> (World, usize, usize, u64) {
    let mut world = World::new(seed, 1);
    let (publisher, subscriber) = (world.join(0), world.join(0));
    let mut spec = specs::video("1", 1);
    spec.codecs = vec![codec.clone()];
    spec.svc = true;
    let mut silent = Source::video("1", 3_000, &[1]);
    silent.encoders[0].enabled = false;
    let video = world.publish(publisher, spec, silent);
    let spec = specs::subscription("b", 20, vec![codec.clone()]);
    let subscription = world.subscribe(subscriber, video, publisher, spec);
    world.run(SECONDS);
    (world, publisher, subscriber, subscription)
}

#[test]
fn svc_layers_are_dropped_at_once_and_added_at_keyframes() {
    for seed in seeds() {
        let vp9 = specs::codec(CodecName::Vp9, VP9, Some(VP9 + 1));
        let (mut world, publisher, subscriber, subscription) = svc_call(seed, &vp9);
        let (mut index, mut expected) = (900, Vec::new());
        let limits = [(0..60u16, 2u8), (60..120, 0), (120..180, 2)];
        for (span, max_spatial) in limits {
            let settings = SubscriptionSettings {
                max_spatial,
                ..SubscriptionSettings::default()
            };
            world.command(
                0,
                Command::UpdateSubscription {
                    id: subscription,
                    settings,
                },
            );
            for picture in span {
                // Nothing rises before the keyframe at 150.
                let layers = if (60..150).contains(&picture) { 1 } else { 3 };
                vp9_picture(
                    &mut world,
                    publisher,
                    picture,
                    &mut index,
                    picture == 0 || picture == 150,
                );
                expected.push(layers);
                world.run(33 * MILLIS);
            }
        }
        let sink = &world.clients[subscriber].sinks[&20];
        let seen = pictures(sink);
        assert!(
            seen.iter().all(|(_, _, marker)| *marker),
            "each picture ends with a marker"
        );
        let wrong = seen
            .iter()
            .zip(&expected)
            .filter(|((_, count, _), want)| count != *want)
            .count();
        // The command and the packets in flight may cross at each change.
        assert!(wrong <= 6, "{wrong} pictures with other layers than wanted");
        assert_eq!(sink.loss(), 0.0);
    }
}

#[test]
fn muting_leaves_no_hole() {
    for seed in seeds() {
        let (mut world, _, video) = call(seed, 1);
        world.run(3 * SECONDS);
        world.command(
            0,
            Command::SetPublicationMuted {
                id: video,
                muted: true,
            },
        );
        let muted = world.now;
        world.run(3 * SECONDS);
        let during = world.clients[1].sinks[&20]
            .packets
            .values()
            .filter(|g| g.at > muted + 200 * MILLIS)
            .count();
        assert_eq!(during, 0, "a muted publication is silent");
        world.command(
            0,
            Command::SetPublicationMuted {
                id: video,
                muted: false,
            },
        );
        world.run(3 * SECONDS);
        let sink = &world.clients[1].sinks[&20];
        assert!(
            sink.packets
                .values()
                .any(|g| g.at > world.now - 200 * MILLIS)
        );
        assert_eq!(sink.loss(), 0.0);
    }
}

#[test]
fn a_paused_subscription_continues_where_it_stopped() {
    for seed in seeds() {
        let (mut world, subscription, _) = call(seed, 1);
        world.run(3 * SECONDS);
        for paused in [true, false, true, false] {
            let settings = SubscriptionSettings {
                paused,
                ..SubscriptionSettings::default()
            };
            world.command(
                0,
                Command::UpdateSubscription {
                    id: subscription,
                    settings,
                },
            );
            world.run(2 * SECONDS);
        }
        assert_continuous(&world.clients[1].sinks[&20]);
    }
}

/// Dependency structure of two spatial layers: templates s0, s0 referring two back, s1.
fn structure() -> Vec<u8> {
    let text = [
        "1 1 000100 0000000000000000 1 0 0 0 0",
        "000100 00001 00 10 11 10 10 11 11 00 10 0 1 0001 0 1 0000 0 10 0000 0010 0001",
        "1 0000000100111111 0000000010110011 0000001001111111 0000000101100111",
    ]
    .concat();
    let digits: Vec<u8> = text
        .bytes()
        .filter(|b| b.is_ascii_digit())
        .map(|b| b - b'0')
        .collect();
    let byte = |bits: &[u8]| (0..8).fold(0, |acc, at| (acc << 1) | bits.get(at).unwrap_or(&0));
    digits.chunks(8).map(byte).collect()
}

/// One temporal unit of AV1: a frame of each spatial layer.
fn av1_unit(world: &mut World, publisher: usize, unit: u16, index: &mut u64) {
    for spatial in 0..2u16 {
        let key = unit == 0 && spatial == 0;
        let template = if key { 4 } else { 5 + spatial as u8 };
        let frame = unit * 2 + spatial;
        let mut descriptor = if key { structure() } else { vec![0; 3] };
        descriptor[0] = 0xC0 | template;
        descriptor[1..3].copy_from_slice(&frame.to_be_bytes());
        let mut payload = vec![if key { 0x18 } else { 0x10 }, 0x30];
        payload.resize(300, spatial as u8);
        let mut packet = plain(AV1, 3_000, *index, u32::from(unit) * 3_000, payload);
        packet.marker = spatial == 1;
        packet.descriptor = descriptor;
        send(world, publisher, "1", &packet);
        *index += 1;
    }
}

const AV1: u8 = 45;

#[test]
fn av1_is_thinned_by_its_descriptor_and_needs_it() {
    for seed in seeds() {
        let mut world = World::new(seed, 1);
        let publisher = world.join(0);
        let av1 = specs::codec(CodecName::Av1, AV1, Some(AV1 + 1));
        let mut spec = specs::video("1", 1);
        spec.codecs = vec![av1.clone()];
        spec.svc = true;
        let mut silent = Source::video("1", 3_000, &[1]);
        silent.encoders[0].enabled = false;
        let video = world.publish(publisher, spec, silent);
        let limits = [1u8, 0, 1];
        for (number, max_spatial) in limits.into_iter().enumerate() {
            let subscriber = world.join(0);
            let mut spec = specs::subscription("b", 20, vec![av1.clone()]);
            if number == 2 {
                spec.extensions.dependency_descriptor = None;
            }
            let settings = SubscriptionSettings {
                max_spatial,
                ..SubscriptionSettings::default()
            };
            world.subscribe_with(subscriber, video, publisher, spec, settings);
        }
        world.run(SECONDS);
        let mut index = 900;
        for unit in 0..60 {
            av1_unit(&mut world, publisher, unit, &mut index);
            world.run(33 * MILLIS);
        }
        world.run(100 * MILLIS);
        let (whole, thin) = (&world.clients[1].sinks[&20], &world.clients[2].sinks[&20]);
        assert_eq!((whole.packets.len(), thin.packets.len()), (120, 60));
        assert_eq!((whole.loss(), thin.loss()), (0.0, 0.0));
        assert!(thin.packets.values().all(|g| g.marker), "each unit ends");
        let frame = |g: &crate::client::Got| u16::from_be_bytes([g.descriptor[1], g.descriptor[2]]);
        let frames: Vec<u16> = thin.packets.values().map(frame).collect();
        assert!(
            frames
                .windows(2)
                .all(|pair| pair[1].wrapping_sub(pair[0]) == 2)
        );
        let first = thin.packets.values().next().unwrap();
        let parsed = dd::parse(&first.descriptor, None).unwrap();
        assert_eq!(parsed.descriptor.active_targets, Some(0b01));
        assert!(
            !world.clients[3].sinks.contains_key(&20),
            "no AV1 without it"
        );
    }
}
