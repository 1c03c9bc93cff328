//! ICE: only authenticated checks open or move a path, restarts keep media, silence is told.

use std::net::SocketAddr;

use sotto_engine_core::command::Command;
use sotto_engine_core::event::Event;
use sotto_engine_core::ice::{worker_of, worker_prefix};
use sotto_engine_core::path::Path;
use sotto_engine_core::time::{MILLIS, SECONDS};
use sotto_engine_core::wire::stun::{self, IntegrityKey, Request, Role};

use crate::forwarding::{call, layers};
use crate::world::{World, seeds};

fn other(port: u16) -> Path {
    Path::udp(0, SocketAddr::from(([192, 0, 2, 7], port)))
}

fn check(username: &str, password: &str, use_candidate: bool, role: Role) -> Vec<u8> {
    let request = Request {
        transaction: [9; 12],
        username,
        priority: 2_000,
        role,
        use_candidate,
    };
    let mut out = [0u8; 256];
    let len =
        stun::write_request(&mut out, &request, &IntegrityKey::new(password.as_bytes())).unwrap();
    out[..len].to_vec()
}

fn username(world: &World, client: usize) -> String {
    format!(
        "{}:{}",
        world.clients[client].ufrag, world.clients[client].remote_ufrag
    )
}

#[test]
fn worker_numbers_survive_the_ufrag() {
    for worker in [0u16, 1, 35, 36, 71, 1_295] {
        let prefix = worker_prefix(worker);
        assert_eq!(worker_of(&prefix), Some(worker));
    }
    assert_eq!(worker_of(b"A!"), None);
    assert_eq!(worker_of(b"0"), None);
}

#[test]
fn f14_the_path_moves_only_on_an_authenticated_check() {
    for seed in seeds() {
        let (mut world, _, _) = call(seed, 1);
        world.run(3 * SECONDS);
        let old = world.clients[1].path;
        // Media, DTLS and RTCP of the right keys from another address: nothing happens.
        let media = world.clients[0].rtcp(|c| {
            c.pli(1, 10);
        });
        world.inject(0, other(1), &media);
        world.inject(
            0,
            other(1),
            &[22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3],
        );
        // A check with the wrong password, and one that does not nominate.
        let name = username(&world, 1);
        world.inject(
            0,
            other(2),
            &check(&name, "wrong", true, Role::Controlling(1)),
        );
        let password = world.clients[1].pwd.clone();
        world.inject(
            0,
            other(3),
            &check(&name, &password, false, Role::Controlling(1)),
        );
        let changed = |world: &World| {
            world
                .events
                .iter()
                .filter(|(_, e)| matches!(e, Event::IcePathChanged { .. }))
                .count()
        };
        assert_eq!(changed(&world), 0);
        assert!(world.drops("unvalidated_source") >= 2);
        assert_eq!(world.drops("stun_integrity"), 1);
        // NAT rebinding: the client's next check comes from another port.
        world.clients[1].path = other(4);
        let moved = world.now;
        world.run(4 * SECONDS);
        assert_eq!(changed(&world), 1);
        let gap = world.clients[1].sinks[&10].longest_gap(moved - 100 * MILLIS, world.now);
        assert!(gap <= 3 * SECONDS, "a gap of {} ms", gap / MILLIS);
        assert_ne!(old, world.clients[1].path);
    }
}

#[test]
fn answers_are_never_larger_than_checks() {
    let mut world = World::new(1, 1);
    let client = world.join(0);
    let (name, password) = (username(&world, client), world.clients[client].pwd.clone());
    world.clients[client].path = other(5);
    world.clients[client].silent = true;
    world.runs.clear();
    for role in [Role::Controlling(1), Role::Controlled(1)] {
        let request = check(&name, &password, true, role);
        let before = world.clients[client].bytes_in;
        world.inject(0, other(5), &request);
        world.run(50 * MILLIS);
        let answered = world.clients[client].bytes_in - before;
        assert!(
            answered > 0 && answered as usize <= request.len(),
            "{answered} for {}",
            request.len()
        );
    }
    // Who does not authenticate gets nothing at all.
    let replies = world.runs.len();
    world.inject(
        0,
        other(6),
        &check(&name, "guess", true, Role::Controlling(1)),
    );
    world.inject(
        0,
        other(6),
        &check("zz:zz", &password, true, Role::Controlling(1)),
    );
    world.inject(
        0,
        other(6),
        &[
            0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        ],
    );
    assert_eq!(world.runs.len(), replies);
}

