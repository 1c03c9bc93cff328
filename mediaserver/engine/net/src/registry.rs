//! Which worker owns what: ids to workers, and how many transports each worker and call has.
//! The truth about a transport's life is the core's; this follows commands and failures.

use std::collections::HashMap;

use sotto_engine_core::command::{CallId, PublicationId, SubscriptionId, TransportId};

use crate::config::EngineConfig;
use crate::error::EngineError;

type Result<T> = std::result::Result<T, EngineError>;

/// A call stays on one worker (no packet changes threads) until that worker has this many
/// transports more than the idlest one.
const IMBALANCE: usize = 32;

struct Transport {
    call: CallId,
    worker: u16,
    publications: Vec<PublicationId>,
    subscriptions: Vec<SubscriptionId>,
}

struct Call {
    worker: u16,
    transports: usize,
}

pub struct Registry {
    next: u64,
    max_transports: usize,
    max_publications: usize,
    max_subscriptions: usize,
    transports: HashMap<TransportId, Transport>,
    publications: HashMap<PublicationId, TransportId>,
    subscriptions: HashMap<SubscriptionId, TransportId>,
    calls: HashMap<CallId, Call>,
    load: Vec<usize>,
}

fn unknown(kind: &'static str, id: u64) -> EngineError {
    EngineError::Unknown { kind, id }
}

impl Registry {
    pub fn new(workers: u16, config: &EngineConfig) -> Registry {
        Registry {
            next: 1,
            max_transports: config.max_transports,
            max_publications: config.limits.publications_per_transport,
            max_subscriptions: config.limits.subscriptions_per_transport,
            transports: HashMap::new(),
            publications: HashMap::new(),
            subscriptions: HashMap::new(),
            calls: HashMap::new(),
            load: vec![0; usize::from(workers)],
        }
    }

    fn take_id(&mut self) -> u64 {
        let id = self.next;
        self.next += 1;
        id
    }

    pub fn add_transport(&mut self, call: CallId, worker: Option<u16>) -> Result<(u64, u16)> {
        if self.transports.len() >= self.max_transports {
            return Err(EngineError::Limit(format!(
                "max_transports {}",
                self.max_transports
            )));
        }
        let worker = match worker {
            Some(worker) if usize::from(worker) < self.load.len() => worker,
            Some(worker) => return Err(EngineError::Argument(format!("no worker {worker}"))),
            None => self.place(call),
        };
        let id = self.take_id();
        let entry = self.calls.entry(call).or_insert(Call {
            worker,
            transports: 0,
        });
        entry.transports += 1;
        self.load[usize::from(worker)] += 1;
        let (publications, subscriptions) = (Vec::new(), Vec::new());
        self.transports.insert(
            id,
            Transport {
                call,
                worker,
                publications,
                subscriptions,
            },
        );
        Ok((id, worker))
    }

    fn place(&self, call: CallId) -> u16 {
        let load = |worker: u16| self.load[usize::from(worker)];
        let workers = 0..self.load.len() as u16;
        let idlest = workers.min_by_key(|worker| load(*worker)).unwrap_or(0);
        match self.calls.get(&call) {
            Some(home) if load(home.worker) < load(idlest) + IMBALANCE => home.worker,
            _ => idlest,
        }
    }

    pub fn transport(&self, id: TransportId) -> Result<u16> {
        self.transports
            .get(&id)
            .map(|t| t.worker)
            .ok_or_else(|| unknown("transport", id))
    }

    pub fn publication(&self, id: PublicationId) -> Result<u16> {
        let transport = self
            .publications
            .get(&id)
            .ok_or_else(|| unknown("publication", id))?;
        self.transport(*transport)
    }

    pub fn subscription(&self, id: SubscriptionId) -> Result<u16> {
        let transport = self
            .subscriptions
            .get(&id)
            .ok_or_else(|| unknown("subscription", id))?;
        self.transport(*transport)
    }

