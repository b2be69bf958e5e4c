"""The kernel half that bash and zsh share, shell.bpf.c, and where each has what it needs."""

from pellucid.libbpf import built_object

OBJECT = built_object(__path__, "shell.bpf.o")
