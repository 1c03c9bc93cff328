//! What the core itself takes for a forwarded packet, with sockets replaced by a copy: one
//! publisher of 1,100-byte packets to many subscribers with NACK, RTX and transport-cc, in the
//! simulator's virtual time. `cargo bench -p sotto-engine-core`; arguments: burst, subscribers.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "the simulator serves its tests first"
)]

#[path = "../tests/simulator/client.rs"]
mod client;
#[path = "../tests/simulator/network.rs"]
mod network;
#[path = "../tests/simulator/source.rs"]
mod source;
#[path = "../tests/simulator/specs.rs"]
mod specs;
#[path = "../tests/simulator/world.rs"]
mod world;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sotto_engine_core::time::SECONDS;

use source::Source;
use world::World;

#[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn stopwatch() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Length of the measured window, of virtual time.
fn seconds() -> u64 {
    let wanted = std::env::var("SECONDS").ok().and_then(|s| s.parse().ok());
    wanted.unwrap_or(5)
}

fn measure(burst: usize, subscribers: usize) {
    let mut world = World::new(1, 1);
    let publisher = world.join(0);
    let publication = world.publish(
        publisher,
        specs::video("v", 1),
        Source {
            frame_bytes: Some(burst * source::MTU),
            ..Source::video("v", 1_000, &[1_000_000])
        },
    );
    for number in 0..subscribers as u32 {
        let client = world.join(0);
        let spec = specs::subscription("v", 5_000 + number * 2, vec![specs::vp8()]);
        world.subscribe(client, publication, publisher, spec);
    }
    world.run(2 * SECONDS);
    let sent = |world: &World| world.cores[0].snapshot(world.now).counters.packets_out;
    let before = sent(&world);
    world.stopwatch = stopwatch;
    world.spent = Duration::ZERO;
    world.runs.clear();
    world.run(seconds() * SECONDS);
    let packets = sent(&world) - before;
    println!(
        "bursts of {burst} to {subscribers}: {:.0} ns a packet, {packets} packets, {:.1} a send",
        world.spent.as_nanos() as f64 / packets as f64,
        packets as f64 / world.runs.len() as f64,
    );
}

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|a| a.parse().ok()).collect();
    match numbers[..] {
        [burst, subscribers] => measure(burst, subscribers),
        _ => [(1, 200), (4, 160), (8, 80), (16, 40)]
            .into_iter()
            .for_each(|(burst, subscribers)| measure(burst, subscribers)),
    }
}
