"""Secrets of TLS connections: where a library logs or keeps them, and the probes for that."""
