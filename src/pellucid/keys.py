"""What `-m keylog` and `-k` mean for the other settings."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pellucid.errors import UsageError
from pellucid.sink.keylog import KeyLogSink

if TYPE_CHECKING:
    from pellucid.settings import Tls

DEFAULT_FILE = "pellucid_openssl_key.log"


def with_key_log(settings: Tls) -> Tls:
    """The settings with the output that they mean for secrets. UsageError where the flags exclude each other."""
    outputs = settings.output
    logs = [text for text in outputs if text.partition(":")[0] == KeyLogSink.format]
    if settings.model == "text":
        if settings.keylogfile is not None or logs:
            flag = f"-o {logs[0]}" if logs else f"-k {settings.keylogfile}"
            raise UsageError(f"{flag} is for secrets, and -m text captures plaintext: say -m keylog")
        return settings
    if settings.keys and settings.masks:
        raise UsageError(
            f"--redact masks credentials, and -m {settings.model} captures nothing else: leave one of them out"
        )
    if settings.keys and (settings.port or settings.host):
        raise UsageError(
            f"-m {settings.model} does not know addresses: --port and --host are for -m text; --pid, --uid, --comm, "
            "--cgroup_path and --container say whose secrets are meant"
        )
    place = settings.keylogfile
    if place is None and settings.keys and not (outputs or settings.eventaddr or settings.record):
        place = DEFAULT_FILE
    if place is None:
        return settings
    return dataclasses.replace(settings, output=(*outputs, f"{KeyLogSink.format}:{place}"))
