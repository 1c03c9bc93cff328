"""A file that an administrator's import brings: kept as if its owner had sent it, checks included.

Its id is given, so that doing it again after a crash is the same file.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from signaling.files.port import FileInfo, State
from signaling.files.service import Files, Wish


async def bring(
    files: Files,
    app: str,
    owner: str,
    ident: str,
    wish: Wish,
    message: str,
    data: AsyncIterator[bytes],
) -> FileInfo:
    """What became of it; `ready`, `refused` or `quarantined`. `message` is about to hold it from
    here on. Raises 413, and Unavailable, after which it can be tried again.
    """
    register = files.parts.register
    row = await register.files.get(app, ident)
    if row is not None and row.value.state is State.UPLOADING:
        await files.delete(app, ident)
        row = None
    if row is None:
        await files.begin(app, owner, ident, wish)
        key = await register.key_of(app, ident, (await register.get(app, ident)).value)
        assert key is not None
        await files.parts.uploads.append(app, ident, key, 0, data)
        row = await files.uploaded(app, ident, await register.get(app, ident))
    if row.value.state is State.UPLOADED:
        row = await files.completing.task(app, ident)
    if row.value.state is State.READY:
        await files.begun(app, wish.room, message, ident)
    return await files.told(app, ident, row.value)
