"""The pcapng file format (draft-ietf-opsawg-pcapng), written and never read: values in, bytes of whole blocks out."""

from pellucid.pcapng.blocks import (
    MOST_PACKET,
    PACKET,
    Interface,
    Packet,
    Statistics,
    decryption_secrets,
    enhanced_packet,
    interface_description,
    interface_statistics,
    section_header,
    whole_blocks,
)
from pellucid.pcapng.linktypes import ETHERNET, RAW_IP

__all__ = [
    "ETHERNET",
    "MOST_PACKET",
    "PACKET",
    "RAW_IP",
    "Interface",
    "Packet",
    "Statistics",
    "decryption_secrets",
    "enhanced_packet",
    "interface_description",
    "interface_statistics",
    "section_header",
    "whole_blocks",
]
