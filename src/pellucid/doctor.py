"""`pellucid doctor`: what this machine can do, what it cannot, and what to do about it."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec

from pellucid.attach.features import FEATURES, INSTALLATION, examine, unsupported
from pellucid.libbpf import trial
from pellucid.sink.style import has_colors, painter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pellucid.attach.features import Feature, Finding, State
    from pellucid.sink.style import Paint, Style

_STYLES: dict[State, Style] = {
    "ok": "success",
    "missing": "failure",
    "warn": "attention",
    "unchecked": "time",
}
_STATE_WIDTH = max(map(len, _STYLES))


def run(*, as_json: bool, features: Sequence[Feature] = FEATURES + INSTALLATION) -> int:
    """Write the report on stdout; the exit status: 0 if a capture can run here, else 1."""
    findings = list(examine(features))
    if as_json:
        text = msgspec.json.format(msgspec.json.encode(_document(findings)), indent=2).decode()
    else:
        text = "\n".join(report(findings, painter(has_colors(sys.stdout.fileno()))))
    sys.stdout.write(f"{text}\n")
    return 0 if can_run(findings) else 1


def can_run(findings: Sequence[Finding]) -> bool:
    """Whether everything is there that a capture needs."""
    return all(finding.state == "ok" for finding in findings if finding.feature.required)


def report(findings: Sequence[Finding], paint: Paint) -> Iterator[str]:
    """The lines of the report: a row for each finding, what to do below each problem, and the conclusion."""
    width = max(len(finding.feature.name) for finding in findings)
    indent = " " * (_STATE_WIDTH + width + 4)
    yield "  ".join(f"{name} {value}" for name, value in _machine().items())
    yield ""
    for feature, state, text in findings:
        yield f"{paint(_STYLES[state], f'{state:{_STATE_WIDTH}}')}  {feature.name:{width}}  {text}"
        if state == "missing":
            yield f"{indent}{unsupported(feature).needs}"
        elif state == "warn":
            yield f"{indent}{feature.do}; till then {feature.without}"
    yield ""
    yield _conclusion(findings, paint)


def _conclusion(findings: Sequence[Finding], paint: Paint) -> str:
    if can_run(findings):
        return paint("success", "pellucid tls can run here")
    missing = ", ".join(finding.feature.name for finding in findings if finding.state == "missing")
    unchecked = sum(finding.state == "unchecked" for finding in findings)
    more = f" ({unchecked} more could not be tried)" if unchecked else ""
    return paint("failure", f"pellucid tls cannot run here: it needs {missing}{more}")


def _machine() -> dict[str, str]:
    system = os.uname()
    return {
        "pellucid": version("pellucid"),
        "kernel": system.release,
        "machine": system.machine,
        "libbpf": trial.version(),
    }


def _document(findings: Sequence[Finding]) -> dict[str, Any]:
    rows = [
        {
            "name": feature.name,
            "state": state,
            "required": feature.required,
            "found": text,
            "use": feature.use,
            "needs": feature.needs,
            "without": feature.without,
            "do": feature.do,
        }
        for feature, state, text in findings
    ]
    return {**_machine(), "can_run": can_run(findings), "features": rows}
