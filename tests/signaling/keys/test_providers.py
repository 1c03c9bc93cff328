"""Every KMS provider against its counterpart: files, moto and a fake for AWS KMS, a fake transit
engine for Vault, and SoftHSM itself for PKCS#11.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from signaling.clock import FakeClock, SystemClock
from signaling.errors import ClientError, ConfigError, Unavailable
from signaling.ids import SystemEntropy
from signaling.keys.masters import Masters
from signaling.keys.port import IntegrityError, KeyDestroyed, KeyInactive, Kms, UnknownKey
from signaling.keys.providers.aws import AwsKms
from signaling.keys.providers.local import LocalKms
from signaling.keys.providers.pkcs11 import Pkcs11Kms
from signaling.keys.providers.vault import VaultKms
from signaling.keys.table import KeyTable
from signaling.secret import Secret
from signaling.sigv4 import Credentials
from signaling.storage.memory import MemoryStore
from tests.ports import free_port
from tests.signaling.keys.fake_kms import FakeAws, FakeVault, served
from tests.signaling.keys.rig import Rig

CONTEXT = {"app": "one", "key": "k", "version": "1"}
CREDENTIALS = Credentials("AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"))
SOFTHSM = Path("/usr/lib/softhsm/libsofthsm2.so")


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A token named `sotto`. The module reads its configuration once for each process."""
    home = tmp_path_factory.mktemp("softhsm")
    (home / "tokens").mkdir()
    conf = home / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {home}/tokens\nobjectstore.backend = file\n")
    os.environ["SOFTHSM2_CONF"] = str(conf)
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "sotto", "--pin", "1234",
         "--so-pin", "123456"],
        check=True, capture_output=True,
    )  # fmt: skip
    yield SOFTHSM
    del os.environ["SOFTHSM2_CONF"]


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    port = free_port()
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (tmp_path_factory.mktemp("moto") / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(60)


async def _answers(url: str) -> None:
    async with asyncio.timeout(120), aiohttp.ClientSession() as session:
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.get(url):
                    return
            await asyncio.sleep(0.1)


@pytest.fixture(params=["local", "aws-moto", "aws-fake", "vault", "pkcs11"])
async def kms(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kms]:
    async with contextlib.AsyncExitStack() as stack:
        made: Kms
        if request.param == "local":
            made = LocalKms(tmp_path, SystemEntropy())
        elif request.param == "vault":
            url = await stack.enter_async_context(served(FakeVault("t").handle))
            made = VaultKms(url, Secret("t"))
        elif request.param == "pkcs11":
            module = request.getfixturevalue("softhsm")
            made = Pkcs11Kms(str(module), "sotto", Secret("1234"), SystemEntropy())
        else:
            if request.param == "aws-moto":
                url = request.getfixturevalue("moto")
                await _answers(url)
            else:
                url = await stack.enter_async_context(served(FakeAws().handle))
            made = AwsKms("eu-west-1", CREDENTIALS, SystemClock(), endpoint=url)
        stack.push_async_callback(made.close)
        yield made


async def test_a12_a_provider_wraps_under_a_key_and_a_context(kms: Kms) -> None:
    reference = await kms.create("sotto-1")
    plain = os.urandom(32)
    wrapped = await kms.wrap(reference, plain, CONTEXT)
    assert plain not in wrapped and wrapped != await kms.wrap(reference, plain, CONTEXT)
    assert await kms.unwrap(reference, wrapped, CONTEXT) == plain
    with pytest.raises(IntegrityError):
        await kms.unwrap(reference, wrapped, {**CONTEXT, "version": "2"})
    assert await kms.unwrap(reference, wrapped, CONTEXT) == plain


async def test_a12_a_provider_refuses_a_changed_wrapped_key(kms: Kms) -> None:
    reference = await kms.create("sotto-1")
    wrapped = await kms.wrap(reference, b"k" * 32, CONTEXT)
    for place in (len(wrapped) // 2, len(wrapped) - 4):
        # Within the alphabet of base64, which Vault's wrapped keys are written in.
        other = b"A" if wrapped[place : place + 1] != b"A" else b"B"
        changed = wrapped[:place] + other + wrapped[place + 1 :]
        with pytest.raises(IntegrityError):
            await kms.unwrap(reference, changed, CONTEXT)
    with pytest.raises((IntegrityError, UnknownKey)):
        await kms.unwrap(reference, b"short", CONTEXT)
    assert await kms.unwrap(reference, wrapped, CONTEXT) == b"k" * 32


async def test_a12_a_destroyed_key_is_gone_at_the_provider(
    kms: Kms, request: pytest.FixtureRequest
) -> None:
    reference, other = await kms.create("sotto-1"), await kms.create("sotto-2")
    assert reference != other
    wrapped = await kms.wrap(reference, b"k" * 32, CONTEXT)
    await kms.destroy(reference)
    if "aws-moto" not in request.node.name:  # moto still decrypts with a key pending deletion
        with pytest.raises((KeyDestroyed, KeyInactive, UnknownKey)):
            await kms.unwrap(reference, wrapped, CONTEXT)
    assert await kms.wrap(other, b"k" * 32, CONTEXT)


async def test_a12_an_unknown_reference_wraps_nothing(kms: Kms) -> None:
    with pytest.raises((UnknownKey, Unavailable)):
        await kms.wrap("never-made", b"k" * 32, CONTEXT)


async def test_a12_each_provider_carries_the_whole_envelope(kms: Kms, tmp_path: Path) -> None:
    rig = Rig(tmp_path / "unused")
    rig.masters._providers = {kms.provider: kms}
    await rig.masters.ensure(kms.provider)
    await rig.envelope.start()
    sealed = await rig.envelope.seal("one", "room:r", b"aad", b"text")
    await rig.masters.introduce(kms.provider)
    assert (await rig.rewrap.run()).failed == 0
    rig.envelope.forget_all()
    assert await rig.envelope.open("one", b"aad", sealed) == b"text"


def patience(mood: str) -> float:
    """Only for who says nothing is the time-out waited out."""
    return 1.5 if mood == "silent" else 30.0


async def aws(url: str, mood: str = "fine") -> AwsKms:
    return AwsKms("eu-test-1", CREDENTIALS, FakeClock(), endpoint=url, seconds=patience(mood))


@pytest.mark.parametrize(
    ("mood", "error"),
    [
        ("throttling", Unavailable),
        ("silent", Unavailable),
        ("broken", Unavailable),
        ("AccessDeniedException", Unavailable),
        ("ExpiredTokenException", Unavailable),
        ("DisabledException", KeyInactive),
        ("KMSInvalidStateException", KeyInactive),
        ("NotFoundException", UnknownKey),
        ("InvalidCiphertextException", IntegrityError),
    ],
)
async def test_a12_the_bad_days_of_aws(mood: str, error: type[Exception]) -> None:
    fake = FakeAws()
    async with served(fake.handle) as url:
        kms = await aws(url, mood)
        reference = await kms.create("sotto-1")
        wrapped = await kms.wrap(reference, b"k" * 32, CONTEXT)
        fake.mood, fake.asked = mood, 0
        with pytest.raises(error) as caught:
            await kms.unwrap(reference, wrapped, CONTEXT)
        assert "AKID" not in str(caught.value) and "wJal" not in str(caught.value)
        assert fake.asked == (3 if mood in ("throttling", "silent", "broken") else 1)
        fake.mood = "fine"
        assert await kms.unwrap(reference, wrapped, CONTEXT) == b"k" * 32
        await kms.close()


async def test_a12_a_throttled_call_succeeds_at_the_second_attempt() -> None:
    fake = FakeAws()
    async with served(fake.handle) as url:
        kms = await aws(url)
        fake.mood = "throttling"
        asyncio.get_running_loop().call_later(0.05, setattr, fake, "mood", "fine")
        assert await kms.create("sotto-1")
        await kms.close()


async def test_a12_a_key_disabled_in_aws_locks_its_data_until_it_is_enabled(
    tmp_path: Path,
) -> None:
    fake = FakeAws()
    async with served(fake.handle) as url:
        kms = await aws(url)
        rig = Rig(tmp_path)
        rig.masters._providers = {"aws": kms}
        await rig.masters.ensure("aws")
        await rig.envelope.start()
        sealed = await rig.envelope.seal("one", "room:r", b"aad", b"text")
        reference = (await rig.masters.register()).versions[0].reference
        fake.states[reference] = "Disabled"
        assert await rig.envelope.open("one", b"aad", sealed) == b"text"  # cached
        rig.clock.advance(301)
        with pytest.raises(KeyInactive):
            await rig.envelope.open("one", b"aad", sealed)
        assert ("keys.unwrap", "denied") in rig.audit.actions()
        fake.states[reference] = "Enabled"
        assert await rig.envelope.open("one", b"aad", sealed) == b"text"
        await kms.close()


@pytest.mark.parametrize("mood", ["sealed", "throttling", "silent", "denied"])
async def test_a12_the_bad_days_of_vault(mood: str) -> None:
    fake = FakeVault("t")
    async with served(fake.handle) as url:
        kms = VaultKms(url, Secret("t"), seconds=patience(mood))
        reference = await kms.create("sotto-1")
        wrapped = await kms.wrap(reference, b"k" * 32, CONTEXT)
        fake.mood = mood
        with pytest.raises(Unavailable):
            await kms.unwrap(reference, wrapped, CONTEXT)
        fake.mood = "fine"
        assert await kms.unwrap(reference, wrapped, CONTEXT) == b"k" * 32
        await kms.close()


async def test_a12_a_kms_that_is_not_there_is_unavailable() -> None:
    kms = await aws(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable):
        await kms.create("sotto-1")
    await kms.close()


@pytest.mark.parametrize("url", ["http://kms.example.org", "ftp://kms.example.org"])
def test_a_plain_connection_to_a_kms_elsewhere_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        VaultKms(url, Secret("t"))


async def test_a12_a_key_file_must_be_ours_alone_and_whole(tmp_path: Path) -> None:
    kms = LocalKms(tmp_path, SystemEntropy())
    reference = await kms.create("sotto-1")
    path = tmp_path / "sotto-1.key"
    assert path.stat().st_mode & 0o777 == 0o600 and len(path.read_bytes()) == 32
    assert await kms.create("sotto-1") == "sotto-1-2"
    wrapped = await kms.wrap(reference, b"k" * 32, CONTEXT)
    path.chmod(0o644)
    with pytest.raises(ConfigError):
        await kms.unwrap(reference, wrapped, CONTEXT)
    path.chmod(0o600)
    path.write_bytes(b"short")
    with pytest.raises(ConfigError):
        await kms.unwrap(reference, wrapped, CONTEXT)
    path.unlink()
    with pytest.raises(Unavailable):
        await kms.unwrap(reference, wrapped, CONTEXT)
    for walk in ("../../etc/passwd", "a/b", "", "."):
        with pytest.raises(IntegrityError):
            await kms.unwrap(walk, wrapped, CONTEXT)


async def test_a12_a_systemd_credential_serves_as_master_key(tmp_path: Path) -> None:
    """systemd gives credentials mode 0400 in a directory of their own."""
    (tmp_path / "kek").write_bytes(os.urandom(32))
    (tmp_path / "kek").chmod(0o440)
    kms = LocalKms(None, SystemEntropy(), tmp_path)
    store = MemoryStore()
    from signaling.compliance.audit.port import MemoryAudit

    masters = Masters(KeyTable(store.meta), {"local": kms}, MemoryAudit(), SystemClock())
    await masters.ensure("local", "kek")
    number, wrapped = await masters.wrap(b"k" * 32, CONTEXT)
    assert await masters.unwrap(number, wrapped, CONTEXT) == b"k" * 32
    with pytest.raises(ClientError):
        await kms.create("another")
    with pytest.raises(ClientError):
        await kms.destroy("kek")


# The binding complains about the session that the test takes away under it.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a12_softhsm_keeps_its_keys_in_and_the_session_comes_back(softhsm: Path) -> None:
    kms = Pkcs11Kms(str(softhsm), "sotto", Secret("1234"), SystemEntropy())
    reference = await kms.create("session")
    wrapped = await kms.wrap(reference, b"k" * 32, CONTEXT)
    kms._session.close()
    assert await kms.unwrap(reference, wrapped, CONTEXT) == b"k" * 32
    listed = subprocess.run(  # noqa: ASYNC221 - nothing else runs on this loop
        ["pkcs11-tool", "--module", str(softhsm), "--login", "--pin", "1234", "--list-objects"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert "never extractable" in listed and "sensitive" in listed
    await kms.close()


async def test_a12_a_wrong_pin_or_module_is_unavailable(softhsm: Path) -> None:
    assert shutil.which("softhsm2-util")
    for kms in (
        Pkcs11Kms(str(softhsm), "nobodys", Secret("1234"), SystemEntropy()),
        Pkcs11Kms("/nonexistent.so", "sotto", Secret("1234"), SystemEntropy()),
    ):
        with pytest.raises(Unavailable) as caught:
            await kms.create("x")
        assert "1234" not in str(caught.value)
        await kms.close()
