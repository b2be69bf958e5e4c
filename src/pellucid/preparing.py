"""What a capture and a replay decide alike, before anything is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pellucid.errors import UsageError
from pellucid.memory import divide
from pellucid.redact import Redactor, Rules, load_rules
from pellucid.settings import Capture, Tls
from pellucid.sink.keylog import KeyLogSink

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pellucid.memory import Memory
    from pellucid.parse.grpc.schema import Schema
    from pellucid.settings import Show
    from pellucid.sink import SinkSpec


def schema_of(files: Sequence[Path]) -> Schema | None:
    """What --proto says, before anything is forked or given up: the decoder opens no files."""
    if not files:
        return None
    from pellucid.protos import read_schema  # noqa: PLC0415 - protobuf's runtime is 70 ms of every start

    return read_schema(files)


def divided(settings: Show, specs: list[SinkSpec], processes: int) -> Memory:
    """What `--memory` leaves to whom; connections are held where it is not known yet whether they are wanted."""
    return divide(
        settings.memory,
        settings.max_body,
        processes,
        selecting=bool(settings.port or settings.host or (isinstance(settings, Tls) and settings.packets)),
        remotes=sum(spec.endpoint is not None for spec in specs),
        compressed=sum(spec.compressed for spec in specs),
    )


def redactor_of(settings: Show) -> Redactor | None:
    """What masks credentials, if it is asked for. UsageError for rules that are none."""
    if not settings.masks:
        return None
    if isinstance(settings, Capture) and settings.record is not None:
        raise UsageError(
            "--record keeps every byte as it was, which --redact cannot mask: record without --redact, "
            "and give it to pellucid replay"
        )
    if any(text.partition(":")[0] == KeyLogSink.format for text in settings.output):
        raise UsageError(
            "--redact masks credentials, and a key log holds nothing else: leave one of them out"
        )
    rules = load_rules(settings.redact_rules) if settings.redact_rules else Rules()
    return Redactor(rules, sql=settings.redact_sql)
