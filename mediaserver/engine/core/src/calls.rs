//! Who speaks in a call. Every worker sends the levels of its publications to the call's home
//! worker (`call % workers`), which tells Python and, when the call forwards only its loudest,
//! tells every worker whom to forward.

use crate::command::{CallId, PublicationId};
use crate::core::Core;
use crate::egress::layers::Mode;
use crate::event::{Event, SpeakerLevel};
use crate::io::Io;
use crate::peer::PeerMessage;
use crate::speakers::Speakers;
use crate::spec::CallSettings;
use crate::time::{MILLIS, SECONDS, Time};

const INTERVAL: u64 = 100 * MILLIS;
/// A call without publications is forgotten after this long; its settings come again with it.
const FORGET: u64 = 3_600 * SECONDS;
/// Level byte assumed of a publisher that sends none: present, but never the loudest.
const UNSAID: u8 = 45;

#[derive(Debug, Default)]
pub struct Call {
    pub settings: CallSettings,
    pub speakers: Speakers,
    pub audible: Option<Vec<PublicationId>>,
    pub last_used: Time,
}

impl Core {
    fn home(&self, call: CallId) -> u16 {
        (call % u64::from(self.cfg.workers.max(1))) as u16
    }

    /// Takes the level of a packet.
    pub(crate) fn listen(&mut self, now: Time, index: u32, level: Option<u8>) {
        let publication = &mut self.publications[index];
        if !publication.is_audio() {
            return;
        }
        match (level, publication.spec.extensions.audio_level) {
            (Some(level), _) => publication.level.add(now, level),
            (None, None) => publication.level.add(now, UNSAID),
            (None, Some(_)) => {}
        }
    }

    pub(crate) fn new_speaker(&mut self, now: Time, index: u32) {
        let publication = &mut self.publications[index];
        if !publication.is_audio() {
            return;
        }
        let call = self.calls.entry(publication.call).or_default();
        call.last_used = now;
        publication.audible = match &call.audible {
            Some(list) => list.contains(&publication.id),
            None => call.settings.top_audio == 0,
        };
        self.calls_due = self.calls_due.min(now + INTERVAL);
    }

    pub(crate) fn speaker_left(&mut self, call: CallId, id: PublicationId, _io: &mut dyn Io) {
        if let Some(call) = self.calls.get_mut(&call) {
            call.speakers.remove(id);
        }
    }

    pub(crate) fn call_changed(&mut self, now: Time, call: CallId, io: &mut dyn Io) {
        let Some(entry) = self.calls.get_mut(&call) else {
            return;
        };
        entry.last_used = now;
        if entry.settings.top_audio == 0 {
            entry.audible = None;
            self.audible(call, true, &[]);
        } else if self.home(call) == self.worker {
            self.choose(now, call, io);
        }
    }

    /// Ten times a second: levels to their homes, speakers of the calls at home here to Python.
    pub(crate) fn tick_calls(&mut self, now: Time, io: &mut dyn Io) {
        self.calls_due = now + INTERVAL;
        self.send_levels(now, io);
        let ids: Vec<CallId> = self.calls.keys().copied().collect();
        for id in ids {
            if self.home(id) == self.worker {
                self.tell_speakers(now, id, io);
                self.choose(now, id, io);
            }
        }
        self.calls
            .retain(|_, call| !call.speakers.is_empty() || now.since(call.last_used) < FORGET);
    }

    fn send_levels(&mut self, now: Time, io: &mut dyn Io) {
        let mut by_call: Vec<(CallId, PublicationId, f32)> = Vec::new();
        for (_, publication) in self.publications.iter().filter(|(_, p)| p.is_audio()) {
            let level = if publication.muted {
                0.0
            } else {
                publication.level.value(now)
            };
            let ranked = self
                .calls
                .get(&publication.call)
                .is_some_and(|c| c.settings.top_audio > 0);
            if level > 0.01 || ranked {
                by_call.push((publication.call, publication.id, level));
            }
        }
        by_call.sort_unstable_by_key(|(call, id, _)| (*call, *id));
        for group in by_call.chunk_by(|a, b| a.0 == b.0) {
            let call = group[0].0;
            let levels: Vec<(PublicationId, f32)> =
                group.iter().map(|(_, id, level)| (*id, *level)).collect();
            let home = self.home(call);
            if home == self.worker {
                self.levels(now, home, call, &levels);
            } else {
                io.to_worker(home, PeerMessage::Levels { call, levels });
            }
        }
    }

    pub(crate) fn levels(
        &mut self,
        now: Time,
        from: u16,
        call: CallId,
        levels: &[(PublicationId, f32)],
    ) {
        let entry = self.calls.entry(call).or_default();
        entry.last_used = now;
        for (id, level) in levels {
            entry.speakers.update(now, from, *id, *level);
        }
    }

    fn tell_speakers(&mut self, now: Time, call: CallId, io: &mut dyn Io) {
        let Some(entry) = self.calls.get_mut(&call) else {
            return;
        };
        let Some(levels) = entry.speakers.report(now) else {
            return;
        };
        let levels = levels
            .into_iter()
            .map(|(publication, level, active)| SpeakerLevel {
                publication,
                level,
                active,
            })
            .collect();
        io.event(Event::ActiveSpeakers { call, levels });
    }

    /// Chooses whom the call hears and tells all workers when that changed.
    fn choose(&mut self, now: Time, call: CallId, io: &mut dyn Io) {
        let Some(entry) = self.calls.get_mut(&call) else {
            return;
        };
        let top = usize::from(entry.settings.top_audio);
        if top == 0 || !entry.speakers.choose(now, top) {
            return;
        }
        let publications = entry.speakers.forwarded();
        for worker in (0..self.cfg.workers).filter(|w| *w != self.worker) {
            let publications = publications.clone();
            io.to_worker(
                worker,
                PeerMessage::Audible {
                    call,
                    all: false,
                    publications,
                },
            );
        }
        self.audible(call, false, &publications);
    }

    pub(crate) fn audible(&mut self, call: CallId, all: bool, publications: &[PublicationId]) {
        let entry = self.calls.entry(call).or_default();
        entry.audible = (!all).then(|| publications.to_vec());
        let ids: Vec<u32> = self.publication_ids.values().copied().collect();
        for index in ids {
            let publication = &mut self.publications[index];
            if publication.call == call && publication.is_audio() {
                publication.audible = all || publications.contains(&publication.id);
            }
        }
        let silent: Vec<u32> = self
            .feeds
            .iter()
            .filter(|(_, f)| f.call == call && f.mode() == Mode::Plain)
            .filter(|(_, f)| !all && !publications.contains(&f.publication))
            .map(|(index, _)| index)
            .collect();
        for feed in silent {
            self.restart_feed(feed);
        }
    }
}