    pub fn add_publication(&mut self, transport: TransportId) -> Result<(PublicationId, u16)> {
        let id = self.next;
        let limit = self.max_publications;
        let owner = self
            .transports
            .get_mut(&transport)
            .ok_or_else(|| unknown("transport", transport))?;
        if owner.publications.len() >= limit {
            return Err(EngineError::Limit(format!(
                "publications_per_transport {limit}"
            )));
        }
        owner.publications.push(id);
        let worker = owner.worker;
        self.publications.insert(id, transport);
        Ok((self.take_id(), worker))
    }

    pub fn add_subscription(&mut self, transport: TransportId) -> Result<(SubscriptionId, u16)> {
        let id = self.next;
        let limit = self.max_subscriptions;
        let owner = self
            .transports
            .get_mut(&transport)
            .ok_or_else(|| unknown("transport", transport))?;
        if owner.subscriptions.len() >= limit {
            return Err(EngineError::Limit(format!(
                "subscriptions_per_transport {limit}"
            )));
        }
        owner.subscriptions.push(id);
        let worker = owner.worker;
        self.subscriptions.insert(id, transport);
        Ok((self.take_id(), worker))
    }

    /// The worker to tell; `None` when it is gone already.
    pub fn remove_transport(&mut self, id: TransportId) -> Option<u16> {
        let transport = self.transports.remove(&id)?;
        for publication in transport.publications {
            self.publications.remove(&publication);
        }
        for subscription in transport.subscriptions {
            self.subscriptions.remove(&subscription);
        }
        self.load[usize::from(transport.worker)] -= 1;
        if let Some(call) = self.calls.get_mut(&transport.call) {
            call.transports -= 1;
            if call.transports == 0 {
                self.calls.remove(&transport.call);
            }
        }
        Some(transport.worker)
    }

    pub fn remove_publication(&mut self, id: PublicationId) -> Option<u16> {
        let transport = self.transports.get_mut(&self.publications.remove(&id)?)?;
        transport.publications.retain(|other| *other != id);
        Some(transport.worker)
    }

    pub fn remove_subscription(&mut self, id: SubscriptionId) -> Option<u16> {
        let transport = self.transports.get_mut(&self.subscriptions.remove(&id)?)?;
        transport.subscriptions.retain(|other| *other != id);
        Some(transport.worker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::config;

    fn registry(workers: u16) -> Registry {
        Registry::new(workers, &config())
    }

    #[test]
    fn a_call_stays_together_until_its_worker_is_full() {
        let mut registry = registry(2);
        let workers: Vec<u16> = (0..IMBALANCE + 8)
            .map(|_| registry.add_transport(1, None).unwrap().1)
            .collect();
        assert!(workers[..IMBALANCE].iter().all(|worker| *worker == 0));
        assert!(workers[IMBALANCE..].contains(&1));
        assert_eq!(registry.add_transport(2, None).unwrap().1, 1);
    }

    #[test]
    fn ending_a_transport_forgets_what_was_on_it() {
        let mut registry = registry(1);
        let (transport, _) = registry.add_transport(1, None).unwrap();
        let (publication, _) = registry.add_publication(transport).unwrap();
        let (subscription, _) = registry.add_subscription(transport).unwrap();
        assert!(transport < publication && publication < subscription);
        assert_eq!(registry.remove_transport(transport), Some(0));
        assert!(registry.publication(publication).is_err());
        assert!(registry.subscription(subscription).is_err());
        assert_eq!(registry.remove_transport(transport), None);
        assert_eq!(registry.remove_publication(publication), None);
        assert!(registry.calls.is_empty() && registry.load == [0]);
    }

    #[test]
    fn bounds_are_kept() {
        let mut registry = registry(1);
        registry.max_transports = 1;
        registry.max_publications = 1;
        let (transport, _) = registry.add_transport(1, None).unwrap();
        assert_eq!(registry.add_transport(1, None).unwrap_err().code(), "limit");
        registry.add_publication(transport).unwrap();
        assert_eq!(
            registry.add_publication(transport).unwrap_err().code(),
            "limit"
        );
        registry.remove_transport(transport);
        assert_eq!(
            registry.add_transport(1, Some(1)).unwrap_err().code(),
            "argument"
        );
    }
}
