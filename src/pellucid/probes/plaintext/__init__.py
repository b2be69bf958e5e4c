"""The kernel half that all libraries with plain read and write calls share: plaintext.bpf.c."""

from pellucid.libbpf import built_object

OBJECT = built_object(__path__, "plaintext.bpf.o")
