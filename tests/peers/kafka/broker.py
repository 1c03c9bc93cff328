"""A real Kafka of one node (KRaft) on the machine's JDK: its jars are Maven's, kept in the cache.

It listens four times: for the tests, for its controller, over TLS with SASL, and `astray`, where it
names another port as its own, so that a test decides what answers there.
The time of its records is the tests'.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import subprocess
import time
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.ports import free_port
from tests.signaling.compliance import certificates

HERE = Path(__file__).parent
USER, PASSWORD = "sotto", "a-password-of-kafka"
PARTITIONS = 3
STARTED = "Kafka Server started"
CONFIG = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=OWN://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller},\
ASTRAY://127.0.0.1:{astray},SECURE://127.0.0.1:{secure}
advertised.listeners=OWN://127.0.0.1:{port},ASTRAY://127.0.0.1:{named},SECURE://127.0.0.1:{secure}
listener.security.protocol.map=OWN:PLAINTEXT,CONTROLLER:PLAINTEXT,ASTRAY:PLAINTEXT,SECURE:SASL_SSL
inter.broker.listener.name=OWN
controller.listener.names=CONTROLLER
sasl.enabled.mechanisms=SCRAM-SHA-512,SCRAM-SHA-256,PLAIN
listener.name.secure.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.scram-sha-256.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.secure.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={home}/keystore.pem
log.dirs={home}/data
auto.create.topics.enable=false
log.message.timestamp.after.max.ms=9223372036854775807
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
"""


def _led(topics: list[dict[str, Any]]) -> bool:
    """Whether the broker that was asked knows the topic, and who leads each part of it."""
    parts = [part for topic in topics for part in topic["partitions"]]
    return len(parts) == PARTITIONS and all(part["leader"] >= 0 for part in parts)


def jars() -> str:
    built = subprocess.run(
        [HERE / "build"], check=True, stdout=subprocess.PIPE, text=True, timeout=600
    )
    return built.stdout.strip() + "/*"


@dataclass
class Broker:
    """Below one folder; started again it has what it had."""

    home: Path
    port: int = field(default_factory=free_port)
    controller: int = field(default_factory=free_port)
    astray: int = field(default_factory=free_port)
    named: int = field(default_factory=free_port)
    secure: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    seen: dict[TopicPartition, int] = field(default_factory=dict)
    taken: dict[str, list[Any]] = field(default_factory=dict)

    @cached_property
    def pki(self) -> certificates.Pki:
        return certificates.make(self.home / "tls")

    def _java(self, *words: str) -> list[str]:
        return [
            "java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
            "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
            "-cp", jars(), *words,
        ]  # fmt: skip

    def prepare(self) -> None:
        self.home.mkdir(parents=True)
        key, chain = self.pki.key.read_text(), self.pki.certificate.read_text()
        (self.home / "keystore.pem").write_text(key + chain)
        config = self.home / "server.properties"
        ports = {"port": self.port, "controller": self.controller, "astray": self.astray,
                 "named": self.named, "secure": self.secure}  # fmt: skip
        config.write_text(
            CONFIG.format(home=self.home, user=USER, password=PASSWORD, **ports).lstrip()
        )
        cluster = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
        users = [
            word
            for kind in ("SCRAM-SHA-512", "SCRAM-SHA-256")
            for word in ("--add-scram", f'{kind}=[name="{USER}",password="{PASSWORD}"]')
        ]
        made = subprocess.run(
            self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", str(config),
                       *users),
            check=False, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert made.returncode == 0, made.stdout + made.stderr

    def start(self) -> None:
        """Until it takes requests."""
        if not self.home.exists():
            self.prepare()
        log = self.home / "out"
        before = log.stat().st_size if log.exists() else 0
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                self._java("kafka.Kafka", str(self.home / "server.properties")),
                stdout=out, stderr=out,
            )  # fmt: skip
        deadline = time.monotonic() + 300
        while STARTED not in log.read_text()[before:]:
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)

    def kill(self) -> None:
        """As the kernel does it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(60)

    async def declare(self, topic: str, **settings: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{self.port}")
        wish = NewTopic(topic, PARTITIONS, 1, topic_configs=settings)
        await admin.start()
        try:
            made = await admin.create_topics([wish])
            assert all(row[1] == 0 for row in made.topic_errors), made
            while not _led(await admin.describe_topics([topic])):
                await asyncio.sleep(0.05)
        finally:
            await admin.close()

    async def take(self, topic: str) -> list[Any]:
        """Every record of a topic so far, in order within each partition."""
        found = self.taken.setdefault(topic, [])
        parts = [TopicPartition(topic, n) for n in range(PARTITIONS)]
        consumer = AIOKafkaConsumer(
            bootstrap_servers=f"127.0.0.1:{self.port}", enable_auto_commit=False
        )
        try:
            await consumer.start()
            consumer.assign(parts)
            ends = await consumer.end_offsets(parts)
            for part in parts:
                consumer.seek(part, self.seen.get(part, 0))
            while any(self.seen.get(part, 0) < ends[part] for part in parts):
                for part, records in (await consumer.getmany(timeout_ms=200)).items():
                    found += records
                    self.seen[part] = records[-1].offset + 1
        finally:
            with contextlib.suppress(Exception):
                await consumer.stop()
        return found
