"""Where a library keeps things, told by its accessors: in compiled lookalikes of each family of libraries."""

import struct

import pytest

from pellucid.attach.code.accessors import FUNCTIONS, WANTED, find_accessors
from pellucid.attach.symbols import Elf

PRELUDE = """
typedef unsigned long size_t; typedef unsigned char u8; void *memcpy(void *, const void *, size_t);
void *BIO_next(void *); int elsewhere(void *); void *quic(void *);
#define AT(type, p, offset) (*(type *)((char *)(p) + (offset)))
#define PTR(p, offset) AT(void *, p, offset)
static size_t copy(void *to, void *from, size_t n)
{ if (n == 0) return 32; if (n > 32) n = 32; memcpy(to, from, n); return n; }
"""
# The branches of ssl/ssl_lib.c and ssl_sess.c of 1.1.1 and 3.0, and with TYPED of 3.2 and later.
OPENSSL = """
#ifdef TYPED
#define CONNECTION(s) void *c = !s ? 0 : AT(int, s, 0) == 0 ? s : AT(int, s, 0) & 0x80 ? quic(s) : 0; if (!c) return 0
#else
#define CONNECTION(s) void *c = s
#endif
unsigned SSL_CIPHER_get_id(void *c) { return AT(unsigned, c, 0x18); }
unsigned short SSL_CIPHER_get_protocol_id(void *c) { return AT(unsigned, c, 0x18); }
size_t SSL_get_client_random(void *s, void *to, size_t n) { CONNECTION(s); return copy(to, (u8 *)PTR(c, 0xa8) + 0xb8, n); }
size_t SSL_get_server_random(void *s, void *to, size_t n) { CONNECTION(s); return copy(to, (u8 *)c + 0x140, n); }
int SSL_is_server(void *s) { CONNECTION(s); return AT(int, c, 0x38); }
int SSL_version(void *s) { CONNECTION(s); return AT(int, c, 0x48); }
int SSL_in_init(void *s) { CONNECTION(s); return AT(int, c, 0x64); }
int SSL_in_before(void *s) { CONNECTION(s); return AT(int, c, 0x60) == 0 && AT(int, c, 0x5c) == 0; }
void *SSL_get_session(void *s) { CONNECTION(s); return PTR(c, 0x510); }
size_t SSL_SESSION_get_master_key(void *e, void *to, size_t n)
{ if (n == 0) return AT(size_t, e, 8); if (n > AT(size_t, e, 8)) n = AT(size_t, e, 8); memcpy(to, (u8 *)e + 0x50, n); return n; }
void *SSL_get_current_cipher(void *s)
{ CONNECTION(s); if (PTR(c, 0x510) && PTR(PTR(c, 0x510), 0x1f0)) return PTR(PTR(c, 0x510), 0x1f0); return 0; }
void *SSL_get_servername(void *s, int type)
{ CONNECTION(s); if (type) return 0;
  int server = PTR(c, 0x30) && AT(int, c, 0x38), hit = AT(int, c, 0xc8), new = AT(int, c, 0x48) == 0x304;
  if (server) { if (hit && !new) return PTR(PTR(c, 0x510), 0x218); }
  else if (SSL_in_before(s)) {
    if (!PTR(c, 0x640) && PTR(c, 0x510) && AT(int, PTR(c, 0x510), 0) != 0x304) return PTR(PTR(c, 0x510), 0x218); }
  else if (!new && hit && PTR(PTR(c, 0x510), 0x218)) return PTR(PTR(c, 0x510), 0x218);
  return PTR(c, 0x640); }
int SSL_get0_alpn_selected(void *s, void **data, unsigned *length)
{ *data = 0; *length = 0; CONNECTION(s); void *s3 = PTR(c, 0xa8);
  if (s3) *data = PTR(s3, 0x3e0); *length = *data ? (unsigned)AT(size_t, s3, 0x3e8) : 0; return 0; }
void *SSL_get_rbio(void *s) { CONNECTION(s); return PTR(c, 0x10); }
void *SSL_get_wbio(void *s) { CONNECTION(s); return PTR(c, 0x20) ? BIO_next(PTR(c, 0x20)) : PTR(c, 0x18); }
"""
IN_OPENSSL = {
    "is_server": [((0x38,), 4)],
    "version": [((0x48,), 4)],
    "client_random": [((0xA8, 0xB8), 32)],
    "server_random": [((0x140,), 32)],
    "session": [((0x510,), 8)],
    "master_key": [((0x510, 0x50), 48)],
    "handshake": [((0x64,), 4)],
    "cipher_object": [((0x510, 0x1F0), 8)],
    "cipher": [((0x510, 0x1F0, 0x18), 2)],
    "server_name": [((0x640,), 8), ((0x510, 0x218), 8)],
    "alpn": [((0xA8, 0x3E0), 8)],
    "alpn_length": [((0xA8, 0x3E8), 4)],
    "rbio": [((0x10,), 8)],
    "wbio": [((0x18,), 8)],
}
# The branches of BoringSSL's ssl/ssl_lib.cc, ssl_session.cc and ssl_versions.cc: the handshake's own state,
# at s3 + 0x110, is null when the handshake is over.
BORINGSSL = """
struct bits { u8 shutdown : 2, other : 1, server : 1; };
#define S3 PTR(s, 0x30)
#define HS PTR(S3, 0x110)
#define EARLY(hs) (hs && AT(u8, hs, 0x619) & 8)
#define SERVER AT(struct bits, s, 0xa4).server
int SSL_in_init(void *s) { return HS && !(AT(u8, HS, 0x618) & 8); }
int SSL_in_early_data(void *s) { return EARLY(HS); }
int SSL_is_server(void *s) { return SERVER; }
int SSL_version(void *s)
{ return SSL_in_early_data(s) && !SERVER ? AT(unsigned short, PTR(HS, 0x5e0), 4) : AT(unsigned short, s, 0x10); }
size_t SSL_get_client_random(void *s, void *to, size_t n) { return copy(to, (u8 *)S3 + 0x30, n); }
size_t SSL_get_server_random(void *s, void *to, size_t n) { return copy(to, (u8 *)S3 + 0x10, n); }
void *SSL_get_session(void *s)
{ if (!SSL_in_init(s)) return PTR(S3, 0x1c8);
  return PTR(HS, 0x5e0) ? PTR(HS, 0x5e0) : PTR(HS, 0x5d8) ? PTR(HS, 0x5d8) : PTR(s, 0x58); }
size_t SSL_SESSION_get_master_key(void *e, void *to, size_t n)
{ if (n == 0) return AT(u8, e, 0x40); if (n > AT(u8, e, 0x40)) n = AT(u8, e, 0x40);
  if (n) memcpy(to, (u8 *)e + 0x10, n); return n; }
void *SSL_get_current_cipher(void *s) { void *session = SSL_get_session(s); return session ? PTR(session, 0xd0) : 0; }
unsigned short SSL_CIPHER_get_protocol_id(void *c) { return AT(unsigned, c, 0x10); }
void *SSL_get_servername(void *s, int type) { return type ? 0 : PTR(s, 0x90) ? PTR(s, 0x90) : PTR(S3, 0x1f0); }
void SSL_get0_alpn_selected(void *s, void **data, unsigned *length)
{ if (EARLY(HS) && !SERVER) { *data = PTR(PTR(HS, 0x5e0), 0x180); *length = AT(unsigned, PTR(HS, 0x5e0), 0x188); }
  else { *data = PTR(S3, 0x1e0); *length = AT(unsigned, S3, 0x1e8); } }
void *SSL_get_rbio(void *s) { return PTR(s, 0x18); }
void *SSL_get_wbio(void *s) { return PTR(s, 0x20); }
"""
IN_BORINGSSL = {
    "is_server": [((0xA4,), 1)],
    "version": [((0x10,), 2)],
    "client_random": [((0x30, 0x30), 32)],
    "server_random": [((0x30, 0x10), 32)],
    "session": [((0x30, 0x1C8), 8)],
    "master_key": [((0x30, 0x1C8, 0x10), 48)],
    "handshake": [((0x30, 0x110), 8)],
    "cipher_object": [((0x30, 0x1C8, 0xD0), 8)],
    "cipher": [((0x30, 0x1C8, 0xD0, 0x10), 2)],
    "server_name": [((0x90,), 8), ((0x30, 0x1F0), 8)],
    "alpn": [((0x30, 0x1E0), 8)],
    "alpn_length": [((0x30, 0x1E8), 4)],
    "rbio": [((0x18,), 8)],
    "wbio": [((0x20,), 8)],
}
MINIMAL = (
    PRELUDE
    + "int SSL_is_server(void *s) { return AT(int, s, 8); } int SSL_in_init(void *s) { return AT(int, s, 4); }"
)
REFUSED = {
    "nothing asked": ("", "the file has no SSL_version"),
    "a constant": ("int SSL_version(void *s) { return 0x304; }", "lies in 0 places, not one"),
    "two places": (
        "int SSL_version(void *s) { return AT(int, s, 16) == 5 ? AT(int, s, 20) : AT(int, s, 24); }",
        "lies in 2 places, not one",
    ),
    "computed": ("int SSL_version(void *s) { return AT(int, s, 20) + 1; }", "cannot be followed"),
    "an unknown function's": (
        "int SSL_version(void *s) { return elsewhere(s); }",
        "the file has no elsewhere",
    ),
    "another object's": (
        "int SSL_version(void *s, void *t) { return AT(int, t, 20); }",
        "cannot be followed",
    ),
    "some bits": ("int SSL_version(void *s) { return AT(int, s, 20) & 0xf; }", "only some bits"),
    "far away": ("int SSL_version(void *s) { return AT(int, s, 0x10000); }", "leads too far"),
    "before the object": ("int SSL_version(void *s) { return AT(int, s, -4); }", "leads too far"),
    "a long way": (
        "int SSL_version(void *s) { return AT(int, PTR(PTR(PTR(PTR(s, 8), 8), 8), 8), 8); }",
        "is too long",
    ),
    "through a pointer": (
        "int SSL_version(void *s) { return ((int (*)(void *))PTR(s, 8))(s); }",
        "known only at run time",
    ),
    "itself": ("int SSL_version(void *s) { return SSL_version(s) ? AT(int, s, 20) : 0; }", None),
}


