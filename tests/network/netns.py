"""Network namespaces for tests: who is where, how they are wired, and what is in the way.

Everything is a context manager and is cleaned up whatever happens: namespaces, what runs in them,
their /etc/netns files. Addresses come from the test ranges (RFC 5737). Needs root.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.interop.clients import CACHE

SERVER_ADDRESS = "203.0.113.10"
# The plain listener is for loopback only, so the namespace's kernel brings clients there.
PLAIN_PORT = f"""table ip plain {{
 chain pre {{
  type nat hook prerouting priority -100
  ip daddr {SERVER_ADDRESS} tcp dport 7880 dnat to 127.0.0.1:7880
 }}
}}"""
ETC = Path("/etc/netns")
_numbers = itertools.count(1)


def run(*words: str, check: bool = True) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


@dataclass(frozen=True)
class Namespace:
    """One network namespace; `name` is what `ip netns exec` takes."""

    name: str

    def run(self, *words: str, check: bool = True) -> str:
        return run("ip", "netns", "exec", self.name, *words, check=check)

    def ip(self, *words: str, check: bool = True) -> str:
        return run("ip", "-n", self.name, *words, check=check)

    def nft(self, rules: str) -> None:
        command = ["ip", "netns", "exec", self.name, "nft", "-f", "-"]
        subprocess.run(command, input=rules, text=True, check=True, capture_output=True)

    def hosts(self, **names: str) -> None:
        """Names for `ip netns exec` to see as /etc/hosts; underscores stand for dots."""
        folder = ETC / self.name
        folder.mkdir(parents=True, exist_ok=True)
        lines = ["127.0.0.1 localhost", *(f"{a} {n.replace('_', '.')}" for n, a in names.items())]
        (folder / "hosts").write_text("\n".join(lines) + "\n")
        (folder / "resolv.conf").write_text("nameserver 127.0.0.1\n")


@contextlib.contextmanager
def namespace(label: str) -> Iterator[Namespace]:
    made = Namespace(f"st{os.getpid() % 100000}-{next(_numbers)}-{label}")
    run("ip", "netns", "add", made.name)
    try:
        made.ip("link", "set", "lo", "up")
        yield made
    finally:
        _end_processes(made)
        run("ip", "netns", "del", made.name, check=False)
        shutil.rmtree(ETC / made.name, ignore_errors=True)


def _end_processes(space: Namespace) -> None:
    """Only what runs in this namespace, which this test made, is ended."""
    for _ in range(20):
        pids = run("ip", "netns", "pids", space.name, check=False).split()
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.05)


def veth(one: Namespace, one_name: str, two: Namespace, two_name: str) -> None:
    """A cable; both ends are up afterwards."""
    run(
        *("ip", "link", "add", one_name, "netns", one.name, "type", "veth"),
        *("peer", "name", two_name, "netns", two.name),
    )
    one.ip("link", "set", one_name, "up")
    two.ip("link", "set", two_name, "up")


class Bridge:
    """The impairment program between two namespaces; `set` changes it while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def order(self, line: str) -> str:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def set(self, way: str = "both", **shape: float) -> None:
        """`way`: up is towards the server, down is towards the client."""
        words = " ".join(f"{key}={value}" for key, value in shape.items())
        answer = self.order(f"{way} {words}")
        if answer != "ok":
            raise ValueError(answer)

    def clear(self) -> None:
        self.set("both", delay=0, jitter=0, loss=0, duplicate=0, reorder=0, rate=0)

    def stats(self) -> dict[str, dict[str, int]]:
        parsed: dict[str, dict[str, int]] = json.loads(self.order("stats"))
        return parsed


def bridge_program() -> Path:
    source = Path(__file__).with_name("bridge.rs")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    binary = CACHE / f"bridge-{digest}"
    if not binary.exists():
        binary.parent.mkdir(parents=True, exist_ok=True)
        partial = f"{binary}.{os.getpid()}"
        run("rustc", "--edition", "2021", "-O", "-o", partial, str(source))
        Path(partial).rename(binary)
    return binary


@contextlib.contextmanager
def bridge(
    one: Namespace, one_tun: str, two: Namespace, two_tun: str, seed: int
) -> Iterator[Bridge]:
    """A TUN device in each namespace with the program between; the caller gives addresses."""
    # Ahead of the clients and servers that share the cores: a late bridge is another network.
    words = [
        "nice",
        "-n",
        "-15",
        str(bridge_program()),
        one.name,
        one_tun,
        two.name,
        two_tun,
        str(seed),
    ]
    process = subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert process.stdout is not None
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError("the bridge did not start")
        for space, tun in ((one, one_tun), (two, two_tun)):
            space.ip("link", "set", tun, "up", "mtu", "1500", "txqueuelen", "5000")
        yield Bridge(process)
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


@dataclass(frozen=True)
class Site:
    """A client's namespace and how it reaches the server."""

    space: Namespace
    address: str
    gateway: str
    device: str
    bridge: Bridge | None = None

    @property
    def name(self) -> str:
        return self.space.name

    def cut(self, *matches: str) -> None:
        """Drop in both directions what matches (`udp dport 7882`); `heal` ends it."""
        rules = "\n".join(f"  {match} counter drop" for match in matches)
        chains = "\n".join(
            f" chain {hook} {{\n  type filter hook {hook} priority 0\n{rules}\n }}"
            for hook in ("input", "output")
        )
        self.space.nft(f"table inet cut {{\n{chains}\n}}")

    def heal(self) -> None:
        self.space.run("nft", "delete", "table", "inet", "cut")


@dataclass(frozen=True)
class Lab:
    """The server's namespace and its clients'; the server has one address for all of them."""

    server: Namespace
    sites: dict[str, Site]

    def __getitem__(self, label: str) -> Site:
        return self.sites[label]


@contextlib.contextmanager
def lab(
    direct: tuple[str, ...] = (), impaired: tuple[str, ...] = (), seed: int = 1
) -> Iterator[Lab]:
    """Namespaces `server` and one for each label, wired by a cable or through a bridge."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(namespace("srv"))
        veth(server, "public", server, "public-end")  # a device that is not loopback
        server.ip("addr", "add", f"{SERVER_ADDRESS}/32", "dev", "public")
        server.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1")
        server.nft(PLAIN_PORT)
        sites = {}
        for at, label in enumerate((*direct, *impaired)):
            space = stack.enter_context(namespace(label))
            made = None
            if label in impaired:
                made = stack.enter_context(bridge(space, "wan", server, f"b{at}", seed + at))
            else:
                veth(space, "wan", server, f"b{at}")
            address, gateway = f"198.51.100.{4 * at + 2}", f"198.51.100.{4 * at + 1}"
            space.ip("addr", "add", f"{address}/30", "dev", "wan")
            server.ip("addr", "add", f"{gateway}/30", "dev", f"b{at}")
            network = f"198.51.100.{4 * at}/30"
            answers = ["dev", f"b{at}", "src", SERVER_ADDRESS]  # whatever the socket is bound to
            server.ip("route", "replace", network, *answers)
            route = ["via", gateway] if made is None else ["dev", "wan"]
            space.ip("route", "add", "default", *route)
            space.hosts(server_test=SERVER_ADDRESS)
            sites[label] = Site(space, address, gateway, "wan", made)
        server.hosts(server_test=SERVER_ADDRESS)
        yield Lab(server, sites)
