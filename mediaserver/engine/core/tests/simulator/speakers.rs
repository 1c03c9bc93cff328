//! Who speaks, and who is heard when a call forwards only its loudest.

use sotto_engine_core::command::Command;
use sotto_engine_core::event::Event;
use sotto_engine_core::spec::CallSettings;
use sotto_engine_core::time::{MILLIS, SECONDS, Time};

use crate::source::Source;
use crate::specs;
use crate::world::{World, seeds};

/// Six speakers, of whom 0 and 1 are loud, and a listener, on `workers` workers.
fn assembly(seed: u64, workers: u16, top_audio: u16) -> (World, usize, Vec<u64>) {
    let mut world = World::new(seed, workers);
    for worker in 0..usize::from(workers) {
        world.command(
            worker,
            Command::SetCall {
                call: 1,
                settings: CallSettings { top_audio },
            },
        );
    }
    let mut published = Vec::new();
    for number in 0..6u32 {
        let client = world.join(number as usize % usize::from(workers));
        let mut source = Source::audio("0", 1_000 * (number + 1));
        source.level = if number < 2 { 15 } else { 80 };
        published.push((client, world.publish(client, specs::audio("0"), source)));
    }
    let listener = world.join(usize::from(workers) - 1);
    for (number, (client, id)) in published.iter().enumerate() {
        let spec = specs::subscription(
            &format!("a{number}"),
            10 * (number as u32 + 1),
            vec![specs::opus()],
        );
        world.subscribe(listener, *id, *client, spec);
    }
    (
        world,
        listener,
        published.into_iter().map(|(_, id)| id).collect(),
    )
}

fn heard(world: &World, listener: usize, since: Time) -> Vec<u32> {
    let mut heard: Vec<u32> = world.clients[listener]
        .sinks
        .iter()
        .filter(|(_, sink)| sink.packets.values().any(|g| g.at > since))
        .map(|(ssrc, _)| *ssrc)
        .collect();
    heard.sort_unstable();
    heard
}

#[test]
fn the_loud_are_named_and_those_who_stop_too() {
    for seed in seeds() {
        let (mut world, listener, ids) = assembly(seed, 2, 0);
        world.run(3 * SECONDS);
        assert_eq!(
            heard(&world, listener, world.now - SECONDS).len(),
            6,
            "all are forwarded"
        );
        let active: Vec<u64> = world
            .events
            .iter()
            .filter_map(|(_, e)| match e {
                Event::ActiveSpeakers { levels, .. } => Some(levels),
                _ => None,
            })
            .flatten()
            .filter(|level| level.active)
            .map(|level| level.publication)
            .collect();
        assert!(ids[..2].iter().all(|id| active.contains(id)));
        assert!(!ids[2..].iter().any(|id| active.contains(id)));
        world.clients[0].sources[0].level = 127;
        let before = world.events.len();
        world.run(3 * SECONDS);
        let stopped = world.events[before..].iter().any(|(_, e)| match e {
            Event::ActiveSpeakers { levels, .. } => {
                levels.iter().any(|l| l.publication == ids[0] && !l.active)
            }
            _ => false,
        });
        assert!(stopped, "nobody said that the first one stopped");
    }
}

#[test]
fn only_the_loudest_are_forwarded_and_newcomers_replace_them() {
    for seed in seeds() {
        for workers in [1, 3] {
            let (mut world, listener, _) = assembly(seed, workers, 2);
            world.run(5 * SECONDS);
            assert_eq!(heard(&world, listener, world.now - SECONDS), vec![10, 20]);
            world.clients[0].sources[0].level = 120;
            world.clients[4].sources[0].level = 10;
            let changed = world.now;
            world.run(5 * SECONDS);
            assert_eq!(heard(&world, listener, world.now - SECONDS), vec![20, 50]);
            let first = &world.clients[listener].sinks[&50];
            let at = first
                .packets
                .values()
                .map(|g| g.at)
                .find(|at| *at > changed)
                .unwrap();
            assert!(
                at.since(changed) < 2 * SECONDS,
                "heard after {} ms",
                at.since(changed) / MILLIS
            );
            for sink in world.clients[listener].sinks.values() {
                assert!(sink.loss() == 0.0, "silence is not loss");
            }
        }
    }
}