#[test]
fn a_restart_keeps_media_and_both_generations_for_a_while() {
    for seed in seeds() {
        let (mut world, _, _) = call(seed, 1);
        world.run(3 * SECONDS);
        let id = world.clients[1].transport;
        let started = world.now;
        world.command(
            0,
            Command::RestartIce {
                id,
                ufrag: "00fresh".into(),
                pwd: "p".repeat(24),
            },
        );
        // The old credentials still work.
        world.run(3 * SECONDS);
        let refused = world.drops("stun_unknown_user");
        assert_eq!(refused, 0);
        world.command(
            0,
            Command::SetRemoteIce {
                id,
                ufrag: "newc".into(),
                pwd: "q".repeat(24),
            },
        );
        let old = (world.clients[1].ufrag.clone(), world.clients[1].pwd.clone());
        world.clients[1].ufrag = "00fresh".into();
        world.clients[1].pwd = "p".repeat(24);
        world.clients[1].remote_ufrag = "newc".into();
        world.clients[1].path = other(7);
        world.run(4 * SECONDS);
        let moved = world
            .events
            .iter()
            .filter(|(_, e)| matches!(e, Event::IcePathChanged { .. }))
            .count();
        assert_eq!(moved, 1);
        assert_eq!(
            layers(&world.clients[1].sinks[&20], world.now - SECONDS),
            vec![2_020]
        );
        let gap = world.clients[1].sinks[&10].longest_gap(started, world.now);
        assert!(gap <= 3 * SECONDS);
        // Nominated with the new credentials, the old ones are void.
        let name = format!("{}:c{}", old.0, id);
        world.inject(
            0,
            other(8),
            &check(&name, &old.1, true, Role::Controlling(1)),
        );
        assert_eq!(world.drops("stun_unknown_user"), 1);
    }
}

#[test]
fn silence_is_told_at_four_ten_and_thirty_seconds() {
    let (mut world, _, _) = call(1, 1);
    world.run(3 * SECONDS);
    world.clients[0].silent = true;
    let transport = world.clients[0].transport;
    world.run(35 * SECONDS);
    let told: Vec<u32> = world
        .events
        .iter()
        .filter_map(|(_, e)| match e {
            Event::TransportIdle {
                transport: t,
                idle_ms,
            } if *t == transport => Some(*idle_ms),
            _ => None,
        })
        .collect();
    assert_eq!(told, vec![4_000, 10_000, 30_000]);
    world.clients[0].silent = false;
    world.run(3 * SECONDS);
    assert!(
        world
            .events
            .iter()
            .any(|(_, e)| matches!(e, Event::TransportActive { transport: t } if *t == transport))
    );
}

#[test]
fn a_tcp_connection_that_closes_frees_its_path() {
    let mut world = World::new(1, 1);
    let client = world.join(0);
    let (name, password) = (username(&world, client), world.clients[client].pwd.clone());
    let path = Path::tcp(0, SocketAddr::from(([192, 0, 2, 7], 443)), 77);
    world.inject(
        0,
        path,
        &check(&name, &password, true, Role::Controlling(1)),
    );
    let connected = |world: &World| {
        world.cores[0]
            .snapshot(world.now)
            .transports
            .values()
            .filter(|t| t.connected)
            .count()
    };
    assert_eq!(connected(&world), 1);
    world.act(0, |core, now, io| core.path_closed(now, path, io));
    assert_eq!(connected(&world), 0);
    world.inject(
        0,
        path,
        &[
            128, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
        ],
    );
    assert_eq!(world.drops("unvalidated_source"), 1);
}
