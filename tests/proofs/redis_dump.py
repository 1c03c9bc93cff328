"""A Redis that keeps everything it is told, on disk and in MONITOR: for the dump test."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from pathlib import Path

from tests.peers.redis_server import ACL, USER, WORD, Authority, RedisServer
from tests.ports import free_port

INSPECTOR, INSPECTOR_WORD = "inspector", "an-inspector-of-the-tests"


def keeping_redis(directory: Path) -> RedisServer:
    """Uncompressed, so that the dump says what was put in; the log of appends is on."""
    server = RedisServer(directory, free_port(), Authority(directory / "ca"))
    certificate, key = server.authority.issue("server")
    server.authority.issue("client")
    (directory / "users.acl").write_text(
        f"user default off\nuser {USER} on >{WORD} {ACL}\n"
        f"user {INSPECTOR} on >{INSPECTOR_WORD} ~* &* +@all\n"
    )
    (directory / "redis.conf").write_text(
        f"bind 127.0.0.1\nport 0\ntls-port {server.port}\ntls-cert-file {certificate}\n"
        f"tls-key-file {key}\ntls-ca-cert-file {server.authority.file}\ntls-auth-clients yes\n"
        f"aclfile {directory / 'users.acl'}\ndir {directory}\nrdbcompression no\n"
        "appendonly yes\nappendfsync always\naof-use-rdb-preamble no\n"
    )
    server.start()
    return server


def redis_files(directory: Path) -> dict[str, bytes]:
    """What it wrote: neither our certificates nor our configuration."""
    return {
        path.name: path.read_bytes()
        for path in directory.rglob("*")
        if (path.is_file() and path.suffix in (".rdb", ".aof", ".incr", ".manifest"))
        or (path.is_file() and ".aof" in path.name)
    }


class Monitor:
    """Two connections of an inspector: one hears every command, one gives some."""

    def __init__(self, redis: RedisServer) -> None:
        context = ssl.create_default_context(cafile=str(redis.authority.file))
        client = redis.directory / "ca" / "client.pem"
        context.load_cert_chain(client, client.with_suffix(".key"))
        self._context, self._port = context, redis.port
        self._heard = bytearray()
        self._socket = self._connected()
        self._socket.sendall(b"MONITOR\r\n")
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def _connected(self) -> ssl.SSLSocket:
        raw = socket.create_connection(("127.0.0.1", self._port), 60)
        made = self._context.wrap_socket(raw, server_hostname="localhost")
        made.sendall(f"AUTH {INSPECTOR} {INSPECTOR_WORD}\r\n".encode())
        assert made.recv(64).startswith(b"+OK")
        made.settimeout(None)
        return made

    def _hear(self) -> None:
        with contextlib.suppress(OSError):
            while data := self._socket.recv(65536):
                self._heard += data

    def say(self, *commands: str) -> None:
        with self._connected() as connection:
            for command in commands:
                connection.sendall(f"{command}\r\n".encode())
                assert connection.recv(256)[:1] == b"+", command

    def stop(self) -> bytes:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)
        self._socket.close()
        return bytes(self._heard)
