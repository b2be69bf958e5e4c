"""An HTTP/3 client by curl, with BoringSSL inside: `http3_client.py URL`. Prints status and body."""

from __future__ import annotations

import sys

from curl_cffi import CurlHttpVersion, requests

answer = requests.get(sys.argv[1], http_version=CurlHttpVersion.V3ONLY, verify=False)
print(answer.status_code, answer.text)  # noqa: T201
