//! Who speaks: smooths RFC 6464 levels, decides who is active, and who is forwarded when a call
//! forwards only its loudest. Pure: `calls` feeds it and tells the world.

use crate::command::PublicationId;
use crate::time::{MILLIS, Time};

/// Quieter than this (in -dBov) is not speech.
const FLOOR: f32 = 60.0;
const LOUD: f32 = 20.0;
/// Smoothing: rises within a few packets, falls within half a second (at 50 packets/s).
const ATTACK: f32 = 0.25;
const DECAY: f32 = 0.05;
/// Level (0 to 1) above which a speaker becomes active, and below which it stops being so.
const ACTIVE_ON: f32 = 0.25;
const ACTIVE_OFF: f32 = 0.10;
/// A newcomer must be this much louder than the quietest one forwarded to replace it.
const REPLACE_MARGIN: f32 = 0.08;
/// And one that was forwarded stays at least this long.
const MIN_HOLD: u64 = 1_500 * MILLIS;

/// Smoothed level of one publication.
#[derive(Clone, Copy, Debug, Default)]
pub struct Level {
    smoothed: f32,
    last: Time,
}

impl Level {
    /// `byte` is the extension's: voice bit and level in -dBov.
    pub fn add(&mut self, now: Time, byte: u8) {
        let level = f32::from(byte & 0x7F);
        let linear = ((FLOOR - level) / (FLOOR - LOUD)).clamp(0.0, 1.0);
        let weight = if linear > self.smoothed {
            ATTACK
        } else {
            DECAY
        };
        self.smoothed += (linear - self.smoothed) * weight;
        self.last = now;
    }

    /// A speaker from whom nothing comes is silent.
    pub fn value(&self, now: Time) -> f32 {
        let silent = now.since(self.last);
        if silent > 1_000 * MILLIS {
            return 0.0;
        }
        let fade = 1.0 - (silent as f32 / (1_000 * MILLIS) as f32);
        if silent > 200 * MILLIS {
            self.smoothed * fade
        } else {
            self.smoothed
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Speaker {
    id: PublicationId,
    worker: u16,
    level: f32,
    active: bool,
    forwarded: bool,
    since: Time,
    updated: Time,
}

/// The speakers of one call, on its home worker.
#[derive(Debug, Default)]
pub struct Speakers {
    list: Vec<Speaker>,
    told: Vec<(PublicationId, u8)>,
    told_at: Time,
}

impl Speakers {
    pub fn update(&mut self, now: Time, worker: u16, id: PublicationId, level: f32) {
        match self.list.iter_mut().find(|s| s.id == id) {
            Some(speaker) => {
                speaker.level = level;
                speaker.updated = now;
                speaker.worker = worker;
            }
            None => self.list.push(Speaker {
                id,
                worker,
                level,
                active: false,
                forwarded: false,
                since: now,
                updated: now,
            }),
        }
    }

    pub fn remove(&mut self, id: PublicationId) {
        self.list.retain(|s| s.id != id);
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Levels to tell, loudest first, if they changed enough: at most every 300 ms, and every
    /// 500 ms while somebody speaks.
    pub fn report(&mut self, now: Time) -> Option<Vec<(PublicationId, f32, bool)>> {
        for speaker in &mut self.list {
            if now.since(speaker.updated) > 1_000 * MILLIS {
                speaker.level = 0.0;
            }
            speaker.active = speaker.level
                > if speaker.active {
                    ACTIVE_OFF
                } else {
                    ACTIVE_ON
                };
        }
        let mut levels: Vec<(PublicationId, f32, bool)> = self
            .list
            .iter()
            .filter(|s| s.active)
            .map(|s| (s.id, s.level, true))
            .collect();
        levels.sort_by(|a, b| b.1.total_cmp(&a.1));
        let told: Vec<(PublicationId, u8)> = levels
            .iter()
            .map(|(id, level, _)| (*id, (level * 10.0) as u8))
            .collect();
        let stopped: Vec<PublicationId> = self
            .told
            .iter()
            .map(|(id, _)| *id)
            .filter(|id| !told.iter().any(|(now_told, _)| now_told == id))
            .collect();
        let same_set = stopped.is_empty() && told.len() == self.told.len();
        let elapsed = now.since(self.told_at);
        let due = if same_set { 500 * MILLIS } else { 300 * MILLIS };
        if elapsed < due || (same_set && told == self.told) {
            return None;
        }
        levels.extend(stopped.into_iter().map(|id| (id, 0.0, false)));
        self.told = told;
        self.told_at = now;
        Some(levels)
    }

    /// Chooses the `top` loudest with hysteresis; true when the choice changed.
    pub fn choose(&mut self, now: Time, top: usize) -> bool {
        let forwarded = self.list.iter().filter(|s| s.forwarded).count();
        if forwarded < top {
            return self.admit(now, top - forwarded);
        }
        if forwarded > top {
            return self.dismiss(forwarded - top);
        }
        let loudest = self
            .list
            .iter()
            .filter(|s| !s.forwarded)
            .map(|s| s.level)
            .fold(0.0, f32::max);
        let victim = (0..self.list.len())
            .filter(|i| self.list[*i].forwarded && now.since(self.list[*i].since) >= MIN_HOLD)
            .min_by(|a, b| self.list[*a].level.total_cmp(&self.list[*b].level));
        let Some(victim) = victim else { return false };
        if loudest < self.list[victim].level + REPLACE_MARGIN || loudest < ACTIVE_OFF {
            return false;
        }
        self.list[victim].forwarded = false;
        self.admit(now, 1)
    }

    fn admit(&mut self, now: Time, count: usize) -> bool {
        let mut changed = false;
        for _ in 0..count {
            let next = (0..self.list.len())
                .filter(|i| !self.list[*i].forwarded)
                .max_by(|a, b| self.list[*a].level.total_cmp(&self.list[*b].level));
            let Some(next) = next else { break };
            self.list[next].forwarded = true;
            self.list[next].since = now;
            changed = true;
        }
        changed
    }

    fn dismiss(&mut self, count: usize) -> bool {
        for _ in 0..count {
            let quietest = (0..self.list.len())
                .filter(|i| self.list[*i].forwarded)
                .min_by(|a, b| self.list[*a].level.total_cmp(&self.list[*b].level));
            let Some(quietest) = quietest else { break };
            self.list[quietest].forwarded = false;
        }
        count > 0
    }

    pub fn forwarded(&self) -> Vec<PublicationId> {
        self.list
            .iter()
            .filter(|s| s.forwarded)
            .map(|s| s.id)
            .collect()
    }

    pub fn workers(&self) -> Vec<u16> {
        let mut workers: Vec<u16> = self.list.iter().map(|s| s.worker).collect();
        workers.sort_unstable();
        workers.dedup();
        workers
    }
}
