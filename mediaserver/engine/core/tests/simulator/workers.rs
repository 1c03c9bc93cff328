//! One worker against many: the same call must look the same to every subscriber.

use sotto_engine_core::command::Command;
use sotto_engine_core::event::Event;
use sotto_engine_core::spec::SubscriptionSettings;
use sotto_engine_core::time::{MILLIS, SECONDS};

use crate::forwarding::{RATES, assert_continuous, call};
use crate::source::{Source, read_stamp};
use crate::specs;
use crate::world::{World, seeds};

/// What a subscriber saw, without what only routing and chance decide.
fn seen(world: &World, client: usize, ssrc: u32) -> Vec<(u32, u32, u8)> {
    let sink = &world.clients[client].sinks[&ssrc];
    sink.packets
        .values()
        .filter_map(|g| read_stamp(&g.payload))
        .map(|s| (s.encoder, s.frame, s.part))
        .collect()
}

fn meeting(seed: u64, workers: u16) -> World {
    let mut world = World::new(seed, workers);
    let place = |i: usize| i % usize::from(workers);
    let people: Vec<usize> = (0..4).map(|i| world.join(place(i))).collect();
    let mut published = Vec::new();
    for (number, person) in people.iter().enumerate() {
        let base = 10_000 * (number as u32 + 1);
        let video = world.publish(
            *person,
            specs::video("1", 3),
            Source::video("1", base, &RATES),
        );
        published.push((*person, video));
    }
    world.run(300 * MILLIS);
    for person in &people {
        for (number, (publisher, video)) in published
            .iter()
            .enumerate()
            .filter(|(_, (p, _))| p != person)
        {
            let spec = specs::subscription(
                &format!("v{number}"),
                100 * (number as u32 + 1),
                vec![specs::vp8()],
            );
            world.subscribe(*person, *video, *publisher, spec);
        }
    }
    world.run(6 * SECONDS);
    world
}

#[test]
fn many_workers_forward_what_one_does() {
    for seed in seeds() {
        let (one, many) = (meeting(seed, 1), meeting(seed, 3));
        for client in 0..4 {
            for publisher in (0..4u32).filter(|p| *p as usize != client) {
                let ssrc = 100 * (publisher + 1);
                let (a, b) = (seen(&one, client, ssrc), seen(&many, client, ssrc));
                assert_continuous(&many.clients[client].sinks[&ssrc]);
                // The estimate may rise a moment later on one of them; what both forward is equal.
                let top = 10_000 * (publisher + 1) + 20;
                let a: Vec<_> = a.into_iter().filter(|s| s.0 == top).collect();
                let b: Vec<_> = b.into_iter().filter(|s| s.0 == top).collect();
                assert!(
                    a.len() > 300 && b.len() > 300,
                    "{} and {}",
                    a.len(),
                    b.len()
                );
                let (first, last) = (a[0].max(b[0]), a[a.len() - 1].min(b[b.len() - 1]));
                let within = |list: &[(u32, u32, u8)]| -> Vec<(u32, u32, u8)> {
                    list.iter()
                        .copied()
                        .filter(|s| s.1 > first.1 && s.1 < last.1)
                        .collect()
                };
                let (a, b) = (within(&a), within(&b));
                assert!(a.len() > 300, "only {} in common", a.len());
                assert_eq!(a, b);
            }
        }
    }
}

#[test]
fn keyframes_and_demand_travel_between_workers() {
    for seed in seeds() {
        let (mut world, subscription, video) = call(seed, 2);
        world.run(4 * SECONDS);
        assert!(!world.clients[1].sinks[&20].packets.is_empty());
        assert_continuous(&world.clients[1].sinks[&20]);
        let told = |world: &World| -> Vec<i8> {
            world
                .events
                .iter()
                .filter_map(|(_, e)| match e {
                    Event::DemandChanged {
                        publication,
                        max_spatial,
                    } if *publication == video => Some(*max_spatial),
                    _ => None,
                })
                .collect()
        };
        assert_eq!(told(&world), vec![2]);
        let settings = SubscriptionSettings {
            max_spatial: 0,
            ..SubscriptionSettings::default()
        };
        world.command(
            1,
            Command::UpdateSubscription {
                id: subscription,
                settings,
            },
        );
        world.run(5 * SECONDS);
        assert_eq!(told(&world), vec![2, 0]);
        world.command(1, Command::Unsubscribe { id: subscription });
        world.run(5 * SECONDS);
        assert_eq!(told(&world), vec![2, 0, -1]);
    }
}

#[test]
fn everything_is_gone_after_everybody_left() {
    for workers in [1, 2] {
        let (mut world, _, _) = call(1, workers);
        world.run(2 * SECONDS);
        for client in 0..world.clients.len() {
            let (id, worker) = (
                world.clients[client].transport,
                world.clients[client].worker,
            );
            world.clients[client].silent = true;
            world.command(worker, Command::CloseTransport { id });
        }
        world.run(SECONDS);
        for core in &world.cores {
            let snapshot = core.snapshot(world.now);
            assert_eq!(
                (snapshot.counters.transports, snapshot.counters.publications),
                (0, 0)
            );
            assert_eq!(snapshot.counters.subscriptions, 0);
            assert_eq!(core.next_timer(), None, "a timer is left");
        }
    }
}

#[test]
fn a_subscriber_may_come_before_the_publication_is_announced() {
    let mut world = World::new(1, 2);
    let publisher = world.join(0);
    let subscriber = world.join(1);
    let (id, transport) = (world.id(), world.clients[subscriber].transport);
    let publication = 4_000;
    let spec = specs::subscription("b", 20, vec![specs::vp8()]);
    world.clients[subscriber].rtx.insert(21, 20);
    world.command(
        1,
        Command::Subscribe {
            id,
            transport,
            publication,
            publication_worker: 0,
            spec,
            settings: SubscriptionSettings::default(),
        },
    );
    world.run(500 * MILLIS);
    let transport = world.clients[publisher].transport;
    let mut source = Source::video("1", 2_000, &RATES);
    source.next = world.now;
    world.clients[publisher].sources.push(source);
    world.command(
        0,
        Command::Publish {
            id: publication,
            transport,
            spec: specs::video("1", 3),
        },
    );
    world.run(3 * SECONDS);
    let told = Event::DemandChanged {
        publication,
        max_spatial: 2,
    };
    assert!(world.events.iter().any(|(_, e)| *e == told));
    assert!(world.clients[subscriber].sinks[&20].packets.len() > 200);
}
