"""Web Push without a socket: encryption for one device (RFC 8291), and who we are (RFC 8292).

Our own sixty lines over `cryptography`: docs/decisions/0011 says why. Pure: keys, salt and time
are arguments.
"""

from __future__ import annotations

import base64
import json
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signaling.clock import Clock

SALT_BYTES = 16
RECORD = 4096
# Header (salt, record size, key's length and key), one record's tag and its delimiter; a push
# service need not take more than 4096 bytes in all (RFC 8030 section 7.2, RFC 8291 section 4).
OVERHEAD = 16 + 4 + 1 + 65 + 16 + 1
MAX_PLAIN = RECORD - OVERHEAD
# A service sees the length: it is told in such steps only.
PAD_STEP = 512
# RFC 8292 section 2: at most a day. Signed anew long before it ends.
TOKEN_SECONDS = 12 * 3600
TOKEN_KEPT = 6 * 3600
MOST_ORIGINS = 1000
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def private_key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    """The P-256 key of 32 random bytes; the bias of the reduction is 2^-32."""
    return ec.derive_private_key(int.from_bytes(secret, "big") % (_ORDER - 1) + 1, ec.SECP256R1())


def public_point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def padded(plain: bytes) -> int:
    """Zeros to add so that only the step that it falls into shows."""
    return min(-(len(plain) + 1) % PAD_STEP, MAX_PLAIN - len(plain))


def encrypt(
    plain: bytes,
    receiver: bytes,
    auth: bytes,
    sender: ec.EllipticCurvePrivateKey,
    salt: bytes,
    padding: int = 0,
) -> bytes:
    """RFC 8291 section 3.4 in the content coding of RFC 8188: the whole body of the request.
    `sender` and `salt` are for this message only.
    """
    if len(plain) + padding > MAX_PLAIN:
        raise ValueError(f"at most {MAX_PLAIN} bytes fit into one push")
    own = public_point(sender)
    theirs = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), receiver)
    shared = sender.exchange(ec.ECDH(), theirs)
    keying = _derive(auth, shared, b"WebPush: info\0" + receiver + own, 32)
    key = _derive(salt, keying, b"Content-Encoding: aes128gcm\0", 16)
    nonce = _derive(salt, keying, b"Content-Encoding: nonce\0", 12)
    header = salt + RECORD.to_bytes(4, "big") + len(own).to_bytes(1, "big") + own
    # RFC 8188 section 2: 2 ends the last record, and the only one here.
    return header + AESGCM(key).encrypt(nonce, plain + b"\x02" + bytes(padding), None)


def _derive(salt: bytes, material: bytes, info: bytes, size: int) -> bytes:
    return HKDF(hashes.SHA256(), size, salt, info).derive(material)


def b64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign_es256(key: ec.EllipticCurvePrivateKey, header: object, claims: object) -> str:
    """A JSON Web Token (RFC 7515 section 3.1, RFC 7518 section 3.4)."""
    parts = [b64url(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)]
    signed = ".".join(parts)
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{b64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


class Vapid:
    """Says to push services who sends. One for each process, from the installation's one key."""

    def __init__(self, secret: bytes, subject: str, clock: Clock) -> None:
        """`subject`: where a service writes to when something is wrong, mailto: or https:."""
        self._key = private_key(secret)
        self._subject = subject
        self._clock = clock
        self._tokens: dict[str, tuple[float, str]] = {}
        self.public_key = b64url(public_point(self._key))

    def authorization(self, endpoint: str) -> str:
        """The `Authorization` field for a request to this endpoint (RFC 8292 section 3)."""
        parts = urlsplit(endpoint)
        origin = f"{parts.scheme}://{parts.netloc}".lower()
        now = self._clock.unix()
        made, token = self._tokens.get(origin, (0.0, ""))
        if made + TOKEN_KEPT <= now or made > now:
            if len(self._tokens) >= MOST_ORIGINS:
                self._tokens.clear()
            claims = {"aud": origin, "exp": int(now) + TOKEN_SECONDS, "sub": self._subject}
            token = sign_es256(self._key, {"typ": "JWT", "alg": "ES256"}, claims)
            self._tokens[origin] = (now, token)
        return f"vapid t={token}, k={self.public_key}"
