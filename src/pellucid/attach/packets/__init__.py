"""Packets of network interfaces: which, by what way, and what a filter lets pass."""
