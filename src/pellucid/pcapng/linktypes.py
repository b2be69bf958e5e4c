"""What a packet begins with, by tcpdump.org's number (https://www.tcpdump.org/linktypes.html)."""

ETHERNET = 1
RAW_IP = 101
"""IPv4 or IPv6, told apart by its first four bits."""
