"""Attack class 27: what a stranger finds open on a machine that runs all of it, as nmap sees it.

A server with every port where it is by default, its relay, its MongoDB and its Redis stand in one
network namespace, the scanner in another. Open is what docs/operations/ports-firewall-proxy.md
says must be, and nothing else; no firewall helps.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.network.netns import SERVER_ADDRESS, Namespace, namespace, veth
from tests.peers.mongo.stand_in import StandIn
from tests.peers.redis_server import USER, WORD, RedisServer
from tests.rows.house import API_SECRET, ROOT, House

pytestmark = pytest.mark.namespaces
PAGE = ROOT / "docs" / "operations" / "ports-firewall-proxy.md"
SCANNER = "203.0.113.20"
RELAYED = 49152  # and above: open only while somebody is relayed


def documented(world: bool) -> set[tuple[str, int]]:
    """(protocol, port) of the page's table: those for everybody, or those for this machine."""
    found = set()
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) == 7 and re.match(r"\d", cells[1]):
            for port, protocol in re.findall(r"(\d+)(?:-\d+)?/(tcp|udp)", cells[1]):
                if cells[5].startswith("yes") is world and int(port) < RELAYED:
                    found.add((protocol, int(port)))
    return found


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Namespace, Namespace, int]]:
    """The machine, the stranger, and the port of the machine's Redis."""
    folder = tmp_path_factory.mktemp("open")
    with namespace("all") as machine, namespace("nmap") as stranger:
        veth(machine, "wan", stranger, "wan")
        machine.ip("addr", "add", f"{SERVER_ADDRESS}/24", "dev", "wan")
        stranger.ip("addr", "add", f"{SCANNER}/24", "dev", "wan")
        machine.hosts(server_test=SERVER_ADDRESS)
        # The kernel says of a closed UDP port that it is closed once a second, nmap waits for it.
        machine.run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0")
        inside = ("ip", "netns", "exec", machine.name)
        redis = RedisServer.new(folder)
        redis.stop()
        started = subprocess.Popen(
            [*inside, "redis-server", str(folder / "redis.conf")], stdout=subprocess.DEVNULL
        )
        mongo = StandIn.start(inside=inside)
        house = machine_of(folder / "house", inside, redis, mongo)
        try:
            house.start()
            yield machine, stranger, redis.port
        finally:
            house.stop()
            mongo.stop()
            started.kill()
            started.wait()


def machine_of(folder: Path, inside: tuple[str, ...], redis: RedisServer, mongo: StandIn) -> House:
    """Its configuration says who and where it is, and nothing of ports."""
    folder.mkdir()
    client = redis.directory / "ca" / "client.pem"
    environment = {"SOTTO_BUS__PASSWORD": WORD, "SOTTO_TURN__SECRET": API_SECRET}
    house = House(folder, prefix=inside, environment=environment)
    certificate, key = house.authority.issue("machine")
    (folder / "sotto.toml").write_text(
        f'[tls]\ncertificate = "{certificate}"\nkey = "{key}"\n'
        f'[media]\nadvertise = ["{SERVER_ADDRESS}"]\n'
        f'[turn]\nhost = "server.test"\nrelay_address = "{SERVER_ADDRESS}"\nsupervise = true\n'
        f'certificate = "{certificate}"\nkey = "{key}"\n'
        f'[keys]\napp = {{ file = "{folder / "app.key"}" }}\n'
        f'[store]\nurl = "mongodb://127.0.0.1:{mongo.port}/"\ndatabase = "open"\n'
        "insecure_without_auth = true\n"
        f'[bus]\nurl = "rediss://localhost:{redis.port}/0"\nuser = "{USER}"\n'
        f'ca = "{redis.authority.file}"\ncertificate = "{client}"\n'
        f'key = "{client.with_suffix(".key")}"\n'
    )
    return house


def opened(output: str) -> set[tuple[str, int]]:
    """A UDP port that says nothing to a stranger is open for nmap, or filtered."""
    found = re.findall(r"^(\d+)/(tcp|udp)\s+open", output, re.M)
    return {(protocol, int(port)) for port, protocol in found}


def listening(machine: Namespace) -> set[tuple[str, int, bool]]:
    """Every socket of the machine that waits for others: protocol, port, whether on loopback."""
    found = set()
    for line in machine.run("ss", "-Hlntu").splitlines():
        words = line.split()
        host, _, port = words[4].rpartition(":")
        found.add((words[0], int(port), host.startswith(("127.", "[::1]", "[::ffff:127."))))
    return found


def test_every_tcp_port_that_a_stranger_finds_open_is_documented(
    scene: tuple[Namespace, Namespace, int],
) -> None:
    machine, stranger, redis = scene
    output = stranger.run(
        "nmap", "-Pn", "-n", "-sS", "-p-", "-T4", "--min-rate", "5000", "--max-retries", "4",
        SERVER_ADDRESS,
    )  # fmt: skip
    wanted = {(protocol, port) for protocol, port in documented(True) if protocol == "tcp"}
    assert opened(output) == wanted, output
    # It is there, for this machine.
    assert ("tcp", redis, True) in listening(machine)


def test_every_udp_port_that_a_stranger_finds_open_is_documented(
    scene: tuple[Namespace, Namespace, int],
) -> None:
    """All that sockets of the machine wait on, and the hundred that nmap finds worth a look."""
    machine, stranger, _ = scene
    wanted = {(protocol, port) for protocol, port in documented(True) if protocol == "udp"}
    ports = {port for _, port in wanted} | {port for _, port, _ in listening(machine)}
    for words in (("-p", ",".join(map(str, sorted(ports)))), ("--top-ports", "100")):
        output = stranger.run("nmap", "-Pn", "-n", "-sU", "-T4", *words, SERVER_ADDRESS)
        assert opened(output) <= wanted, output
        assert words[0] != "-p" or opened(output) == wanted, output


def test_what_is_on_loopback_is_documented_as_that(
    scene: tuple[Namespace, Namespace, int],
) -> None:
    machine, _, _ = scene
    found = listening(machine)
    ours = {(protocol, port) for protocol, port, loopback in found if loopback and port < 10_000}
    # The relay waits on loopback too.
    assert ours - documented(True) <= documented(False), found
    assert ("tcp", 7889) in ours
    assert all(
        loopback or (protocol, port) in documented(True) for protocol, port, loopback in found
    ), found
