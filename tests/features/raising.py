"""Starts the servers of the nouns, with everything beside them that they may call.

`raised`: `sotto serve` with its files on a disk, under a clock that can be moved on. `annexed`:
one whose files lie in a bucket, are scanned by ICAP, and whose media may be on loopback
(`sotto dev`), in real time: APNs, FCM and S3 refuse who is a quarter of an hour ahead.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from tests.features.town import Annex, Person, Town
from tests.peers.kafka.broker import Broker
from tests.rows.house import House, Visit, standing, visiting
from tests.signaling.calls.test_server import OnLoopback
from tests.signaling.compliance.certificates import make
from tests.signaling.compliance.receivers import Rsyslog
from tests.signaling.delivery.house import receiving
from tests.signaling.delivery.push import services
from tests.signaling.delivery.served import QUICK
from tests.signaling.delivery.systems import relayed
from tests.signaling.files import scanners
from tests.signaling.files.s3_server import ACCESS, BUCKET, SECRET
from tests.sync.watched import CLIENT, SERVER, Watched

MEGABYTE = 1024 * 1024
DAY = 86400
# A receiver that fails for so many seconds is disabled.
PATIENCE = 864
SETTINGS = {
    **QUICK,
    "delivery.disable_after_days": str(PATIENCE / DAY),
    "push.grace_seconds": "1",
    "push.subject": "mailto:ops@example.org",
    "files.max_bytes": str(8 * MEGABYTE),
    "files.account_bytes": str(20 * MEGABYTE),
    "files.max_unpacked_bytes": str(2 * MEGABYTE),
}
BESIDE = {**QUICK, "media.advertise": "127.0.0.1", "ringing.empty_seconds": "1"}
BEHIND = ("s3", "sqs", "amqp", "syslog")


def _nobody(there: Visit) -> Person:
    return Person(there, "", "", "")


def _egress(allowed: Mapping[int, Path | None]) -> str:
    """What the operator says may be called on loopback, with whose CA: these ports and no other."""
    listed = [
        f'{{ network = "127.0.0.1/32", port = {port}, ca_file = "{authority or ""}" }}'
        for port, authority in allowed.items()
    ]
    return f"[egress]\nallow = [{', '.join(listed)}]\n"


@contextlib.asynccontextmanager
async def raised(folder: Path, clamd: int) -> AsyncIterator[Town]:
    pki = make(folder / "pki")
    async with services.web_push(pki) as web, receiving() as sink:
        toml = _egress({web.port: pki.authority, sink.port: None})
        settings = {**SETTINGS, "files.scanner": f"clamd://127.0.0.1:{clamd}"}
        watched = Watched(folder / "frames")
        house = House(
            folder / "home", settings, clock=True, toml=toml, environment=watched.environment
        )
        with standing(house):
            async with visiting(house) as there:
                town = Town(house, there, _nobody(there), sink, web, *[_nobody(there)] * 3)
                town.owner = await town.known(await there.owner(), house.login)
                town.ann, town.bob, town.cy = [await town.person() for _ in range(3)]
                web.public_key = (await town.owner.must("GET", "/push"))["public_key"]
                yield town
                await _documented(house, watched)


@contextlib.asynccontextmanager
async def annexed(folder: Path, endpoint: str, clamd: Path) -> AsyncIterator[Annex]:
    """`endpoint` of an S3 server; `clamd` is the socket of the daemon behind ICAP. What routes lead
    to is started by the tests that need it: behind a relay each.
    """
    pki = make(folder / "pki")
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        apns, fcm = await enter(services.apns(pki)), await enter(services.fcm(pki))
        icap = await enter(scanners.icap(folder, clamd))
        sink = await enter(receiving())
        relays = {name: await enter(relayed(0)) for name in BEHIND}
        rsyslog = Rsyslog(folder / "rsyslog")
        stack.callback(rsyslog.stop)
        kafka = Broker(folder / "kafka")
        stack.callback(kafka.kill)
        allowed: dict[int, Path | None] = {relay.port: None for relay in relays.values()}
        allowed |= {sink.port: None, kafka.port: None}
        allowed |= {apns.port: pki.authority, fcm.port: pki.authority}
        allowed[relays["syslog"].port] = rsyslog.files.authority
        toml = _egress(allowed) + _push(folder, apns, fcm) + _bucket(folder, endpoint)
        settings = {**BESIDE, "files.scanner": f"icap://127.0.0.1:{icap}/virus_scan"}
        watched = Watched(folder / "frames")
        house = OnLoopback(folder / "home", settings, toml=toml, environment=watched.environment)
        stack.enter_context(standing(house))
        there = await enter(visiting(house))
        ends = (sink, apns, fcm, relays, rsyslog, kafka)
        annex = Annex(house, there, _nobody(there), *ends, folder)
        annex.owner = await annex.known(await there.owner(), house.login)
        yield annex
        await _documented(house, watched)


async def _documented(house: House, watched: Watched) -> None:
    """Each frame of each device, and what the server said to it, is as its document says."""
    counts = await asyncio.to_thread(watched.check_served, house.url, house.trust)
    assert counts[CLIENT] and counts[SERVER], counts


def _push(folder: Path, apns: services.ApnsService, fcm: services.FcmService) -> str:
    (folder / "apns.p8").write_text(apns.pem())
    (folder / "fcm.json").write_text(fcm.account())
    return (
        f'[push]\nsubject = "mailto:ops@example.org"\n'
        f'apns_key = {{ file = "{folder / "apns.p8"}" }}\n'
        f'apns_key_id = "KEYKEYKEY1"\napns_team = "TEAMTEAM12"\n'
        f'apns_topic = "org.example.tea"\napns_url = "{apns.url}"\n'
        f'fcm_account = {{ file = "{folder / "fcm.json"}" }}\nfcm_url = "{fcm.url}"\n'
    )


def _bucket(folder: Path, endpoint: str) -> str:
    (folder / "secret").write_text(SECRET)
    return (
        f'[files_s3]\nendpoint = "{endpoint}"\nbucket = "{BUCKET}"\naccess_key = "{ACCESS}"\n'
        f'secret_key = {{ file = "{folder / "secret"}" }}\nprefix = "files/"\n'
    )
