"""Which servers are seen at their sockets, and what is probed in them then; on those that are installed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pellucid.attach.images import Image, Key
from pellucid.attach.library import Library, Plain, Seal
from pellucid.attach.loader import find_points, find_sites
from pellucid.attach.plain import at_sockets
from pellucid.attach.symbols import Elf
from pellucid.attach.targets import FoundTarget, by_symbols
from pellucid.probes.mysqld.probe import PROBE as MYSQLD
from pellucid.probes.openssl.probe import PROBE as OPENSSL
from pellucid.probes.postgres.probe import PROBE as POSTGRES


def found(library: Library, path: str | Path) -> FoundTarget:
    """A file, examined."""
    target = by_symbols(library, Image(Key(0, 0), Path(path), str(path), ()))
    assert target
    return target


@pytest.fixture
def postgres() -> FoundTarget:
    paths = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    assert paths, "PostgreSQL's server is missing: install the package postgresql-15 (make test does)"
    return found(POSTGRES, paths[-1])


def test_postgresql(postgres: FoundTarget) -> None:
    """Only what encrypts, turns to TLS or begins is probed, each where the file's own symbols have it."""
    library = at_sockets(postgres, POSTGRES)
    assert library
    points = find_points(postgres, library, find_sites(postgres, library))
    with Elf(postgres.path) as elf:
        assert {("start", elf.offset(elf.entry))} == {(p.kind, p.offset) for p in points if p.kind == "start"}
    names = ("be_tls_read", "be_gssapi_read", "be_tls_write", "be_gssapi_write")
    assert {p.offset for p in points if p.kind == "call"} == {postgres.functions[n].offset for n in names}
    names = ("be_tls_open_server", "secure_open_gssapi")
    assert {p.offset for p in points if p.kind == "seal"} == {postgres.functions[n].offset for n in names}
    assert {p.kind for p in points} == {"start", "call", "seal"}


def test_mariadb() -> None:
    """A connection's object is known from its beginning to its end; the handshake has it as its second argument."""
    path = shutil.which("mariadbd")
    assert path, "MariaDB's server is missing: install the package mariadb-server-core (make test does)"
    target = found(MYSQLD, path)
    library = at_sockets(target, MYSQLD)
    assert library
    points = find_points(target, library, find_sites(target, library))
    assert sorted(p.kind for p in points) == ["call", "call", "free", "made", "seal", "start"]
    assert [(p.handle, p.offset) for p in points if p.kind == "seal"] == [
        (1, target.functions["sslaccept"].offset)
    ]


@pytest.mark.parametrize(
    "changed",
    [
        Plain(POSTGRES.plain.calls, POSTGRES.plain.seals, {"be_tls_read": "secure_write"}),
        Plain(POSTGRES.plain.calls, POSTGRES.plain.seals, {"be_tls_read": "no_such_function"}),
        Plain(POSTGRES.plain.calls, (Seal("no_such_function"),)),
        None,
    ],
    ids=["inlined, it seems", "by nobody", "missing", "no server"],
)
def test_what_is_not_proven(postgres: FoundTarget, changed: Plain | None) -> None:
    """Where a function is missing, or not called by its caller, each call is probed as ever."""
    assert at_sockets(postgres, replace(POSTGRES, plain=changed)) is None


def test_functions_that_the_user_has_given(postgres: FoundTarget) -> None:
    """Nothing is proven of them."""
    assert at_sockets(postgres._replace(how="given"), POSTGRES) is None


def test_a_shared_library() -> None:
    """Who has it in use cannot be told by where a program begins."""
    calls = tuple(replace(call, functions=call.functions[:1]) for call in OPENSSL.calls)
    library = replace(OPENSSL, plain=Plain(calls, (Seal("SSL_accept"),)))
    paths = [*Path("/usr/lib").glob("*/libssl.so.3")]
    assert paths
    assert at_sockets(found(library, paths[0]), library) is None
