"""The kernel half of `-m pcap`: packets.bpf.c, which sees packets on interfaces, and secrets as `-m keylog` does."""

from pellucid.libbpf import built_object

OBJECT = built_object(__path__, "packets.bpf.o")
