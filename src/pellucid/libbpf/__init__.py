"""The native binding: BPF objects through libbpf, links, and the thread that drains a ring.

Only `Drain` is used by the decoder; everything else makes BPF calls and belongs to the tracer.
"""

from pellucid.libbpf.drain import Drain
from pellucid.libbpf.links import (
    Link,
    Site,
    attach_cgroup,
    attach_raw_tracepoint,
    attach_tcx,
    attach_uprobes,
    close_links,
    has_uprobe_multi,
    iterate,
)
from pellucid.libbpf.mappings import NewMappings
from pellucid.libbpf.object import (
    BpfError,
    BpfMap,
    BpfObject,
    Program,
    built_object,
    possible_cpus,
    wait_for_programs,
)
from pellucid.libbpf.programs import RawProgram

__all__ = [
    "BpfError",
    "BpfMap",
    "BpfObject",
    "Drain",
    "Link",
    "NewMappings",
    "Program",
    "RawProgram",
    "Site",
    "attach_cgroup",
    "attach_raw_tracepoint",
    "attach_tcx",
    "attach_uprobes",
    "built_object",
    "close_links",
    "has_uprobe_multi",
    "iterate",
    "possible_cpus",
    "wait_for_programs",
]
