//! A self-signed P-256 certificate for DTLS, written in DER by hand: a dozen fields are not
//! worth a dependency. One certificate serves every client of a run.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

pub struct Certificate {
    pub der: Vec<u8>,
    pub key: Vec<u8>,
    /// SHA-256 in the notation of SDP.
    pub fingerprint: String,
}

fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut out = vec![tag];
    match body.len() {
        len @ 0..=127 => out.push(len as u8),
        len @ 128..=255 => out.extend([0x81, len as u8]),
        len => out.extend([0x82, (len >> 8) as u8, len as u8]),
    }
    out.extend(body);
    out
}

const SEQUENCE: u8 = 0x30;
/// ecdsa-with-SHA256.
const SIGNATURE: &[u8] = &[
    0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02,
];
/// id-ecPublicKey with prime256v1.
const KEY_ALGORITHM: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86, 0x48,
    0xCE, 0x3D, 0x03, 0x01, 0x07,
];

impl Certificate {
    pub fn generate() -> Result<Self, ring::error::Unspecified> {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)?;
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random)
                .map_err(|_| ring::error::Unspecified)?;
        let common_name = tlv(
            SEQUENCE,
            &[&[0x06, 0x03, 0x55, 0x04, 0x03], &tlv(0x0C, &[b"bench"])],
        );
        let name = tlv(SEQUENCE, &[&tlv(0x31, &[&common_name])]);
        let validity = tlv(
            SEQUENCE,
            &[
                &tlv(0x17, &[b"240101000000Z"]),
                &tlv(0x17, &[b"490101000000Z"]),
            ],
        );
        let key = tlv(
            SEQUENCE,
            &[
                KEY_ALGORITHM,
                &tlv(0x03, &[&[0], pair.public_key().as_ref()]),
            ],
        );
        let version_and_serial = [0xA0, 0x03, 0x02, 0x01, 0x02, 0x02, 0x01, 0x01];
        let body = tlv(
            SEQUENCE,
            &[
                &version_and_serial,
                SIGNATURE,
                &name,
                &validity,
                &name,
                &key,
            ],
        );
        let signature = pair.sign(&random, &body)?;
        let der = tlv(
            SEQUENCE,
            &[&body, SIGNATURE, &tlv(0x03, &[&[0], signature.as_ref()])],
        );
        let digest = ring::digest::digest(&ring::digest::SHA256, &der);
        let bytes: Vec<String> = digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        Ok(Self {
            der,
            key: document.as_ref().to_vec(),
            fingerprint: bytes.join(":"),
        })
    }
}
