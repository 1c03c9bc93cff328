//! RFC 3711 appendix B and RFC 7714 sections 16 and 17, which are given in session keys.

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

#[test]
fn rfc3711_b2_keystream() {
    let key = Aes128::new_from_slice(&hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap();
    let salt: [u8; 14] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
    let mut stream = vec![0u8; 0xFF02 * 16];
    apply_keystream(&key, cm_iv(&salt, [0; 4], 0), &mut stream);
    assert_eq!(stream[..16], hex("E03EAD0935C95E80E166B16DD92B4EB4"));
    assert_eq!(stream[16..32], hex("D23513162B02D0F72A43A2FE4A5F97AB"));
    assert_eq!(stream[32..48], hex("41E95B3BB0A2E8DD477901E4FCA894C0"));
    assert_eq!(
        stream[0xFEFF * 16..][..16],
        hex("EC8CDF7398607CB0F2D21675EA9EA1E4")
    );
    assert_eq!(
        stream[0xFF00 * 16..][..16],
        hex("362B7C3C6773516318A077D7FC5073AE")
    );
    assert_eq!(
        stream[0xFF01 * 16..][..16],
        hex("6A2CC3787889374FBEB4C81B17BA6C44")
    );
}

#[test]
fn rfc3711_b3_key_derivation() {
    let salt = hex("0EC675AD498AFEEBB6960B3AABE6").try_into().unwrap();
    let derive = Derivation::new(&hex("E1F97A0D3E018BE0D64FA32C06DE4139"), salt);
    for (label, expected) in [
        (0, "C61E7A93744F39EE10734AFE3FF7A087"),
        (2, "30CBBC08863D8C85D49DB34A9AE1"),
        (
            1,
            "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25 6D6E919A48B610EF17C2041E4740357 66B68642C59BBFC2F34DB60DBDFB2DC68",
        ),
    ] {
        let expected = hex(expected);
        let mut out = vec![0u8; expected.len()];
        derive.fill(label, &mut out);
        assert_eq!(out, expected, "label {label}");
    }
}

const SALT: &str = "517569642070726f2071756f";
const RTP: &str = "8040f17b8041f8d35501a0b2
    47616c6c696120657374206f6d6e697320646976697361 20696e207061727465732074726573";
const RTCP: &str = "81c8000d4d617273
    4e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";

fn gcm(bits: usize) -> Direction {
    let key: Vec<u8> = (0..(bits / 8) as u8).collect();
    let keys = || {
        let algorithm = if bits == 256 {
            &AES_256_GCM
        } else {
            &AES_128_GCM
        };
        let key = LessSafeKey::new(UnboundKey::new(algorithm, &key).unwrap());
        Keys::Gcm {
            key,
            salt: hex(SALT).try_into().unwrap(),
        }
    };
    let profile = if bits == 256 {
        Profile::AeadAes256Gcm
    } else {
        Profile::AeadAes128Gcm
    };
    Direction {
        profile,
        rtp: keys(),
        rtcp: keys(),
    }
}

/// Sections 16.1.1 and 16.2.1: ROC 0, sequence f17b; and back (16.1.2, 16.2.2).
#[test]
fn rfc7714_16_srtp() {
    for (bits, expected) in [
        (
            128,
            "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce",
        ),
        (
            256,
            "8040f17b8041f8d35501a0b232b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
        ),
    ] {
        let keys = gcm(bits);
        let (plain, expected) = (hex(RTP), hex(expected));
        let mut packet = plain.clone();
        packet.resize(plain.len() + GCM_TAG, 0);
        keys.seal_rtp(0xf17b, &mut packet, 12);
        assert_eq!(packet, expected);
        let len = keys.open_rtp(0xf17b, &mut packet, 12, 0x5501_a0b2).unwrap();
        assert_eq!(packet[..len], plain);
    }
}

/// Section 17.1: SRTCP index 5d4, and back (17.2).
#[test]
fn rfc7714_17_srtcp() {
    let keys = gcm(128);
    let expected = hex(
        "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4",
    );
    let plain = hex(RTCP);
    let mut packet = plain.clone();
    packet.resize(plain.len() + GCM_TAG + SRTCP_INDEX_LEN, 0);
    keys.seal_rtcp(0x5d4, &mut packet, plain.len());
    assert_eq!(packet, expected);
    assert_eq!(keys.rtcp_index(&packet), Ok(0x5d4));
    let len = keys.open_rtcp(&mut packet, 0x4d61_7273).unwrap();
    assert_eq!(packet[..len], plain);
}
