//! The snapshot as JSON: workers side by side, and their transports, publications and
//! subscriptions merged, since an id lives on one worker only.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use sotto_engine_core::snapshot::{Counters, PublicationStats, SubscriptionStats, TransportStats};

use crate::stats::{NetStats, WorkerSnapshot};

#[derive(Serialize)]
struct Report<'a> {
    events_lost: u64,
    workers: Vec<WorkerReport<'a>>,
    transports: HashMap<u64, &'a TransportStats>,
    publications: HashMap<u64, &'a PublicationStats>,
    subscriptions: HashMap<u64, &'a SubscriptionStats>,
}

#[derive(Serialize)]
struct WorkerReport<'a> {
    worker: u16,
    at_ms: u64,
    counters: &'a Counters,
    drops: BTreeMap<&'static str, u64>,
    net: &'a NetStats,
}

fn worker(snapshot: &WorkerSnapshot) -> WorkerReport<'_> {
    let mut drops = snapshot.core.drops.clone();
    for (reason, count) in &snapshot.net.drops {
        *drops.entry(reason).or_default() += count;
    }
    let core = &snapshot.core;
    let (worker, at_ms, counters) = (core.worker, core.at_ms, &core.counters);
    WorkerReport {
        worker,
        at_ms,
        counters,
        drops,
        net: &snapshot.net,
    }
}

pub fn json(snapshots: &[WorkerSnapshot], events_lost: u64) -> Vec<u8> {
    let cores = || snapshots.iter().map(|snapshot| &snapshot.core);
    let report = Report {
        events_lost,
        workers: snapshots.iter().map(worker).collect(),
        transports: cores()
            .flat_map(|c| &c.transports)
            .map(|(id, s)| (*id, s))
            .collect(),
        publications: cores()
            .flat_map(|c| &c.publications)
            .map(|(id, s)| (*id, s))
            .collect(),
        subscriptions: cores()
            .flat_map(|c| &c.subscriptions)
            .map(|(id, s)| (*id, s))
            .collect(),
    };
    serde_json::to_vec(&report).unwrap_or_else(|_| b"{}".to_vec())
}
