"""WeCom, Feishu and DingTalk: that their addresses are taken, what is sent, and that a refusal is seen as one.

Their addresses name no server, so apprise cannot be told another by them: the test puts a local one in the place of the
constant in apprise's own class, and everything else is as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest

from tests.noticing import HttpServer
from vaultd.notices import attempt
from vaultd.notices.attempt import Message

# apprise looks for imghdr, which Python 3.13 has dropped.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

MESSAGE = Message("演练：机房浓烟", "请从北门撤离。\nDRILL-2026-001")

SERVICES = {
    "wecom": ("apprise.plugins.wecombot", "NotifyWeComBot", "/cgi-bin/webhook/send?key={key}", "wecombot://0a1b-2c3d"),
    "feishu": ("apprise.plugins.feishu", "NotifyFeishu", "/open-apis/bot/v2/hook/{token}/", "feishu://tok4711"),
    "dingtalk": (
        "apprise.plugins.dingtalk", "NotifyDingTalk", "/robot/send?access_token={token}", "dingtalk://SEC12@tok4711",
    ),
}  # fmt: skip


@pytest.fixture
def http() -> Iterator[HttpServer]:
    made = HttpServer()
    yield made
    made.close()


@pytest.fixture(params=list(SERVICES))
def service(request: pytest.FixtureRequest, http: HttpServer, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """A service's name and address, the service being on this host."""
    module, name, path, address = SERVICES[request.param]
    found = getattr(import_module(module), name)
    assert found.notify_url.endswith(path)  # the real server's
    monkeypatch.setattr(found, "notify_url", http.base + path)
    return request.param, address


def content(service: str, sent: dict[str, Any]) -> str:
    if service == "feishu":
        assert sent["msg_type"] == "text"
        return str(sent["content"]["text"])
    assert sent["msgtype"] == "text"
    return str(sent["text"]["content"])


def test_what_is_sent(service: tuple[str, str], http: HttpServer) -> None:
    name, address = service
    http.answer = b'{"errcode": 0, "errmsg": "ok", "code": 0, "msg": "success"}'
    assert attempt.send(address, MESSAGE) == ""
    (sent,) = http.got
    text = content(name, sent)
    assert text.replace("\r\n", "\n") == f"{MESSAGE.title}\n{MESSAGE.text}"
    (path,) = http.paths
    assert ("0a1b-2c3d" if name == "wecom" else "tok4711") in path
    assert ("sign=" in path) is (name == "dingtalk")


def test_a_refusal_with_status_200_is_none_of_success(service: tuple[str, str], http: HttpServer) -> None:
    name, address = service
    refused = {
        "wecom": (b'{"errcode": 45009, "errmsg": "api freq out of limit"}', "errcode-45009"),
        "dingtalk": (b'{"errcode": 310000, "errmsg": "keywords not in content"}', "errcode-310000"),
        "feishu": (b'{"code": 9499, "msg": "Bad Request", "data": {}}', "code-9499"),
    }
    http.answer, word = refused[name]
    assert attempt.send(address, MESSAGE) == word


def test_success_of_other_services_is_not_taken_for_refusal(http: HttpServer) -> None:
    http.answer = b'{"code": 200, "msg": "done"}'
    assert attempt.send(http.url, MESSAGE) == ""


def test_no_redirect_is_followed(http: HttpServer) -> None:
    """A notice goes where it was meant to, or nowhere."""
    http.status = 307
    assert attempt.send(http.url, MESSAGE) == "http-307"
    assert len(http.paths) == 1


@pytest.mark.parametrize("answer", [b"", b"[1]", b"\xff", b'{"errcode": "x"}', b"[" * 100_000])
def test_whatever_a_server_answers_with_status_200_is_success_unless_it_says_otherwise(
    http: HttpServer, answer: bytes
) -> None:
    http.answer = answer
    assert attempt.send(http.url, MESSAGE) == ""


@pytest.mark.parametrize(
    "address", ["mailtos://user:pw@mail.example.org?to=duty@example.org", "jsons://h/p", "lark://t-1"]
)
def test_addresses_of_the_example_are_known(address: str) -> None:
    import apprise

    assert apprise.Apprise.instantiate(address) is not None
