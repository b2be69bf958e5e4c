"""Pellucid sees through TLS: eBPF probes show what programs send and receive."""
