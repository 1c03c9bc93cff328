"""One server with three people for all tests of a module that share its loop."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.signaling.files.rig import There, people


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def there(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[There]:
    async with people(tmp_path_factory.mktemp("files")) as made:
        yield made
