"""Lets the tests of this folder import `dialogue` and its like: importlib mode puts no folder on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import pytest  # now that they can be found
from frames import Pair


@pytest.fixture
def pair() -> Pair:
    """A client and a server of HTTP/2 with empty tables."""
    return Pair()
