//! Redundant audio on a path that loses much: the server adds the frames before those that the
//! publisher repeats, and stops when the path is good again.

use std::collections::BTreeSet;

use sotto_engine_core::time::{SECONDS, Time};
use sotto_engine_core::wire::codec::red::Blocks;

use crate::bandwidth::audio_loss;
use crate::client::Got;
use crate::source::Source;
use crate::specs;
use crate::world::{World, seeds};

/// Frames that a packet carries; the simulator's begin with their number.
fn carried(packet: &Got) -> Vec<u32> {
    let number = |data: &[u8]| data.first_chunk().map(|bytes| u32::from_be_bytes(*bytes));
    let blocks = Blocks::parse(&packet.payload).unwrap();
    blocks.filter_map(|block| number(block.data)).collect()
}

fn between(world: &World, since: Time) -> impl Iterator<Item = &Got> {
    let sink = &world.clients[1].sinks[&10];
    sink.packets.values().filter(move |p| p.at >= since)
}

/// Share of frames that were in no packet.
fn missing(world: &World, since: Time) -> f64 {
    let frames: BTreeSet<u32> = between(world, since).flat_map(carried).collect();
    let (first, last) = (frames.first().unwrap(), frames.last().unwrap());
    1.0 - frames.len() as f64 / f64::from(last - first + 1)
}

fn most_blocks(world: &World, since: Time) -> usize {
    between(world, since)
        .map(|p| carried(p).len())
        .max()
        .unwrap()
}

pub fn call(seed: u64, rate: u64) -> World {
    let mut world = World::new(seed, 1);
    let publisher = world.join(0);
    let mut spec = specs::audio("0");
    spec.codecs = vec![specs::red(), specs::opus()];
    let audio = world.publish(publisher, spec, Source::redundant_audio("0", 1_000));
    let source = Source::native_video("1", 2_000, &[rate]);
    let video = world.publish(publisher, specs::video("1", 1), source);
    let subscriber = world.join(0);
    let spec = specs::subscription("a", 10, vec![specs::red(), specs::opus()]);
    world.subscribe(subscriber, audio, publisher, spec);
    let spec = specs::subscription("b", 20, vec![specs::vp8()]);
    world.subscribe(subscriber, video, publisher, spec);
    world
}

#[test]
fn a_lossy_path_gets_more_redundancy_while_it_is_lossy() {
    for seed in seeds() {
        let mut world = call(seed, 185_000);
        world.run(5 * SECONDS);
        assert_eq!(
            most_blocks(&world, Time::ZERO),
            2,
            "as the publisher sent it"
        );
        for link in [&mut world.up[1], &mut world.down[1]] {
            link.loss = 0.30;
        }
        world.run(10 * SECONDS);
        let settled = world.now;
        world.run(20 * SECONDS);
        let lost = audio_loss(&world.clients[1].sinks[&10], settled, world.now);
        assert!(lost > 0.2, "{:.1} % of packets lost", lost * 100.0);
        let gaps = missing(&world, settled);
        assert!(gaps < 0.03, "{:.2} % of frames in no packet", gaps * 100.0);
        for link in [&mut world.up[1], &mut world.down[1]] {
            link.loss = 0.0;
        }
        world.run(8 * SECONDS);
        let settled = world.now;
        world.run(2 * SECONDS);
        assert_eq!(most_blocks(&world, settled), 2, "as the publisher sent it");
    }
}
