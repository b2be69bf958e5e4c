"""A hundred connections one after the other by urllib: `hundred_urllib.py HOST PORT`, GET /0 ... /99."""

from __future__ import annotations

import ssl
import sys
import urllib.request

HOST, PORT = sys.argv[1:]
CONTEXT = ssl._create_unverified_context()
HOST = f"[{HOST}]" if ":" in HOST else HOST

for number in range(100):
    with urllib.request.urlopen(f"https://{HOST}:{PORT}/{number}", context=CONTEXT) as response:
        response.read()
