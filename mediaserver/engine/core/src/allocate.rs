//! Glue between a transport's estimate, the allocator and the selectors.

use crate::core::Core;
use crate::egress::layers::Layer;
use crate::io::Io;
use crate::spec::Kind;
use crate::time::{MILLIS, Time};

impl Core {
    /// Allocates at the next tick.
    pub(crate) fn allocate_soon(&mut self, index: u32, now: Time) {
        if let Some(transport) = self.transports.get_mut(index) {
            transport.allocate_due = Some(now);
            self.schedule(index, now + 10 * MILLIS);
        }
    }

    pub(crate) fn estimate_changed(&mut self, now: Time, index: u32, io: &mut dyn Io) {
        let transport = &mut self.transports[index];
        transport
            .pacer
            .set_rate(now, transport.bandwidth.estimate());
        if transport.allocate_due.is_some_and(|at| now >= at) {
            self.allocate_now(now, index, io);
        }
    }

    pub(crate) fn allocate_now(&mut self, now: Time, index: u32, io: &mut dyn Io) {
        let mut choices: Vec<(Layer, u64)> = Vec::new();
        self.transports[index].allocate_due = Some(now + 200 * MILLIS);
        for position in 0..self.transports[index].subscriptions.len() {
            let subscription = self.transports[index].subscriptions[position];
            let entry = &mut self.subscriptions[subscription];
            let feed = &self.feeds[entry.feed];
            let settings = entry.settings;
            let target = if settings.paused || !entry.has_route() {
                None
            } else if entry.kind == Kind::Audio {
                Some(Layer {
                    spatial: 0,
                    temporal: 0,
                })
            } else {
                feed.choices(
                    now,
                    settings.max_spatial,
                    settings.max_temporal,
                    &mut choices,
                );
                choices
                    .last()
                    .map(|(layer, _)| *layer)
                    .or(entry.selector.target())
                    .or(Some(Layer {
                        spatial: 0,
                        temporal: 3,
                    }))
            };
            entry.selector.set_target(target);
            self.ask_for_target(now, subscription, io);
        }
    }
}
