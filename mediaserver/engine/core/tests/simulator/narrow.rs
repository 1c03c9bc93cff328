//! A subscriber whose path carries hardly more than the low layer and audio, with media as native
//! clients send it: redundant audio, uneven frames, a bottleneck that drops what waits too long.

use std::collections::BTreeMap;

use sotto_engine_core::time::{MILLIS, SECONDS, Time};

use crate::bandwidth::{audio_loss, frames};
use crate::client::Sink;
use crate::forwarding::{assert_continuous, layers};
use crate::source::{Source, read_stamp};
use crate::specs;
use crate::world::{World, seeds};

/// What libwebrtc spends on 320x180, 640x360 and 960x540.
const NATIVE: [u64; 3] = [185_000, 330_000, 560_000];

/// A native publisher, and one subscriber for each rate (bit/s both ways) as `tests/network` has it.
fn native_call(seed: u64, rates: &[u64]) -> World {
    let mut world = World::new(seed, 1);
    let publisher = world.join(0);
    let mut spec = specs::audio("0");
    spec.codecs = vec![specs::red(), specs::opus()];
    let audio = world.publish(publisher, spec, Source::redundant_audio("0", 1_000));
    let source = Source::native_video("1", 2_000, &NATIVE);
    let video = world.publish(publisher, specs::video("1", 3), source);
    for rate in rates {
        let subscriber = world.join(0);
        for link in [&mut world.up[subscriber], &mut world.down[subscriber]] {
            link.rate = *rate;
        }
        world.clients[subscriber].asks_for_keyframes = true;
        let codecs = vec![specs::red(), specs::opus()];
        world.subscribe(
            subscriber,
            audio,
            publisher,
            specs::subscription("a", 10, codecs),
        );
        let spec = specs::subscription("b", 20, vec![specs::vp8()]);
        world.subscribe(subscriber, video, publisher, spec);
    }
    world
}

/// Receiver and server sleep now and then, feedback comes in batches: what a busy machine shows an
/// estimator.
fn be_busy(world: &mut World) {
    world.naps.longest = 60 * MILLIS;
    world.up[0].stalls = 60 * MILLIS;
    world.down[1].stalls = 80 * MILLIS;
    world.down[1].jitter = 5 * MILLIS;
    world.clients[1].feedback_every = 100 * MILLIS;
}

fn lost_audio(sink: &Sink, since: Time, until: Time) -> f64 {
    audio_loss(sink, since, until) * 100.0
}

#[test]
fn a_narrow_path_gets_the_low_layer_whole_and_all_audio() {
    for seed in seeds() {
        let mut world = native_call(seed, &[300_000, 5_000_000]);
        world.run(8 * SECONDS);
        world.down[1].worst_wait = 0;
        let settled = world.now;
        world.run(20 * SECONDS);
        let (slow, fast) = (&world.clients[1], &world.clients[2]);
        let sink = &slow.sinks[&20];
        assert_eq!(
            layers(sink, settled),
            vec![2_000],
            "the low layer, and no other"
        );
        let lost = lost_audio(&slow.sinks[&10], Time::from_millis(1_500), world.now);
        assert!(lost == 0.0, "audio lost {lost:.2} %");
        let got = frames(sink, settled, world.now);
        assert!(got >= 290, "{got} of 300 frames");
        let wait = world.down[1].worst_wait / MILLIS;
        assert!(wait < 150, "a packet waited {wait} ms");
        assert_continuous(sink);
        let sink = &fast.sinks[&20];
        assert_eq!(layers(sink, settled), vec![2_020]);
        assert!(frames(sink, settled, world.now) >= 298);
        assert!(lost_audio(&fast.sinks[&10], Time::from_millis(1_500), world.now) == 0.0);
    }
}

