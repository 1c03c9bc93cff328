"""Row A3: data on encrypted volumes; what is uploaded is sealed by the server as well."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from signaling.storage.volume import device_of, is_encrypted
from tests.command import sotto
from tests.rows.house import ROOT, House


def test_a03_a_plain_volume_is_refused(tmp_path: Path) -> None:
    house = House(tmp_path, {"store.require_encrypted_volume": "true"})
    assert not is_encrypted(tmp_path), "this machine's disk is encrypted; run it on a plain one"
    done = subprocess.run(house.command, capture_output=True, text=True, check=False, timeout=180)
    assert done.returncode == 2
    assert "store.require_encrypted_volume" in done.stderr
    assert f"{house.state} does not lie on an encrypted volume" in done.stderr
    assert not house.state.exists()


def test_a03_doctor_says_where_the_data_lies(tmp_path: Path) -> None:
    house = House(tmp_path).start()
    try:
        words = sotto(
            "doctor", "--json", f"--url={house.url}", f"--trust={house.authority.file}",
            f"--config={tmp_path / 'sotto.toml'}", f"--set=process.state_dir={house.state}",
        )  # fmt: skip
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    finally:
        house.stop()
    report = json.loads(done.stdout)
    (found,) = [one for one in hops(report) if one["hop"] == "volume"]
    assert found["outcome"] == "skipped" and str(house.state) in found["detail"]


def hops(report: object) -> list[dict[str, str]]:
    """The report is the list, or holds it."""
    if isinstance(report, dict):
        (report,) = [value for value in report.values() if isinstance(value, list)]
    assert isinstance(report, list)
    return report


# As recorded on a machine with LUKS below LVM: nvme0n1p3 -> crypt -> volume, and a plain /boot.
UUIDS = {
    "dm-0": "CRYPT-LUKS2-2f0b6c1de5c94a0e9a7f3c1f4f6d8b21-nvme0n1p3_crypt",
    "dm-1": "LVM-pUyN6c4VbS9w0Jg2qk1m3xXrT5dZ8hLfAeQoBiCtRsEvUnKyWzMpGjHaDl",
}
SLAVES = {"dm-0": ["nvme0n1p3"], "dm-1": ["dm-0"]}
MOUNTS = """\
22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/mapper/vg-root rw
40 22 259:2 / /boot rw,relatime shared:20 - ext4 /dev/nvme0n1p2 rw
41 22 0:35 / /run rw,nosuid shared:21 - tmpfs tmpfs rw
42 22 253:0 / /srv/with\\040space rw shared:22 - ext4 /dev/mapper/crypt rw
"""


@pytest.fixture
def machine(tmp_path: Path) -> tuple[Path, Path]:
    """Its mounts, and /sys/dev/block as links into the devices."""
    devices, block = tmp_path / "devices", tmp_path / "block"
    block.mkdir()
    disk = devices / "nvme0n1"
    for part in ("nvme0n1p2", "nvme0n1p3"):
        (disk / part).mkdir(parents=True)
        (disk / part / "partition").write_text("2\n")
    for name, uuid in UUIDS.items():
        (devices / name / "dm").mkdir(parents=True)
        (devices / name / "dm" / "uuid").write_text(uuid + "\n")
        (devices / name / "slaves").mkdir()
        for slave in SLAVES[name]:
            below = devices / slave if slave.startswith("dm") else disk / slave
            (devices / name / "slaves" / slave).symlink_to(below)
    for number, place in (
        ("253:0", devices / "dm-0"), ("253:1", devices / "dm-1"),
        ("259:2", disk / "nvme0n1p2"), ("259:3", disk / "nvme0n1p3"),
    ):  # fmt: skip
        (block / number).symlink_to(place)
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    return mounts, block


@pytest.mark.parametrize(
    ("path", "encrypted"),
    [
        ("/var/lib/sotto", True), ("/srv/with space/sotto", True), ("/boot/sotto", False),
        ("/run/sotto", False), ("/", True),
    ],
)  # fmt: skip
def test_a03_luks_is_recognised_below_lvm(
    machine: tuple[Path, Path], path: str, encrypted: bool
) -> None:
    assert is_encrypted(Path(path), *machine) is encrypted


def test_a03_what_cannot_be_read_is_not_encrypted(tmp_path: Path) -> None:
    assert device_of(Path("/x"), "") is None
    assert device_of(Path("/x"), "rubbish\n1 2 3") is None
    (tmp_path / "mounts").write_text(MOUNTS)
    assert not is_encrypted(Path("/var"), tmp_path / "mounts", tmp_path / "nothing")
