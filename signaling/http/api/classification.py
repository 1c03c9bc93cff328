"""What the server keeps, how confidential it is, by what it is protected and how long it stays.

One table: the page `/security` of every server, docs/security/data-classification.md, and the test
that looks into a store after every kind of act and finds nothing that is not in here. Pure.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from enum import StrEnum

from signaling.http import plain


class Level(StrEnum):
    """What its disclosure would do."""

    SECRET = "secret"  # noqa: S105 - a class of data; it opens something: never shown again, never logged
    PERSONAL = "personal"  # says something about a person
    INTERNAL = "internal"  # says something about the installation
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Kept:
    """`kinds` are the store's; `sealed` whether their values are ciphertext there."""

    what: str
    kinds: tuple[str, ...]
    level: Level
    protection: str
    stays: str
    sealed: bool = False


_META = "AES-256-GCM, data key of the app's metadata"
_OWN = "AES-256-GCM, data key of the account: erasing the account destroys the key"
_HASH = "SHA-256 of at least 200 random bits; the token itself is kept nowhere"

TABLE: tuple[Kept, ...] = (
    Kept("Accounts: login, name, mail address, roles, password hash (argon2id), TOTP seed, "
         "passkeys, recovery codes (hashed), the operator's id and tags (found by keyed digests)",
         ("account",), Level.SECRET, _OWN, "until the account is deleted", True),
    Kept("Login names, outside identities and operators' ids that are taken", ("account_claim",),
         Level.PERSONAL, _META + "; found by a keyed digest, never by the name",
         "as long as the account", True),
    Kept("Known devices, with truncated network", ("account_device",), Level.PERSONAL, _OWN,
         "until removed", True),
    Kept("Devices that may be woken: whose, of which session, the push service's endpoint, keys or "
         "token. What may wake them, and when", ("push.subscription", "push.settings"),
         Level.SECRET, _OWN + "; found by account, session and a keyed digest of the endpoint",
         "as long as the session; the settings as long as the account", True),
    Kept("Logs of their clients that people sent", ("client_log",), Level.PERSONAL,
         _OWN + "; without secrets and without what people wrote", "30 days, or until removed",
         True),
    Kept("Invitations, guest links, reset links", ("account_link",), Level.SECRET,
         _META + "; the link's secret as a hash", "until used or expired", True),
    Kept("Sign-ins under way", ("account_pending", "account_flow"), Level.SECRET, _META,
         "minutes", True),
    Kept("Failed sign-ins, counted by keyed digest", ("account_failures",), Level.INTERNAL,
         "no names; counts only", "until the next success, or their window"),
    Kept("Erasures under way", ("account_erasure",), Level.INTERNAL, "ids only", "minutes"),
    Kept("Sessions", ("session",), Level.SECRET, _OWN + "; tokens as " + _HASH,
         "until they end, and a day", True),
    Kept("Challenges of the certificate authority (http-01)", ("acme_challenge",), Level.PUBLIC,
         "none needed: told to whoever asks", "seconds"),
    Kept("One-time tickets of sockets", ("ticket",), Level.SECRET, _HASH, "seconds"),
    Kept("Tokens of calls that were issued: whose, for which room", ("call_token",),
         Level.PERSONAL, _META + "; the token itself is kept nowhere", "as a session", True),
    Kept("Calls of rooms: who rang whom, who took part, when; who waits in a lobby; which call a "
         "room has now", ("call", "call.open"), Level.PERSONAL,
         "AES-256-GCM, data key of the room or of the app's metadata; found by keyed digests",
         "`ringing.history_days`; of transient rooms until the call ends", True),
    Kept("OAuth codes, device codes, DPoP proofs seen",
         ("oauth_code", "oauth_device", "oauth_user_code", "dpop_jti"), Level.SECRET,
         _HASH + "; codes that people type by keyed digest", "minutes"),
    Kept("OAuth clients and what people allowed them", ("oauth_client", "oauth_consent"),
         Level.INTERNAL, "secrets as " + _HASH, "until removed"),
    Kept("Access Manager: key sets (secret key wrapped), grants, groups",
         ("access.keyset", "access.grant", "access.group", "access.tag_key"), Level.SECRET, _META,
         "until removed; grants until their ttl", True),
    Kept("Nonces of signed requests", ("access.nonce",), Level.INTERNAL, "digests only", "minutes"),
    Kept("Subscribe keys: which key set each names", ("access.subscribe_key",), Level.PUBLIC,
         "none needed: clients carry them", "as long as the key set"),
    Kept("Answers kept for Idempotency-Key", ("idempotency",), Level.SECRET, _META, "a day", True),
    Kept("Secrets that all processes share (cursors)", ("shared_secret",), Level.SECRET,
         "AES-256-GCM, data key of the installation", "for good", True),
    Kept("Wrapped data keys and the register of master keys", ("key", "key_app"), Level.SECRET,
         "each wrapped by a master key that never leaves the KMS (file, AWS KMS, Vault transit or "
         "PKCS#11)", "until destroyed"),
    Kept("Which store of keys belongs to which store, where they are two",
         ("keys_apart", "key_pair"),
         Level.INTERNAL, "a random number, the same in both", "as long as they are two"),
    Kept("Audit: who did what; addresses truncated to /24 or /48",
         ("audit", "audit_app", "audit_signer"), Level.PERSONAL,
         "AES-256-GCM, data key of the audit; hash-chained, heads signed (Ed25519)",
         "`audit.retention_days`"),
    Kept("Heads of the audit's chain, and how far each receiver has read",
         ("audit_head", "audit_floor", "audit_sink"), Level.INTERNAL,
         "numbers and digests; heads are signed", "as long as the audit"),
    Kept("Leases of the audit's forwarders and of the mirror", ("lease",), Level.INTERNAL,
         "names of processes", "seconds"),
    Kept("Names of apps and their owners' ids", ("app",), Level.INTERNAL, "ids and a name",
         "for good"),
    Kept("Files: whose, in which room, how large; name and content's facts sealed with the file's "
         "own key", ("file", "file_upload", "file_chunks"), Level.PERSONAL,
         _META + "; the file's key sealed for its owner, and after the first post in the message "
         "alone", "until deleted, or a day without a message", True),
    Kept("Which rooms and messages hold a file, and what each account and room keeps",
         ("file_reference", "file_quota"), Level.INTERNAL, _META, "as long as the file", True),
    Kept("Content of files, thumbnails and previews", (), Level.PERSONAL,
         "AES-256-GCM in chunks of 64 KiB, a random key for each file; never in the clear on a "
         "disk, not while it is uploaded or worked on either", "until deleted, or a day without a "
         "message"),
    Kept("Revocations on their way to other processes", ("revoked",), Level.INTERNAL, "ids only",
         "the newest 10,000"),
    Kept("Rooms: names, settings, members; who is in which room; the pair of a direct room",
         ("chat.room", "chat.membership", "chat.direct"), Level.PERSONAL,
         "AES-256-GCM, data key of the room or of the app's metadata; found by keyed digests",
         "until the room is erased", True),
    Kept("Which ops are about a message", ("chat.about",), Level.PERSONAL,
         "AES-256-GCM, data key of the room; found by a keyed digest", "as long as the room", True),
    Kept("What is an account's own: drafts, saved and hidden messages, blocks, preferences, how "
         "far it has read, its status", ("chat.account", "chat.cursor", "chat.status"),
         Level.PERSONAL, _OWN, "as long as the account", True),
    Kept("Reports to moderators, requests to join, invitations (secret as a hash)",
         ("chat.report", "chat.request", "chat.invite"), Level.PERSONAL,
         "AES-256-GCM, data key of the room or of the app's metadata",
         "as long as the room; invitations until they expire", True),
    Kept("Posts that wait for their time", ("chat.scheduled",), Level.PERSONAL, _OWN,
         "until they are sent or cancelled", True),
    Kept("Which messages expire when", ("chat.expiring",), Level.INTERNAL, _META,
         "until they do", True),
    Kept("Erasures: what was asked for, how far they are, certificates that name nobody",
         ("compliance.erasure",), Level.PERSONAL, _META,
         "for good; whom they were about until they are done", True),
    Kept("Exports of others' data: why, of what, who asked and agreed", ("compliance.export",),
         Level.PERSONAL, _META + "; the archive itself is kept nowhere", "for good", True),
    Kept("Imports: who asked, of which archive, how far they are; who is in the archive, and which "
         "account they are said to be", ("compliance.import", "compliance.import_people"),
         Level.PERSONAL, _META + "; the archive sealed like a file, with a key of its own",
         "the import for good; archive and people until it is over", True),
    Kept("How people were called who wrote in a room before it was imported",
         ("compliance.placeholder",), Level.PERSONAL, "AES-256-GCM, data key of the room",
         "as long as the room", True),
    Kept("Purposes of processing and the privacy notice, with what they said before",
         ("compliance.purpose",), Level.PUBLIC, _META, "for good", True),
    Kept("What an account agreed to and withdrew", ("compliance.consent",), Level.PERSONAL, _OWN,
         "as long as the account", True),
    Kept("The key of pseudonyms", ("compliance.pseudonym",), Level.SECRET, _META,
         "until replaced; older pseudonyms lead nowhere then", True),
    Kept("That somebody was erased, by keyed digest", ("compliance.erased",), Level.INTERNAL,
         "a time and a digest that only this installation can make", "for good"),
    Kept("What people asked for about their data that others have to answer, when, and what was "
         "answered", ("compliance.request",), Level.PERSONAL,
         _OWN + "; of people without one, data key of the app's metadata",
         "three years after the answer; with the account when it is erased", True),
    Kept("Who had processing restricted, and who objected to what", ("compliance.processing",),
         Level.PERSONAL, _OWN, "as long as the account", True),
    Kept("Legal holds: why, on which rooms and people, who placed and released them",
         ("compliance.hold",), Level.PERSONAL, _META, "for good", True),
    Kept("How long the installation and its rooms keep things", ("compliance.retention",),
         Level.INTERNAL, _META, "until changed", True),
    Kept("Keys of messages, one for each room and author", ("chat.key",), Level.SECRET,
         "random, wrapped by the data keys of the room and of the author: erasing either shreds "
         "what they sealed", "as long as the room", True),
    Kept("Messages of searchable and encrypted rooms: the room's log", (), Level.PERSONAL,
         "AES-256-GCM, envelope with a key of the room, body with one of room and author, bound "
         "to the room and its place; hash-chained", "the room's retention"),
    Kept("What waits to be delivered: places in rooms' logs, push notifications; and what "
         "was given up", ("delivery.item", "delivery.dead"), Level.PERSONAL,
         "AES-256-GCM, data key of the room or of the app's metadata; found by keyed digests",
         "until delivered; what was given up for `delivery.dead_letter_days`", True),
    Kept("What is to be told of accounts and files that are about to go", ("farewell",),
         Level.INTERNAL, _META + "; ids only", "until it is told, seconds", True),
    Kept("Queues of deliveries: how far each came, who works on it", ("delivery.lane",),
         Level.INTERNAL, _META, "as long as the receiver", True),
    Kept("Webhooks and routes: addresses, secrets, filters", ("delivery.subscription",),
         Level.SECRET, _META, "until removed", True),
    Kept("Incoming webhooks: room and bot", ("delivery.inlet",), Level.SECRET,
         _META + "; the address as " + _HASH, "until revoked", True),
    Kept("The mirror, where the operator named one: envelopes of the rooms that it names, and what "
         "was said in them only if that was chosen (never of encrypted rooms); what other programs "
         "put into its inbox", (), Level.PERSONAL,
         "plain documents in a database of the operator's own: its volume and its users are yours "
         "to guard", "as long as the message; receipts and quarantine for `mirror.keep_days`"),
    Kept("Media of calls", (), Level.PERSONAL,
         "DTLS 1.2 and SRTP (AES-GCM preferred) on the wire; in memory only, never stored",
         "while a packet is passed on"),
    Kept("Logs", (), Level.INTERNAL, "no address, token, name or text of anybody in them",
         "as the system's log"),
    Kept("Private keys of certificates, the ACME account key", (), Level.SECRET,
         "files of the server's own user, mode 0600; `sotto doctor` says whether the volume is "
         "encrypted", "until replaced"),
    Kept("Backups", (), Level.SECRET, "AES-256-GCM, verified before they are restored",
         "as you keep them"),
)  # fmt: skip


