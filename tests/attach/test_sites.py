"""Which functions the probes go to, in compiled lookalikes of OpenSSL and in Debian's builds of it."""

import struct

import pytest

from pellucid.attach.sites import Call, Function, find_calls
from pellucid.attach.symbols import Elf
from pellucid.errors import PellucidError
from pellucid.model import Direction

READ = Call(Direction.READ, (Function("SSL_read"), Function("SSL_read_ex", count=3)))
WRITE = Call(
    Direction.WRITE,
    (Function("SSL_write"), Function("SSL_write_ex", count=3), Function("SSL_write_ex2", count=4)),
)

# The wrappers of OpenSSL 3.5's ssl/ssl_lib.c; a hidden function's arguments are left as they are.
OPENSSL = """
typedef unsigned long size_t; typedef struct ssl { int (*go)(void *); } SSL; void error(int);
#define INNER __attribute__((visibility("hidden"), noinline))
INNER int read_inner(SSL *s, void *buf, size_t num, size_t *done) { *done = num; return s->go(buf); }
INNER int write_inner(SSL *s, const void *buf, size_t num, unsigned long flags, size_t *done)
{ *done = num + flags; return s->go((void *)buf); }
int SSL_read(SSL *s, void *buf, int num)
{ size_t done; if (num < 0) { error(1); return -1; }
  int ret = read_inner(s, buf, (size_t)num, &done); return ret > 0 ? (int)done : ret; }
int SSL_read_ex(SSL *s, void *buf, size_t num, size_t *done)
{ int ret = read_inner(s, buf, num, done); return ret < 0 ? 0 : ret; }
int SSL_write(SSL *s, const void *buf, int num)
{ size_t done; if (num < 0) { error(2); return -1; }
  int ret = write_inner(s, buf, (size_t)num, 0, &done); return ret > 0 ? (int)done : ret; }
int SSL_write_ex2(SSL *s, const void *buf, size_t num, unsigned long flags, size_t *done)
{ int ret = write_inner(s, buf, num, flags, done); return ret < 0 ? 0 : ret; }
int SSL_write_ex(SSL *s, const void *buf, size_t num, size_t *done)
{ return SSL_write_ex2(s, buf, num, 0, done); }
"""
PLAIN = "int SSL_read(void *s, void *b, int n) { size_t d; return read_inner(s, b, n, &d) + d; }"
EXTENDED = "int SSL_read_ex(void *s, char *b, size_t n, size_t *d)"
REFUSED = {
    "no sibling": (PLAIN, "no sibling"),
    "another handle": (
        PLAIN + EXTENDED + "{ return read_inner(*(void **)s, b, n, d); }",
        "0 functions, not one",
    ),
    "another buffer": (PLAIN + EXTENDED + "{ return read_inner(s, b + 1, n, d); }", "0 functions, not one"),
    "another size": (PLAIN + EXTENDED + "{ return read_inner(s, b, n / 2, d); }", "0 functions, not one"),
    "count kept to itself": (
        PLAIN + EXTENDED + "{ size_t m; int r = read_inner(s, b, n, &m); *d = m; return r; }",
        "0 functions, not one",
    ),
    "count of the caller's": (
        "int SSL_read(void *s, void *b, int n) { return read_inner(s, b, n, (size_t *)s + 1); }"
        + EXTENDED
        + "{ return read_inner(s, b, n, d); }",
        "0 functions, not one",
    ),
    "two candidates": (
        PLAIN.replace("{", "{ size_t e; if (n < 0) return read_other(s, b, n, &e) + e;")
        + EXTENDED
        + "{ return n > 9 ? read_inner(s, b, n, d) : read_other(s, b, n, d); }",
        "2 functions, not one",
    ),
    "through a pointer": (
        PLAIN + EXTENDED + "{ return n > 9 ? ((int (**)(void *))s)[0](b) : read_inner(s, b, n, d); }",
        "known only at run time",
    ),
}
PRELUDE = """
typedef unsigned long size_t;
#define INNER __attribute__((visibility("hidden"), noinline))
INNER int read_inner(void *s, void *b, size_t n, size_t *d) { *d = n; return ((int (**)(void *))s)[0](b); }
INNER int read_other(void *s, void *b, size_t n, size_t *d) { *d = n; return ((int (**)(void *))s)[1](b); }
"""


def sites(path, *calls, **options):
    names = [function.name for call in calls for function in call.functions]
    with Elf(path) as elf:
        return find_calls(elf, calls, elf.symbols(names), **options)


def shapes(found):
    return [(site.symbol, site.direction, site.count, site.kind) for site in found]


