//! Reads specs, settings and keys of engine_types.py by attribute, and turns names into enums.

use std::collections::HashMap;

use pyo3::prelude::*;
use sotto_engine_core::spec as core;
use sotto_engine_net::engine as net;

use crate::error;

#[derive(FromPyObject)]
pub struct SrtpKeys {
    profile: String,
    local_key: Vec<u8>,
    local_salt: Vec<u8>,
    remote_key: Vec<u8>,
    remote_salt: Vec<u8>,
}

#[derive(FromPyObject)]
struct Codec {
    payload_type: u8,
    name: String,
    clock_rate: u32,
    rtx_payload_type: Option<u8>,
    nack: bool,
    pli: bool,
    fir: bool,
    remb: bool,
    transport_cc: bool,
    fmtp: String,
}

#[derive(FromPyObject)]
struct Encoding {
    rid: Option<String>,
    ssrc: Option<u32>,
    rtx_ssrc: Option<u32>,
    quality: u8,
    width: u32,
    height: u32,
    max_bitrate: u64,
}

#[derive(FromPyObject)]
pub struct PublicationSpec {
    kind: String,
    mid: String,
    codecs: Vec<Codec>,
    extensions: HashMap<String, u8>,
    encodings: Vec<Encoding>,
    svc: bool,
    screen: bool,
}

#[derive(FromPyObject)]
pub struct SubscriptionSpec {
    mid: String,
    ssrc: u32,
    rtx_ssrc: Option<u32>,
    codecs: Vec<Codec>,
    extensions: HashMap<String, u8>,
}

#[derive(FromPyObject)]
pub struct SubscriptionSettings {
    paused: bool,
    max_spatial: u8,
    max_temporal: u8,
    priority: i32,
}

#[derive(FromPyObject)]
pub struct CallSettings {
    top_audio: u16,
}

impl SrtpKeys {
    pub fn into_net(self) -> PyResult<net::SrtpKeys> {
        let profile = core::SrtpProfile::parse(&self.profile)
            .ok_or_else(|| error::argument(format!("unknown SRTP profile {:?}", self.profile)))?;
        let SrtpKeys {
            local_key,
            local_salt,
            remote_key,
            remote_salt,
            ..
        } = self;
        Ok(net::SrtpKeys {
            profile,
            local_key,
            local_salt,
            remote_key,
            remote_salt,
        })
    }
}

impl Codec {
    fn into_core(self) -> PyResult<core::Codec> {
        let name = core::CodecName::parse(&self.name)
            .ok_or_else(|| error::argument(format!("unknown codec {:?}", self.name)))?;
        Ok(core::Codec {
            payload_type: self.payload_type,
            name,
            clock_rate: self.clock_rate,
            rtx_payload_type: self.rtx_payload_type,
            nack: self.nack,
            pli: self.pli,
            fir: self.fir,
            remb: self.remb,
            transport_cc: self.transport_cc,
            fmtp: self.fmtp,
        })
    }
}

impl Encoding {
    fn into_core(self) -> core::Encoding {
        core::Encoding {
            rid: self.rid,
            ssrc: self.ssrc,
            rtx_ssrc: self.rtx_ssrc,
            quality: self.quality,
            width: self.width,
            height: self.height,
            max_bitrate: self.max_bitrate,
        }
    }
}

fn codecs(codecs: Vec<Codec>) -> PyResult<Vec<core::Codec>> {
    codecs.into_iter().map(Codec::into_core).collect()
}

fn extensions(named: &HashMap<String, u8>) -> PyResult<core::Extensions> {
    let mut extensions = core::Extensions::default();
    for (name, id) in named {
        if !extensions.set(name, *id) {
            return Err(error::argument(format!(
                "no header extension {name:?} with id {id}"
            )));
        }
    }
    Ok(extensions)
}

impl PublicationSpec {
    pub fn into_core(self) -> PyResult<core::PublicationSpec> {
        let kind = match self.kind.as_str() {
            "audio" => core::Kind::Audio,
            "video" => core::Kind::Video,
            other => return Err(error::argument(format!("unknown kind {other:?}"))),
        };
        Ok(core::PublicationSpec {
            kind,
            mid: self.mid,
            codecs: codecs(self.codecs)?,
            extensions: extensions(&self.extensions)?,
            encodings: self
                .encodings
                .into_iter()
                .map(Encoding::into_core)
                .collect(),
            svc: self.svc,
            screen: self.screen,
        })
    }
}

impl SubscriptionSpec {
    pub fn into_core(self) -> PyResult<core::SubscriptionSpec> {
        Ok(core::SubscriptionSpec {
            mid: self.mid,
            ssrc: self.ssrc,
            rtx_ssrc: self.rtx_ssrc,
            codecs: codecs(self.codecs)?,
            extensions: extensions(&self.extensions)?,
        })
    }
}

impl SubscriptionSettings {
    pub fn into_core(self) -> core::SubscriptionSettings {
        let SubscriptionSettings {
            paused,
            max_spatial,
            max_temporal,
            priority,
        } = self;
        core::SubscriptionSettings {
            paused,
            max_spatial,
            max_temporal,
            priority,
        }
    }
}

impl CallSettings {
    pub fn into_core(self) -> core::CallSettings {
        core::CallSettings {
            top_audio: self.top_audio,
        }
    }
}
