//! What a participant answers to signaling: offers, answers, candidates, tracks.

use super::{PUBLISHER, Participant, SUBSCRIBER};
use crate::pc::Pc;
use crate::proto::{AddTrack, Request, Response, SessionDescription, Trickle, VideoLayer};
use crate::sdp::{self, Description, Kind, Local, Offered};
use crate::source::{Ids, Source};

impl Participant {
    pub(super) fn on_response(&mut self, response: Response) {
        match response {
            Response::Join(_) => self.on_join(),
            Response::TrackPublished(_) => {
                self.published += 1;
                if self.published == self.sources.len() {
                    self.offer();
                }
            }
            Response::Offer(description) => self.on_offer(&description),
            Response::Answer(description) => self.on_answer(&description),
            Response::Trickle(trickle) => self.on_trickle(&trickle),
            Response::Sections(sections) => {
                let audio = (0..sections.audios).map(|_| Kind::Audio);
                let video = (0..sections.videos).map(|_| Kind::Video);
                self.offered
                    .extend(audio.chain(video).map(|kind| Offered { kind, send: None }));
                self.offer();
            }
            Response::Leave(leave) => {
                self.failure.get_or_insert(format!(
                    "leave: reason {} action {}",
                    leave.reason, leave.action
                ));
            }
            Response::Quality(_) | Response::Pong(_) => {}
        }
    }

    fn on_join(&mut self) {
        if self.single || self.wants_data {
            self.offered.push(Offered {
                kind: Kind::Data,
                send: None,
            });
        }
        let mut requests = Vec::new();
        for source in &mut self.sources {
            source.mid = self.offered.len().to_string();
            self.offered.push(Offered {
                kind: source.kind,
                send: Some((source.cid.clone(), source.ssrc)),
            });
            requests.push(Request::AddTrack(add_track(source)));
        }
        requests.into_iter().for_each(|request| self.send(request));
        if self.sources.is_empty() && (self.single || self.wants_data) {
            self.offer();
        }
    }

    fn offer(&mut self) {
        if self.offering {
            self.offer_again = true;
            return;
        }
        self.offering = true;
        let (fingerprint, offered) = (self.certificate.fingerprint.clone(), self.offered.clone());
        let Some(pc) = self.pc(PUBLISHER) else { return };
        pc.version += 1;
        let sdp = local(pc, &fingerprint).offer(&offered);
        self.offer_id += 1;
        let id = self.offer_id;
        self.send(Request::Offer(SessionDescription {
            kind: "offer".to_owned(),
            sdp,
            id,
        }));
    }

    fn on_offer(&mut self, description: &SessionDescription) {
        let offer = Description::parse(&description.sdp);
        self.learn_receiving(&offer);
        let fingerprint = self.certificate.fingerprint.clone();
        let Some(pc) = self.pc(SUBSCRIBER) else {
            return;
        };
        pc.version += 1;
        pc.set_remote(offer.remote());
        let sdp = local(pc, &fingerprint).answer(&offer);
        let id = description.id;
        self.send(Request::Answer(SessionDescription {
            kind: "answer".to_owned(),
            sdp,
            id,
        }));
    }

    fn on_answer(&mut self, description: &SessionDescription) {
        let answer = Description::parse(&description.sdp);
        if self.single {
            self.learn_receiving(&answer);
        }
        for source in &mut self.sources {
            let Some(section) = answer
                .sections
                .iter()
                .find(|section| section.mid() == source.mid)
            else {
                continue;
            };
            source.ids = Ids {
                mid: section.extension(sdp::MID),
                audio_level: section.extension(sdp::AUDIO_LEVEL),
                transport_cc: section.extension(sdp::TRANSPORT_CC),
            };
        }
        if let Some(pc) = self.pc(PUBLISHER) {
            pc.set_remote(answer.remote());
        }
        self.offering = false;
        if std::mem::take(&mut self.offer_again) {
            self.offer();
        }
    }

    fn learn_receiving(&mut self, description: &Description) {
        for section in description
            .sections
            .iter()
            .filter(|section| section.is_media())
        {
            if section.has("recvonly") || section.has("inactive") {
                continue;
            }
            self.sink.transport_cc = self
                .sink
                .transport_cc
                .or(section.extension(sdp::TRANSPORT_CC));
            self.sink.remb |= section
                .values("rtcp-fb")
                .any(|value| value.ends_with("goog-remb"));
            for value in section.values("rtpmap") {
                let Some((payload_type, name)) = value.split_once(' ') else {
                    continue;
                };
                if let (Ok(payload_type @ 0..=127), true) =
                    (payload_type.parse::<usize>(), name.starts_with("rtx/"))
                {
                    self.sink.rtx_payload_types[payload_type] = true;
                }
            }
        }
    }

    fn on_trickle(&mut self, trickle: &Trickle) {
        let parsed: Option<serde_json::Value> = serde_json::from_str(&trickle.candidate_init).ok();
        let text = parsed
            .as_ref()
            .and_then(|value| value.get("candidate")?.as_str())
            .unwrap_or_default();
        let which = usize::from(trickle.target == 1);
        if let (Some(address), Some(pc)) = (sdp::candidate(text), &mut self.pcs[which]) {
            pc.add_candidate(address);
        }
    }
}

fn local<'a>(pc: &'a Pc, fingerprint: &'a str) -> Local<'a> {
    Local {
        ufrag: &pc.ufrag,
        pwd: &pc.pwd,
        fingerprint,
        address: pc.link.address(),
        version: pc.version,
    }
}

fn add_track(source: &Source) -> AddTrack {
    let video = source.kind == Kind::Video;
    let bitrate =
        (source.size as u64 * 8 * u64::from(source.burst) * 1_000_000 / source.period_us) as u32;
    let layers = if video {
        vec![VideoLayer {
            quality: 2,
            width: 640,
            height: 360,
            bitrate,
        }]
    } else {
        Vec::new()
    };
    AddTrack {
        cid: source.cid.clone(),
        name: source.cid.clone(),
        kind: i32::from(video),
        width: if video { 640 } else { 0 },
        height: if video { 360 } else { 0 },
        source: if video { 1 } else { 2 },
        layers,
        disable_red: true,
    }
}
