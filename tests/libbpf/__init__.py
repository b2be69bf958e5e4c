"""Tests of the native binding; those that load programs are in tests/kernel."""
