"""What to do about each broken hop, in words.

Pure; kept in one place so that the docs can quote it.
"""

from __future__ import annotations

from collections.abc import Sequence

from signaling.doctor.probe import Candidate
from signaling.doctor.report import Hop
from turn.check import CheckFailed, Step

CERTIFICATE = (
    "the certificate is not one that this machine trusts for this name: renew tls.certificate, or "
    "name its authority with --trust"
)
DNS = "make the name resolve, or test with the address that clients use: --url"
HTTPS = "is the server running, and does the firewall pass the port of http.listen?"
NOT_US = "something else answers there: check http.public_url and the reverse proxy"
WSS_CLOSED = (
    "a proxy must pass Upgrade and Connection headers and keep the socket open for at least 30 s"
)
VOLUME = "put process.state_dir and the directories of store, key_store and kms on a LUKS volume"
NO_ADDRESS = "set media.advertise to an address that clients reach"

_STATUS = {
    401: "the API key of this configuration is not the running server's: restart it, or --config",
    403: "the API key of this configuration is not the running server's: restart it, or --config",
    404: "the path is not passed on: the reverse proxy must forward /rtc, /whip and /whep",
    426: "the reverse proxy drops the Upgrade header",
    429: "too many requests from this address; wait a minute",
    502: "the reverse proxy does not reach the server: check http.plain",
    503: "the server is draining or full; see /readyz",
}


def upgrade(status: int) -> str:
    return _STATUS.get(status, WSS_CLOSED)


def probe(status: int) -> str:
    return _STATUS.get(status, "see the server's log at this moment")


def wrong_address(answers: str) -> str:
    return (
        f"the server advertises an address that does not reach it: set media.advertise to "
        f"{answers} "
        "or to the address that clients reach"
    )


def media(hop: Hop, failed: Sequence[tuple[Candidate, CheckFailed]]) -> str:
    ports = sorted({candidate.port for candidate, _ in failed})
    listed = ", ".join(str(port) for port in ports)
    refused = any(error.detail == "nothing listens there" for _, error in failed)
    unreachable = all(error.step is Step.CONNECT for _, error in failed) and not refused
    if hop is Hop.MEDIA_TCP:
        key = "media.tcp_port"
        first = f"open TCP port {listed} ({key}) in the firewall"
    else:
        key = "media.udp_port"
        first = f"open UDP port {listed} ({key}) in the firewall, both ways"
    second = "set media.advertise to the address that clients reach (behind NAT: the public one)"
    if unreachable and hop is Hop.MEDIA_UDP:
        return second
    return f"{first}; if it is open, {second}"


def relay(hop: Hop, error: CheckFailed) -> str:
    """By the step that broke, then by coturn's code (RFC 8656 section 19)."""
    kind = {"turn-udp": "UDP", "turn-tcp": "TCP", "turn-tls": "TCP"}[hop]
    by_code = {
        401: "turn.secret is not the secret that coturn runs with: restart both with the same",
        403: "coturn may not relay to the media address: add it to turn.allowed_peers",
        437: "restart coturn",
        441: "turn.secret is not the secret that coturn runs with: restart both with the same",
        486: "the quota is used up: raise turn.user_quota or turn.total_quota",
        508: "no relay port is free: widen turn.min_relay_port to turn.max_relay_port",
    }
    by_step = {
        Step.RESOLVE: "turn.host has no address: fix the name or its DNS entry",
        Step.CONNECT: f"open the {kind} port of turn in the firewall; is coturn running?",
        Step.TLS: "renew the certificate of TURN (turn.certificate) and make it name turn.host",
        Step.ANSWER: f"open the {kind} port of turn in the firewall; is coturn running?",
        Step.RELAY: (
            "the relay range is blocked: open UDP turn.min_relay_port to turn.max_relay_port "
            "between coturn and the media server"
        ),
    }
    return by_code.get(error.code) or by_step.get(error.step) or "see coturn's log"
