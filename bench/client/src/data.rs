//! Data messages: each publisher sends `DataPacket`s at a rate, every subscriber counts them
//! and measures their delay.

use std::time::Instant;

use prost::Message;
use serde_json::{Value, json};

use crate::participant::{PUBLISHER, Participant, SUBSCRIBER};
use crate::proto::{DataPacket, UserPacket};
use crate::run::{World, percentiles};
use crate::sys::{cpu_us, now_us, wall_us};

fn connected(participant: &Participant, which: usize) -> bool {
    participant.pcs[which]
        .as_ref()
        .and_then(|pc| pc.sctp.as_ref())
        .is_some_and(|sctp| sctp.is_connected())
}

/// Sends `count` messages from each publisher, as far as its channel takes them.
fn send(world: &mut World, count: u64, sequence: &mut u32) -> u64 {
    let (publishers, size, lossy) = (
        world.options.publishers,
        world.options.data_size,
        world.options.data_lossy,
    );
    let now = Instant::now();
    let mut sent = 0;
    for participant in &mut world.participants[..publishers] {
        let Some(pc) = &mut participant.pcs[PUBLISHER] else {
            continue;
        };
        let Some(sctp) = &mut pc.sctp else { continue };
        for _ in 0..count {
            *sequence += 1;
            let mut payload = vec![0u8; size.max(8)];
            payload[..8].copy_from_slice(&wall_us().to_be_bytes());
            let user = Some(UserPacket { payload });
            let packet = DataPacket {
                user,
                sequence: if lossy { 0 } else { *sequence },
            };
            sent += u64::from(sctp.send(lossy, &packet.encode_to_vec()));
        }
        pc.flush_sctp(now);
    }
    sent
}

fn receive(world: &mut World, delays: &mut Vec<u32>) -> u64 {
    let mut received = 0;
    let now = wall_us();
    for participant in &mut world.participants {
        for pc in participant.pcs.iter_mut().flatten() {
            for message in pc.messages.drain(..) {
                let Ok(DataPacket {
                    user: Some(user), ..
                }) = DataPacket::decode(&message[..])
                else {
                    continue;
                };
                let Some(sent) = user.payload.first_chunk() else {
                    continue;
                };
                delays.push(now.saturating_sub(u64::from_be_bytes(*sent)) as u32);
                received += 1;
            }
        }
    }
    received
}

pub fn run(world: &mut World) -> Result<Value, String> {
    world.join_all()?;
    let publishers = world.options.publishers;
    let which = if world.options.single {
        PUBLISHER
    } else {
        SUBSCRIBER
    };
    let ready = |world: &World| {
        let sending = world.participants[..publishers]
            .iter()
            .all(|p| connected(p, PUBLISHER));
        sending
            && world.participants[publishers..]
                .iter()
                .all(|p| connected(p, which))
    };
    world.wait(ready, "data channels of everybody")?;
    let now = Instant::now();
    for participant in &mut world.participants {
        let Some(pc) = &mut participant.pcs[PUBLISHER] else {
            continue;
        };
        if let Some(sctp) = &mut pc.sctp {
            sctp.open_channels();
        }
        pc.flush_sctp(now);
    }
    world.run_for(1.0)?;
    let mut delays = Vec::new();
    receive(world, &mut delays);
    delays.clear();
    let (started, cpu_before) = (now_us(), cpu_us(&world.options.pids));
    let (mut sent, mut received, mut sequence) = (0, 0, 0);
    let mut offered = 0;
    while now_us() - started < (world.options.seconds * 1e6) as u64 {
        let due = (now_us() - started) * world.options.data_rate / 1_000_000;
        sent += send(world, due - offered, &mut sequence);
        offered = due;
        world.run_for(0.002)?;
        received += receive(world, &mut delays);
    }
    let elapsed = now_us() - started;
    let cpu_after = cpu_us(&world.options.pids);
    world.run_for(1.0)?;
    let late = receive(world, &mut delays);
    let cpu = cpu_after.0 + cpu_after.1 - cpu_before.0 - cpu_before.1;
    Ok(json!({
        "sent": sent, "received": received, "late": late, "expected": sent * world.options.subscribers as u64,
        "elapsed_us": elapsed, "messages_per_second": received as f64 * 1e6 / elapsed as f64,
        "cpu_us_per_message": cpu as f64 / received.max(1) as f64, "delay_us": percentiles(&mut delays),
    }))
}
