"""Whether a directory lies on an encrypted volume, as Linux shows it in sysfs.

A device-mapper device whose uuid begins with `CRYPT-` (LUKS, dm-crypt) stands somewhere below the
file system: under it, under the logical volume, under the RAID. What a cloud encrypts outside of
the machine is not visible here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from signaling.config import Config
from signaling.errors import ConfigError

MOUNTS = Path("/proc/self/mountinfo")
BLOCK = Path("/sys/dev/block")


def data_directories(config: Config, state: Path) -> list[Path]:
    """Where a server keeps what must not be read from a lost disk."""
    store = Path(config.store.directory) if config.store.directory else state
    masters = Path(config.kms.directory) if config.kms.directory else state
    keys = Path(config.key_store.directory) if config.key_store.directory else state
    return sorted({state, store, masters, keys})


def check_volumes(config: Config, state: Path) -> Iterator[ConfigError]:
    if not config.store.require_encrypted_volume:
        return
    for path in data_directories(config, state):
        if not is_encrypted(path):
            yield ConfigError(
                "store.require_encrypted_volume",
                f"{path} does not lie on an encrypted volume, or it cannot be seen here",
            )


def is_encrypted(path: Path, mounts: Path = MOUNTS, block: Path = BLOCK) -> bool:
    """Of the nearest directory that exists. False as well when it cannot be told."""
    device = device_of(path.absolute(), mounts.read_text(encoding="utf-8"))
    return device is not None and _encrypted(block / device, depth=8)


def device_of(path: Path, mountinfo: str) -> str | None:
    """`MAJOR:MINOR` of the mount that the path is on (proc(5)); the last one on a place counts."""
    found: tuple[int, str] | None = None
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if len(fields) < 5:
            continue
        point = Path(fields[4].replace("\\040", " "))
        if path.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = len(point.parts), fields[2]
    return found[1] if found else None


def _encrypted(device: Path, depth: int) -> bool:
    """Of several devices below, all must be."""
    try:
        device = device.resolve(strict=True)
    except OSError:
        return False
    uuid = device / "dm" / "uuid"
    if uuid.exists() and uuid.read_text(encoding="ascii").startswith("CRYPT-"):
        return True
    below = sorted((device / "slaves").iterdir()) if (device / "slaves").is_dir() else []
    if not below and (device / "partition").exists():
        return depth > 0 and _encrypted(device.parent, depth - 1)
    return bool(below) and depth > 0 and all(_encrypted(one, depth - 1) for one in below)
