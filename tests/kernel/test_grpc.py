"""gRPC between grpcio's client and server: every kind of call, as both ends saw it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel import packages
from tests.kernel.running import PATIENCE, http, wait_for
from tests.kernel.test_boringssl import importing
from tests.kernel.victims import SOURCES
from tests.shell import pellucid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.running import Capture, Programs, Tls

PROTOS = SOURCES.parent / "protos"
SHOP = PROTOS / "shop" / "shop.proto"


@pytest.fixture
def descriptors(tmp_path: Path) -> Path:
    """The shop's schema, as the client and the server take it."""
    assert shutil.which("protoc"), "protoc is missing: apt-get install protobuf-compiler"
    path = tmp_path / "shop.pb"
    command = ["protoc", f"-I{PROTOS}", "--include_imports", f"--descriptor_set_out={path}", SHOP]
    subprocess.run(command, check=True)
    return path


def messages_of(messages: list[dict[str, Any]], call: dict[str, Any], direction: str) -> list[dict[str, Any]]:
    """The gRPC messages of one direction of the call that this exchange is."""
    keys = ("conn", "stream", "role")
    same = [
        each for each in messages if each["type"] == "grpc" and all(each[key] == call[key] for key in keys)
    ]
    return [each for each in same if each["direction"] == direction]


def test_every_kind_of_call(
    tls: Tls, programs: Programs, capture: Callable[..., Capture], descriptors: Path, tmp_path: Path
) -> None:
    """Each message that a program sent or received is shown by name, once at each end, and how each call ended.

    Those of a streaming call are shown before it ends.
    """
    folder = packages.wheels("grpcio", "typing_extensions")
    [library] = folder.glob("grpc/_cython/cygrpc*.so")
    recording = tmp_path / "recording"
    events = f"json:{tmp_path}/capture0/events.ndjson"
    run = capture("--proto", str(SHOP), "--record", str(recording), "-o", events, libssl=library)
    victim = programs.start(
        sys.executable, SOURCES / "grpc_shop.py", tls.cert, tls.key, descriptors,
        env=importing(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip

    def chat() -> list[dict[str, Any]]:
        return [each for each in run.messages("grpc") if each["url"] == "/shop.Shop/Chat"]

    assert victim.stdout.readline() == b"waiting\n"
    early = wait_for(lambda: len(found := chat()) == 4 and found, "one message each way at both ends")
    assert not [each for each in http(run.messages()) if each["request"]["url"] == "/shop.Shop/Chat"]
    out, _ = victim.communicate(b"\n", PATIENCE)
    calls = [json.loads(line) for line in out.splitlines()]
    messages = run.stop()

    assert [
        each["message"] for each in early if each["role"] == "client" and each["direction"] == "write"
    ] == [calls[-1]["sent"][0]]
    for role, asks, answers in (("client", "write", "read"), ("server", "read", "write")):
        seen = http(messages, role)
        assert [each["request"]["url"] for each in seen] == [f"/shop.Shop/{each['method']}" for each in calls]
        for told, call in zip(calls, seen, strict=True):
            asked, answered = (messages_of(messages, call, direction) for direction in (asks, answers))
            assert [each["message"] for each in asked] == told["sent"]
            assert [each["message"] for each in answered] == told["received"]
            assert {each["schema"] for each in asked} == {"shop.Order"}
            assert {each["error"] for each in (*asked, *answered)} <= {None}
            assert call["protocol"] == "gRPC"
            assert call["src"] in {None, told["peer"].removeprefix("ipv4:")}  # stripped, with I/O of its own
            assert call["response"]["grpc_status"] == told["status"]
            assert call["response"].get("grpc_message", "") == told["details"]
            assert call["error"] is None
        (zipped,) = messages_of(messages, seen[0], asks)
        assert (zipped["compression"], zipped["size"] < len(zipped["data"])) == ("gzip", True)
    assert messages[-1]["lost"] == {}

    by_number = pellucid("replay", str(recording), "-o", "json")
    replayed = [json.loads(line) for line in by_number.stdout.splitlines()]
    (order,) = [
        each
        for each in replayed
        if each["type"] == "grpc" and each.get("compression") and each["role"] == "client"
    ]
    assert order["message"]["1"] == 42
    assert order["message"]["2"][0]["1"] == "tea"


def test_a_connection_that_is_older_than_the_capture(
    tls: Tls, programs: Programs, capture: Callable[..., Capture]
) -> None:
    """Messages of calls with a deadline are shown at both ends, though their content type was sent before."""
    folder = packages.wheels("grpcio", "typing_extensions")
    [library] = folder.glob("grpc/_cython/cygrpc*.so")
    victim = programs.start(
        sys.executable, SOURCES / "grpc_older.py", tls.cert, tls.key,
        env=importing(folder), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert victim.stdout.readline() == b"waiting\n"
    run = capture(libssl=library)
    victim.communicate(b"\n", PATIENCE)
    messages = run.stop()

    for role in ("client", "server"):
        for direction in ("write", "read"):
            keys = {"type": "grpc", "role": role, "direction": direction}
            seen = [each for each in messages if keys.items() <= each.items()]
            assert [each["message"] for each in seen] == [{"1": 2}, {"1": 3}, {"1": 4}]
            assert [each["url"] for each in seen] == [None, None, "/shop.Shop/Other"]
        assert {call["protocol"] for call in http(messages, role)} == {"gRPC"}
        assert all(call["request"]["partial"] for call in http(messages, role))


def test_grpc_web_over_http1(tls: Tls, programs: Programs, capture: Callable[..., Capture]) -> None:
    """Messages and trailers of sonora's client and server are shown at both ends, also those in base64."""
    folder = packages.wheels("sonora", "urllib3", "grpcio", "typing_extensions")
    run = capture()
    env = {**tls.env, "PYTHONPATH": str(folder), "SSL_CERT_FILE": str(tls.cert)}
    programs.run(sys.executable, SOURCES / "grpc_web.py", tls.cert, tls.key, env=env)
    messages = run.stop()

    hello, three, ok = {"1": "hello"}, {"1": 3}, [["grpc-status", "0"]]
    refused = [["grpc-status", "5"], ["grpc-message", "no%20tea"]]
    calls = [
        ("Say", [hello], [hello, ok]),
        ("Repeat", [three], [hello, hello, hello, ok]),
        ("Fail", [hello], [refused]),
        ("Repeat", [three], [hello, hello, hello, ok]),
    ]
    for role, asks, answers in (("client", "write", "read"), ("server", "read", "write")):
        seen = [each for each in messages if each["type"] == "grpc" and each["role"] == role]
        said = [
            (each["direction"], each["url"], each["message"] or each["trailers"], each["error"])
            for each in seen
        ]
        assert said == [
            (direction, f"/web.Web/{method}", message, None)
            for method, asked, answered in calls
            for direction, those in ((asks, asked), (answers, answered))
            for message in those
        ]
