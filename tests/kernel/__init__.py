"""Tests that load eBPF programs and watch real servers and clients."""