def told(path):
    with Elf(path) as elf:
        return find_accessors(elf, elf.symbols(FUNCTIONS))


def build(library, source, compiler, *flags):
    """Compile without gcc's knowledge of what registers a callee of the same file leaves alone."""
    alone = ["-fno-ipa-ra"] if compiler == "gcc" else []
    return library(PRELUDE + source, "-w", "-fno-strict-aliasing", *alone, *flags, compiler=compiler)


def shape(found):
    """Path and size of each field."""
    return {name: [(field.path, field.size) for field in fields] for name, fields in found.fields.items()}


LEVELS = pytest.mark.parametrize("level", ["-O1", "-O2", "-O3", "-Os"])
COMPILERS = pytest.mark.parametrize("compiler", ["gcc", "clang"])


@LEVELS
@COMPILERS
def test_openssl(library, level, compiler):
    """However the accessors of OpenSSL before 3.2 are compiled, they tell the same places."""
    found = told(build(library, OPENSSL, compiler, level))
    assert ({}, IN_OPENSSL) == (found.refused, shape(found))


@LEVELS
@COMPILERS
def test_openssl_with_types_of_objects(library, level, compiler):
    """From 3.2 on the same places are told of a plain connection, and where its type lies."""
    found = told(build(library, OPENSSL, compiler, level, "-DTYPED"))
    assert ({}, IN_OPENSSL | {"object_type": [((0,), 4)]}) == (found.refused, shape(found))


