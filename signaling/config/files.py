"""The `files` and `files_s3` sections: what may be uploaded and where it lies."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from signaling.config.section import Section
from signaling.secret import Secret

MEGABYTE = 1024 * 1024


class Files(Section, frozen=True):
    """Files that people send. They are served from an origin of their own, which gets no cookie."""

    origin: Annotated[
        str,
        Meta(
            description=(
                "What browsers fetch files from: `https://files.example.org`. Best a host name "
                "that nothing else uses, led to `listen` or `plain` by a proxy. Empty: the "
                "server's own name with the port of `listen`."
            )
        ),
    ] = ""
    listen: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Addresses of its https listener, with the certificate of `tls`. Empty: those of "
                "`http.listen`, one port higher, or the next that is not ours already."
            )
        ),
    ] = ()
    plain: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Addresses of its http listener, for a TLS proxy. Loopback only. Empty: those of "
                "`http.plain`, one port higher, or the next that is not ours already."
            )
        ),
    ] = ()
    link_seconds: Annotated[int, Meta(ge=10, le=86400, description="Life of a link to a file.")] = (
        600
    )
    max_bytes: Annotated[
        int, Meta(ge=1024, le=8 * 1024 * MEGABYTE, description="Largest file.")
    ] = 100 * MEGABYTE
    account_bytes: Annotated[
        int, Meta(ge=0, description="What one account may keep. 0: no limit.")
    ] = 10 * 1024 * MEGABYTE
    room_bytes: Annotated[int, Meta(ge=0, description="What one room may keep. 0: no limit.")] = (
        100 * 1024 * MEGABYTE
    )
    uploads: Annotated[
        int, Meta(ge=1, le=1000, description="Uploads that one account may have begun.")
    ] = 20
    unfinished_seconds: Annotated[
        int, Meta(ge=60, description="An upload that rests so long is removed.")
    ] = 86400
    unposted_seconds: Annotated[
        int, Meta(ge=60, description="A file that no message holds is removed after this time.")
    ] = 86400
    max_pixels: Annotated[
        int,
        Meta(ge=10_000, le=1_000_000_000, description="Pixels of an image, all frames together."),
    ] = 128_000_000
    max_unpacked_bytes: Annotated[
        int,
        Meta(ge=MEGABYTE, description="What an archive may come to when somebody unpacks it."),
    ] = 1024 * MEGABYTE
    workers: Annotated[
        int, Meta(ge=1, le=64, description="Files that are worked on at once, each in a process.")
    ] = 2
    worker_seconds: Annotated[
        int, Meta(ge=1, le=3600, description="A worker that takes longer is killed.")
    ] = 60
    worker_bytes: Annotated[
        int, Meta(ge=256 * MEGABYTE, description="Address space of a worker.")
    ] = 2048 * MEGABYTE
    scanner: Annotated[
        str,
        Meta(
            description=(
                "Virus scanner: `clamd:///run/clamav/clamd.ctl`, `clamd://127.0.0.1:3310`, "
                "`icap://127.0.0.1:1344/virus_scan`. Empty: files are not scanned."
            )
        ),
    ] = ""
    scan_failure: Annotated[
        Literal["closed", "open"],
        Meta(
            description=(
                "Without a verdict: `closed` keeps a file from everybody until there is one, "
                "`open` lets it pass and says so in the audit log."
            )
        ),
    ] = "closed"
    scan_seconds: Annotated[
        int, Meta(ge=1, le=600, description="The scanner must answer within this time.")
    ] = 60
    quarantine_days: Annotated[
        int, Meta(ge=0, le=3650, description="Infected files are kept, sealed, for so long.")
    ] = 30


class FilesS3(Section, frozen=True):
    """An S3 bucket for the sealed chunks, in place of the store's directory."""

    endpoint: Annotated[
        str,
        Meta(
            description=(
                "`https://s3.eu-central-1.amazonaws.com`, or a server of your own. Empty: chunks "
                "lie beside the store. Plain http only on loopback."
            )
        ),
    ] = ""
    bucket: Annotated[str, Meta(description="Its name. The bucket must be there.")] = ""
    region: Annotated[str, Meta(description="As it is signed.")] = "us-east-1"
    prefix: Annotated[str, Meta(description="Begins the key of every object: `sotto/`.")] = ""
    access_key: Annotated[str, Meta(description="Id of the access key.")] = ""
    secret_key: Annotated[Secret | None, Meta(description="Its secret.")] = None
    ca_file: Annotated[str, Meta(description="PEM file. Empty: the machine's own CAs.")] = ""
    timeout_seconds: Annotated[
        float, Meta(gt=0, le=300, description="One request takes no longer.")
    ] = 10.0
