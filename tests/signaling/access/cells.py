"""Every cell of the matrix over the wire: for whichever server a client is pointed at."""

from __future__ import annotations

from tests.signaling.access import oracle
from tests.signaling.access.rig import Signer

NAMES = {"channels": ["room"], "groups": ["team"], "uuids": ["ada"]}


async def every_cell(client: Signer) -> int:
    """Both ways: a token with exactly what is needed, and, for each need, one with everything but
    that. Returns how many decisions the server made.
    """
    cells = 0
    for operation, needs in oracle.MATRIX.items():
        asked = {kind: NAMES[kind] for kind, _ in needs}
        enough = {kind: {NAMES[kind][0]: oracle.BITS[word]} for kind, word in needs}
        for side in ({"resources": enough}, {"patterns": enough}):
            token = await client.granted(side)
            answer = await client.check(token, operation, **asked)
            assert (answer.status, answer.body) == (200, {"operation": operation, "allowed": True})
            cells += 1
        for kind, word in needs:
            short = {
                **{k: {NAMES[k][0]: oracle.SUMS[k]} for k, _ in needs},
                kind: {NAMES[kind][0]: oracle.SUMS[kind] - oracle.BITS[word]},
            }
            token = await client.granted({"resources": short})
            answer = await client.check(token, operation, **asked)
            assert answer.status == 403, (operation, kind)
            shown = "channel-groups" if kind == "groups" else kind
            assert answer.body["payload"] == {shown: NAMES[kind]}
            cells += 1
    return cells