@LEVELS
@COMPILERS
@pytest.mark.parametrize("linking", ["-Wl,-z,lazy", "-Wl,-Bsymbolic", "-fvisibility=protected"])
def test_boringssl(library, level, compiler, linking):
    """BoringSSL's accessors tell where things lie when the handshake is over, inlined or not."""
    found = told(build(library, BORINGSSL, compiler, level, linking))
    assert ({}, IN_BORINGSSL) == (found.refused, shape(found))
    assert found.fields["is_server"][0].mask == 0b1000


@LEVELS
@COMPILERS
def test_null_is_not_followed(library, level, compiler):
    """What lies behind the handshake's state is no candidate: it is null when the handshake is over."""
    session = """
    __attribute__((noinline, visibility("hidden"))) void *in_handshake(void *h) { return PTR(h, 0x5e0); }
    void *SSL_get_session(void *s)
    { if (PTR(S3, 0x1d0)) return PTR(S3, 0x1d0); return PTR(HS, 0x5d8) ? PTR(HS, 0x5d8) : in_handshake(HS); }
    """
    source = BORINGSSL.replace("void *SSL_get_session(", session + "void *old_session(")
    assert [((0x30, 0x1D0), 8)] == shape(told(build(library, source, compiler, level)))["session"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return AT(unsigned long, s, 8) >> 40 & 1;", "cannot be followed"),
        ("return AT(int, s, 16) == 0 && AT(int, s, 20) == 0 ? AT(int, s, 8) : 0;", "tests 2 words"),
        ("\n".join(f"if (AT(int, s, 4) == {n}) return AT(int, s, {8 * n});" for n in range(20)) + "return 0;",
         "different things"),
    ],
)  # fmt: skip
def test_unusual_roles_are_refused(library, body, reason):
    """A bit that an integer has not, an object with two types, and a hundred answers are not taken for a role."""
    source = MINIMAL.replace("return AT(int, s, 8);", body)
    found = told(library(source, "-O1", "-fno-jump-tables", "-fno-if-conversion"))
    assert "is_server" not in found.fields
    assert reason in found.refused["is_server"]