@pytest.mark.parametrize("level", ["-O0", "-O1", "-O2", "-O3", "-Os"])
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("linking", ["-Wl,-Bsymbolic", "-fcf-protection=full"])
def test_inner_functions_of_openssl(library, level, compiler, linking):
    """However OpenSSL's wrappers are compiled, the functions behind them and their counts are found."""
    path = library(OPENSSL, level, linking, "-fno-ipa-ra" if compiler == "gcc" else "-w", compiler=compiler)
    expected = [("read_inner", Direction.READ, 3, "inner"), ("write_inner", Direction.WRITE, 4, "inner")]
    assert expected == shapes(sites(path, READ, WRITE))


def test_stripped_inner_function_is_named_by_its_address(library):
    """Without its symbol the same inner function is found, named by the public call and its address."""
    path = library(OPENSSL, "-O2")
    with Elf(path) as elf:
        address = elf.symbol("read_inner").address
    offset = sites(path, READ)[0].offset
    found = sites(library(OPENSSL, "-O2", "-s"), READ)[0]
    assert (f"SSL_read/{address:#x}", offset) == (found.symbol, found.offset)


@pytest.mark.parametrize(("source", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_doubt_means_public_functions(library, source, reason):
    """Where the inner function is not proven, every public one gets a probe and the site says why."""
    found = sites(library(PRELUDE + source, "-O2"), READ)
    with_count = [("SSL_read_ex", Direction.READ, 3, "entry")] if "SSL_read_ex" in source else []
    assert [("SSL_read", Direction.READ, None, "entry"), *with_count] == shapes(found)
    assert all(reason in site.reason for site in found)


def test_public_function_that_calls_its_sibling_has_no_probe(library):
    """LibreSSL's SSL_read_ex calls SSL_read, which alone is watched, or each read would count twice."""
    source = (
        "int SSL_read(void *s, void *b, int n) { return ((int (**)(void *, int))s)[0](b, n) + 1; }"
        "int SSL_read_ex(void *s, void *b, size_t n, size_t *d) { int r = SSL_read(s, b, n); *d = r; return r > 0; }"
    )
    expected = [("SSL_read", Direction.READ, None, "entry")]
    assert expected == shapes(sites(library(PRELUDE + source, "-O1"), READ))


def test_public_function_that_calls_its_sibling_among_pointers(library):
    """The same holds where it also calls what nobody can know, through a pointer, as OpenSSL's methods are."""
    source = """
    int SSL_read(void *s, void *b, int n) { return ((int (**)(void *, int))s)[0](b, n) + 1; }
    int SSL_read_ex(void *s, void *b, size_t n, size_t *d)
    { if (!n) return ((int (**)(void *))s)[1](b) + 1; int r = SSL_read(s, b, n); *d = r; return r > 0; }
    """
    expected = [("SSL_read", Direction.READ, None, "entry")]
    assert expected == shapes(sites(library(PRELUDE + source, "-O1"), READ))


def test_entry_only(library):
    """Public functions can be asked for; SSL_write_ex, which ends in SSL_write_ex2, needs no probe."""
    found = sites(library(OPENSSL, "-O2"), WRITE, entry_only=True)
    expected = [("SSL_write", Direction.WRITE, None, "entry"), ("SSL_write_ex2", Direction.WRITE, 4, "entry")]
    assert expected == shapes(found)


def test_other_machines_use_public_functions(library):
    """On aarch64 no code is interpreted: the public functions are taken, and the site says so."""
    path = library(OPENSSL, "-O2")
    content = bytearray(path.read_bytes())
    content[18:20] = struct.pack("<H", 183)
    path.write_bytes(content)
    reason = "inner functions are not looked for on aarch64"
    expected = [("SSL_read", None, False, reason), ("SSL_read_ex", 3, False, reason)]
    assert expected == [(site.symbol, site.count, site.emulated, site.reason) for site in sites(path, READ)]


def test_missing_function_is_an_error(library):
    """A file without the function that must be there is refused, naming both."""
    path = library("int SSL_read_ex(void) { return 1; }")
    with pytest.raises(PellucidError, match=f"{path} has no function SSL_read"):
        sites(path, READ)


def test_system_libssl(system_libssl):
    """OpenSSL 3.0 as Debian builds it has inner functions with the count as fourth argument."""
    expected = [("inner", 3, True)] * 2
    found = sites(system_libssl, READ, WRITE)
    assert expected == [(site.kind, site.count, site.emulated) for site in found]


@pytest.mark.parametrize(
    ("suite", "package", "counts"), [("bullseye", "libssl1.1", [3, 3]), ("trixie", "libssl3t64", [3, 4])]
)
def test_other_releases(debian_libssl, suite, package, counts):
    """OpenSSL 1.1.1 and 3.5 as Debian builds them have cheap inner functions; 3.5 adds flags to writes."""
    found = sites(debian_libssl(suite, package), READ, WRITE)
    assert counts == [site.count for site in found]
    assert {("inner", True)} == {(site.kind, site.emulated) for site in found}
