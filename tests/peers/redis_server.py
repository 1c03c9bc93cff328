"""A real redis-server for tests: TLS with client certificates, no default user, one ACL user.

`ACL` is what `docs/reference/storage.md` recommends; the tests prove that it suffices.
"""

from __future__ import annotations

import datetime
import signal
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from signaling.config.store import Bus as Settings
from signaling.secret import Secret
from tests.ports import free_port

USER, WORD = "sotto", "a-word-of-the-tests-that-is-long"
ACL = (
    "~sotto:* &sotto:* -@all +ping +role +auth +hello +select +client|setname +subscribe"
    " +unsubscribe +publish +get +set +del +eval +evalsha +script|load +time +zadd +zrem +zrange"
    " +zrangebyscore +zremrangebyscore +pexpire"
)


class Authority:
    """Signs certificates for both sides, below one directory."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self._certificate = self._sign(self._name, self._key, authority=True)
        self.file = directory / "ca.pem"
        self.file.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, authority: bool
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(names, critical=False)
        )
        return builder.sign(self._key, hashes.SHA256())

    def issue(self, name: str) -> tuple[Path, Path]:
        """Certificate for `localhost` and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        certificate = self._sign(subject, key, authority=False)
        paths = self._directory / f"{name}.pem", self._directory / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths


@dataclass
class RedisServer:
    """States: running -> paused -> running -> stopped; `start` again on the same port."""

    directory: Path
    port: int
    authority: Authority
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def new(cls, directory: Path) -> RedisServer:
        server = cls(directory, free_port(), Authority(directory / "ca"))
        certificate, key = server.authority.issue("server")
        server.authority.issue("client")
        (directory / "users.acl").write_text(f"user default off\nuser {USER} on >{WORD} {ACL}\n")
        (directory / "redis.conf").write_text(
            f"bind 127.0.0.1\nport 0\ntls-port {server.port}\n"
            f"tls-cert-file {certificate}\ntls-key-file {key}\n"
            f"tls-ca-cert-file {server.authority.file}\ntls-auth-clients yes\n"
            f'aclfile {directory / "users.acl"}\nsave ""\nappendonly no\ndir {directory}\n'
            "enable-protected-configs no\nenable-debug-command no\n"
        )
        server.start()
        return server

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["redis-server", str(self.directory / "redis.conf")], stdout=subprocess.DEVNULL
        )
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise AssertionError("redis-server did not start")

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def settings(self, **changes: object) -> Settings:
        client = self.directory / "ca" / "client.pem"
        known: dict[str, object] = {
            "url": f"rediss://localhost:{self.port}/0",
            "user": USER,
            "password": Secret(WORD),
            "ca": str(self.authority.file),
            "certificate": str(client),
            "key": str(client.with_suffix(".key")),
        }
        return Settings(**{**known, **changes})  # type: ignore[arg-type]  # a table of keys

    def talk(self, *commands: str) -> str:
        """What the server says to plain inline commands on a connection of their own."""
        context = ssl.create_default_context(cafile=str(self.authority.file))
        client = self.directory / "ca" / "client.pem"
        context.load_cert_chain(client, client.with_suffix(".key"))
        with (
            socket.create_connection(("127.0.0.1", self.port), 5) as raw,
            context.wrap_socket(raw, server_hostname="localhost") as connection,
        ):
            connection.sendall(("\r\n".join(commands) + "\r\nPING\r\n").encode())
            answer = b""
            while b"PONG" not in answer and b"NOAUTH" not in answer:
                answer += connection.recv(4096)
            return answer.decode()
