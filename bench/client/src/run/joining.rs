//! Who joins, what each one sends, and when.

use crate::options::Options;
use crate::participant::Participant;
use crate::sdp::Kind;
use crate::signal::{Signal, Target};
use crate::sink::Sink;
use crate::source::Source;
use crate::sys::now_us;
use crate::token;

use super::World;

/// What one participant does.
#[derive(Clone, Copy)]
pub struct Plan {
    pub publishes: bool,
    pub subscribes: bool,
}

fn plans(options: &Options) -> Vec<Plan> {
    if options.meeting > 0 {
        return vec![
            Plan {
                publishes: true,
                subscribes: true
            };
            options.meeting
        ];
    }
    let mut plans = vec![
        Plan {
            publishes: true,
            subscribes: false
        };
        options.publishers
    ];
    plans.resize(
        options.publishers + options.subscribers,
        Plan {
            publishes: false,
            subscribes: true,
        },
    );
    plans
}

impl World {
    fn sources(&self, number: usize) -> Vec<Source> {
        let options = &self.options;
        let ssrc = 0x1000_0000 + number as u32 * 16;
        match options.kind.as_str() {
            "audio" => vec![Source::new(Kind::Audio, ssrc, 1, options.size, 20_000)],
            "data" => Vec::new(),
            _ => vec![Source::new(
                Kind::Video,
                ssrc,
                options.burst,
                options.size,
                1_000_000 / options.fps,
            )],
        }
    }

    /// Starts to connect one more participant, on a thread.
    pub(super) fn start(&mut self, plan: Plan) {
        let participant = self.make(self.participants.len(), plan);
        self.participants.push(participant);
    }

    fn make(&self, number: usize, plan: Plan) -> Participant {
        let sampled = plan.subscribes && number.is_multiple_of(self.options.sample.max(1));
        let mut sink = Sink::new(
            number as u64,
            sampled,
            if plan.subscribes {
                self.options.loss
            } else {
                0.0
            },
        );
        // A socket that shows runs costs the server less, so only one does; a TUN shows all.
        let others = &self.participants[..number];
        sink.probe = plan.subscribes
            && (self.wire.shows_runs() || others.iter().all(|other| !other.sink.probe));
        let sources = if plan.publishes {
            self.sources(number)
        } else {
            Vec::new()
        };
        let mut participant = Participant::new(
            number as u64,
            self.options.single,
            sources,
            sink,
            &self.certificate,
            &self.wire,
        );
        participant.wants_data = self.options.kind == "data";
        participant.started_us = now_us();
        let options = &self.options;
        let identity = format!("bench-{number}-{}", self.retried);
        let target = Target {
            host: options.host.clone(),
            token: token::make(&options.key, &options.secret, &options.room, &identity),
            auto_subscribe: plan.subscribes,
            single: options.single,
        };
        let connected = self.connected.0.clone();
        std::thread::spawn(move || {
            // Nobody listens any more when the run is over.
            let _ = connected.send((number, Signal::connect(&target)));
        });
        participant
    }

    /// A busy server refuses or forgets some: they try again, under a new name. The time that
    /// they lost counts.
    pub(super) fn retry(&mut self) -> Result<(), String> {
        let Some(failure) = self.failure() else {
            return Ok(());
        };
        if self.retried >= self.options.retries {
            return Err(failure);
        }
        self.retried += 1;
        let plans = plans(&self.options);
        for number in 0..self.participants.len() {
            let participant = &self.participants[number];
            let Some(plan) = plans.get(number).filter(|_| participant.failure.is_some()) else {
                continue;
            };
            if plan.publishes {
                return Err(failure);
            }
            let started_us = participant.started_us;
            let mut again = self.make(number, *plan);
            again.started_us = started_us;
            self.participants[number] = again;
        }
        Ok(())
    }

    fn waiting(&self) -> usize {
        self.subscribers()
            .filter(|participant| participant.sink.streams() == 0)
            .count()
    }

    /// Spreads the sources over their period and lets them run.
    fn start_sources(&mut self) {
        let now = now_us();
        let count = self
            .participants
            .iter()
            .map(|participant| participant.sources.len() as u64)
            .sum::<u64>()
            .max(1);
        let sources = self
            .participants
            .iter_mut()
            .flat_map(|participant| &mut participant.sources);
        for (at, source) in sources.enumerate() {
            source.next_us = now + 10_000 + source.period_us * at as u64 / count;
        }
        self.emitting = true;
    }

    /// Joins everybody: publishers first, media at once, subscribers at the join rate.
    pub fn join_all(&mut self) -> Result<(), String> {
        let plans = plans(&self.options);
        let gap_us = (1_000_000.0 / self.options.join_rate) as u64;
        let mut next_us = now_us();
        for (number, plan) in plans.iter().enumerate() {
            self.start(*plan);
            next_us += gap_us;
            self.turn_until(next_us, |_| false)?;
            if self.emitting {
                let most = self.options.in_flight;
                self.wait(|world| world.waiting() < most, "media at those who joined")?;
            }
            let all_publishers = number + 1 == plans.iter().filter(|plan| plan.publishes).count();
            if all_publishers && self.options.kind != "data" {
                self.wait(
                    |world| world.participants.iter().all(Participant::sending_ready),
                    "publishers connected",
                )?;
                self.start_sources();
            }
        }
        Ok(())
    }
}
