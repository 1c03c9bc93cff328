"""Dump test: after one act of every kind, no canary of any sensitive field is anywhere.

Looked into are all files of an installation (SQLite and its WAL, logs, temporary files, cores, the
audit's own sink), what MongoDB and Redis hold, hear and write to disk, and backup archives. Which
fields are sensitive is not listed here: requests are filled by the OpenAPI document, secrets of
the configuration by its types, kinds of the store by the table of classes. So a new field takes
part, and one that cannot be placed fails with a message that says what to do.

Long because what is done and everything that is looked into stand side by side.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints
from urllib.parse import urlencode

import bson
from pymongo import MongoClient

from signaling.config import Config
from signaling.config.load import is_table
from signaling.http.api.classification import Level, kinds
from signaling.secret import Secret
from tests.peers.redis_server import USER, WORD
from tests.proofs import acts, chat_acts, more_acts, outside, rights_acts
from tests.proofs.canaries import MARK, Canaries, count, leaks
from tests.proofs.document import FORM, JSON, Schema, Shapes, operations, usual
from tests.proofs.redis_dump import Monitor, keeping_redis, redis_files
from tests.proofs.server import API_SECRET, Installation
from tests.signaling.compliance.certificates import Pki, make
from tests.signaling.storage.conftest import stand_in

__all__ = ["stand_in"]

ADDRESSES = ("203.0.113.77", "2001:db8:77:66:55:44:33:22")
# Sent by the operator or by developers to be shown to everybody: class internal, not sealed.
INTERNAL = {
    ("createOAuthClient", "/name"), ("createOAuthClient", "/redirect_uris/0"),
    ("renameApp", "/name"), ("rotateKey", "/reference"), ("declarePurpose", " path"),
}  # fmt: skip
# Secrets of the configuration: by which setting each is given here. `""`: by the flow that uses it.
CONFIGURED = {
    "keys": "", "store.password": "", "bus.password": "", "turn.secret": "turn.secret",
    "turn.previous_secret": "turn.previous_secret", "mail.password": "mail.password",
    "accounts.providers.client_secret": "", "audit_webhook.secret": "audit_webhook.secret",
    "audit_otlp.token": "audit_otlp.token", "kms_aws.access_key_id": "kms_aws.access_key_id",
    "kms_aws.secret_access_key": "kms_aws.secret_access_key",
    "kms_aws.session_token": "kms_aws.session_token", "kms_vault.token": "kms_vault.token",
    "kms_pkcs11.pin": "kms_pkcs11.pin", "files_s3.secret_key": "files_s3.secret_key",
    "acme.external_key": "acme.external_key", "push.apns_key": "", "push.fcm_account": "",
    "delivery.routes.secret": "", "mirror.password": "mirror.password",
    "key_store.password": "key_store.password",
}  # fmt: skip
# Of every kind that is secret or personal: the acts that write it. A new kind belongs in here,
# with an act of its own in `acts` that puts a canary into each of its fields.
WRITTEN_BY = {
    "account": "people", "account_claim": "people", "account_device": "people",
    "account_link": "links", "account_pending": "second_factors", "account_flow": "provider",
    "session": "people", "ticket": "sockets", "call_token": "sockets", "call": "ringing",
    "call.open": "ringing", "client_log": "troubled", "oauth_code": "oauth",
    "oauth_device": "oauth", "oauth_user_code": "oauth", "dpop_jti": "oauth",
    "access.keyset": "access", "access.grant": "access", "access.group": "access",
    "access.tag_key": "access", "idempotency": "access", "shared_secret": "", "key": "",
    "key_app": "", "audit": "", "audit_app": "", "audit_signer": "",
    "push.subscription": "push", "push.settings": "push",
    "delivery.item": "delivering", "delivery.dead": "delivering", "delivery.inlet": "delivering",
    "delivery.subscription": "delivering",
    "compliance.erasure": "rights", "compliance.export": "rights", "compliance.consent": "rights",
    "compliance.pseudonym": "rights", "compliance.hold": "rights",
    "compliance.processing": "rights", "compliance.request": "rights",
    "compliance.import": "importing", "compliance.import_people": "importing",
    "compliance.placeholder": "importing",
    "chat.room": "chatting", "chat.membership": "chatting", "chat.about": "chatting",
    "chat.key": "chatting", "chat.direct": "ringing", "chat.account": "keeping",
    "chat.cursor": "keeping", "chat.status": "keeping", "chat.scheduled": "keeping",
    "chat.invite": "doors", "chat.request": "doors", "chat.report": "doors",
    "file": "filing", "file_upload": "filing", "file_chunks": "filing",
}  # fmt: skip


def environment(canaries: Canaries) -> dict[str, str]:
    """Every secret of the configuration is a canary, long enough for the rules."""
    made = {}
    for name in filter(None, CONFIGURED.values()):
        section, _, key = name.partition(".")
        made[f"SOTTO_{section.upper()}__{key.upper()}"] = canaries.new(f"config {name}") * 2
    return made


def settings(home: Path, pki: Pki, mail: int) -> dict[str, str]:
    closed = "https://127.0.0.1:1/in"
    return {
        "log.level": "debug", "http.trusted_proxies": "127.0.0.1", "calls.guest_join": "true",
        "audit_file.path": str(home / "audit.ndjson"), "audit_webhook.url": closed,
        "audit_otlp.url": closed, "turn.host": "turn.example.org", "mail.host": "127.0.0.1",
        "mail.port": str(mail), "mail.tls": "tls", "mail.ca_file": str(pki.authority),
        "mail.user": "box", "mail.sender": "sotto@example.org",
    }  # fmt: skip


def provider_toml(port: int, pki: Pki) -> str:
    return (
        f'[egress]\nallow = [{{ network = "127.0.0.1/32", port = {port}, '
        f'ca_file = "{pki.authority}" }}]\n'
        f'[[accounts.providers]]\nid = "outside"\nname = "Outside"\n'
        f'issuer = "https://127.0.0.1:{port}"\nclient_id = "{outside.CLIENT}"\n'
        'client_secret = { env = "SOTTO_PROOF_CLIENT" }\nsign_up = true\n'
        f'[[delivery.routes]]\nid = "proofs"\ntype = "s3"\nurl = "https://127.0.0.1:{port}"\n'
        'bucket = "proofs"\nuser = "proofs"\nsecret = { env = "SOTTO_PROOF_ROUTE" }\n'
    )


async def act(stage: acts.Stage) -> None:
    for step in (acts.people, acts.letters, acts.links, acts.provider, acts.push, more_acts.oauth):
        await step(stage)
    for step in (
        more_acts.access, more_acts.sockets, more_acts.ringing, more_acts.delivering,
        chat_acts.chatting, chat_acts.keeping, chat_acts.doors, chat_acts.filing,
        rights_acts.rights, rights_acts.importing, acts.second_factors,
        more_acts.astray,
    ):  # fmt: skip
        await step(stage)
    await spray(stage)
    await more_acts.troubled(stage)
    await more_acts.reading(stage)


async def spray(stage: acts.Stage) -> None:
    """Every operation of the document with a canary in every text of its body, path and query."""
    document = (await stage.api.send("GET", "/api/openapi.json")).body
    shapes, new = Shapes(document), stage.new
    for wanted in operations(document):

        def fill(where: str, schema: Schema, name: str = wanted.id) -> Any:
            if schema.get("type") != "string" or "enum" in schema or "const" in schema:
                return usual(where, schema)
            stage.sent.add((name, where))
            return "plain" if (name, where) in INTERNAL else new(f"{name}{where}")[:64]

        body = shapes.made(wanted.body, fill) if wanted.kind else None
        query = "&".join(
            f"{n}={new(f'{wanted.id}?{n}')}" for n, s in wanted.query
            if shapes.plain(s).get("type") == "string"
        )  # fmt: skip
        shown = (wanted.id, " path") in INTERNAL
        path = wanted.at("plain" if shown else new(f"{wanted.id} path"))
        if wanted.id in ("endSession", "endOtherSessions", "deleteAccount"):
            continue  # has no field, and ends who asks
        for token in ("", stage.person, stage.owner):
            data = urlencode(body or {}).encode() if wanted.kind == FORM else None
            fields = {"Idempotency-Key": new(f"{wanted.id} key")}
            await stage.api.send(
                wanted.method, f"{path}?{query}" if query else path,
                body if wanted.kind == JSON else None, token, data=data,
                headers={**fields, **(more_acts.FORM if data else {})},
            )  # fmt: skip


def files(home: Path) -> dict[str, bytes]:
    """Everything below, by name. The first administrator's link is told on purpose, in `said`."""
    found = {
        str(path.relative_to(home)): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
    found["said"] = b"\n".join(
        line for line in found["said"].splitlines() if b"/setup#" not in line
    )
    return found


def opened(pid: int, home: Path) -> dict[str, bytes]:
    """Files that the process has open and `files` would not find: deleted, in memory, elsewhere."""
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            target = str(link.readlink())
            real = target.startswith("/") and not target.startswith(("/dev/", "/proc/", "/sys/"))
            if real and not target.startswith(str(home)) and link.stat().st_size < 1 << 28:
                found[f"fd {target}"] = link.read_bytes()
    return found


def told(canaries: Canaries) -> dict[str, list[str]]:
    """The audit says who did what to which room or group: its own copy, made on the operator's
    wish, says it in the clear. So does the list of calls on the operator's own listener."""
    rooms = [
        value
        for what, value in canaries.made.items()
        if what.endswith(("room", "group", "identity", "path")) or what == "call.unused"
    ]
    places = ("audit.ndjson", "live audit.ndjson", "operator's /calls")
    return dict.fromkeys(places, rooms)


def all_kinds(home: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(home / "state/store/sotto.db")) as store:
        kinds_of = {kind for (kind,) in store.execute("SELECT DISTINCT kind FROM meta")}
        rooms = {room for (room,) in store.execute("SELECT DISTINCT room FROM room")}
    # The server's own logs begin with a zero byte; the others are rooms of people, by id.
    own = {room[1:].partition(":")[0] for room in rooms if room.startswith("\0")}
    return kinds_of | own


@contextlib.asynccontextmanager
async def played(
    home: Path, more: Mapping[str, str], secrets: Mapping[str, str], lines: str
) -> AsyncIterator[tuple[acts.Stage, Installation]]:
    """A running server to which everything was done; what it made known was learnt."""
    canaries = Canaries()
    pki = make(home.with_name(home.name + "-pki"))
    client_secret = canaries.new("config provider.client_secret")
    route_secret = canaries.new("config route.secret")
    async with outside.mail(pki) as (box, port), outside.provider(pki, canaries) as provider:
        installation = Installation(
            home,
            {**settings(home, pki, port), "log.format": lines, **more},
            {
                **environment(canaries),
                **secrets,
                "SOTTO_PROOF_CLIENT": client_secret,
                "SOTTO_PROOF_ROUTE": route_secret,
            },
            provider_toml(provider.port, pki),
        )
        async with installation.running() as api:
            api.headers = {
                "X-Forwarded-For": ADDRESSES[0], "User-Agent": canaries.new("user agent"),
                "Referer": "https://x.example/" + canaries.new("referer"),
            }  # fmt: skip
            stage = acts.Stage(api, canaries, provider, box)
            api.seen = stage.learn
            for name, value in (("API secret", API_SECRET), ("Redis password", WORD)):
                canaries.learn(name, value)
            canaries.learn("address", *ADDRESSES)
            stage.canaries.learn("setup link", await setup_secret(installation))
            await act(stage)
            api.headers = {**api.headers, "X-Forwarded-For": ADDRESSES[1]}
            await acts.addresses(stage)
            yield stage, installation


async def setup_secret(installation: Installation) -> str:
    async with asyncio.timeout(180):
        while not (found := installation.setup_secret()):
            await asyncio.sleep(0.02)
    return found


async def test_embedded_store_logs_temporary_files_cores_and_backups(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with played(home, {}, {}, "json") as (stage, installation):
        assert installation.process is not None
        live = {f"live {name}": data for name, data in files(home).items()}
        live |= opened(installation.process.pid, home)
        check_nothing_forgotten(stage, (await stage.api.send("GET", "/api/openapi.json")).body)
        check_kinds(all_kinds(home))
        # The archive is made beside the running server, and once more of each part.
        installation.command("backup", f"--new-key={home.parent / 'backup.key'}")
        for part in ("all", "data", "keys"):
            done = installation.command(
                "backup", f"--key={home.parent / 'backup.key'}", f"--part={part}",
                f"--out={home / f'{part}.sotto'}",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        await operator_pages(stage, live)
        # It dies as programs die of their own errors: with a core, if it were allowed to.
        await installation.stop(signal.SIGABRT)
    # What did not change since was looked into already.
    after = {name: data for name, data in files(home).items() if live.get(f"live {name}") != data}
    assert not [name for name in after if "core" in name], list(after)
    places = {**live, **after}
    kept = b"".join(data for name, data in places.items() if "sotto.db" in name)
    assert stage.account.encode() in kept, "the store is there to be read"
    assert count(places.values()) > 500_000
    assert len((home / "log").read_bytes().splitlines()) > 20
    found = leaks(places, stage.canaries, told(stage.canaries))
    assert not found, "\n".join(found)


async def operator_pages(stage: acts.Stage, places: dict[str, bytes]) -> None:
    """What the operator's listener and the command line tell."""
    for path in ("/metrics", "/readyz", "/healthz", "/calls"):
        url = stage.api.installation.operator + path
        async with stage.api.session.get(url) as answer:
            places[f"operator's {path}"] = await answer.read()
    process = stage.api.installation.process
    assert process is not None
    places |= told_to_all(process.pid)


def told_to_all(pid: int) -> dict[str, bytes]:
    """What every user of the machine may read; and that no core may be written, piped or not."""
    limits = Path(f"/proc/{pid}/limits").read_text()
    (cores,) = (line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert cores.split()[4:6] == ["0", "0"], cores
    return {"command line": Path(f"/proc/{pid}/cmdline").read_bytes()}


async def test_mongodb_redis_and_readable_logs(tmp_path: Path, stand_in: Callable[[], int]) -> None:
    database, home = f"sotto_dump_{os.getpid()}", tmp_path / "home"
    redis = keeping_redis(tmp_path / "redis")
    monitor = Monitor(redis)
    mongo = f"mongodb://127.0.0.1:{stand_in()}/"
    client = tmp_path / "redis" / "ca" / "client.pem"
    more = {
        "store.url": mongo, "store.database": database, "store.insecure_without_auth": "true",
        "bus.url": f"rediss://localhost:{redis.port}/0", "bus.user": USER,
        "bus.ca": str(redis.authority.file), "bus.certificate": str(client),
        "bus.key": str(client.with_suffix(".key")),
    }  # fmt: skip
    try:
        async with played(home, more, {"SOTTO_BUS__PASSWORD": WORD}, "readable") as (stage, there):
            dump = mongo_dump(mongo, database)
            monitor.say("SAVE", "BGREWRITEAOF")
            await asyncio.sleep(1.0)
            done = there.command("backup", f"--new-key={tmp_path / 'backup.key'}")
            assert done.returncode == 0
        done = there.command(
            "backup", f"--key={tmp_path / 'backup.key'}", f"--out={home / 'all.sotto'}",
            *(f"--set={key}={value}" for key, value in more.items()),
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    finally:
        heard = monitor.stop()
        redis.stop()
        with MongoClient[dict[str, Any]](mongo) as connection:
            connection.drop_database(database)
    disk = {f"redis {n}": data for n, data in redis_files(tmp_path / "redis").items()}
    assert {"redis dump.rdb"} < set(disk), list(disk)
    assert heard.count(b"sotto:") > 50
    assert count(dump.values()) > 100_000
    places = {**dump, **disk, "MONITOR": heard, **files(home)}
    found = leaks(places, stage.canaries, told(stage.canaries))
    assert not found, "\n".join(found)


def mongo_dump(url: str, database: str) -> dict[str, bytes]:
    """Every document of every collection, and the indexes, as they travel."""
    with MongoClient[dict[str, Any]](url) as client:
        return {
            f"mongodb {name}": b"".join(bson.encode(one) for one in client[database][name].find())
            for name in client[database].list_collection_names()
        }


def check_kinds(found: set[str]) -> None:
    """Everything that is kept is classified, and every sensitive kind was really written."""
    listed = kinds()
    assert found <= set(listed), f"in the store, in no class: {sorted(found - set(listed))}"
    sensitive = {
        kind for kind, kept in listed.items() if kept.level in (Level.SECRET, Level.PERSONAL)
    }
    assert sensitive == set(WRITTEN_BY), (
        "write an act that puts a canary into every field of these kinds (tests/proofs/acts.py) "
        f"and name it in WRITTEN_BY: {sorted(sensitive ^ set(WRITTEN_BY))}"
    )
    assert sensitive <= found, f"nothing was written: {sorted(sensitive - found)}"


def check_nothing_forgotten(stage: acts.Stage, document: Mapping[str, Any]) -> None:
    """By the document: each text that can be sent was a canary, each answer is placed."""
    shapes = Shapes(document)
    for wanted in operations(document):
        leaves: set[str] = set()

        def note(where: str, schema: Schema, leaves: set[str] = leaves) -> Any:
            if schema.get("type") == "string" and "enum" not in schema and "const" not in schema:
                leaves.add(where)
            return None

        if wanted.kind:
            shapes.made(wanted.body, note)
        assert leaves <= {where for name, where in stage.sent if name == wanted.id}, wanted.id
        for schema in wanted.answers:
            for name, _ in shapes.properties(schema):
                known = name in acts.SECRET | acts.HARMLESS
                assert known or not acts.SOUNDS_SECRET.search(name), (
                    f"{wanted.id} answers {name!r}: is it secret? Say so in tests/proofs/acts.py"
                )
    unseen = acts.SECRET - set(stage.canaries.learnt)
    assert not unseen, f"no answer with these came by: {sorted(unseen)}"
    assert len(stage.canaries.made) > 200
    assert all(value.startswith(MARK) for value in stage.canaries.made.values())


def test_every_secret_of_the_configuration_is_a_canary() -> None:
    found = set(_secrets(Config, ""))
    assert found == set(CONFIGURED), (
        f"give these a canary in CONFIGURED: {sorted(found ^ set(CONFIGURED))}"
    )


def _secrets(kind: Any, path: str) -> list[str]:
    listed = []
    for name, hint in get_type_hints(kind, include_extras=True).items():
        here = f"{path}.{name}".lstrip(".")
        inner = _flat(hint)
        if Secret in inner:
            listed.append(here)
        for part in inner:
            if is_table(part):
                listed += _secrets(part, here)
    return listed


def _flat(hint: Any) -> set[Any]:
    parts = get_args(hint)
    return {hint}.union(*(_flat(part) for part in parts)) if parts else {hint}
