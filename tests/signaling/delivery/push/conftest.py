"""One `sotto serve` for all scenes, with services that it may call."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.rows.house import House, standing, visiting
from tests.signaling.compliance.certificates import make
from tests.signaling.delivery.push import services
from tests.signaling.delivery.push.street import QUICK, Street


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def street(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Street]:
    folder = tmp_path_factory.mktemp("street")
    pki = make(folder / "pki")
    async with (
        services.web_push(pki) as web,
        services.apns(pki) as apns,
        services.fcm(pki) as fcm,
    ):
        (folder / "apns.p8").write_text(apns.pem())
        (folder / "fcm.json").write_text(fcm.account())
        toml = services.allow(pki, web.port, apns.port, fcm.port) + (
            f'[push]\napns_key = {{ file = "{folder / "apns.p8"}" }}\n'
            f'apns_key_id = "KEYKEYKEY1"\napns_team = "TEAMTEAM12"\n'
            f'apns_topic = "org.example.tea"\napns_url = "{apns.url}"\n'
            f'fcm_account = {{ file = "{folder / "fcm.json"}" }}\nfcm_url = "{fcm.url}"\n'
        )
        home = folder / "home"
        home.mkdir()
        with standing(House(home, QUICK, toml=toml)) as house:
            async with visiting(house) as there:
                made = Street(house, there, web, apns, fcm, await there.owner())
                facts = await there.ask("GET", "/push", token=made.owner)
                web.public_key = facts.body["public_key"]
                yield made
