"""What each code means and what whoever got it can do: the pages that problems lead to.

For programmers of clients; the web client has sentences for people of its own. `docs/problems/` is
written from this table by `python -m signaling.http.api.pages`. Pure.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

from signaling.errors import Code
from signaling.http import plain


@dataclass(frozen=True, slots=True)
class Explanation:
    """`statuses` as HTTP answers carry them."""

    statuses: tuple[int, ...]
    meaning: str
    remedy: str


def _said(status: int | tuple[int, ...], meaning: str, remedy: str) -> Explanation:
    return Explanation(status if isinstance(status, tuple) else (status,), meaning, remedy)


_AGAIN = "Sign in again, or fetch a fresh token with the refresh token, and repeat the request."
_SAME = "Nothing is wrong with the request. Repeat it later, with the same Idempotency-Key."
_OURS = "It is our fault. Tell the operator the `request_id`; the log has the same one."

EXPLANATIONS: dict[Code, Explanation] = {
    Code.BAD_REQUEST: _said(
        (400, 408, 499), "The request is not what HTTP, JSON or this operation take at all. 499 is "
        "in logs and counters only: the client cut its connection in the middle.",
        "Look at `detail`. Common causes: a body that is not JSON in UTF-8, one that nests too "
        "deep, a path with undecodable bytes, a body where none is taken.",
    ),
    Code.TOO_LARGE: _said(
        413, "The body is larger than this operation takes.",
        "Send less at once; `detail` says how much is taken.",
    ),
    Code.RATE_LIMITED: _said(
        429, "You asked more often than the published limits allow.",
        "Wait as many seconds as `Retry-After` says. `RateLimit` and `RateLimit-Policy` in every "
        "answer tell how much is left; the limits are listed in docs/reference/api.md.",
    ),
    Code.METHOD_NOT_ALLOWED: _said(
        405, "The path exists, but not with this method.", "`Allow` lists those that it has.",
    ),
    Code.NOT_ACCEPTABLE: _said(
        406, "The answer cannot have the form that was asked for.", "Ask for JSON.",
    ),
    Code.UNSUPPORTED_MEDIA_TYPE: _said(
        415, "The body has another type than this operation takes, or is compressed.",
        "Send `Content-Type: application/json` (a form to the OAuth endpoints), in UTF-8.",
    ),
    Code.PRECONDITION_FAILED: _said(
        412, "What you change is no longer the version that `If-Match` names.",
        "Read it again, decide again, and send the new `ETag` as `If-Match`.",
    ),
    Code.PRECONDITION_REQUIRED: _said(
        428, "This operation wants to know which version you change.",
        "Send the `ETag` that you read as `If-Match`, or `*` for whatever is there.",
    ),
    Code.CONFLICT: _said(
        409, "What is there already does not go with the request, or changed at the same moment.",
        "Read it again and decide again.",
    ),
    Code.NOT_FOUND: _said(
        404, "There is nothing at this path, or nothing that you may know of.",
        "Check the path and the id. What belongs to others is answered like what does not exist.",
    ),
    Code.ROOM_NOT_FOUND: _said(404, "There is no such room or call.", "Check its name."),
    Code.PARTICIPANT_NOT_FOUND: _said(
        404, "The participant is not in the call any more.", "List the participants again.",
    ),
    Code.TRACK_NOT_FOUND: _said(
        404, "The track is not published any more.", "List the participant's tracks again.",
    ),
    Code.TOKEN_MISSING: _said(
        401, "The operation is for those who are signed in, and the request has no credential.",
        "Sign in; send the token as `Authorization: Bearer ...`, never in the URL.",
    ),
    Code.TOKEN_INVALID: _said(
        401, "The credential is not one of this server, or not for this app.", _AGAIN,
    ),
    Code.TOKEN_EXPIRED: _said(401, "The credential was good and is too old.", _AGAIN),
    Code.TOKEN_REVOKED: _said(401, "The credential was ended before its time.", _AGAIN),
    Code.INSUFFICIENT_SCOPE: _said(
        403, "The token is good but was not granted the scope that this operation needs.",
        "`WWW-Authenticate` names the scope (RFC 6750). Ask for it when authorising again.",
    ),
    Code.REAUTHENTICATION_REQUIRED: _said(
        403, "A sensitive act: the last proof of who you are is too old (RFC 9470).",
        "Prove again who you are with a password or passkey, then repeat the request.",
    ),
    Code.ORIGIN_REFUSED: _said(
        403, "A browser sent this from a page of another origin.",
        "Call from the server's own page, or have the operator list yours in `api.origins`.",
    ),
    Code.VERSION_UNSUPPORTED: _said(
        (400, 426), "The client speaks no version of the protocol that the server speaks.",
        "Update the client. `/.well-known/sotto` lists the versions of this server.",
    ),
    Code.NOT_PERMITTED: _said(
        403, "You are known, and may not do this.",
        "Ask an administrator. The OpenAPI document lists the roles of each operation.",
    ),
    Code.ROOM_FULL: _said(
        403, "The room or call has as many people as it may.", "Try again later."
    ),
    Code.BAD_SDP: _said(
        422, "The session description cannot be answered.", "Look at `detail`; RFC 8829 helps.",
    ),
    Code.DRAINING: _said(
        503, "The server is about to stop and takes nothing new.", "Try another one, or later.",
    ),
    Code.UNAVAILABLE: _said(
        503, "Something that the server depends on does not answer. Nothing is half done.", _SAME,
    ),
    Code.UNIMPLEMENTED: _said(501, "This server does not have that.", "Leave it out."),
    Code.INTERNAL: _said(500, "The server failed.", _OURS),
    Code.FIELDS_INVALID: _said(
        422, "A field or parameter is missing, unknown, of the wrong type or out of its bounds.",
        "`errors` names each with a JSON Pointer. Unknown fields are refused on purpose.",
    ),
    Code.PARAMETER_DUPLICATED: _said(
        400, "A parameter comes more than once, and which one counts would be a guess.",
        "Send it once.",
    ),
    Code.CURSOR_INVALID: _said(
        400, "The cursor was not made by this list for you.",
        "Start again without one. Cursors are opaque and cannot be made or moved.",
    ),
    Code.IDEMPOTENCY_MISMATCH: _said(
        422, "The Idempotency-Key was used before, for another request.",
        "Use a new key (a UUID) for each act, and the same one only to repeat it.",
    ),
    Code.IDEMPOTENCY_IN_FLIGHT: _said(
        409, "The first request with this Idempotency-Key is still running.",
        "Wait a second and repeat: the answer of the first comes back.",
    ),
    Code.TLS_REQUIRED: _said(
        400, "The request came in the clear. Whatever secret it carried should be replaced.",
        "Use https. There is no redirect, since that would hide the leak.",
    ),
    Code.KEY_DESTROYED: _said(
        410, "What was asked for was sealed with a key that has been destroyed.",
        "It is gone for good, and that was meant.",
    ),
    Code.KEY_UNKNOWN: _said(422, "There is no such key.", "List the keys."),
    Code.KEY_INACTIVE: _said(
        409, "The key exists but is not in use: disabled, scheduled for destruction, not active.",
        "Look at its state; an operator can enable it again unless it was destroyed.",
    ),
    Code.KEY_IN_USE: _said(
        409, "Something is still sealed with the key.", "Re-wrap first, then try again.",
    ),
    Code.SECOND_APPROVER_NEEDED: _said(
        409, "The act needs two people, and the same one confirmed it twice.",
        "Have somebody else with the permission approve it.",
    ),
    Code.CONSENT_REQUIRED: _said(
        403, "It serves a purpose that rests on consent, and you did not agree to it as it is now.",
        "Read it in `GET /api/v1/processing-register`, then agree with "
        "`PUT /api/v1/account/consents/{purpose}`.",
    ),
    Code.INTEGRITY_ERROR: _said(
        500, "What is stored is not what was written; it is not shown.", _OURS,
    ),
    Code.SIGN_IN_FAILED: _said(
        401, "Login, password, code or passkey do not fit. Which one is not said.",
        "Try again; after several failures answers are slowed down.",
    ),
    Code.SIGN_UP_CLOSED: _said(
        403, "This server takes new accounts by invitation, or none.", "Ask for an invitation.",
    ),
    Code.LOGIN_REFUSED: _said(
        422, "The login name has characters or a length that are not taken.", "Choose another.",
    ),
    Code.LOGIN_TAKEN: _said(409, "Somebody has this login name.", "Choose another."),
    Code.PASSWORD_TOO_SHORT: _said(422, "The password is too short.", "Use a longer one."),
    Code.PASSWORD_TOO_LONG: _said(422, "The password is too long.", "Use a shorter one."),
    Code.PASSWORD_COMMON: _said(
        422, "The password is on the list of those that attackers try first.", "Choose another.",
    ),
    Code.PASSWORD_GUESSABLE: _said(
        422, "The password is made of what is known of you or of this server.", "Choose another.",
    ),
    Code.LINK_INVALID: _said(
        (404, 410, 422), "The link was used, has expired, or was never made.", "Ask for a new one.",
    ),
    Code.LAST_OWNER: _said(
        409, "The app would be left without an owner.", "Make somebody else an owner first.",
    ),
    Code.SECOND_FACTOR_NEEDED: _said(
        403, "A second factor is needed for this.", "Enrol one, or finish the sign-in.",
    ),
    Code.PROVIDER_REFUSED: _said(
        (401, 403, 422), "The outside provider did not vouch for the sign-in.", "Begin again.",
    ),
    Code.ACCESS_DENIED: _said(
        403, "The access token grants no such permission on this resource, or there is none such.",
        "Have your server grant it. What does not exist is answered in the same words.",
    ),
    Code.ACCESS_TOKEN_INVALID: _said(
        403, "The access token is malformed, of another key set, or bound to somebody else.",
        "Ask your server for a token; see docs/concepts/access.md.",
    ),
    Code.ACCESS_TOKEN_EXPIRED: _said(
        403, "The access token has outlived its ttl.", "Ask your server for a new one.",
    ),
    Code.ACCESS_TOKEN_REVOKED: _said(
        403, "The access token was revoked.", "Ask your server whether you get a new one.",
    ),
    Code.GRANT_INVALID: _said(
        400, "What the signed request asks to grant or revoke cannot be granted or revoked.",
        "`error.details` names each field, as the protocol's clients expect.",
    ),
    Code.SIGNATURE_INVALID: _said(
        403, "The signature does not fit the request, or its key is not (or no longer) one.",
        "Sign method, key, path, sorted query and body with the secret key; see "
        "docs/concepts/access.md. Never from a browser.",
    ),
    Code.TIMESTAMP_SKEWED: _said(
        400, "The timestamp of the signed request is more than a minute away from the server's.",
        "Set the clock (NTP) and sign anew.",
    ),
    Code.MESSAGE_NOT_FOUND: _said(
        404, "There is no such message in this room, or nothing is left of it.", "Check its id.",
    ),
    Code.BANNED: _said(
        403, "The account was banned from the room.", "Ask a moderator of the room.",
    ),
    Code.PLAINTEXT_REFUSED: _said(
        422, "The room takes end-to-end encrypted messages only, and this one is readable.",
        "Encrypt the body (`m.e2ee.v1`), or use another room.",
    ),
    Code.AUTHOR_MISMATCH: _said(
        422, "The encrypted body names another account or device than the one that sent it.",
        "Send it from the device that encrypted it.",
    ),
    Code.ENCRYPTION_UNAVAILABLE: _said(
        422, "End-to-end encryption of calls was required, and this server cannot do it yet.",
        "Leave `call_encryption` at `none`.",
    ),
    Code.REQUEST_REPLAYED: _said(
        409, "This very signed request came before.", "Sign a new one, with a fresh timestamp.",
    ),
    Code.QUOTA_EXCEEDED: _said(
        413,
        "The account or the room keeps as much as it may, or too many uploads were begun.",
        "Delete files, finish or cancel uploads, or ask the operator for more.",
    ),
    Code.UPLOAD_OFFSET_MISMATCH: _said(
        409,
        "The upload is not where `Upload-Offset` says.",
        "Ask with HEAD how far it came and go on from there.",
    ),
    Code.UPLOAD_BUSY: _said(
        409,
        "Another request adds to this upload at the moment.",
        "Wait for it to end, ask with HEAD how far it came, and go on from there.",
    ),
    Code.UPLOAD_INCOMPLETE: _said(
        409,
        "Not all bytes of the file are there.",
        "Send the rest, then complete it.",
    ),
    Code.CHECKSUM_MISMATCH: _said(
        460,
        "The bytes that arrived are not those that `Upload-Checksum` names. None of them was "
        "kept.",
        "Send them again from the same offset.",
    ),
    Code.TUS_VERSION_UNSUPPORTED: _said(
        412,
        "`Tus-Resumable` is missing, or names a version that this server does not have.",
        "Send `Tus-Resumable: 1.0.0`; `Tus-Version` lists what the server has.",
    ),
    Code.FILE_TYPE_REFUSED: _said(
        415,
        "Files of this type are not taken: nothing here can remove what they tell beside the "
        "picture.",
        "Convert it first: JPEG, PNG, WebP, GIF, AVIF, HEIC, MP4, WebM and the like are taken.",
    ),
    Code.FILE_TYPE_MISMATCH: _said(
        422,
        "The content is not what the type or the ending of the name says.",
        "Send the file with its true type and name.",
    ),
    Code.FILE_UNREADABLE: _said(
        422,
        "The file says that it is a picture, a sound or a film, but it cannot be read as one.",
        "It is truncated or damaged: send it again from its source.",
    ),
    Code.FILE_TOO_COMPLEX: _said(
        422,
        "Reading or unpacking the file would take far more than its size: too many pixels, frames "
        "or bytes.",
        "Send a smaller picture, or the parts of the archive.",
    ),
    Code.FILE_QUARANTINED: _said(
        403,
        "The virus scanner named this file. Nobody gets it.",
        "Scan the device that it came from. If it is a mistake, tell the operator the file's id.",
    ),
    Code.FILE_NOT_READY: _said(
        409,
        "The file is not complete, or its checks have not ended.",
        "Complete it, and ask for its state until it is `ready`.",
    ),
    Code.FILE_MODE_MISMATCH: _said(
        422,
        "The room's mode takes no such file: transient rooms keep none, encrypted rooms take only "
        "files that the client sealed (`opaque`), and other rooms only those that it did not.",
        "Seal the file on the client where the room asks for it.",
    ),
    Code.ARCHIVE_INVALID: _said(
        422,
        "The archive of an import is not taken: no whole ZIP, encrypted, with entries that lead "
        "out of it or come twice, or not in the format that was named. Nothing was brought, "
        "unless it was found while the import ran.",
        "`detail` says what it was. Export again, and check that the format is the right one.",
    ),
    Code.ARCHIVE_TAMPERED: _said(
        422,
        "Files of the archive are not those of its manifest, or it has another SHA-256 than was "
        "said. Nothing of it was brought.",
        "Take another copy, in a way that nobody can change it.",
    ),
    Code.ARCHIVE_TOO_LARGE: _said(
        422,
        "Unpacked, the archive or a part of it is more than an export comes to, or its entries lie "
        "over each other: it is made to do harm.",
        "Export less at a time; `imports.max_unpacked_bytes` is the operator's bound.",
    ),
}  # fmt: skip


def explanation_of(code: str) -> Explanation | None:
    try:
        return EXPLANATIONS.get(Code(code))
    except ValueError:
        return None


def markdown(code: Code, found: Explanation) -> str:
    statuses = ", ".join(str(status) for status in found.statuses)
    return f"# `{code}`\n\nStatus {statuses}.\n\n{found.meaning}\n\n{found.remedy}\n"


def page(code: str, found: Explanation) -> bytes:
    statuses = ", ".join(str(status) for status in found.statuses)
    texts = (f"Status {statuses}.", found.meaning, found.remedy)
    body = "".join(f"<p>{_marked(text)}</p>\n" for text in texts)
    return plain.page(code, body, heading=f"<code>{html.escape(code)}</code>").encode()


def _marked(text: str) -> str:
    """Escaped, and what stands between backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))
