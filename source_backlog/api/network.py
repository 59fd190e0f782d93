"""What the environment says of the network: the proxy on the way to Backlog, and the authorities that are trusted."""

import os
import ssl
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import get_environ_proxies, select_proxy
from urllib3.connectionpool import ConnectionPool

# The first that is set counts. `requests` knows the first two, Python and most other programs the last.
AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


class RememberingAdapter(HTTPAdapter):
    """The adapter of `requests`, which looks for the pool of a host once and not with each request.

    Why: it reads the address anew for that, and asks the disk whether the authorities are a folder.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._found: dict[Any, ConnectionPool] = {}

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> ConnectionPool:
        """The pool of the connections to the host of a request."""
        known = (*str(request.url).split("/", 3)[:3], verify, cert, *(proxies or {}).items())
        if known not in self._found:
            self._found[known] = super().get_connection_with_tls_context(request, verify, proxies, cert)
        return self._found[known]

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        """What is asked for: the path, or the whole address where there is a proxy."""
        return super().request_url(request, proxies) if proxies else request.path_url


def authorities() -> str | bool:
    """The file of certificates that a server has to be verified with; True for those that `requests` brings along."""
    return next((path for name in AUTHORITIES if (path := os.environ.get(name))), True)


def unusable_authorities() -> str:
    """What is wrong with the file of trusted certificates; "" when it can be used, or none is named."""
    name = next((name for name in AUTHORITIES if os.environ.get(name)), None)
    if name is None:
        return ""
    path = os.environ[name]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(**{"capath" if os.path.isdir(path) else "cafile": path})
    except ssl.SSLError:
        return f"The file {path}, which {name} names, holds no certificates in PEM format."
    except OSError as error:
        return f"The file {path}, which {name} names, cannot be read: {error.strerror or 'it cannot be opened'}."
    return ""


def proxy_of(url: str) -> str:
    """The proxy that requests to `url` go through, without user and password; "" when there is none."""
    proxy = select_proxy(url, get_environ_proxies(url)) or ""
    try:
        parts = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        return f"{parts.hostname or ''}:{parts.port}" if parts.port else parts.hostname or ""
    except ValueError:
        return ""
