"""An upgrade of `/sync` by hand, and the frames of a server as they come: for what clients hide."""

from __future__ import annotations

FIELDS = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol": "sotto.1",
}
CLOSE = 0x8


def upgrade(token: str = "", **changed: str | None) -> dict[str, str]:
    """The fields of a good one, with some changed; None leaves one out."""
    fields = {**FIELDS, **({"Authorization": f"Bearer {token}"} if token else {})}
    for name, value in changed.items():
        fields.pop(name.replace("_", "-"), None)
        if value is not None:
            fields[name.replace("_", "-")] = value
    return fields


def spelled(token: str, path: str = "/sync") -> bytes:
    """A whole request, for a stream that does nothing by itself."""
    fields = {"Host": "localhost", **upgrade(token)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


def frames_of(data: bytes) -> list[tuple[int, bytes]]:
    """Opcode and payload of each that came whole (RFC 6455 section 5.2)."""
    found, at = [], 0
    while at + 2 <= len(data):
        size, start = data[at + 1] & 0x7F, at + 2
        if size > 125:
            width = 2 if size == 126 else 8
            size, start = int.from_bytes(data[start : start + width], "big"), start + width
        if start + size > len(data):
            break
        found.append((data[at] & 0x0F, data[start : start + size]))
        at = start + size
    return found


def close_codes(data: bytes) -> list[int]:
    return [int.from_bytes(said[:2], "big") for opcode, said in frames_of(data) if opcode == CLOSE]


def masked(opcode: int, said: bytes) -> bytes:
    """A short frame of a client, whole; a mask of zeros changes nothing (section 5.3)."""
    return bytes((0x80 | opcode, 0x80 | len(said))) + bytes(4) + said
