"""Masking credentials."""
