"""The kernel half of `-m keylog`: keylog.bpf.c, which sees handshakes only."""

from pellucid.libbpf import built_object

OBJECT = built_object(__path__, "keylog.bpf.o")
