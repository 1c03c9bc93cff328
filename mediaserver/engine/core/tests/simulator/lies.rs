//! What a participant may claim in RTCP that is not so: losses, bandwidth, the end of a stream. It
//! costs nobody else anything, and the server no more than its bounds.

use sotto_engine_core::config::Limits;
use sotto_engine_core::snapshot::Counters;
use sotto_engine_core::spec::Kind;
use sotto_engine_core::time::{MILLIS, SECONDS, Time};
use sotto_engine_core::wire::rtcp::ReceptionReport;

use crate::attacks::undisturbed;
use crate::forwarding::{call, call_in};
use crate::source::Source;
use crate::specs;
use crate::world::{World, seeds};

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

/// Asks for a million sequence numbers in three seconds: the newest ones again and again, as a client
/// that loses much would, and all there are in turn.
struct NackStorm {
    client: usize,
    base: u16,
}

impl NackStorm {
    fn of(client: usize) -> NackStorm {
        NackStorm { client, base: 0 }
    }

    fn blow(&mut self, world: &mut World) {
        let client = &mut world.clients[self.client];
        let newest = client.sinks[&20].packets.keys().next_back().copied();
        let newest = newest.unwrap_or_default() as u16;
        let starts = [
            newest.wrapping_sub(100),
            self.base,
            self.base.wrapping_add(850),
            self.base.wrapping_add(1_700),
        ];
        self.base = self.base.wrapping_add(2_550);
        let nacks = starts.map(|start| {
            client.rtcp(|c| {
                c.nack(1, 20, (0..850).map(|i| start.wrapping_add(i)));
            })
        });
        let from = client.path;
        for nack in nacks {
            world.inject(0, from, &nack);
        }
    }
}

/// Bytes sent for the first time to everybody, and bytes sent again, since `before`.
fn bytes_since(world: &World, before: &Counters) -> (u64, u64) {
    let after = world.cores[0].snapshot(world.now).counters;
    let again = after.repair_bytes_out - before.repair_bytes_out;
    (after.bytes_out - before.bytes_out - again, again)
}

#[test]
fn nack_of_everything_costs_a_quarter() {
    for seed in seeds() {
        let (mut world, _, _) = call(seed, 1);
        world.run(4 * SECONDS);
        let mut storm = NackStorm::of(1);
        // The first second takes what the stream had saved.
        for _ in 0..100 {
            storm.blow(&mut world);
            world.run(10 * MILLIS);
        }
        let before = world.cores[0].snapshot(world.now);
        undisturbed(&mut world, |world| storm.blow(world));
        let (sent, again) = bytes_since(&world, &before.counters);
        assert!(again > 0 && again * 4 <= sent, "{again} B after {sent} B");
        let after = world.cores[0].snapshot(world.now);
        assert!(after.drops["nack_budget"] > before.drops["nack_budget"]);
    }
}

/// How a subscriber pretends that it loses packets.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// In its reports, while its transport-wide feedback is true.
    Reports,
    /// Everything in its reports, and a twentieth in its feedback, which lowers no estimate.
    Both,
    /// In its reports, and it gives no transport-wide feedback.
    ReportsAlone,
    /// In its transport-wide feedback: every second packet.
    Feedback,
}

/// A call with a third participant who watches the same, lies, and asks for everything again.
fn liar(mut world: World, lie: Lie) -> (World, NackStorm) {
    let (publisher, watching) = (0, world.join(0));
    let publications: Vec<u64> = world.cores[0]
        .snapshot(world.now)
        .publications
        .into_keys()
        .collect();
    for publication in publications {
        let audio =
            world.cores[0].snapshot(world.now).publications[&publication].kind == Kind::Audio;
        let spec = if audio {
            specs::subscription("a", 10, vec![specs::opus()])
        } else {
            specs::subscription("b", 20, vec![specs::vp8()])
        };
        world.subscribe(watching, publication, publisher, spec);
    }
    match lie {
        Lie::Reports => {}
        Lie::Both => world.clients[watching].denies = 20,
        Lie::ReportsAlone => world.clients[watching].gives_feedback = false,
        Lie::Feedback => world.clients[watching].denies = 2,
    }
    (world, NackStorm::of(watching))
}

fn claim_loss(world: &mut World, client: usize) {
    let claim = |ssrc| ReceptionReport {
        ssrc,
        fraction_lost: 255,
        cumulative_lost: 1 << 20,
        highest_sequence: 0,
        jitter: 0,
        last_sr: 0,
        delay_since_last_sr: 0,
    };
    let report = world.clients[client].rtcp(|c| {
        c.receiver_report(1, &[claim(10), claim(20)]);
    });
    let from = world.clients[client].path;
    world.inject(0, from, &report);
}

#[test]
fn a_nack_storm_with_lies_about_loss_costs_nobody_else_anything() {
    for seed in seeds() {
        for (lie, share) in [
            (Lie::Reports, 25),
            (Lie::Both, 25),
            (Lie::ReportsAlone, 60),
            (Lie::Feedback, 60),
        ] {
            let (world, _, _) = call(seed, 1);
            let (mut world, mut storm) = liar(world, lie);
            world.run(4 * SECONDS);
            let watcher = world.clients[storm.client].transport;
            let told = |world: &World| {
                let at = &world.cores[0].snapshot(world.now).transports[&watcher];
                (at.bytes_out, at.estimate)
            };
            for _ in 0..300 {
                storm.blow(&mut world);
                claim_loss(&mut world, storm.client);
                world.run(10 * MILLIS);
            }
            let (before, start) = (world.cores[0].snapshot(world.now), told(&world).0);
            undisturbed(&mut world, |world| {
                storm.blow(world);
                claim_loss(world, storm.client);
            });
            let (_, again) = bytes_since(&world, &before.counters);
            let (end, estimate) = told(&world);
            let fresh = end - start - again;
            // 8 kB a second and stream are allowed on a path that is said to lose much.
            let allowed = fresh * share / 100 + if share > 25 { 4 * 2 * 8_000 } else { 0 };
            assert!(again <= allowed, "{lie:?}: {again} B after {fresh} B");
            println!("{lie:?}: {again} B after {fresh} B, estimate {estimate:?}");
        }
    }
}

#[test]
fn whatever_is_said_of_loss_repairs_have_a_bound_of_their_own() {
    const BOUND: u32 = 80_000;
    for seed in seeds() {
        let limits = Limits {
            max_repair_bitrate: BOUND,
            ..Limits::default()
        };
        let (world, _, _) = call_in(World::limited(seed, 1, limits));
        let (mut world, mut storm) = liar(world, Lie::Feedback);
        world.run(4 * SECONDS);
        let before = world.cores[0].snapshot(world.now);
        undisturbed(&mut world, |world| storm.blow(world));
        let (_, again) = bytes_since(&world, &before.counters);
        // 3.2 s and a quarter of a second of burst, and what the headers add.
        let bound = u64::from(BOUND) / 8 * 345 / 100;
        assert!(
            again > bound / 2 && again <= bound * 11 / 10,
            "{again} of {bound} B"
        );
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
