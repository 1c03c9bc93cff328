//! Paths that lose three of ten packets both ways: what was sent, and what is told of it.

use sotto_engine_core::time::{MILLIS, SECONDS, Time};

use crate::bandwidth::{assert_mean, busy_receiver, frames, pauses};
use crate::redundancy::call;
use crate::world::{World, seeds};

/// Feedback is lost as well: what it does not tell of must not pass for a path that is full.
#[test]
fn a_radio_that_loses_three_of_ten_keeps_its_video() {
    for seed in seeds() {
        let mut world = busy_receiver(seed);
        world.run(4 * SECONDS);
        for link in [&mut world.up[1], &mut world.down[1]] {
            link.loss = 0.30;
            link.delay += 15 * MILLIS;
        }
        world.run(26 * SECONDS);
        assert_eq!(pauses(&world), 0);
        let sink = &world.clients[1].sinks[&20];
        let got = frames(sink, Time::from_millis(8_000), world.now);
        assert!(got >= 400, "{got} frames in 22 s");
        let gap = sink.longest_gap(Time::from_millis(6_000), world.now);
        assert!(gap < SECONDS, "a gap of {} ms", gap / MILLIS);
    }
}

/// Where what comes is no measure of what the path takes, since feedback is lost with it, a path that
/// was narrow for a moment must not pass for a narrow one.
#[test]
fn a_radio_that_loses_three_of_ten_recovers_from_a_dent() {
    let mut all = Vec::new();
    for seed in seeds() {
        for rate in [185_000, 600_000] {
            let mut world = radio(seed, rate);
            world.run(14 * SECONDS);
            let wide = world.down[1].rate;
            world.down[1].rate = 100_000;
            world.run(1_500 * MILLIS);
            world.down[1].rate = wide;
            world.run(20 * SECONDS);
            let healed = world.now;
            world.run(10 * SECONDS);
            let got = frames(&world.clients[1].sinks[&20], healed, world.now);
            assert!(got >= 50, "{got} of 150 frames at {rate} bit/s");
            all.push(got);
        }
    }
    assert_mean(&all, 140);
}

/// A busy receiver of a native client's audio and video that loses three of ten packets both ways.
fn radio(seed: u64, rate: u64) -> World {
    let mut world = call(seed, rate);
    world.naps.longest = 60 * MILLIS;
    world.down[1].stalls = 80 * MILLIS;
    world.down[1].jitter = 5 * MILLIS;
    world.clients[1].feedback_every = 100 * MILLIS;
    world.run(4 * SECONDS);
    for link in [&mut world.up[1], &mut world.down[1]] {
        link.loss = 0.30;
        link.delay += 15 * MILLIS;
    }
    world
}
