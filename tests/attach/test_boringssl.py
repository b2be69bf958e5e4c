"""BoringSSL's functions are found by their code, as the symbols of builds that have some confirm."""

import subprocess

import pytest
from tests.kernel import packages

from pellucid.attach.boringssl import find_functions
from pellucid.attach.symbols import Elf
from pellucid.errors import PellucidError

PARTS = ("SSL_peek", "SSL_read", "SSL_write", "SSL_new")

SOURCE = """
#include <stddef.h>
#define SEPARATE __attribute__((noinline))
struct ssl;
struct method { int (*write)(struct ssl *, char *, size_t *, const char *, size_t); };
struct state { const char *data; size_t left; int status; };
struct ssl { const struct method *method; struct state *state; int (*handshake)(struct ssl *); int quic; };
extern struct ssl *allocated(void *), *volatile some;
void *memcpy(void *, const void *, size_t);
SEPARATE void put_error(int library, int unused, int reason, const char *file, unsigned line)
{
	static volatile unsigned last;
	last = library + unused + reason + file[0] + line;
}
#line 100 "some/where/ssl/ssl_lib.cc"
#define FAIL(reason) put_error(16, 0, reason, __FILE__, __LINE__)
SEPARATE int handshake(struct ssl *s) { return s->handshake(s); }
SEPARATE struct ssl *SSL_new(void *context)
{
	if (!context) {
		FAIL(185);
		return 0;
	}
	return allocated(context);
}
SEPARATE int inner_read(struct ssl *s)
{
	s->state->status = 0;
	if (!s->handshake) {
		FAIL(226);
		return -1;
	}
	if (!handshake(s)) {
		FAIL(215);
		return -1;
	}
	return 1;
}
PEEKING int SSL_peek(struct ssl *s, char *buffer, int number)
{
	if (s->quic) {
		FAIL(66);
		return -1;
	}
	int result = inner_read(s);
	if (result <= 0 || number <= 0)
		return result;
	size_t size = s->state->left < (size_t)number ? s->state->left : (size_t)number;
	memcpy(buffer, s->state->data, size);
	return size;
}
READING int SSL_read(struct ssl *s, char *buffer, int number)
{
	int result = SSL_peek(s, buffer, number);
	if (result > 0) {
		s->state->data += result;
		s->state->left -= result;
	}
	return result;
}
WRITING int SSL_write(struct ssl *s, const char *buffer, int number)
{
	char again = 0;
	size_t written = 0;
	int result;
	s->state->status = 0;
	if (s->quic) {
		FAIL(66);
		return -1;
	}
	if (!s->handshake) {
		FAIL(226);
		return -1;
	}
	do {
		result = handshake(s);
		if (!result) {
			FAIL(215);
			return -1;
		}
		result = s->method->write(s, &again, &written, BUFFER, number);
	} while (again);
	return result <= 0 ? result : (int)written;
}
#line 300 "some/where/program.c"
__attribute__((visibility("default"))) int use(void *context, char *buffer, int number)
{
	struct ssl *s = SSL_new(context);
	PEEK;
	some = s;
	return SSL_read(some, buffer, number) + SSL_write(some, buffer + 9, number - 9);
}
"""

PLAIN = {"PEEKING": "SEPARATE", "READING": "SEPARATE", "WRITING": "SEPARATE", "BUFFER": "buffer", "PEEK": ""}
BUILT_IN = "static inline __attribute__((always_inline))"


LIBRARY = ("-shared", "-fPIC")
PROGRAM = ("-no-pie", "-fno-pic", "-static", "-Wl,-e,use", "-Wl,--unresolved-symbols=ignore-all")


@pytest.fixture
def build(tmp_path):
    """A function that builds the likeness of a BoringSSL: (stripped, where its functions really are)."""

    def make(*flags, compiler="gcc", kind=LIBRARY, **macros):
        named, stripped = tmp_path / "named", tmp_path / "stripped"
        defined = [f"-D{name}={text}" for name, text in (PLAIN | macros).items()]
        command = [compiler, "-O2", "-nostdlib", "-fvisibility=hidden", *kind, *defined, *flags, "-xc", "-"]
        subprocess.run([*command, "-o", named], input=SOURCE, text=True, check=True)
        subprocess.run(["strip", "-o", stripped, named], check=True)
        with Elf(named) as elf:
            return stripped, {name: symbol.address for name, symbol in elf.symbols(PARTS).items()}

    return make


def found(path):
    """The addresses that were found, by name."""
    with Elf(path) as elf:
        return {name: symbol.address for name, symbol in find_functions(elf).items()}


def without_peek(addresses):
    """Addresses but SSL_peek's, for which nobody asks."""
    return {name: address for name, address in addresses.items() if name != "SSL_peek"}


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("unwind", ["-fasynchronous-unwind-tables", "-fno-asynchronous-unwind-tables"])
@pytest.mark.parametrize("peeking", ["SEPARATE", BUILT_IN])
def test_stripped(build, compiler, unwind, peeking):
    """Reading, writing and creation are found, SSL_peek in or beside SSL_read, with unwind tables or without."""
    path, truth = build(unwind, compiler=compiler, PEEKING=peeking)
    assert without_peek(truth) == found(path)


def test_program_that_is_not_relocated(build):
    """In a program with fixed addresses, whose code holds them, the functions are found too."""
    path, truth = build("-fno-asynchronous-unwind-tables", kind=PROGRAM)
    assert without_peek(truth) == found(path)


@pytest.mark.parametrize(
    ("macros", "reason"),
    [
        ({"BUFFER": "buffer+1"}, "0 functions, not one, do what SSL_write does"),
        ({"WRITING": BUILT_IN}, "0 functions, not one, do what SSL_write does"),
        ({"READING": BUILT_IN}, "0 functions, not one, do what SSL_read does"),
        (
            {"READING": BUILT_IN, "PEEKING": BUILT_IN, "PEEK": "SSL_peek(some,buffer,number)"},
            "0 functions, not one, do what SSL_read does",
        ),
        ({"PEEK": "SSL_peek(some,buffer,number)"}, "0 functions, not one, do what SSL_read does"),
    ],
)
def test_what_is_not_exactly_so_is_refused(build, macros, reason):
    """Other arguments handed on, a function built into its caller, two ways to read: refused, with the reason."""
    path, _ = build(**macros)
    with Elf(path) as elf, pytest.raises(PellucidError, match=f"^stripped, and .* its code: {reason}"):
        find_functions(elf)


def test_no_boringssl(system_libssl):
    """A file without BoringSSL's source file's name in it has none of its functions: OpenSSL's has another."""
    assert {} == found(system_libssl)


@pytest.mark.kernel
def test_build_with_exports():
    """In Android's build the addresses found by code are those that the library exports."""
    path = packages.debian("android-libboringssl") / "usr/lib/x86_64-linux-gnu/android/libssl.so.0"
    with Elf(path) as elf:
        assert {name: elf.symbol(name).address for name in PARTS[1:]} == found(path)
