"""What the environment says of the network: the proxy on the way to Backlog, and the authorities that are trusted."""

import os
import ssl
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies, select_proxy

# The first that is set counts. `requests` knows the first two, Python and most other programs the last.
AUTHORITIES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


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
