//! What subscribers see: every frame once, numbers without gaps, across switches and drops.

use sotto_engine_core::command::Command;
use sotto_engine_core::event::Event;
use sotto_engine_core::spec::SubscriptionSettings;
use sotto_engine_core::time::{MILLIS, SECONDS, Time};

use crate::client::Sink;
use crate::source::{Source, read_stamp};
use crate::specs;
use crate::world::{World, seeds};

pub const RATES: [u64; 3] = [150_000, 500_000, 1_700_000];

/// Publisher 0 with audio and simulcast video, and one subscriber of both.
pub fn call(seed: u64, workers: u16) -> (World, u64, u64) {
    call_in(World::new(seed, workers))
}

pub fn call_in(mut world: World) -> (World, u64, u64) {
    let workers = world.cores.len();
    let publisher = world.join(0);
    let subscriber = world.join(workers - 1);
    let audio = world.publish(publisher, specs::audio("0"), Source::audio("0", 1_000));
    let video = world.publish(
        publisher,
        specs::video("1", 3),
        Source::video("1", 2_000, &RATES),
    );
    world.run(200 * MILLIS);
    world.subscribe(
        subscriber,
        audio,
        publisher,
        specs::subscription("a", 10, vec![specs::opus()]),
    );
    let subscription = world.subscribe(
        subscriber,
        video,
        publisher,
        specs::subscription("b", 20, vec![specs::vp8()]),
    );
    (world, subscription, video)
}

/// Sequence numbers without a hole, timestamps and picture ids that only go forward, and by one.
pub fn assert_continuous(sink: &Sink) {
    let mut last: Option<(u64, u32, u16, u8)> = None;
    for (index, got) in &sink.packets {
        if got.payload.is_empty() {
            if let Some(l) = last.as_mut() {
                l.0 = *index;
            }
            continue;
        }
        let stamp = read_stamp(&got.payload).unwrap();
        if let Some((before, timestamp, picture, tl0)) = last {
            assert_eq!(
                *index,
                before + 1,
                "a hole in sequence numbers at {:?}",
                got.at
            );
            let step = got.timestamp.wrapping_sub(timestamp) as i32;
            assert!(step >= 0, "timestamps go back by {step} at {:?}", got.at);
            assert!(
                step < 90_000 * 3,
                "timestamps jump by {step} at {:?}",
                got.at
            );
            let pictures = stamp.picture.wrapping_sub(picture) & 0x7FFF;
            assert_eq!(
                pictures,
                u16::from(step > 0),
                "picture ids at {:?}: {stamp:?}",
                got.at
            );
            let bases = stamp.tl0.wrapping_sub(tl0);
            let base = u8::from(step > 0 && stamp.temporal == 0);
            assert_eq!(bases, base, "TL0PICIDX at {:?}: {stamp:?}", got.at);
        }
        last = Some((*index, got.timestamp, stamp.picture, stamp.tl0));
    }
}

pub fn layers(sink: &Sink, since: Time) -> Vec<u32> {
    let mut seen: Vec<u32> = sink
        .packets
        .values()
        .filter(|g| g.at >= since)
        .filter_map(|g| Some(read_stamp(&g.payload)?.encoder))
        .collect();
    seen.dedup();
    seen
}

#[test]
fn audio_and_the_best_layer_reach_a_subscriber() {
    for seed in seeds() {
        let (mut world, _, _) = call(seed, 1);
        world.run(5 * SECONDS);
        let client = &world.clients[1];
        let audio = &client.sinks[&10];
        assert!(
            audio.packets.len() >= 230,
            "only {} audio packets",
            audio.packets.len()
        );
        assert!(audio.loss() == 0.0);
        let video = &client.sinks[&20];
        assert_eq!(
            layers(video, Time::from_millis(4_500)),
            vec![2_020],
            "the highest layer"
        );
        assert_continuous(video);
        assert!(
            world
                .events
                .iter()
                .any(|(_, e)| matches!(e, Event::IceConnected { .. }))
        );
        assert_eq!(client.unreadable, 0);
    }
}

