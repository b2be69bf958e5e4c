"""Envelopes in memory."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pellucid.capture.envelope import HEADER, pack, pack_context, split
from pellucid.errors import FormatError
from pellucid.model import Envelope, Kind, Target

ENVELOPES = st.lists(
    st.builds(Envelope, st.sampled_from(Kind), st.integers(0, 0xFFFF), st.binary(max_size=50))
)


@given(ENVELOPES)
def test_what_is_packed_comes_out(envelopes):
    """Any envelopes in a row are split into the same ones."""
    batch = b"".join(pack(at.kind, at.payload, at.object) for at in envelopes)

    assert [Envelope(kind, id, bytes(payload)) for kind, id, payload in split(batch)] == envelopes


@given(st.binary(max_size=200))
def test_garbage_is_refused(batch):
    """Any bytes are envelopes or a FormatError, never another exception."""
    with contextlib.suppress(FormatError):
        assert sum(HEADER.size + len(at.payload) for at in split(batch)) == len(batch)


def test_a_cut_batch_is_refused_after_its_whole_envelopes():
    """What is whole comes out before the error."""
    envelopes = split(pack(Kind.RECORD, b"whole", 1) + pack(Kind.RECORD, b"cut", 1)[:-1])

    assert bytes(next(envelopes).payload) == b"whole"
    with pytest.raises(FormatError):
        next(envelopes)


def test_context_is_json_with_its_kind():
    """A context envelope says which context it is."""
    (envelope,) = split(pack_context(Target(id=1, library="l", path="/l", site="inner")))

    assert envelope.kind is Kind.CONTEXT
    assert bytes(envelope.payload) == b'{"context":"target","id":1,"library":"l","path":"/l","site":"inner"}'
