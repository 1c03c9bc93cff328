"""Row A9: the recipes for what lies between machines: WireGuard, run, and Kubernetes, checked.

WireGuard runs between two network namespaces by `wg-quick` from the shipped files, in user space
where the kernel lacks it; every frame of the cable between them is recorded. A NetworkPolicy needs
a cluster to be enforced: here it is held against Kubernetes' own schema and against our ports.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from signaling.config import Config
from tests.network.netns import Namespace, namespace, veth

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
PEERS = Path(__file__).resolve().parents[2] / "peers"
# Neither package has types.
yaml: Any = importlib.import_module("yaml")
kubernetes: Any = importlib.import_module("kubernetes_validate")
CANARY = b"canary-between-the-nodes"
ETH_P_ALL = 3
LISTEN = (
    "import socket,sys\n"
    "s=socket.create_server(('10.77.0.2',7000))\n"
    "print('ready',flush=True)\n"
    "c,_=s.accept()\n"
    "d=c.recv(100)\n"
    "c.sendall(d[::-1]);c.close()\n"
)
SPEAK = (
    "import socket,sys\n"
    "s=socket.create_connection(('10.77.0.2',7000),30)\n"
    "s.sendall(sys.argv[1].encode())\n"
    "print(s.recv(100).decode())\n"
)


def key(place: Path, name: str) -> tuple[Path, str]:
    """A private key's file, and the public key."""
    private = subprocess.run(["wg", "genkey"], capture_output=True, check=True).stdout
    path = place / f"{name}.key"
    path.write_bytes(private)
    path.chmod(0o600)
    public = subprocess.run(["wg", "pubkey"], input=private, capture_output=True, check=True)
    return path, public.stdout.decode().strip()


class Node:
    """One machine: a namespace with the tunnel that the shipped file describes."""

    def __init__(self, space: Namespace, place: Path, number: int, own: Path) -> None:
        self.space, self._place, self._number, self._own = space, place, number, own
        self._file = place / f"sw{os.getpid() % 10000}n{number}.conf"

    def up(self, theirs: str) -> None:
        other = 3 - self._number
        text = (DEPLOY / "wireguard" / f"sotto-node-{self._number}.conf").read_text()
        for before, after in (
            ("/etc/wireguard/sotto.key", str(self._own)),
            (f"REPLACE-WITH-THE-PUBLIC-KEY-OF-NODE-{other}", theirs),
            (f"node-{other}.internal.example:", f"192.0.2.{other}:"),
        ):
            assert before in text, before
            text = text.replace(before, after)
        self._file.write_text(text)
        self._file.chmod(0o600)
        build = PEERS / "wireguard" / "build"
        built = subprocess.run([build], check=True, capture_output=True, text=True, timeout=600)
        user_space = f"WG_QUICK_USERSPACE_IMPLEMENTATION={built.stdout.strip()}"
        self.space.run("env", user_space, "wg-quick", "up", str(self._file))

    def down(self) -> None:
        self.space.run("wg-quick", "down", str(self._file), check=False)


class Tap:
    """Everything that one end of the cable saw, by a packet socket inside the namespace."""

    def __init__(self, space: Namespace, device: str) -> None:
        program = (
            "import socket,sys\n"
            f"s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW,socket.htons({ETH_P_ALL}))\n"
            f"s.bind(('{device}',0))\n"
            "sys.stdout.buffer.write(b'ready');sys.stdout.flush()\n"
            "while True: sys.stdout.buffer.write(s.recv(65535));sys.stdout.flush()\n"
        )
        words = ["ip", "netns", "exec", space.name, "python3", "-c", program]
        self._process = subprocess.Popen(words, stdout=subprocess.PIPE)
        self.seen = b""
        while b"ready" not in self.seen:
            self.read(0.1)

    def read(self, seconds: float) -> None:
        assert self._process.stdout is not None
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            ready, _, _ = select.select([self._process.stdout], [], [], left)
            if ready:
                self.seen += os.read(self._process.stdout.fileno(), 65536)

    def until(self, come: Callable[[bytes], bool]) -> None:
        for _ in range(600):
            if come(self.seen):
                return
            self.read(0.1)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture
def machines() -> Iterator[tuple[Namespace, Namespace]]:
    with namespace("one") as one, namespace("two") as two:
        veth(one, "cable", two, "cable")
        one.ip("addr", "add", "192.0.2.1/24", "dev", "cable")
        two.ip("addr", "add", "192.0.2.2/24", "dev", "cable")
        yield one, two


