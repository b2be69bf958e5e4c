"""What libraries call themselves."""

from __future__ import annotations

import pytest

from pellucid.attach.version import version_of

TEXTS = {
    "OpenSSL 1.1.1w  11 Sep 2023": "OpenSSL 1.1.1w 11 Sep 2023",
    "OpenSSL 3.0.15+quic 3 Sep 2024": "OpenSSL 3.0.15+quic 3 Sep 2024",
    "OpenSSL 1.1.1k  FIPS 25 Mar 2021": "OpenSSL 1.1.1k FIPS 25 Mar 2021",
    "OpenSSL 3.0.13+qShould not query options": None,
    "LibreSSL 3.8.2": "LibreSSL 3.8.2",
    "OpenSSL 1.1.1 (compatible; BoringSSL)": "BoringSSL",
    "OpenSSL 1.1.1 (compatible; AWS-LC 1.34.0)": "AWS-LC 1.34.0",
    "BoringSSL": "BoringSSL",
    "third_party/boringssl/src/ssl/ssl_lib.cc": "BoringSSL",
    "this needs OpenSSL 1.1.1 or newer": None,
    "OpenSSL Base Provider": None,
}


def source(text):
    return f'const char *version(void) {{ return "{text}"; }}'


@pytest.mark.parametrize(("text", "version"), TEXTS.items())
def test_own_text(library, text, version):
    """The version is the file's own constant, not what it says of others."""
    assert version_of(library(source(text)), {}) == version


def test_text_of_its_libcrypto(library):
    """A libssl without it has the version of the libcrypto that is mapped with it, else of the one beside it."""
    beside = library(source("OpenSSL 3.1.0 1 Jan 2024"), "-Wl,-soname,libcrypto.so.3", name="libcrypto.so.3")
    path = library("int x;", "-Wl,--no-as-needed", str(beside), name="libssl.so.3")
    mapped = library(source("OpenSSL 3.2.0 2 Jan 2024"), name="mapped")
    assert version_of(path, {}) == "OpenSSL 3.1.0 1 Jan 2024"
    assert version_of(path, {"libcrypto.so.3": mapped}) == "OpenSSL 3.2.0 2 Jan 2024"
    beside.unlink()
    assert version_of(path, {}) is None
