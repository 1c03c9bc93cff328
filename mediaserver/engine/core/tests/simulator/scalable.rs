//! RED and its Opus, SVC by VP9's own layers, and publications that are muted or change.

use sotto_engine_core::command::Command;
use sotto_engine_core::spec::{CodecName, SubscriptionSettings};
use sotto_engine_core::time::{MILLIS, SECONDS};

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
    }
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
            // One redundant block of 8 bytes, then the primary (RFC 2198 section 3).
            let mut payload = vec![
                0x80 | specs::OPUS,
                (960u16 >> 6) as u8,
                ((960u16 << 2) & 0xFC) as u8,
                8,
                specs::OPUS,
            ];
            payload.extend_from_slice(&[0xEE; 8]);
            payload.extend_from_slice(&[index as u8; 20]);
            send(
                &mut world,
                publisher,
                "0",
                &plain(specs::RED, 1_000, 500 + index, index as u32 * 960, payload),
            );
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

#[test]
fn svc_layers_are_dropped_at_once_and_added_at_keyframes() {
    for seed in seeds() {
        let mut world = World::new(seed, 1);
        let (publisher, subscriber) = (world.join(0), world.join(0));
        let vp9 = specs::codec(CodecName::Vp9, VP9, Some(VP9 + 1));
        let mut spec = specs::video("1", 1);
        spec.codecs = vec![vp9.clone()];
        spec.svc = true;
        let mut silent = Source::video("1", 3_000, &[1]);
        silent.encoders[0].enabled = false;
        let video = world.publish(publisher, spec, silent);
        let subscription = world.subscribe(
            subscriber,
            video,
            publisher,
            specs::subscription("b", 20, vec![vp9]),
        );
        world.run(SECONDS);
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
