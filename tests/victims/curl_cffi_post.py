"""What curl-cffi, which imitates a browser's TLS, posts and gets.

usage: curl_cffi_post.py FILE POST_URL GET_URL - writes the SHA-256 of what the second answers.
"""

import hashlib
import sys
from pathlib import Path

from curl_cffi import requests

file, upload, download = sys.argv[1:]
with requests.Session(impersonate="chrome", verify=False) as session:
    assert session.post(upload, data=Path(file).read_bytes()).status_code == 201
    sys.stdout.write(hashlib.sha256(session.get(download).content).hexdigest())