#[test]
fn switching_layers_leaves_no_trace_in_the_numbers() {
    for seed in seeds() {
        let (mut world, subscription, _) = call(seed, 1);
        world.run(3 * SECONDS);
        for (max_spatial, max_temporal) in [(0, 3), (2, 3), (1, 1), (1, 0), (2, 2), (0, 0), (2, 3)]
        {
            let settings = SubscriptionSettings {
                max_spatial,
                max_temporal,
                ..SubscriptionSettings::default()
            };
            world.command(
                0,
                Command::UpdateSubscription {
                    id: subscription,
                    settings,
                },
            );
            world.run(1_500 * MILLIS);
            let now = world.now - 200 * MILLIS;
            let encoder = 2_000 + 10 * u32::from(max_spatial);
            assert_eq!(
                layers(&world.clients[1].sinks[&20], now),
                vec![encoder],
                "layer {max_spatial}"
            );
        }
        assert_continuous(&world.clients[1].sinks[&20]);
        let gap = world.clients[1].sinks[&20].longest_gap(Time::from_millis(2_000), world.now);
        assert!(gap < 300 * MILLIS, "a gap of {} ms", gap / 1_000);
    }
}

#[test]
fn sender_reports_align_the_timestamps_of_encodings() {
    for seed in seeds() {
        let (mut world, subscription, _) = call(seed, 1);
        for round in 0..6u8 {
            let settings = SubscriptionSettings {
                max_spatial: round % 3,
                ..SubscriptionSettings::default()
            };
            world.command(
                0,
                Command::UpdateSubscription {
                    id: subscription,
                    settings,
                },
            );
            world.run(1_500 * MILLIS);
        }
        let sink = &world.clients[1].sinks[&20];
        // RTP time advances with capture time: frames are 3,000 ticks apart, or a multiple where
        // temporal layers are left out, whatever the encoding.
        let mut last: Option<u32> = None;
        let settled = sink
            .packets
            .values()
            .filter(|g| g.at > Time::from_millis(4_500));
        for got in settled {
            if let Some(before) = last {
                let step = got.timestamp.wrapping_sub(before);
                let off = (step as i32 + 1_500).rem_euclid(3_000) - 1_500;
                assert!(off.abs() < 40, "{step} ticks at {:?}", got.at);
            }
            last = Some(got.timestamp);
        }
        let reports = &sink.reports;
        assert!(reports.len() >= 5, "only {} sender reports", reports.len());
    }
}

#[test]
fn every_temporal_limit_is_kept() {
    for seed in seeds() {
        let (mut world, subscription, _) = call(seed, 1);
        for max_temporal in [0u8, 1, 2] {
            let settings = SubscriptionSettings {
                max_temporal,
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
            let since = world.now - SECONDS;
            let sink = &world.clients[1].sinks[&20];
            let recent = sink.packets.values().filter(|g| g.at >= since);
            let top = recent
                .filter_map(|g| Some(read_stamp(&g.payload)?.temporal))
                .max();
            assert_eq!(top, Some(max_temporal));
        }
        assert_continuous(&world.clients[1].sinks[&20]);
    }
}

#[test]
fn a_frame_leaves_as_one_run() {
    let mut world = World::new(1, 1);
    let publisher = world.join(0);
    let subscriber = world.join(0);
    let mut source = Source::video("1", 2_000, &[2_000_000]);
    source.frame_bytes = Some(8 * 1_090);
    let video = world.publish(publisher, specs::video("1", 1), source);
    world.run(200 * MILLIS);
    world.subscribe(
        subscriber,
        video,
        publisher,
        specs::subscription("b", 20, vec![specs::vp8()]),
    );
    world.run(2 * SECONDS);
    world.runs.clear();
    world.run(2 * SECONDS);
    let whole = world.runs.iter().filter(|run| **run == 8).count();
    assert!(
        whole >= 50,
        "{whole} whole frames in {:?}",
        world.runs.len()
    );
}