@contextlib.contextmanager
def tunnel(
    machines: tuple[Namespace, Namespace], place: Path, *, known: bool
) -> Iterator[tuple[Node, Node]]:
    """`known`: whether node 2 lists the key that node 1 really has."""
    (first, first_public), (second, second_public) = key(place, "one"), key(place, "two")
    _, stranger = key(place, "stranger")
    nodes = Node(machines[0], place, 1, first), Node(machines[1], place, 2, second)
    nodes[0].up(second_public)
    nodes[1].up(first_public if known else stranger)
    try:
        yield nodes
    finally:
        for node in nodes:
            node.down()


@contextlib.contextmanager
def listening(space: Namespace) -> Iterator[None]:
    words = ["ip", "netns", "exec", space.name, "python3", "-c", LISTEN]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        try:
            yield
        finally:
            process.kill()


def test_a09_a_canary_between_two_nodes_is_not_on_the_wire(
    machines: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    tap = Tap(machines[0], "cable")
    try:
        with tunnel(machines, tmp_path, known=True) as (one, two), listening(two.space):
            said = one.space.run("python3", "-c", SPEAK, CANARY.decode())
            assert said.strip().encode() == CANARY[::-1]
            tap.until(lambda seen: len(seen) > 500)
            tap.read(0.5)
    finally:
        tap.close()
    # WireGuard's handshake and data were there (message types 1, 2 and 4), the canary was not.
    assert len(tap.seen) > 500
    assert CANARY not in tap.seen and CANARY[::-1] not in tap.seen


def test_a09_without_the_tunnel_the_canary_would_be_seen(
    machines: tuple[Namespace, Namespace],
) -> None:
    """The recorder sees what is plain: the test above can fail."""
    one, two = machines
    for number, space in enumerate(machines, 1):
        space.ip("addr", "add", f"10.77.0.{number}/24", "dev", "cable")
    tap = Tap(one, "cable")
    try:
        with listening(two):
            one.run("python3", "-c", SPEAK, CANARY.decode())
            tap.until(lambda seen: CANARY in seen)
    finally:
        tap.close()
    assert CANARY in tap.seen


def test_a09_a_node_with_an_unknown_key_gets_no_answer(
    machines: tuple[Namespace, Namespace], tmp_path: Path
) -> None:
    with tunnel(machines, tmp_path, known=False) as (one, two), listening(two.space):
        with pytest.raises(RuntimeError, match=r"timed out|unreachable|No route"):
            one.space.run("python3", "-c", SPEAK, CANARY.decode())
        shown = one.space.run("wg", "show", "all", "latest-handshakes").split()
        assert shown[-1] == "0"


# Kubernetes


def policies() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((DEPLOY / "kubernetes" / "network-policy.yaml").read_text()))


def test_a09_the_network_policies_fit_the_schema_of_kubernetes() -> None:
    found = policies()
    assert [one["kind"] for one in found] == ["NetworkPolicy"] * 4
    for policy in found:
        kubernetes.validate(policy, "1.30", strict=True)
        broken = {**policy, "spec": {**policy["spec"], "policyTypes": "Ingress"}}
        with pytest.raises(kubernetes.ValidationError):
            kubernetes.validate(broken, "1.30", strict=True)


def ports(policy: dict[str, Any], way: str) -> set[tuple[str, int, int]]:
    return {
        (port["protocol"], port["port"], port.get("endPort", port["port"]))
        for rule in policy["spec"].get(way, [])
        for port in rule["ports"]
    }


def test_a09_the_network_policies_name_our_ports_and_deny_the_rest() -> None:
    nothing, server, relay, stores = policies()
    assert nothing["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    config = Config()
    https = int(config.http.listen[0].rpartition(":")[2])
    operator = int(config.operator.listen.rpartition(":")[2])
    media, turn = config.media, config.turn
    assert ports(server, "ingress") == {
        ("TCP", https, https), ("UDP", media.udp_port, media.udp_port),
        ("TCP", media.tcp_port, media.tcp_port), ("TCP", operator, operator),
    }  # fmt: skip
    assert ports(relay, "ingress") == {
        ("UDP", turn.port, turn.port), ("TCP", turn.port, turn.port),
        ("TCP", turn.tls_port, turn.tls_port),
        ("UDP", turn.min_relay_port, turn.max_relay_port),
    }  # fmt: skip
    assert ports(relay, "egress") == {("UDP", media.udp_port, media.udp_port)}
    assert ports(stores, "egress") == set()
    # Nobody but the server reaches a store, and only the monitoring the operator's listener.
    for policy, open_to_all in ((server, 1), (relay, 1), (stores, 0)):
        assert sum("from" not in rule for rule in policy["spec"]["ingress"]) == open_to_all
        assert all(rule.get("to") for rule in policy["spec"].get("egress", []))
