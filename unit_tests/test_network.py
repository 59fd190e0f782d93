"""What is worked out once for all requests: the pool of connections of a host, and the form of an address."""

from collections.abc import Mapping
from typing import Any

import pytest
import requests
from airbyte_cdk.utils.traced_exception import AirbyteTracedException

from source_backlog.api.network import RememberingAdapter
from source_backlog.api.requester import BacklogRequester
from source_backlog.space import Space
from unit_tests.conftest import BASE

PROXY = "http://proxy.example:3128"  # ignore-https-check


def prepared(url: str) -> requests.PreparedRequest:
    return requests.Request("GET", url).prepare()


def test_a_host_has_one_pool_for_each_way_to_it(tmp_path: Any) -> None:
    adapter = RememberingAdapter(pool_connections=4)
    one, other = (prepared(f"https://{name}.backlog.jp/api/v2/space") for name in ("acme", "else"))

    def pool(request: requests.PreparedRequest, verify: Any = True, proxies: Any = None) -> Any:
        return adapter.get_connection_with_tls_context(request, verify, proxies)

    assert pool(one) is pool(prepared("https://acme.backlog.jp/api/v2/issues/1?count=100"))
    pools = [pool(one), pool(other), pool(one, str(tmp_path)), pool(one, proxies={"https": PROXY})]
    assert len({id(each) for each in pools}) == 4
    assert [each.host for each in pools] == ["acme.backlog.jp", "else.backlog.jp", "acme.backlog.jp", "acme.backlog.jp"]
    assert pools[2].ca_cert_dir == str(tmp_path)
    assert pools[3].proxy.host == "proxy.example"


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("proxies", [None, {}, {"http": PROXY, "https": PROXY}])
def test_what_is_asked_for_is_what_requests_asks_for(scheme: str, proxies: Any) -> None:
    request = prepared(f"{scheme}://acme.backlog.jp/api/v2/issues?count=100")
    expected = requests.adapters.HTTPAdapter().request_url(request, proxies)
    assert RememberingAdapter().request_url(request, proxies) == expected


@pytest.mark.parametrize(
    "path", ["issues", "projects/1/files/metadata/%E8%B3%87%E6%96%99%20(1)", "projects/1/files/metadata/資料", "a/~b'c"]
)
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"count": 100, "order": "asc", "minId": None},
        {"projectId[]": 7, "id[]": [1, 2], "expand[]": "childIssueSummary"},
        {"path": "/資料/見積 (改).xlsx", "flag": True, "sign": "a+b&c=d~e*'!"},
    ],
)
def test_an_address_is_the_one_that_requests_makes(
    requester: BacklogRequester, space: Space, monkeypatch: pytest.MonkeyPatch, path: str, params: Mapping[str, Any]
) -> None:
    space.memory["rate limit"] = None
    sent: list[Any] = []

    def send(_: Any, request: requests.PreparedRequest, **__: Any) -> Any:
        sent.append(request.url)
        raise requests.ConnectTimeout

    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(RememberingAdapter, "send", send)
    for _ in range(2):
        with pytest.raises(AirbyteTracedException):
            requester.look(path, params)
    assert set(sent) == {requests.Request("GET", BASE + path, params=dict(params)).prepare().url}
