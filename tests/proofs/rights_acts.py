"""One act of every kind, continued: what people have a right to, and what compliance does.

As `acts`, with whose `Stage` it works.
"""

from __future__ import annotations

import asyncio
from typing import Any

from tests.proofs.acts import Stage
from tests.signaling.compliance import archives

OCTETS = {"Content-Type": "application/offset+octet-stream"}


async def rights(stage: Stage) -> None:
    """A consent, an objection, a hold, an export that is asked for, a pseudonym, an erasure, and
    requests: a person's own, and one on paper that is extended and answered."""
    api, new = stage.api, stage.new
    text = {"basis": "consent", "title": "Letters", "text": "May we write to you?"}
    purpose = await api.must("PUT", "/processing-register/letters", text, stage.owner)
    agreed = {"version": purpose["version"], "sha256": purpose["sha256"]}
    await api.must("PUT", "/account/consents/letters", agreed, stage.person)
    await api.must("PUT", "/account/objections/typing", None, stage.person)
    staff = (
        await api.invited(
            stage.owner, new("compliance.login"), "compliance", password=new("compliance.password")
        )
    )["access_token"]
    hold = {"reason": new("hold.reason"), "accounts": [stage.account]}
    await api.must("POST", "/holds", hold, staff)
    wish = {"reason": new("export.reason"), "account": stage.account}
    await api.must("POST", "/exports", wish, staff)
    auditor = (
        await api.invited(
            stage.owner, new("pseudonyms.login"), "auditor", password=new("pseudonyms.password")
        )
    )["access_token"]
    answer = await api.ask("GET", "/audit/export?format=ndjson&pseudonyms=true", token=auditor)
    assert answer.status == 200, answer.raw
    room = (await api.must("POST", "/rooms", {"name": new("erased.room name")}, stage.owner))["id"]
    said = {"text": new("erased.text")}
    message = await api.must("POST", f"/rooms/{room}/messages", said, stage.owner)
    erasure = {"messages": [message["id"]]}
    await api.must("POST", f"/rooms/{room}/erasures", erasure, stage.owner)
    asked = {"kind": "access", "text": new("request.text")}
    await api.must("POST", "/account/requests", asked, stage.person)
    paper = {"kind": "access", "text": new("paper.text"), "subject": new("paper.subject")}
    entered = (await api.must("POST", "/requests", paper, staff))["id"]
    await api.must("POST", f"/requests/{entered}/extension", {"reason": new("paper.reason")}, staff)
    verdict = {"outcome": "answered", "text": new("paper.answer")}
    await api.must("POST", f"/requests/{entered}/answer", verdict, staff)


async def importing(stage: Stage) -> None:
    """An archive that is full of canaries: once brought, and once left waiting to be started."""
    data = archive(stage)
    brought = await checked(stage, data, stage.new("import.label"))
    await stage.api.must("POST", f"/imports/{brought}/start", {}, stage.owner)
    done = await reached(stage, brought, "done")
    assert done["counts"]["messages"] == 7, done
    await checked(stage, data, stage.new("import.second_label"))


def archive(stage: Stage) -> bytes:
    new = stage.new
    files = archives.slack_files()
    files["users.json"] = archives.dumped([
        {"id": archives.ANN, "name": new("import.user"),
         "profile": {"real_name": new("import.name")}}
    ])  # fmt: skip
    said = archives.slack_said(
        1.0, archives.ANN, new("import.text"),
        reactions=[{"name": "tada", "users": [archives.BOB]}],
        files=[{"id": "F0KEPT", "name": new("import.file")},
               {"id": "F0GONE", "name": new("import.lost")}],
    )  # fmt: skip
    files["plans/2020-09-13.json"] = archives.dumped([said])
    files["groups.json"] = archives.dumped([
        {"id": archives.SECRET, "name": "plans", "topic": {"value": new("import.topic")},
         "members": [archives.ANN]}
    ])  # fmt: skip
    files["__uploads/F0KEPT/kept.txt"] = new("import.bytes").encode() * 40
    return archives.packed(files)


async def checked(stage: Stage, data: bytes, label: str) -> str:
    wish = {"format": "slack", "size": len(data), "label": label}
    ident = str((await stage.api.must("POST", "/imports", wish, stage.owner))["id"])
    sent = await stage.api.send(
        "PATCH", f"/api/v1/imports/{ident}/archive", data=data,
        headers={**OCTETS, "Upload-Offset": "0", "Authorization": f"Bearer {stage.owner}"},
    )  # fmt: skip
    assert sent.status == 204, sent.raw
    await reached(stage, ident, "ready")
    return ident


async def reached(stage: Stage, ident: str, state: str) -> Any:
    async with asyncio.timeout(180):
        while True:
            found = await stage.api.must("GET", f"/imports/{ident}", None, stage.owner)
            assert found["state"] not in ("refused", "cancelled"), found
            if found["state"] == state:
                return found
            await asyncio.sleep(0.05)