/// A train that is had all at once must not pass for a wide path. The call's first second and a half
/// is not counted: a busy machine sees some 100 ms late that an unknown path is full, and of 2,000
/// seeds ten lost more than 0.5 % of the audio there. A false alarm halves the frames of some seconds:
/// 243 were the fewest of 2,000 seeds.
#[test]
fn a_narrow_path_of_a_busy_machine_loses_no_audio_either() {
    for seed in seeds() {
        let mut world = native_call(seed, &[300_000]);
        be_busy(&mut world);
        world.run(8 * SECONDS);
        let settled = world.now;
        world.run(20 * SECONDS);
        let sinks = &world.clients[1].sinks;
        let lost = lost_audio(&sinks[&10], Time::from_millis(2_500), world.now);
        assert!(lost <= 0.5, "audio lost {lost:.2} %");
        let got = frames(&sinks[&20], settled, world.now);
        assert!(got >= 220, "{got} of 300 frames");
    }
}

/// Milliseconds until a keyframe of `encoder` was there with all its packets.
fn decodable(sink: &Sink, since: Time, encoder: u32) -> Option<u64> {
    let mut frames: BTreeMap<u32, (u8, Time)> = BTreeMap::new();
    for got in sink.packets.values().filter(|g| g.at >= since) {
        let stamp = read_stamp(&got.payload).filter(|s| s.encoder == encoder && s.key);
        let Some(stamp) = stamp else { continue };
        let (missing, last) = frames.entry(stamp.frame).or_insert((stamp.count, since));
        *missing -= 1;
        *last = (*last).max(got.at);
    }
    let whole = frames.values().filter(|(missing, _)| *missing == 0);
    whole.map(|(_, last)| last.since(since) / MILLIS).min()
}

/// A deep queue hides for long that too much is sent: audio waits in it, or is pushed out of it, and
/// so is the keyframe of the smaller picture.
#[test]
fn a_path_that_shrinks_is_not_kept_full() {
    for seed in seeds() {
        for (queue, busy) in [
            (500, false),
            (500, true),
            (1_000, false),
            (1_000, true),
            (2_000, true),
        ] {
            let mut world = native_call(seed, &[2_000_000]);
            world.up[1].rate = 0;
            world.down[1].queue = queue * MILLIS;
            if busy {
                be_busy(&mut world);
            }
            world.run(12 * SECONDS + seed % 27 * 37 * MILLIS);
            let shrunk = world.now;
            let sink = &world.clients[1].sinks[&20];
            assert_eq!(layers(sink, shrunk - SECONDS), vec![2_020]);
            world.down[1].rate = 300_000;
            world.run(5 * SECONDS);
            let lost = lost_audio(&world.clients[1].sinks[&10], shrunk, world.now);
            assert!(lost < 5.0, "queue {queue}: audio lost {lost:.1} %");
            world.down[1].worst_wait = 0;
            world.run(5 * SECONDS);
            let sink = &world.clients[1].sinks[&20];
            assert_eq!(
                layers(sink, shrunk + 4 * SECONDS),
                vec![2_000],
                "a low layer"
            );
            let whole = decodable(sink, shrunk, 2_000).unwrap_or(u64::MAX);
            assert!(
                whole < 3_000,
                "queue {queue}: the low layer after {whole} ms"
            );
            let wait = world.down[1].worst_wait / MILLIS;
            assert!(wait < 250, "queue {queue}: a packet waited {wait} ms");
        }
    }
}

/// What a path loses by itself must not hide that it is full.
#[test]
fn a_narrow_path_that_loses_three_of_ten_is_not_kept_full() {
    for seed in seeds() {
        for rate in [300_000, 500_000] {
            let mut world = native_call(seed, &[rate]);
            world.up[1].rate = 0;
            world.down[1].queue = SECONDS;
            be_busy(&mut world);
            world.run(8 * SECONDS);
            world.up[1].loss = 0.30;
            world.down[1].loss = 0.30;
            world.run(10 * SECONDS);
            world.down[1].worst_wait = 0;
            let settled = world.now;
            world.run(30 * SECONDS);
            let wait = world.down[1].worst_wait / MILLIS;
            assert!(wait < 600, "at {rate} bit/s a packet waited {wait} ms");
            let got = frames(&world.clients[1].sinks[&20], settled, world.now);
            assert!(got >= 150, "{got} of 450 frames at {rate} bit/s");
        }
    }
}
