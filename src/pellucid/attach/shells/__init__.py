"""Shells: which files are some, and the probes for them."""
