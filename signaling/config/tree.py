"""The configuration tree: one frozen struct, every key documented where it is defined.

Not the loading of it (`load`) nor the rules between keys (`rules`).
`docs/operations/configuration.md` is generated from this file (`page`); a test compares the two.
The bounds of signaling and of the media server are tables of their own, defined and documented in
those rooms. Long because every section without a file of its own stands here, with its sentences.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from mediaserver.api import MediaLimits
from signaling.config.accounts import Accounts, Mail
from signaling.config.acme import Acme
from signaling.config.api import Api
from signaling.config.audit import Audit, AuditFile, AuditOtlp, AuditSyslog, AuditWebhook
from signaling.config.delivery import Delivery
from signaling.config.egress import Egress
from signaling.config.files import Files, FilesS3
from signaling.config.imports import Imports
from signaling.config.key_store import KeyStore
from signaling.config.kms import Kms, KmsAws, KmsPkcs11, KmsVault
from signaling.config.mirror import Mirror
from signaling.config.native import Native
from signaling.config.push import Push
from signaling.config.retention import Retention
from signaling.config.ringing import Ringing
from signaling.config.section import Section
from signaling.config.sessions import OAuth, Sessions, Sync
from signaling.config.store import Bus, Store
from signaling.rtc.limits import RtcLimits, RtcSettings, RtcTimes
from signaling.secret import Secret

Port = Annotated[int, Meta(ge=0, le=65535)]
DEV_KEY = "devkey"
DEV_SECRET = "secret"  # noqa: S105 - the published development secret; `sotto serve` refuses it


class Http(Section, frozen=True):
    """The public listeners: the page, the LiveKit sockets and API, WHIP and WHEP."""

    listen: Annotated[
        tuple[str, ...], Meta(description="Addresses of the https and wss listeners.")
    ] = ("0.0.0.0:7443",)
    plain: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Addresses of http and ws listeners, for a TLS proxy on the same machine. "
                "Loopback only."
            )
        ),
    ] = ()
    public_url: Annotated[
        str,
        Meta(
            description=(
                "What people type, when a proxy or another port stands in front: "
                "`https://meet.example.org`."
            )
        ),
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Addresses or networks whose `X-Forwarded-For` is believed when limits are "
                "counted per address."
            )
        ),
    ] = ()
    client_dir: Annotated[
        str,
        Meta(
            description=(
                "Where the built web client lies. Empty: the one that was installed with "
                "the server."
            )
        ),
    ] = ""


class Tls(Section, frozen=True):
    """Certificate and policy of the https listeners.

    Mozilla's intermediate profile, AEAD suites only.
    """

    certificate: Annotated[
        str,
        Meta(
            description="PEM file with the certificate and its chain. Read again when it changes."
        ),
    ] = ""
    key: Annotated[str, Meta(description="PEM file with the private key.")] = ""
    tls13_only: Annotated[bool, Meta(description="Refuse TLS 1.2.")] = False
    reload_seconds: Annotated[
        int,
        Meta(
            ge=1,
            le=86400,
            description="How often the files are looked at for a renewed certificate.",
        ),
    ] = 10


class Operator(Section, frozen=True):
    """The operator's listener.

    `/healthz`, `/readyz`, `/metrics`, `/calls`. It asks nobody who they are.
    """

    listen: Annotated[
        str,
        Meta(
            description=(
                "Its address; keep it on loopback or a private network. Empty: no such listener."
            )
        ),
    ] = "127.0.0.1:7889"


class Media(Section, frozen=True):
    """The packet engine: one UDP port and one TCP port for everybody."""

    udp_port: Annotated[Port, Meta(description="The UDP port of all media. 0: any free one.")] = (
        7882
    )
    tcp_port: Annotated[
        Port,
        Meta(
            description="The TCP port of media for networks without UDP (ICE-TCP). 0: any free one."
        ),
    ] = 7881
    tcp: Annotated[bool, Meta(description="Offer media over TCP at all.")] = True
    bind: Annotated[tuple[str, ...], Meta(description="Local addresses of the media sockets.")] = (
        "0.0.0.0",  # noqa: S104 - media comes from anywhere; ICE decides who is heard
        "::",
    )
    advertise: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Addresses told to clients. Empty: those found on this machine. Behind NAT:"
                " the public address."
            )
        ),
    ] = ()
    workers: Annotated[
        int, Meta(ge=0, le=256, description="Engine threads. 0: one for each core.")
    ] = 0


class Turn(Section, frozen=True):
    """The TURN relay (coturn) that clients are told about, and how `sotto turn` configures it."""

    host: Annotated[
        str,
        Meta(
            description=(
                "Host name in the TURN URLs, as in its certificate. Empty: clients are told"
                " of no relay."
            )
        ),
    ] = ""
    port: Annotated[Port, Meta(description="UDP and TCP port. 0: neither is offered.")] = 3478
    tls_port: Annotated[
        Port, Meta(description="TURN over TLS; 443 passes most firewalls. 0: not offered.")
    ] = 5349
    secret: Annotated[
        Secret | None,
        Meta(
            description=(
                "Shared with coturn; credentials are signed with it. At least 32 characters."
            )
        ),
    ] = None
    previous_secret: Annotated[
        Secret | None,
        Meta(description="The secret before, which coturn still accepts while a change travels."),
    ] = None
    ttl_seconds: Annotated[
        int,
        Meta(
            ge=60,
            le=600,
            description="Life of a credential, 10 minutes at most. Allocations outlive it.",
        ),
    ] = 600
    supervise: Annotated[
        bool,
        Meta(
            description=(
                "`sotto serve` starts and watches coturn itself; otherwise run `sotto turn`"
                " beside it."
            )
        ),
    ] = False
    listen: Annotated[
        tuple[str, ...], Meta(description="Addresses coturn listens on. Empty: all IPv4 addresses.")
    ] = ()
    relay_address: Annotated[
        str, Meta(description="Local address coturn relays from. Empty: coturn chooses.")
    ] = ""
    external_address: Annotated[
        str, Meta(description="Public address of the relay when it stands behind one-to-one NAT.")
    ] = ""
    allowed_peers: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Addresses relayed to although they are special. Empty: those that `media` "
                "advertises."
            )
        ),
    ] = ()
    certificate: Annotated[
        str, Meta(description="PEM file for TURN over TLS. Empty: that of `tls`.")
    ] = ""
    key: Annotated[str, Meta(description="Its private key. Empty: that of `tls`.")] = ""
    min_relay_port: Annotated[Port, Meta(description="First port of the relay range.")] = 49152
    max_relay_port: Annotated[Port, Meta(description="Last port of the relay range.")] = 65535
    user_quota: Annotated[
        int, Meta(ge=1, description="Allocations that one credential may hold.")
    ] = 12
    total_quota: Annotated[int, Meta(ge=1, description="Allocations of everybody together.")] = 1200
    max_bps: Annotated[
        int, Meta(ge=1, description="Bytes per second of one allocation and direction.")
    ] = 1_500_000


class Calls(Section, frozen=True):
    """Calls and who may join them."""

    guest_join: Annotated[
        bool,
        Meta(
            description=(
                "The page gives a call token to anybody who types a name and a room. Off: "
                "tokens come from your application."
            )
        ),
    ] = False
    token_seconds: Annotated[
        int,
        Meta(
            ge=10,
            le=86400,
            description="Life of a call token made by the page. A running call outlives it.",
        ),
    ] = 600
    auto_create: Annotated[
        bool,
        Meta(
            description="A valid token creates the room that it names. Off: only `CreateRoom` does."
        ),
    ] = True
    max_participants: Annotated[int, Meta(ge=0, description="In one call. 0: no limit.")] = 0
    top_audio: Annotated[
        int, Meta(ge=0, description="Forward only the N loudest speakers of a call. 0: all.")
    ] = 0
    remote_unmute: Annotated[
        bool, Meta(description="The server API may switch somebody's microphone on.")
    ] = False
    codecs: Annotated[tuple[str, ...], Meta(description="What may be published, by MIME type.")] = (
        RtcSettings().publish_codecs
    )


class Webhooks(Section, frozen=True):
    """Where events of calls are sent, signed as LiveKit signs them."""

    urls: Annotated[
        tuple[str, ...], Meta(description="https addresses that receive every event.")
    ] = ()
    key: Annotated[
        str, Meta(description="Name of the API key that signs. Empty: the first of `keys`.")
    ] = ""
    queue: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description=(
                "Events that wait for one target. Beyond it the newest is dropped, and the next "
                "that arrives says how many were."
            ),
        ),
    ] = 1_000


class Limits(Section, frozen=True):
    """Bounds on what a stranger can make the server hold or do."""

    header_seconds: Annotated[
        float,
        Meta(
            gt=0,
            le=300,
            description=(
                "A request's header must be complete within this time; so must a TLS handshake."
            ),
        ),
    ] = 10.0
    body_seconds: Annotated[
        float, Meta(gt=0, le=300, description="A request's body must be complete within this time.")
    ] = 10.0
    idle_seconds: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="A kept connection without a request is closed after this time.",
        ),
    ] = 30.0
    header_bytes: Annotated[
        int,
        Meta(
            ge=8190,
            le=262144,
            description=(
                "Longest header line. LiveKit's `join_request` needs up to 16 kB, more with"
                " metadata."
            ),
        ),
    ] = 98304
    body_bytes: Annotated[
        int, Meta(ge=1024, description="Largest request body; an offer may be large.")
    ] = 1_048_576
    connections: Annotated[
        int, Meta(ge=1, description="Open connections of all public listeners.")
    ] = 20_000
    connections_per_address: Annotated[
        int,
        Meta(
            ge=1,
            description="Open connections of one address, loopback and trusted proxies excepted.",
        ),
    ] = 1000
    requests_per_second: Annotated[
        float,
        Meta(
            gt=0,
            description=(
                "Requests of one address, sustained. Loopback and trusted proxies are exempt."
            ),
        ),
    ] = 50.0
    requests_burst: Annotated[int, Meta(ge=1, description="... and how many may come at once.")] = (
        500
    )


class Log(Section, frozen=True):
    """What is written to standard error."""

    format: Annotated[
        Literal["readable", "json"],
        Meta(description="One line for people or one JSON object a line."),
    ] = "readable"
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least level that is written."),
    ] = "info"


class Process(Section, frozen=True):
    """The process itself."""

    state_dir: Annotated[
        str,
        Meta(
            description=(
                "Where made certificates and rendered files are kept. Empty: "
                "`~/.local/share/sotto`."
            )
        ),
    ] = ""
    drain_seconds: Annotated[
        float,
        Meta(
            ge=0,
            le=86400,
            description="How long SIGTERM waits for calls to end before it ends them.",
        ),
    ] = 30.0
    stop_seconds: Annotated[
        float,
        Meta(
            ge=1,
            le=600,
            description=(
                "How long closing may take after that. What a store that is away has not taken by "
                "then (the last audit records, say) is given up, and the log names it."
            ),
        ),
    ] = 10.0


class Config(Section, frozen=True):
    """The whole of it."""

    http: Http = field(default_factory=Http)
    tls: Tls = field(default_factory=Tls)
    acme: Acme = field(default_factory=Acme)
    operator: Operator = field(default_factory=Operator)
    media: Media = field(default_factory=Media)
    turn: Turn = field(default_factory=Turn)
    calls: Calls = field(default_factory=Calls)
    ringing: Ringing = field(default_factory=Ringing)
    webhooks: Webhooks = field(default_factory=Webhooks)
    api: Api = field(default_factory=Api)
    native: Native = field(default_factory=Native)
    accounts: Accounts = field(default_factory=Accounts)
    mail: Mail = field(default_factory=Mail)
    egress: Egress = field(default_factory=Egress)
    delivery: Delivery = field(default_factory=Delivery)
    sessions: Sessions = field(default_factory=Sessions)
    oauth: OAuth = field(default_factory=OAuth)
    sync: Sync = field(default_factory=Sync)
    limits: Limits = field(default_factory=Limits)
    files: Files = field(default_factory=Files)
    files_s3: FilesS3 = field(default_factory=FilesS3)
    push: Push = field(default_factory=Push)
    mirror: Mirror = field(default_factory=Mirror)
    log: Log = field(default_factory=Log)
    process: Process = field(default_factory=Process)
    store: Store = field(default_factory=Store)
    key_store: KeyStore = field(default_factory=KeyStore)
    bus: Bus = field(default_factory=Bus)
    kms: Kms = field(default_factory=Kms)
    kms_aws: KmsAws = field(default_factory=KmsAws)
    kms_vault: KmsVault = field(default_factory=KmsVault)
    kms_pkcs11: KmsPkcs11 = field(default_factory=KmsPkcs11)
    retention: Retention = field(default_factory=Retention)
    imports: Imports = field(default_factory=Imports)
    audit: Audit = field(default_factory=Audit)
    audit_syslog: AuditSyslog = field(default_factory=AuditSyslog)
    audit_webhook: AuditWebhook = field(default_factory=AuditWebhook)
    audit_otlp: AuditOtlp = field(default_factory=AuditOtlp)
    audit_file: AuditFile = field(default_factory=AuditFile)
    signaling_limits: RtcLimits = field(default_factory=RtcLimits)
    signaling_times: RtcTimes = field(default_factory=RtcTimes)
    media_limits: MediaLimits = field(default_factory=MediaLimits)
    keys: Annotated[
        dict[str, Secret],
        Meta(
            description=(
                "API keys: name and secret, at least 32 characters. They sign call tokens "
                "and server calls."
            )
        ),
    ] = field(default_factory=dict)
