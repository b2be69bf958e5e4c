"""Content codings are undone, within bounds whatever the ratio."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import brotli
import pytest
import zstandard

from pellucid.parse.bodies.codings import decode

TEXT = b"some text that repeats, some text that repeats\n" * 20
LIMIT = 1 << 20
BOMB = 1 << 30


def bare_deflate(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-15)
    return deflater.compress(data) + deflater.flush()


CODED = {
    "gzip": gzip.compress(TEXT),
    "x-gzip": gzip.compress(TEXT),
    "GZIP": gzip.compress(TEXT),
    "deflate": zlib.compress(TEXT),
    "Deflate": bare_deflate(TEXT),
    "br": brotli.compress(TEXT),
    "zstd": zstandard.compress(TEXT),
    "gzip, br": brotli.compress(gzip.compress(TEXT)),
    "deflate,identity , zstd": zstandard.compress(zlib.compress(TEXT)),
    "identity": TEXT,
    "": TEXT,
}


@pytest.mark.parametrize("coding", CODED)
def test_every_coding(coding):
    """Each coding, and a stack of them, gives back the text."""
    assert (TEXT, False) == decode(CODED[coding], coding, LIMIT)


@pytest.mark.parametrize("coding", CODED)
def test_the_limit(coding):
    """One byte less than the text is cut and says so; exactly the text is not cut."""
    if "," not in coding:
        assert (TEXT[:-1], True) == decode(CODED[coding], coding, len(TEXT) - 1) or coding in {"", "identity"}
    assert (TEXT, False) == decode(CODED[coding], coding, len(TEXT))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_stream_that_ends_early(coding):
    """What came is decoded: a beginning, and no error."""
    data, cut = decode(CODED[coding][:-1], coding, LIMIT) or (None, None)
    assert TEXT.startswith(data)
    assert not cut


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, br"])
def test_bytes_that_are_not_in_the_coding(coding):
    """They are left to be shown as they are."""
    assert decode(b"\xff\xfe no coding at all", coding, LIMIT) is None


@pytest.mark.parametrize("coding", ["compress", "gzip, aes128gcm", "gzip, gzip, gzip, gzip, gzip"])
def test_codings_that_are_not_undone(coding):
    """Unknown ones, and more than anybody stacks."""
    assert decode(CODED["gzip"], coding, LIMIT) is None


def test_gzip_members():
    """Members follow each other; padding after the last one is no error."""
    assert (TEXT * 2, False) == decode(CODED["gzip"] * 2 + bytes(8), "gzip", LIMIT)


def test_zstd_frames():
    """So do frames."""
    assert (TEXT * 2, False) == decode(CODED["zstd"] * 2, "zstd", LIMIT)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_large_limit_costs_nothing_by_itself(coding):
    """Memory follows what comes out, not the largest limit that the command line takes."""
    tracemalloc.start()
    shown = decode(CODED[coding], coding, 1 << 30)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (TEXT, False) == shown
    assert peak < 1 << 20


@pytest.mark.parametrize("size", [-1, 0, 1])
def test_zstd_is_read_in_steps(size):
    """Content that ends at, before or behind a step's end comes out whole."""
    text = bytes(range(256)) * 1024
    text = text[: zstandard.DECOMPRESSION_RECOMMENDED_OUTPUT_SIZE + size]
    assert (text, False) == decode(zstandard.compress(text), "zstd", LIMIT)
    assert (text[:-1], True) == decode(zstandard.compress(text), "zstd", len(text) - 1)


def gzip_bomb() -> bytes:
    """Return 1 GiB of zeros: 16 MiB in one member, 64 times."""
    return gzip.compress(bytes(BOMB // 64), 9) * 64


def streamed(compressor, finish) -> bytes:
    block = bytes(1 << 24)
    return b"".join(compressor(block) for _ in range(BOMB >> 24)) + finish()


def test_a_brotli_stream_that_has_not_ended():
    """All that the server has flushed comes out, though there is no end and it is more than one block."""
    made = brotli.Compressor()
    assert (TEXT * 500, False) == decode(made.process(TEXT * 500) + made.flush(), "br", LIMIT)


def brotli_bomb() -> bytes:
    made = brotli.Compressor(quality=1)
    return streamed(made.process, made.finish)


def zstd_bomb() -> bytes:
    made = zstandard.ZstdCompressor(level=1).compressobj()
    return streamed(made.compress, made.flush)


@pytest.mark.parametrize(
    ("coding", "make"),
    [("gzip", gzip_bomb), ("br", brotli_bomb), ("zstd", zstd_bomb)],
    ids=lambda x: str(x)[:6],
)
def test_bombs(coding, make):
    """1 GiB of zeros costs no more than a few times the limit, and gives exactly the limit."""
    bomb = make()
    tracemalloc.start()
    shown = decode(bomb, coding, LIMIT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (bytes(LIMIT), True) == shown
    assert peak < 8 * LIMIT
