"""OpenSSL's functions are found by their code where real builds' own symbols say that they are."""

import subprocess

import pytest

from pellucid.attach.openssl import find_functions
from pellucid.attach.symbols import Elf
from pellucid.errors import PellucidError

SOURCE = """
#include <stddef.h>
#define SEPARATE __attribute__((noinline, noclone))
#define FAIL debug("ssl/ssl_lib.c", __LINE__, __func__)
static volatile unsigned last;
SEPARATE void debug(const char *file, int line, const char *function) { last = *file + line + *function; }
SEPARATE int inner_read(void *s, void *b, size_t n, size_t *done) { return last += n + *(char *)s + *(char *)b + ++*done; }
SEPARATE int inner_write(void *s, const void *b, size_t n, size_t *done) { return last -= n + *(char *)s + *(char *)b + ++*done; }
SEPARATE int SSL_read(void *s, void *b, int n)
{
	size_t done = 0;
	if (n < 0) {
		FAIL;
		return -1;
	}
	return inner_read(s, b, n, &done) + done;
}
SEPARATE int SSL_write(void *s, const void *b, int n)
{
	size_t done = 0;
	if (n < 0) {
		FAIL;
		return -1;
	}
	return inner_write(WRITTEN, b, n, &done) + done;
}
__attribute__((visibility("default"))) int use(void *s, void *b, int n) { return SSL_read(s, b, n) + SSL_write(s, b, n); }
"""


def addresses(symbols):
    """Name and address."""
    return {name: symbol.address for name, symbol in symbols.items()}


def check(path):
    """What is found by code is what the symbols say, and enough to watch."""
    with Elf(path) as elf:
        found = find_functions(elf)
        assert addresses(elf.symbols(found)) == addresses(found)
    assert {"SSL_read", "SSL_read_ex", "SSL_write", "SSL_new"} < found.keys()
    assert found.keys() & {"SSL_write_ex", "SSL_write_ex2"}


def test_this_system(system_libssl):
    """In the system's libssl every function is found where it is exported."""
    check(system_libssl)


@pytest.mark.parametrize(
    ("suite", "package"), [("bullseye", "libssl1.1"), ("trixie", "libssl3t64"), ("sid", "libssl3t64")]
)
def test_other_releases(debian_libssl, suite, package):
    """So they are in 1.1.1, where errors name functions by number, and in the newest, which has SSL_write_ex2."""
    check(debian_libssl(suite, package))


def test_likeness(library):
    """Functions that name themselves and hand on their arguments are enough, stripped."""
    path = library(SOURCE, "-O2", "-fvisibility=hidden", "-DWRITTEN=s")
    with Elf(path) as elf:
        truth = addresses(elf.symbols(["SSL_read", "SSL_write"]))
    subprocess.run(["strip", path], check=True)
    with Elf(path) as elf:
        assert truth == addresses(find_functions(elf))


def test_what_is_not_exactly_so_is_refused(library):
    """One that names itself SSL_write but hands on another pointer is not taken, and the reason is told."""
    path = library(SOURCE, "-O2", "-fvisibility=hidden", "-s", "-DWRITTEN=b")
    with (
        Elf(path) as elf,
        pytest.raises(PellucidError, match="SSL_write hands its arguments on to 0 functions, not one"),
    ):
        find_functions(elf)


SIBLINGS = """
SEPARATE int one(void *s, const void *b, size_t n, size_t *done) { return inner_write(s, b, n, done) + 1; }
SEPARATE int two(void *s, const void *b, size_t n, size_t *done) { return inner_write(s, b, n, done) + 2; }
__attribute__((visibility("default"))) int more(void *s, void *b, int n)
{ size_t done; return one(s, b, n, &done) + TWO(s, b, n, &done); }
"""


@pytest.mark.parametrize("second", ["one", "two"])
def test_two_siblings_are_refused(second, library):
    """Of two functions that do what SSL_write_ex does none is chosen: everything is refused, with the reason."""
    flags = ("-O2", "-fvisibility=hidden", "-DWRITTEN=s", f"-DTWO={second}", "-ffunction-sections")
    path = library(SOURCE + SIBLINGS, *flags, "-Wl,--gc-sections")
    with Elf(path) as elf:
        if second == "one":
            assert addresses(find_functions(elf))["SSL_write_ex"] == elf.symbol("one").address
            return
        with pytest.raises(PellucidError, match="2 functions, not one, do what SSL_write_ex does"):
            find_functions(elf)


def test_no_openssl(library):
    """A file without OpenSSL's source file's name has none of its functions."""
    with Elf(library("int f(void) { return 1; }")) as elf:
        assert {} == find_functions(elf)
