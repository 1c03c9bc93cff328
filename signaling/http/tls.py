"""TLS of the https listeners: the policy, and a certificate that is read again when it changes.

Mozilla's "intermediate" profile without its CBC suites: TLS 1.2 with ECDHE and AEAD, TLS 1.3,
curves X25519,
P-256 and P-384. Driven by `listener`.
"""

from __future__ import annotations

import asyncio
import asyncio.sslproto
import ctypes
import logging
import ssl
from pathlib import Path

from signaling.config import Tls
from signaling.errors import ConfigError

log = logging.getLogger(__name__)

SUITES = ":".join(
    f"ECDHE-{auth}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for auth in ("ECDSA", "RSA")
)
GROUPS = b"X25519:P-256:P-384"
_SSL_CTRL_SET_GROUPS_LIST = 92  # openssl/ssl.h

# A TLS connection's two buffers are 256 KiB each by default; a record is 16 KiB at most, and
# 2,000 idle sockets cost 694 MB or 205 MB by this line.
_TLS_BUFFER = 16 * 1024


def limit_buffers() -> None:
    asyncio.sslproto.SSLProtocol.max_size = _TLS_BUFFER


def server_context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if tls.tls13_only else ssl.TLSVersion.TLSv1_2
    context.set_ciphers(SUITES)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    # Clients without AES hardware prefer ChaCha20, so theirs is the order (Mozilla says the same).
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    _limit_groups(context)
    context.set_alpn_protocols(["http/1.1"])
    _load(context, tls)
    return context


def _limit_groups(context: ssl.SSLContext) -> None:
    """Python before 3.15 names one curve or all; OpenSSL takes a list. Without it: all of them."""
    try:
        import _ssl

        library = ctypes.CDLL(_ssl.__file__)
        control = library.SSL_CTX_ctrl
    except (ImportError, AttributeError, OSError):
        log.warning("this Python hides OpenSSL: X448 and P-521 stay enabled")
        return
    control.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p]
    control.restype = ctypes.c_long
    # PySSLContext begins with the object header, then SSL_CTX *ctx (Modules/_ssl.c).
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    if control(pointer, _SSL_CTRL_SET_GROUPS_LIST, 0, GROUPS) != 1:
        log.warning("OpenSSL refused the list of curves")


def _load(context: ssl.SSLContext, tls: Tls) -> None:
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or "key and certificate do not belong together"
        raise ConfigError("tls.certificate", f"cannot be used: {reason}") from error


class CertificateWatch:
    """Loads a renewed certificate into the running context; connections that stand keep theirs."""

    def __init__(self, context: ssl.SSLContext, tls: Tls) -> None:
        self._context = context
        self._tls = tls
        self._seen = self._stamp()

    def _stamp(self) -> tuple[int, ...]:
        try:
            files = (Path(self._tls.certificate).stat(), Path(self._tls.key).stat())
        except OSError:
            return ()  # in the middle of a renewal: look again next time
        return tuple(value for file in files for value in (file.st_mtime_ns, file.st_ino))

    def look(self) -> bool:
        """True when a new certificate was loaded. A broken one is logged, the old one stays."""
        stamp = self._stamp()
        if not stamp or stamp == self._seen:
            return False
        try:
            # Into a context of its own first: a half-written pair must not reach the live one.
            _load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self._tls)
            _load(self._context, self._tls)
        except ConfigError as error:
            log.error("the renewed certificate was refused: %s", error.message)
            return False
        self._seen = stamp
        log.info("the certificate was renewed")
        return True

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._tls.reload_seconds)
            self.look()
