"""What `-m keylog` and `-k` mean for the other settings."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from pellucid.sink.keylog import KeyLogSink

if TYPE_CHECKING:
    from pellucid.settings import Tls

DEFAULT_FILE = "pellucid_openssl_key.log"


def with_key_log(settings: Tls) -> Tls:
    """The settings with the output that they mean for secrets."""
    outputs = settings.output
    place = settings.keylogfile
    if place is None and settings.keys and not (outputs or settings.eventaddr or settings.record):
        place = DEFAULT_FILE
    if place is None:
        return settings
    return dataclasses.replace(settings, output=(*outputs, f"{KeyLogSink.format}:{place}"))
