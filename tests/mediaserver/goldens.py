"""Golden transcripts: real offers, and what negotiation makes of each, word for word.

`python -m tests.mediaserver.goldens` writes `golden/answers.json` anew after a deliberate change;
the diff is then read like code.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mediaserver.api import IceCandidate, Kind, TrackSpec
from mediaserver.describe import Local, Receiving, Sending, write_answer
from mediaserver.negotiation import plan_receiving, plan_sending, remote_of
from mediaserver.sdp import Description, parse

DIRECTORY = Path(__file__).parent / "golden"
ANSWERS = DIRECTORY / "answers.json"
CLIENTS = ("chromium", "firefox", "libwebrtc", "aiortc")
LOCAL = Local(
    ufrag="00ufrag",
    pwd="p" * 24,
    fingerprint=":".join(["AB"] * 32),
    candidates=(IceCandidate("udp", "192.0.2.7", 7882), IceCandidate("tcp", "192.0.2.7", 7881)),
)


def offers() -> Iterator[tuple[str, str]]:
    """(client.name, SDP) of every captured offer."""
    for client in CLIENTS:
        data = json.loads((DIRECTORY / f"{client}.json").read_text())
        for name, sdp in data["offers"].items():
            if not name.endswith("answer"):
                yield f"{client}.{name}", sdp


def plan(offer: Description) -> dict[str, Receiving | Sending]:
    """Each sending section is published, and comes back on the first receiving one of its kind."""
    result: dict[str, Receiving | Sending] = {}
    published: dict[str, Receiving] = {}
    for section in offer.sections:
        if section.sends and not section.is_data:
            track = TrackSpec(f"TR_{section.mid}", section.msid_track, Kind(section.kind))
            receiving = plan_receiving(section, track)
            if receiving is not None:
                result[section.mid] = receiving
                published[section.kind] = receiving
    for section in offer.sections:
        source = published.get(section.kind)
        if section.mid in result or not section.receives or source is None:
            continue
        spec = plan_sending(section, source.spec.codecs, 1001, 1002)
        if spec is not None:
            del published[section.kind]
            result[section.mid] = Sending(spec, "PA_other", f"TR_{section.kind}", "camera")
    return result


def transcript(sdp: str) -> dict[str, Any]:
    offer = parse(sdp)
    remote = remote_of(offer, answering=False)
    made = plan(offer)
    answer = write_answer(offer, LOCAL, made, client=remote.client)
    return {
        "remote": asdict(remote),
        "engine": {mid: asdict(p.spec) for mid, p in made.items()},
        "answer": answer.split("\r\n"),
    }


def main() -> None:
    made = {name: transcript(sdp) for name, sdp in offers()}
    ANSWERS.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
