"""Tests: sans-I/O beside the tree they mirror, recordings, and tests/kernel on real programs."""
