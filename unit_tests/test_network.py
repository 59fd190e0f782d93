"""What is worked out once for all requests: the pool of connections of a host, and the form of an address."""

from collections.abc import Mapping
from typing import Any

import pytest
import requests

from source_backlog.api.client import query_of
from source_backlog.api.network import RememberingAdapter

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
    "params",
    [
        {},
        {"count": 100, "order": "asc", "minId": None},
        {"projectId[]": 7, "id[]": [1, 2], "expand[]": "childIssueSummary"},
        {"path": "/資料/見積 (改).xlsx", "flag": True, "sign": "a+b&c=d"},
    ],
)
def test_an_address_is_the_one_that_requests_makes(params: Mapping[str, Any]) -> None:
    url = "https://acme.backlog.jp/api/v2/projects/1/files/metadata/資料"
    made = prepared(url)
    made.prepare_url(url, query_of(params))
    assert made.url == requests.Request("GET", url, params=dict(params)).prepare().url
