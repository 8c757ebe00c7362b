"""The image's health check: whether the server in the container answers.

RILL_HEALTH_URL is its address. A certificate is not verified, because it has
the server's public name.
"""

from __future__ import annotations

import http.client
import os
import ssl
import sys
import urllib.request

SECONDS = 8.0


def main() -> None:
    """Exits with 1 and one line if there is no answer, or another one than 200."""
    url = os.environ.get("RILL_HEALTH_URL", "http://127.0.0.1:8080/health")
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    no_proxy = urllib.request.ProxyHandler({})
    ask = urllib.request.build_opener(no_proxy, urllib.request.HTTPSHandler(context=trust)).open
    try:
        with ask(url, timeout=SECONDS) as answer:
            print(answer.read().decode(errors="replace"))
    except (OSError, ValueError, http.client.HTTPException) as error:
        sys.exit(f"{url}: {error}")


if __name__ == "__main__":
    main()
