//! Requests for keyframes: at most two a second for a layer, whoever asks, however often.

use sotto_engine_core::command::Command;
use sotto_engine_core::time::{MILLIS, SECONDS, Time};

use crate::bandwidth::two_subscribers;
use crate::source::Source;
use crate::specs;
use crate::world::{World, seeds};

/// Every layer was asked for a keyframe at most twice a second.
fn assert_patient(world: &World) {
    for encoder in world.clients[0].sources.iter().flat_map(|s| &s.encoders) {
        for pair in encoder.plis.windows(2) {
            let apart = pair[1].since(pair[0]) / MILLIS;
            assert!(apart >= 490, "{:?}: {apart} ms apart", encoder.rid);
        }
    }
}

fn asked(world: &World, since: Time) -> usize {
    asked_of(world, 1, since)
}

fn asked_of(world: &World, source: usize, since: Time) -> usize {
    let encoders = world.clients[0].sources[source].encoders.iter();
    encoders
        .flat_map(|e| &e.plis)
        .filter(|at| **at >= since)
        .count()
}

#[test]
fn a_silent_encoder_is_asked_less_and_less() {
    for seed in seeds() {
        let mut world = two_subscribers(seed);
        world.run(5 * SECONDS);
        for encoder in &mut world.clients[0].sources[1].encoders {
            encoder.enabled = false;
        }
        let stopped = world.now;
        for _ in 0..100 {
            world.run(100 * MILLIS);
            for client in 1..3 {
                let pli = world.clients[client].rtcp(|c| {
                    c.pli(1, 20);
                });
                world.client_sends(client, &pli);
            }
        }
        assert_patient(&world);
        let asked = asked(&world, stopped);
        assert!((1..=6).contains(&asked), "asked {asked} times in 10 s");
    }
}

#[test]
fn a_layer_that_comes_and_goes_causes_no_storm_of_keyframe_requests() {
    for seed in seeds() {
        let mut world = two_subscribers(seed);
        world.run(5 * SECONDS);
        let began = world.now;
        for step in 0..10 {
            let on = step % 2 == 1;
            for encoder in &mut world.clients[0].sources[1].encoders[1..] {
                encoder.enabled = on;
            }
            world.run(2 * SECONDS);
        }
        assert_patient(&world);
        let asked = asked(&world, began);
        assert!(asked <= 25, "asked {asked} times in 20 s");
    }
}

/// Everybody asks for everything all the time, on two workers that sleep now and then, while the
/// publisher negotiates its layers away and back.
#[test]
fn a_storm_of_requests_from_everywhere_is_two_a_second_for_each_layer() {
    for seed in seeds() {
        let mut world = World::new(seed, 2);
        world.naps.longest = 300 * MILLIS;
        let publisher = world.join(0);
        let source = Source::video("1", 2_000, &[80_000, 250_000, 700_000]);
        let video = world.publish(publisher, specs::video("1", 3), source);
        for number in 0..6 {
            let subscriber = world.join(number % 2);
            let spec = specs::subscription("b", 20, vec![specs::vp8()]);
            world.subscribe(subscriber, video, publisher, spec);
        }
        world.run(3 * SECONDS);
        let began = world.now;
        for round in 0..200 {
            world.run(20 * MILLIS);
            for client in 1..7 {
                let pli = world.clients[client].rtcp(|c| {
                    c.pli(1, 20);
                    c.fir(1, 20, round as u8);
                });
                world.client_sends(client, &pli);
            }
            if round % 10 == 9 {
                let layers = if round % 20 == 9 { 1 } else { 3 };
                let spec = specs::video("1", layers);
                world.command(0, Command::UpdatePublication { id: video, spec });
            }
        }
        assert_patient(&world);
        for encoder in &world.clients[0].sources[0].encoders {
            let asked = encoder.plis.iter().filter(|at| **at >= began).count();
            assert!(asked <= 10, "{:?}: {asked} times in 4 s", encoder.rid);
        }
        let asked = asked_of(&world, 0, began);
        assert!(asked >= 3, "asked {asked} times in 4 s");
    }
}
