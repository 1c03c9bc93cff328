"""Each way to a device against a service that checks: what arrives, what its answers come to."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from aiohttp import web

from signaling.clock import FakeClock, SystemClock
from signaling.delivery.port import Dead, Delivered, Gone, Retry
from signaling.delivery.push.apns import TOKEN_SECONDS, Apns, ApnsKey, ProviderToken
from signaling.delivery.push.fcm import Fcm, read_account
from signaling.delivery.push.http2 import Http2, Http2Failed, Open
from signaling.delivery.push.model import ApnsEnvironment, Parcel, PushKind, Subscription
from signaling.delivery.push.ways import WebPush
from signaling.delivery.push.webpush import Vapid
from signaling.egress import Allow, Egress, EgressFailed, EgressRefused
from signaling.ids import SystemEntropy
from signaling.secret import Secret
from tests.signaling.compliance.certificates import Pki, make
from tests.signaling.delivery.push import services

IDENT = "0190f5fe-7c00-7a00-8000-000000000001"


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return make(tmp_path / "pki")


@contextlib.asynccontextmanager
async def guard(pki: Pki, *ports: int) -> AsyncIterator[Egress]:
    network = ipaddress.ip_network("127.0.0.1/32")
    made = Egress([Allow(network, port, str(pki.authority)) for port in ports])
    try:
        yield made
    finally:
        await made.close()


def parcel(kind: str = "message", **more: object) -> Parcel:
    wish = {
        "account": "bob", "kind": kind, "content": '{"kind":"message","tag":"t"}',
        "urgency": "normal", "tag": "t" * 32,
    }  # fmt: skip
    return msgspec.convert({**wish, **more}, Parcel)


def subscription(kind: PushKind, **more: object) -> Subscription:
    return Subscription(
        id="s1", account="bob", session="x", device="phone", kind=kind, created=0.0,
        **more,  # type: ignore[arg-type]
    )  # fmt: skip


# Web Push


def subscribed(browser: services.Browser) -> Subscription:
    return subscription(
        PushKind.WEB_PUSH, endpoint=browser.endpoint, p256dh=browser.point, auth=browser.auth
    )


def web_way(egress: Egress) -> WebPush:
    vapid = Vapid(b"\x05" * 32, "mailto:ops@example.org", SystemClock())
    return WebPush(egress, vapid, SystemEntropy(), SystemClock())


async def test_a_browser_reads_what_was_sent_and_how_long_it_may_wait(pki: Pki) -> None:
    async with services.web_push(pki) as service, guard(pki, service.port) as egress:
        browser = service.browser("one")
        way = web_way(egress)
        outcome = await way.send(subscribed(browser), parcel(urgency="high"), IDENT, 30)
        assert outcome == Delivered(), service.faults
        (told,) = browser.arrivals.told
        assert told.said == {"kind": "message", "tag": "t"}
        fields = {name: told.headers[name] for name in ("ttl", "urgency", "topic")}
        assert fields == {"ttl": "30", "urgency": "high", "topic": "t" * 32}
        await way.send(subscribed(browser), parcel(), IDENT, 30)
        first, second = browser.arrivals.told
        assert first.size == second.size == 600 + 14, "padded to a step"


@pytest.mark.parametrize(
    ("status", "headers", "outcome"),
    [
        (404, {}, Gone("the push service answered 404")),
        (410, {}, Gone("the push service answered 410")),
        (403, {}, Gone("the push service answered 403")),
        (429, {"Retry-After": "7"}, Retry(7.0, "the push service answered 429")),
        (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"},
         Retry(0.0, "the push service answered 503")),
        (500, {}, Retry(0.0, "the push service answered 500")),
        (413, {}, Dead("the push service answered 413")),
        (400, {}, Dead("the push service answered 400")),
        (302, {"Location": "https://169.254.169.254/"}, Dead("the push service answered 302")),
    ],
)  # fmt: skip
async def test_what_a_push_services_answer_comes_to(
    pki: Pki, status: int, headers: dict[str, str], outcome: object
) -> None:
    async with services.web_push(pki) as service, guard(pki, service.port) as egress:
        browser = service.browser("one")
        browser.arrivals.answers.append((status, headers))
        found = await web_way(egress).send(subscribed(browser), parcel(), IDENT, 30)
        assert found == outcome


async def test_a_private_push_service_is_not_called_unless_the_operator_names_it(pki: Pki) -> None:
    async with services.web_push(pki) as service, guard(pki) as egress:
        browser = service.browser("one")
        found = await web_way(egress).send(subscribed(browser), parcel(), IDENT, 30)
        assert isinstance(found, Dead)
        assert browser.arrivals.tries == 0
        with pytest.raises(EgressRefused):
            await egress.check(browser.endpoint)


async def test_a_push_service_that_is_away_is_tried_again(pki: Pki) -> None:
    async with services.web_push(pki) as service:
        one = subscribed(service.browser("one"))
    async with guard(pki, service.port) as egress:
        assert isinstance(await web_way(egress).send(one, parcel(), IDENT, 30), Retry)


# FCM


async def test_fcm_takes_a_data_message_with_one_token_for_many(pki: Pki) -> None:
    async with services.fcm(pki) as service, guard(pki, service.port) as egress:
        way = Fcm(read_account(Secret(service.account())), service.url, egress, SystemClock())
        one = subscription(PushKind.FCM, token="device-token")
        assert await way.send(one, parcel(urgency="high"), IDENT, 30) == Delivered()
        assert await way.send(one, parcel(), IDENT, 60) == Delivered()
        first, second = service.arrivals.told
        assert first.said == {"kind": "message", "tag": "t"}
        assert first.headers == {
            "priority": "HIGH", "ttl": "30s", "collapse_key": "t" * 32, "token": "device-token",
        }  # fmt: skip
        assert second.headers["priority"] == "NORMAL"
        assert len(service.tokens) == 1


async def test_what_fcms_answers_come_to(pki: Pki) -> None:
    async with services.fcm(pki) as service, guard(pki, service.port) as egress:
        way = Fcm(read_account(Secret(service.account())), service.url, egress, SystemClock())
        one = subscription(PushKind.FCM, token="device-token")
        service.errors += [(404, "UNREGISTERED"), (403, "SENDER_ID_MISMATCH"), (400, "INVALID"),
                           (429, "QUOTA_EXCEEDED"), (503, "UNAVAILABLE")]  # fmt: skip
        found = [await way.send(one, parcel(), IDENT, 30) for _ in range(5)]
        assert [type(outcome) for outcome in found] == [Gone, Gone, Dead, Retry, Retry]
        assert found[3] == Retry(7.0, "FCM answered 429 QUOTA_EXCEEDED")
        # A token that ended early is asked for again.
        service.tokens.append("another")
        assert isinstance(await way.send(one, parcel(), IDENT, 30), Retry)
        assert await way.send(one, parcel(), IDENT, 30) == Delivered()
        assert service.tokens[-1] == "ya29.2"


async def test_fcm_is_guarded_too(pki: Pki) -> None:
    async with services.fcm(pki) as service, guard(pki) as egress:
        way = Fcm(read_account(Secret(service.account())), service.url, egress, SystemClock())
        one = subscription(PushKind.FCM, token="device-token")
        assert isinstance(await way.send(one, parcel(), IDENT, 30), Dead)
        assert service.tokens == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"project_id": 5}', "-----BEGIN"])
def test_what_is_no_service_account_is_refused_without_saying_what_it_is(text: str) -> None:
    with pytest.raises(ValueError, match="service account"):
        read_account(Secret(text))


# APNs


def opener(egress: Egress, url: str) -> Open:
    return lambda: egress.connect(url, alpn=("h2",))


def apns_way(service: services.ApnsService, egress: Egress) -> Apns:
    key = ApnsKey("KEYKEYKEY1", "TEAMTEAM12", "org.example.tea", Secret(service.pem()))
    urls = dict.fromkeys(ApnsEnvironment, service.url)
    return Apns(key, urls, lambda url: opener(egress, url), SystemClock())


PHONE = "ab" * 32


async def test_apns_takes_alerts_rings_and_silence_over_one_connection(pki: Pki) -> None:
    async with services.apns(pki) as service, guard(pki, service.port) as egress:
        way = apns_way(service, egress)
        one = subscription(PushKind.APNS, token=PHONE)
        voip = subscription(PushKind.APNS, token=PHONE, voip=True)
        sent = [
            await way.send(one, parcel(title="Tea", text="hello"), IDENT, 30),
            await way.send(voip, parcel("call", urgency="high"), IDENT, 30),
            await way.send(one, parcel("read", urgency="low"), IDENT, 30),
        ]
        await way.close()
        assert sent == [Delivered()] * 3
        alert, ring, silence = service.arrivals.told
        assert service.connections == 1
        assert alert.path == f"/3/device/{PHONE}"
        assert alert.said["aps"]["alert"] == {"title": "Tea", "body": "hello"}
        assert alert.said["sotto"] == {"kind": "message", "tag": "t"}
        names = ("apns-push-type", "apns-priority", "apns-collapse-id", "apns-id")
        assert [alert.headers[name] for name in names] == ["alert", "10", "t" * 32, IDENT]
        assert (ring.headers["apns-push-type"], ring.headers["apns-priority"]) == ("voip", "10")
        assert silence.headers["apns-push-type"] == "background"
        left = int(alert.headers["apns-expiration"]) - SystemClock().unix()
        assert 20 < left <= 30


async def test_what_apns_answers_come_to(pki: Pki) -> None:
    async with services.apns(pki) as service, guard(pki, service.port) as egress:
        way = apns_way(service, egress)
        one = subscription(PushKind.APNS, token=PHONE)
        service.errors += [(410, "Unregistered"), (400, "BadDeviceToken"), (400, "BadTopic"),
                           (429, "TooManyRequests"), (503, "ServiceUnavailable"),
                           (403, "ExpiredProviderToken"), (413, "PayloadTooLarge")]  # fmt: skip
        found = [await way.send(one, parcel(), IDENT, 30) for _ in range(7)]
        await way.close()
        kinds = [Gone, Gone, Dead, Retry, Retry, Retry, Dead]
        assert [type(outcome) for outcome in found] == kinds
        assert found[3] == Retry(7.0, "APNs answered 429 TooManyRequests")


async def test_apns_says_goodbye_and_is_called_again(pki: Pki) -> None:
    async with services.apns(pki) as service, guard(pki, service.port) as egress:
        way = apns_way(service, egress)
        one = subscription(PushKind.APNS, token=PHONE)
        service.goodbye = 1
        assert isinstance(await way.send(one, parcel(), IDENT, 30), Retry)
        assert await way.send(one, parcel(), IDENT, 30) == Delivered()
        assert service.connections == 2
        for writer in service.writers:
            writer.transport.abort()
        await asyncio.sleep(0.1)
        assert await way.send(one, parcel(), IDENT, 30) == Delivered(), "its end was noticed"
        await way.close()


async def test_more_requests_than_streams_wait_their_turn(pki: Pki) -> None:
    async with services.apns(pki) as service, guard(pki, service.port) as egress:
        service.streams = 2
        way = apns_way(service, egress)
        one = subscription(PushKind.APNS, token=PHONE)
        # The first learns how many the other side takes.
        await way.send(one, parcel(), IDENT, 30)
        text = "x" * 3000
        many = await asyncio.gather(
            *(way.send(one, parcel(text=text, title="Tea"), IDENT, 30) for _ in range(40))
        )
        await way.close()
        assert many == [Delivered()] * 40
        assert service.connections == 1


async def test_a_silent_apns_is_given_up_and_the_next_request_has_another_connection(
    pki: Pki,
) -> None:
    async with services.apns(pki) as service, guard(pki, service.port) as egress:
        client = Http2(opener(egress, service.url), "127.0.0.1")
        service.silent = True
        with pytest.raises(Http2Failed, match="no answer"):
            await client.post("/3/device/x", {}, b"{}", seconds=1.0)
        service.silent = False
        reply = await client.post("/3/device/x", {}, b"{}", seconds=30)
        assert reply.status == 403, "it was asked without a token"
        assert service.connections == 2
        await client.close()


async def test_what_is_no_http2_is_a_failure(pki: Pki) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" * 10)
        with contextlib.suppress(OSError):
            await writer.drain()
            await reader.read(1000)
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0, ssl=services.context(pki))
    port = server.sockets[0].getsockname()[1]
    async with guard(pki, port) as egress:
        client = Http2(opener(egress, f"https://127.0.0.1:{port}"), "127.0.0.1")
        with pytest.raises(Http2Failed):
            await client.post("/", {}, b"{}", seconds=30)
        await client.close()
    server.close()


async def test_a_guarded_connection_is_refused_like_a_request(pki: Pki) -> None:
    async with services.apns(pki) as service:
        async with guard(pki) as egress:
            with pytest.raises(EgressRefused):
                await egress.connect(service.url, alpn=("h2",))
            one = subscription(PushKind.APNS, token=PHONE)
            assert isinstance(await apns_way(service, egress).send(one, parcel(), IDENT, 9), Dead)
        async with guard(pki, service.port) as egress:
            with pytest.raises(EgressRefused):
                await egress.connect(service.url.replace("https", "http"))
            with pytest.raises(EgressFailed):  # another CA's certificate, another name
                await egress.connect(service.url.replace("127.0.0.1", "localhost"))
        assert service.connections == 0


def test_the_provider_token_is_signed_anew_between_twenty_minutes_and_an_hour() -> None:
    clock = FakeClock()
    key = ApnsKey("KEYKEYKEY1", "TEAMTEAM12", "t", Secret(services.ApnsService().pem()))
    token = ProviderToken(key, clock)
    first = token.current()
    clock.advance(20 * 60)
    assert token.current() == first
    clock.advance(TOKEN_SECONDS - 20 * 60)
    assert token.current() != first
    assert 20 * 60 < TOKEN_SECONDS < 3600


@pytest.mark.parametrize("pem", ["", "-----BEGIN", services.FcmService().account()])
def test_a_key_that_cannot_sign_is_refused(pem: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        ProviderToken(ApnsKey("k", "t", "t", Secret(pem)), SystemClock())


# Services that mean no good (OWASP API10)


async def test_endless_answers_are_not_read_to_their_end(pki: Pki) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=201)
        await response.prepare(request)
        with contextlib.suppress(OSError):
            for _ in range(10_000):
                await response.write(bytes(65536))
                sent.append(65536)
        return response

    sent: list[int] = []
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", endless)
    async with services.serving(app, pki) as port, guard(pki, port) as egress:
        browser = services.Browser("/wp/x", services.WebPushService())
        browser.service.port = port
        found = await web_way(egress).send(subscribed(browser), parcel(), IDENT, 30)
        assert isinstance(found, Dead)
        assert sum(sent) < 100_000_000


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"access_token": 5}', b"\xff" * 100])
async def test_a_token_that_is_none_is_asked_for_again(pki: Pki, body: bytes) -> None:
    async def token(request: web.Request) -> web.Response:
        return web.Response(body=body)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", token)
    async with services.serving(app, pki) as port, guard(pki, port) as egress:
        service = services.FcmService()
        service.port = port
        way = Fcm(read_account(Secret(service.account())), service.url, egress, SystemClock())
        found = await way.send(subscription(PushKind.FCM, token="x"), parcel(), IDENT, 30)
        assert isinstance(found, Retry)


async def test_an_endless_answer_of_apns_is_cut(pki: Pki) -> None:
    async with services.apns(pki) as service, guard(pki, service.port) as egress:
        service.flood = 40
        found = await apns_way(service, egress).send(
            subscription(PushKind.APNS, token=PHONE), parcel(), IDENT, 30
        )
        assert found == Retry(0.0, "APNs: the answer is too long")