def kinds() -> dict[str, Kept]:
    return {kind: kept for kept in TABLE for kind in kept.kinds}


WIRE = (
    "Everything between clients and this server travels over TLS 1.2 or 1.3 with forward secrecy "
    "and AEAD ciphers, media over DTLS and SRTP. Between servers: TLS, verified in both "
    "directions where the recipe for it is used."
)
REPORT = (
    "Report a vulnerability to the contact in /.well-known/security.txt, privately. Say what you "
    "saw, how to see it again and what an attacker gains. Where that contact is this page, write "
    "to whoever runs this server; flaws of Sotto itself go to its maintainers as SECURITY.md says."
)


def markdown() -> str:
    rows = ["| what | class | at rest | how long |", "|---|---|---|---|"]
    rows += [
        f"| {kept.what} | {kept.level.value} | {kept.protection} | {kept.stays} |" for kept in TABLE
    ]
    head = (
        "# Data classification\n\nMade by `python -m signaling.http.api.pages`; every server shows "
        "it at `/security`, and a test looks into the\nstore for anything that is not listed. "
        "**secret** opens something, **personal** says something about a person,\n**internal** "
        "about the installation. There is no relational database: a datastore is SQLite or "
        "MongoDB, Redis (keeps\nnothing), the directory of attachments, and backups (row A4).\n\n"
    )
    return head + "\n".join(rows) + f"\n\n{WIRE}\n"


def page() -> bytes:
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>\n"
        for cells in ((k.what, k.level.value, k.protection, k.stays) for k in TABLE)
    )
    body = (
        f"<p>{WIRE}</p>\n<p>{REPORT}</p>\n<h2>What is kept</h2>\n<table><thead><tr><th>What</th>"
        "<th>Class</th><th>At rest</th><th>How long</th></tr></thead>\n"
        f"<tbody>{rows}</tbody></table>\n"
    )
    return plain.page("Security", body, wide=True).encode()
