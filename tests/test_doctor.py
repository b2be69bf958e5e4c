"""The report, its conclusion and its status, on machines that lack one thing or another."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from pellucid import doctor
from pellucid.attach.features import FEATURES, INSTALLATION
from pellucid.errors import PellucidError, Unsupported
from pellucid.sink.style import painter

HEALTHY = tuple(replace(feature, probe=lambda: "there", after=()) for feature in FEATURES + INSTALLATION)


def absent():
    raise PellucidError("the reason")


def without(name):
    """A machine that has everything but this."""
    return tuple(replace(row, probe=absent) if row.name == name else row for row in HEALTHY)


def test_a_machine_that_has_everything(capfd):
    """Status 0, a row for each feature, and nothing to do."""
    assert doctor.run(as_json=False, features=HEALTHY) == 0
    head, blank, *rows, blank_too, conclusion = capfd.readouterr().out.splitlines()
    assert head.startswith("pellucid 0.1.0  kernel ")
    assert (blank, blank_too, conclusion) == ("", "", "pellucid tls can run here")
    assert [row.split("  ")[0] for row in rows] == ["ok"] * len(HEALTHY)


@pytest.mark.parametrize("feature", HEALTHY, ids=lambda feature: feature.name)
def test_a_machine_that_lacks_one_thing(feature, capfd):
    """Status 1 if a capture needs it, else 0; its row says why, and the line below what to do."""
    status = doctor.run(as_json=False, features=without(feature.name))
    lines = capfd.readouterr().out.splitlines()
    (at,) = (at for at, line in enumerate(lines) if line.endswith("  the reason"))

    assert status == (1 if feature.required else 0)
    assert lines[at].split()[0] == ("missing" if feature.required else "warn")
    assert feature.name in lines[at]
    assert lines[at + 1].strip().startswith(feature.do)
    if feature.required:
        assert lines[-1] == f"pellucid tls cannot run here: it needs {feature.name}"
    else:
        assert lines[at + 1].endswith(f"till then {feature.without}")
        assert lines[-1] == "pellucid tls can run here"


@pytest.mark.parametrize(
    "feature", [row for row in HEALTHY if row.required], ids=lambda feature: feature.name
)
def test_the_words_are_those_of_the_error(feature, capfd):
    """What doctor says to do about a missing requirement is what the failing command says."""
    doctor.run(as_json=False, features=without(feature.name))
    words = str(Unsupported(feature.name, feature.do))
    report = capfd.readouterr().out
    assert words == f"this needs {feature.name}: {feature.do} (see pellucid doctor)"
    assert f"needs {feature.name}" in report
    assert feature.do in report


def test_the_columns_are_aligned(capfd):
    """Every row's text begins in the same column."""
    doctor.run(as_json=False, features=HEALTHY)
    rows = [line for line in capfd.readouterr().out.splitlines() if line.startswith("ok")]
    assert len({row.index("there") for row in rows}) == 1


def test_what_hangs_on_root_is_not_tried(capfd):
    """Without root the rest is not tried where it could not succeed, and the conclusion counts it."""
    table = tuple(
        replace(row, probe=absent if row.name == "root" else lambda: "there")
        for row in FEATURES + INSTALLATION
    )
    assert doctor.run(as_json=False, features=table) == 1
    lines = capfd.readouterr().out.splitlines()
    unchecked = [line for line in lines if line.startswith("unchecked")]
    assert {line.split("  ")[-1].strip() for line in unchecked} == {"not tried without root"}
    assert lines[-1].endswith(f"it needs root ({len(unchecked)} more could not be tried)")


def test_json(capfd):
    """`--json` has the same findings, one object with a row for each feature."""
    assert doctor.run(as_json=True, features=without("attach cookies")) == 1
    document = json.loads(capfd.readouterr().out)
    assert document["can_run"] is False
    rows = {row["name"]: row for row in document["features"]}
    assert list(rows) == [row.name for row in HEALTHY]
    assert rows.pop("attach cookies") == {
        "name": "attach cookies",
        "state": "missing",
        "required": True,
        "found": "the reason",
        "use": "one program for all places, which learns from the cookie where it is",
        "needs": "Linux 5.15",
        "without": None,
        "do": "run Linux 5.15 or newer",
    }
    assert {row["state"] for row in rows.values()} == {"ok"}


def test_colours():
    """With colours the text is the same, and each state has its own."""
    table = without("bpf_loop")
    findings = list(doctor.examine(table))
    plain = list(doctor.report(findings, painter(color=False)))
    painted = list(doctor.report(findings, painter(color=True)))
    assert len([line for line in painted if line.startswith("\x1b[1;33mwarn")]) == 1
    assert len([line for line in painted if line.startswith("\x1b[1;32mok")]) == len(table) - 1
    assert [re.sub(r"\x1b\[[\d;]*m", "", line) for line in painted] == plain
