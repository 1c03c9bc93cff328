//! Events on their way to Python: one bounded queue for all workers, woken by one eventfd.
//! Notices may be lost when Python does not keep up (the loss is reported); what changes the
//! life of a transport or a subscription may not. Workers push, `Engine::events` takes.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sotto_engine_core::command::TransportId;
use sotto_engine_core::event::Event;

use crate::sys::EventFd;

/// What Python gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    Event(Event),
    /// The worker hit a bug in the handling of this transport and ended it.
    Broken {
        transport: TransportId,
        reason: String,
    },
    Lost {
        count: u64,
    },
}

/// Events of one kind of importance with the order in which they came.
type Queue = VecDeque<(u64, Notice)>;

#[derive(Default)]
struct Waiting {
    order: u64,
    essential: Queue,
    notices: Queue,
    dtls: HashMap<TransportId, u32>,
    lost: u64,
    lost_total: u64,
}

pub struct EventQueue {
    waiting: Mutex<Waiting>,
    wake: EventFd,
    limit: usize,
    dtls_limit: u32,
}

/// Essential events are rare (a few in the life of a transport); this bound only keeps a
/// dead Python from eating the machine.
const ESSENTIAL_FACTOR: usize = 4;

fn essential(event: &Event) -> bool {
    !matches!(
        event,
        Event::DtlsReceived { .. } | Event::ActiveSpeakers { .. } | Event::LayerChanged { .. }
    )
}

impl EventQueue {
    pub fn new(limit: usize, dtls_limit: u32) -> io::Result<EventQueue> {
        let wake = EventFd::new()?;
        Ok(EventQueue {
            waiting: Mutex::default(),
            wake,
            limit: limit.max(1),
            dtls_limit,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all of `events`.
    pub fn push(&self, events: &mut Vec<Notice>) {
        let mut waiting = self.lock();
        for notice in events.drain(..) {
            waiting.push(notice, self.limit, self.dtls_limit);
        }
        drop(waiting);
        self.wake.signal();
    }

    /// At most `limit` events, oldest first; a loss is told before what came after it.
    pub fn take(&self, limit: usize) -> Vec<Notice> {
        self.wake.clear();
        let mut waiting = self.lock();
        let mut taken = Vec::new();
        if waiting.lost > 0 && limit > 0 {
            taken.push(Notice::Lost {
                count: std::mem::take(&mut waiting.lost),
            });
        }
        while taken.len() < limit {
            let Some(notice) = waiting.pop() else { break };
            taken.push(notice);
        }
        if !waiting.is_empty() {
            self.wake.signal();
        }
        taken
    }

    pub fn lost_total(&self) -> u64 {
        self.lock().lost_total
    }
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.essential.is_empty() && self.notices.is_empty() && self.lost == 0
    }

    fn push(&mut self, notice: Notice, limit: usize, dtls_limit: u32) {
        self.order += 1;
        let order = self.order;
        let vital = match &notice {
            Notice::Event(event) => essential(event),
            Notice::Broken { .. } | Notice::Lost { .. } => true,
        };
        if vital {
            if self.essential.len() >= limit.saturating_mul(ESSENTIAL_FACTOR) {
                self.lose();
                return;
            }
            self.essential.push_back((order, notice));
            return;
        }
        if let Notice::Event(Event::DtlsReceived { transport, .. }) = &notice {
            let count = self.dtls.entry(*transport).or_default();
            if *count >= dtls_limit {
                self.lose();
                return;
            }
            *count += 1;
        }
        if self.notices.len() >= limit {
            self.pop_notice();
            self.lose();
        }
        self.notices.push_back((order, notice));
    }

    fn lose(&mut self) {
        self.lost += 1;
        self.lost_total += 1;
    }

    fn pop(&mut self) -> Option<Notice> {
        let first = |queue: &Queue| queue.front().map_or(u64::MAX, |(order, _)| *order);
        if first(&self.essential) <= first(&self.notices) {
            return self.essential.pop_front().map(|(_, notice)| notice);
        }
        self.pop_notice()
    }

    fn pop_notice(&mut self) -> Option<Notice> {
        let (_, notice) = self.notices.pop_front()?;
        if let Notice::Event(Event::DtlsReceived { transport, .. }) = &notice {
            let count = self.dtls.get_mut(transport).map_or(0, |count| {
                *count -= 1;
                *count
            });
            if count == 0 {
                self.dtls.remove(transport);
            }
        }
        Some(notice)
    }
}

impl AsRawFd for EventQueue {
    fn as_raw_fd(&self) -> RawFd {
        self.wake.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dtls(transport: u64, byte: u8) -> Notice {
        Notice::Event(Event::DtlsReceived {
            transport,
            data: vec![byte],
        })
    }

    fn active(transport: u64) -> Notice {
        Notice::Event(Event::TransportActive { transport })
    }

    #[test]
    fn events_of_both_kinds_leave_in_the_order_they_came() {
        let queue = EventQueue::new(10, 10).unwrap();
        let all = vec![dtls(1, 0), active(1), dtls(1, 1), active(2)];
        queue.push(&mut all.clone());
        assert_eq!(queue.take(3), all[..3]);
        assert_eq!(queue.take(3), all[3..]);
        assert!(queue.take(3).is_empty());
    }

    #[test]
    fn a_full_queue_loses_the_oldest_notices_and_says_so() {
        let queue = EventQueue::new(2, 10).unwrap();
        queue.push(&mut vec![
            active(1),
            dtls(1, 0),
            dtls(1, 1),
            dtls(1, 2),
            dtls(1, 3),
        ]);
        let want = [Notice::Lost { count: 2 }, active(1), dtls(1, 2), dtls(1, 3)];
        assert_eq!(queue.take(100), want);
        assert_eq!(queue.lost_total(), 2);
    }

    #[test]
    fn one_transport_cannot_fill_the_queue_with_dtls() {
        let queue = EventQueue::new(100, 2).unwrap();
        queue.push(&mut (0..10).map(|b| dtls(1, b)).collect());
        queue.push(&mut vec![dtls(2, 0)]);
        let want = [
            Notice::Lost { count: 8 },
            dtls(1, 0),
            dtls(1, 1),
            dtls(2, 0),
        ];
        assert_eq!(queue.take(100), want);
        queue.push(&mut vec![dtls(1, 9)]);
        assert_eq!(queue.take(1), [dtls(1, 9)]);
    }
}
