//! Which packets of a publication one subscription gets. Knows the layer forwarded now and the
//! layer wanted; moves to another encoding or a higher spatial layer only at a keyframe (that the
//! subscription asked for), to a higher temporal layer only where the stream allows it, and down
//! within a stream at the next frame.

use crate::packet::Facts;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Audio: every packet stands alone.
    Plain,
    /// One encoding per spatial layer (also when there is only one).
    Simulcast,
    /// All spatial layers in one encoding.
    Svc,
}

/// `spatial` is the encoding's index (simulcast) or the spatial id (SVC).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Layer {
    pub spatial: u8,
    pub temporal: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Forward {
        marker: bool,
    },
    /// Begins (or continues elsewhere) with this packet.
    Switch {
        marker: bool,
    },
    /// Belongs to what is forwarded, but is left out: numbers close up.
    Skip,
    /// Belongs to something else.
    Other,
}

#[derive(Clone, Copy, Debug)]
pub struct Selector {
    pub mode: Mode,
    target: Option<Layer>,
    current: Option<Layer>,
}

impl Selector {
    pub fn new(mode: Mode) -> Selector {
        Selector {
            mode,
            target: None,
            current: None,
        }
    }

    pub fn current(&self) -> Option<Layer> {
        self.current
    }

    pub fn target(&self) -> Option<Layer> {
        self.target
    }

    /// `None` pauses at once.
    pub fn set_target(&mut self, target: Option<Layer>) {
        self.target = target;
        if target.is_none() {
            self.current = None;
        }
    }

    /// The stream broke off: start again at a keyframe.
    pub fn restart(&mut self) {
        self.current = None;
    }

    /// Encoding that has to send a keyframe before the target is reached.
    pub fn waits_for(&self) -> Option<u8> {
        let target = self.target?;
        match (self.mode, self.current) {
            (Mode::Plain, _) => None,
            (Mode::Simulcast, Some(current)) if current.spatial == target.spatial => None,
            (Mode::Simulcast, _) => Some(target.spatial),
            (Mode::Svc, Some(current)) if current.spatial >= target.spatial => None,
            (Mode::Svc, _) => Some(0),
        }
    }

    pub fn judge(&mut self, encoding: u8, facts: &Facts) -> Verdict {
        match self.mode {
            Mode::Plain => self.judge_plain(facts),
            Mode::Simulcast => self.judge_simulcast(encoding, facts),
            Mode::Svc => self.judge_svc(facts),
        }
    }

    fn judge_plain(&mut self, facts: &Facts) -> Verdict {
        match (self.target, self.current) {
            (None, _) => Verdict::Other,
            (Some(_), Some(_)) => Verdict::Forward {
                marker: facts.marker,
            },
            (Some(target), None) => {
                self.current = Some(target);
                // RFC 3551 section 4.1: the first packet after silence carries the marker.
                Verdict::Switch { marker: true }
            }
        }
    }

    fn judge_simulcast(&mut self, encoding: u8, facts: &Facts) -> Verdict {
        let Some(target) = self.target else {
            return Verdict::Other;
        };
        if encoding == target.spatial && self.current.is_none_or(|c| c.spatial != encoding) {
            if !(facts.keyframe && facts.frame_start) {
                return Verdict::Other;
            }
            self.current = Some(target);
            return Verdict::Switch {
                marker: facts.marker,
            };
        }
        match self.current {
            Some(current) if current.spatial == encoding => {}
            _ => return Verdict::Other,
        }
        // While another encoding's keyframe is awaited the old one flows whole or thinned, as wanted.
        let wanted = if target.spatial < encoding {
            0
        } else {
            target.temporal
        };
        if self.admits_temporal(facts, wanted) {
            Verdict::Forward {
                marker: facts.marker,
            }
        } else {
            Verdict::Skip
        }
    }

    fn judge_svc(&mut self, facts: &Facts) -> Verdict {
        let Some(target) = self.target else {
            return Verdict::Other;
        };
        let key_start = facts.keyframe && facts.frame_start && facts.spatial == 0;
        let Some(current) = self.current.as_mut() else {
            if !key_start {
                return Verdict::Other;
            }
            self.current = Some(target);
            return Verdict::Switch {
                marker: facts.marker || (facts.frame_end && target.spatial == 0),
            };
        };
        if facts.frame_start && facts.spatial == 0 {
            let down = target.spatial < current.spatial;
            if down || key_start {
                current.spatial = target.spatial;
            }
        }
        let top = current.spatial;
        if facts.spatial > top || !self.admits_temporal(facts, target.temporal) {
            return Verdict::Skip;
        }
        Verdict::Forward {
            marker: facts.marker || (facts.frame_end && facts.spatial == top),
        }
    }

    fn admits_temporal(&mut self, facts: &Facts, wanted: u8) -> bool {
        let Some(current) = self.current.as_mut() else {
            return false;
        };
        if facts.frame_start && wanted != current.temporal {
            let climbs = facts.switch_up && facts.temporal > current.temporal;
            if wanted < current.temporal || (facts.keyframe && facts.frame_start) {
                current.temporal = wanted;
            } else if climbs && facts.temporal <= wanted {
                current.temporal = facts.temporal;
            } else if facts.temporal <= current.temporal && facts.switch_up && facts.temporal == 0 {
                // A base frame marked as switching point refers to nothing above it.
                current.temporal = wanted;
            }
        }
        facts.temporal <= current.temporal
    }
}
