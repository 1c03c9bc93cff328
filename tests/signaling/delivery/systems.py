"""The systems that routes lead to, real ones: RabbitMQ, moto's SQS, versitygw's S3, rsyslog.

`Relay` stands between where one of them shall be away and come back without losing its state.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiormq

from tests.ports import free_port
from tests.rows.house import pump
from tests.signaling.files.scanners import program, running


@dataclass
class Relay:
    """A port that leads to another while `up`; else every connection is cut at once. It is kept all
    the time: in ten minutes another program would have it, and say 200 to whatever it gets.
    """

    target: int
    port: int = field(default_factory=free_port)
    server: asyncio.Server | None = None
    leads: bool = False
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def up(self) -> None:
        self.leads = True
        if self.server is None:
            self.server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)

    async def down(self) -> None:
        self.leads = False
        for writer in list(self.open):
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.leads:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self.open |= {writer, back}
        await asyncio.gather(pump(reader, back), pump(there, writer))
        self.open -= {writer, back}


@contextlib.asynccontextmanager
async def relayed(target: int) -> AsyncIterator[Relay]:
    relay = Relay(target)
    await relay.up()
    try:
        yield relay
    finally:
        await relay.down()
        if relay.server is not None:
            relay.server.close()
        await asyncio.sleep(0)


@dataclass
class Rabbit:
    """A broker with one durable queue, `events`, behind the default exchange."""

    port: int

    async def channel(self) -> tuple[Any, Any]:
        connection = await aiormq.connect(f"amqp://guest:guest@127.0.0.1:{self.port}/")
        return connection, await connection.channel()

    async def declare(self) -> None:
        connection, channel = await self.channel()
        await channel.queue_declare("events", durable=True)
        await connection.close()

    async def events(self) -> list[dict[str, Any]]:
        """Everything that lies in the queue, in order; it stays there."""
        connection, channel = await self.channel()
        found = []
        while True:
            message = await channel.basic_get("events", no_ack=False)
            if not message.body:
                break
            assert message.header.properties.delivery_mode == 2
            found.append(json.loads(message.body))
        await connection.close()  # what was not acknowledged goes back
        return found


def rabbit_environment(folder: Path, port: int, mapper: int) -> dict[str, str]:
    (folder / "log").mkdir(parents=True)
    (folder / "plugins").write_text("[].")
    return {
        **os.environ,
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(mapper),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"sotto{secrets.token_hex(3)}@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
    }


@contextlib.asynccontextmanager
async def rabbitmq(folder: Path) -> AsyncIterator[Rabbit]:
    """Debian's rabbitmq-server with an epmd of its own, below one folder."""
    # Its script by its own path: that on the PATH changes the user.
    port, mapper = free_port(), free_port()
    environment = rabbit_environment(folder, port, mapper)
    server = program("/usr/lib/rabbitmq/bin/rabbitmq-server")
    epmd = await asyncio.create_subprocess_exec(
        program("epmd"), "-port", str(mapper), "-address", "127.0.0.1"
    )
    words = [server]
    with (folder / "out").open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *words, env=environment, stdout=out, stderr=out, start_new_session=True
        )
    try:
        made = Rabbit(port)
        async with asyncio.timeout(240):
            while True:
                assert process.returncode is None, (folder / "out").read_text()
                with contextlib.suppress(OSError):
                    await made.declare()
                    break
                await asyncio.sleep(0.2)
        yield made
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await process.wait()
        epmd.kill()
        await epmd.wait()
        shutil.rmtree(folder / "mnesia", ignore_errors=True)


@dataclass
class Sqs:
    """moto with one FIFO queue."""

    port: int
    url: str = ""

    def client(self) -> Any:
        import boto3  # type: ignore[import-untyped]

        return boto3.client(
            "sqs", endpoint_url=f"http://127.0.0.1:{self.port}", region_name="us-east-1",
            aws_access_key_id="key", aws_secret_access_key="secret",
        )  # fmt: skip

    def declare(self) -> None:
        made = self.client().create_queue(
            QueueName="events.fifo", Attributes={"FifoQueue": "true", "VisibilityTimeout": "0"}
        )
        self.url = made["QueueUrl"]

    def take(self, into: list[dict[str, Any]]) -> None:
        """Moves what lies in the queue, in its order."""
        client = self.client()
        while True:
            found = client.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=10, VisibilityTimeout=30
            ).get("Messages", [])
            if not found:
                return
            for message in found:
                into.append(json.loads(message["Body"]))
                client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])


@contextlib.asynccontextmanager
async def sqs() -> AsyncIterator[Sqs]:
    port = free_port()
    async with running(sys.executable, "-m", "moto.server", "-p", str(port), port=port):
        made = Sqs(port)
        await asyncio.to_thread(made.declare)
        yield made


def objects(folder: Path) -> list[dict[str, Any]]:
    """Events of all objects of a bucket's folder, by name."""
    paths = sorted(path for path in folder.rglob("*.json") if path.is_file())
    return [event for path in paths for event in json.loads(path.read_bytes())]