def test_one_way_to_be_over_is_not_the_only_one(library):
    """What one of the ways has tested in which SSL_in_init returns 0 does not hold on the others."""
    source = """
    int SSL_is_server(void *s) { return AT(int, s, 8); }
    int SSL_in_init(void *s) { if (AT(int, s, 4) == 0) return 0; return AT(int, s, 12) != 0 && AT(int, s, 16) != 0; }
    int SSL_version(void *s) { if (AT(int, s, 4) == 0) return AT(int, s, 20); return AT(int, s, 24); }
    """
    found = told(library(PRELUDE + source, "-O1", "-fno-if-conversion", "-fno-if-conversion2"))
    assert "version" not in found.fields
    assert "lies in 2 places" in found.refused["version"]


@pytest.mark.parametrize(("source", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_doubt_is_a_refusal(library, source, reason):
    """What an accessor's code does not prove is not told; the reason is."""
    found = told(library(MINIMAL + source, "-O1", "-fno-optimize-sibling-calls", "-Wl,-Bsymbolic"))
    assert [((8,), 4)] == shape(found)["is_server"]
    assert "version" not in found.fields or reason is None
    assert reason is None or reason in found.refused["version"]


@pytest.mark.parametrize("missing", ["SSL_is_server", "SSL_in_init"])
def test_without_its_grounds_nothing_is_told(library, missing):
    """Without the functions that tell an object's type, or a handshake's end, everything is refused."""
    found = told(library(PRELUDE + OPENSSL.replace(f"{missing}(", "other("), "-O1", "-w"))
    assert not found.fields
    assert set(found.refused.values()) == {f"the file has no {missing}"}


def test_malformed_symbols_tell_nothing(library):
    """Accessors that no segment holds are a reason for telling nothing, and no error: bytes are seen without."""
    path = library(PRELUDE + OPENSSL, "-O1", "-w")
    with Elf(path) as elf:
        functions = {
            name: symbol._replace(address=1 << 40) for name, symbol in elf.symbols(FUNCTIONS).items()
        }
        found = find_accessors(elf, functions)
    assert (found.fields, found.refused.keys()) == ({}, WANTED.keys())
    assert {str(path) in reason and "no segment holds" in reason for reason in found.refused.values()} == {
        True
    }


def test_other_machines_tell_nothing(library):
    """On aarch64 no code is interpreted, and each refusal says so."""
    path = library(PRELUDE + OPENSSL, "-O1", "-w")
    content = bytearray(path.read_bytes())
    content[18:20] = struct.pack("<H", 183)
    path.write_bytes(content)
    assert dict.fromkeys(WANTED, "accessors are not interpreted on aarch64") == told(path).refused
