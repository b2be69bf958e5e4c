"""What Pellucid needs of a machine: one table, from which `pellucid doctor`, the errors and docs/kernels.md come.

Each row has a probe that tries the thing itself, never a version number. A row says what is done without
it, or nothing where it cannot be done without. (The file is long because the table is.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from pellucid.attach import children, machine, mappings, rehearsal, trials
from pellucid.errors import PellucidError, Unsupported
from pellucid.libbpf import trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

State = Literal["ok", "missing", "warn", "unchecked"]
"""`missing`: a capture cannot run without it; `warn`: it is not there, and another way is taken."""


@dataclass(frozen=True)
class Feature:
    """One row."""

    name: str
    use: str
    """What Pellucid does with it."""
    needs: str
    """The kernel, its configuration, or the privilege."""
    do: str
    """What a person can do to have it; follows a colon."""
    probe: Callable[[], str]
    """Returns what it found, in words; raises PellucidError where the feature is not there."""
    without: str | None = None
    """What Pellucid does instead. None: it cannot work."""
    after: tuple[str, ...] = ()
    """Rows without which this one cannot be tried."""
    commits: tuple[str, ...] = ()
    """The kernel commits it came with: hash, "title"."""

    @property
    def required(self) -> bool:
        """Whether a capture needs it."""
        return self.without is None


class Finding(NamedTuple):
    """What came out of one row."""

    feature: Feature
    state: State
    text: str


ROOT = Feature(
    "root",
    use="read the mappings of other programs, open outputs, load and attach",
    needs="uid 0",
    do="run it with sudo",
    probe=machine.root,
)

DECODER = Feature(
    "an unprivileged decoder",
    use="parse captured bytes in a process that can do nothing else",
    needs="CAP_SETUID, CAP_SETGID and CAP_SETPCAP",
    do="let it keep CAP_SETUID, CAP_SETGID and CAP_SETPCAP, outside of user namespaces",
    probe=children.decoder,
    after=("root",),
)

PROCESS_NUMBERS = Feature(
    "the host's process numbers",
    use="watch one process: --pid",
    needs="the initial pid namespace",
    do="run it on the host itself, or in a container with --pid=host",
    probe=machine.process_numbers,
    without="--pid cannot be used, and messages show the numbers that the host knows",
)

FEATURES = (
    ROOT,
    Feature(
        "CAP_BPF",
        use="load programs, create maps",
        needs="the capability, or CAP_SYS_ADMIN",
        do="give this process CAP_BPF (a container: --cap-add BPF)",
        probe=machine.capability("CAP_BPF"),
        after=("root",),
        commits=('2c78ee898d8f "bpf: Implement CAP_BPF" (5.8)',),
    ),
    Feature(
        "CAP_PERFMON",
        use="load programs that read memory, attach them",
        needs="the capability, or CAP_SYS_ADMIN",
        do="give this process CAP_PERFMON (a container: --cap-add PERFMON)",
        probe=machine.capability("CAP_PERFMON"),
        after=("root",),
        commits=('980737282232 "capabilities: Introduce CAP_PERFMON to kernel and user space" (5.8)',),
    ),
    DECODER,
    Feature(
        "BTF",
        use="find the fields of kernel structs",
        needs="Linux 5.4 with CONFIG_DEBUG_INFO_BTF=y",
        do="run a kernel that has /sys/kernel/btf/vmlinux (CONFIG_DEBUG_INFO_BTF=y)",
        probe=trials.kernel_types,
        commits=('341dfcf8d78e "btf: expose BTF info through sysfs" (5.4)',),
    ),
    Feature(
        "bpf(2)",
        use="everything",
        needs="CONFIG_BPF_SYSCALL=y and CONFIG_BPF_EVENTS=y; no seccomp filter or user namespace in between",
        do="run it on the host itself, or in a container with --privileged",
        probe=trials.program,
        after=("CAP_BPF", "CAP_PERFMON"),
    ),
    Feature(
        "kernel memory",
        use="read a socket's addresses",
        needs="lockdown off, or in the mode integrity",
        do="boot without lockdown=confidentiality",
        probe=trials.kernel_memory,
        after=("bpf(2)",),
        commits=('9d1f8be5cf42 "bpf: Restrict bpf when kernel lockdown is in confidentiality mode" (5.4)',),
    ),
    Feature(
        "a ring buffer",
        use="hand records to user space",
        needs="Linux 5.8, and the memory",
        do="run Linux 5.8 or newer, with memory for the ring",
        probe=trials.ring,
        after=("bpf(2)",),
        commits=('457f44363a88 "bpf: Implement BPF ring buffer and verifier support for it" (5.8)',),
    ),
    Feature(
        "memlock",
        use="create maps on kernels that charge them to the limit of locked memory",
        needs="Linux 5.11, or a limit above the size of the ring",
        do="raise it: ulimit -l unlimited",
        probe=trials.memlock,
        without="libbpf raises the limit itself, if it may",
        after=("bpf(2)",),
        commits=('80ee81e0403c "bpf: Eliminate rlimit-based memory accounting infra for bpf maps" (5.11)',),
    ),
    Feature(
        "attach cookies",
        use="one program for all places, which learns from the cookie where it is",
        needs="Linux 5.15",
        do="run Linux 5.15 or newer",
        probe=trials.helper(trial.GET_ATTACH_COOKIE),
        after=("bpf(2)",),
        commits=(
            '7adfc6c9b315 "bpf: Add bpf_get_attach_cookie() BPF helper to access bpf_cookie value" (5.15)',
        ),
    ),
    Feature(
        "uprobes",
        use="be called where a program calls its TLS library",
        needs="CONFIG_UPROBE_EVENTS=y",
        do="run a kernel built with CONFIG_UPROBE_EVENTS=y",
        probe=trials.uprobe,
        after=("bpf(2)",),
        commits=("33ea4b24277b \"perf/core: Implement the 'perf_uprobe' PMU\" (4.17)",),
    ),
    Feature(
        "tcx links",
        use="see packets of interfaces (`-m pcap`), and be gone with the capture, whichever way it ends",
        needs="Linux 6.6 with CONFIG_NET_XGRESS=y",
        do="run Linux 6.6 or newer",
        probe=trials.tcx,
        without="filters of clsact, which the next capture removes if this one is killed; without TC packet sockets",
        after=("bpf(2)",),
        commits=('e420bed02507 "bpf: Add fd-based tcx multi-prog infra with link support" (6.6)',),
    ),
    Feature(
        "libpcap",
        use="compile the filter words of `-m pcap`",
        needs="libpcap.so.0.8 (Debian: libpcap0.8)",
        do="install libpcap",
        probe=trials.libpcap,
        without="filter words are refused",
    ),
    Feature(
        "uprobe_multi links",
        use="hold all probes of a file in one link: detaching takes 25 ms",
        needs="Linux 6.6, with the pid filter of 6.10 or its backport",
        do="run Linux 6.10 or newer",
        probe=trials.uprobe_multi,
        without="one perf uprobe for each place, 0.1 s each to detach",
        after=("bpf(2)",),
        commits=(
            '89ae89f53d20 "bpf: Add multi uprobe link" (6.6)',
            '46ba0e49b642 "bpf: fix multi-uprobe PID filtering logic" (6.10)',
        ),
    ),
    Feature(
        "raw tracepoints",
        use="notice the end of processes and the programs that they become",
        needs="Linux 4.17",
        do="run a kernel built with CONFIG_BPF_EVENTS=y",
        probe=trials.raw_tracepoints,
        after=("bpf(2)",),
        commits=('c4f6699dfcb8 "bpf: introduce BPF_RAW_TRACEPOINT" (4.17)',),
    ),
    Feature(
        "socket tracepoints",
        use="learn a connection's addresses from the socket that a thread uses; see database servers at their sockets",
        needs="Linux 6.3",
        do="run Linux 6.3 or newer",
        probe=trials.socket_tracepoints,
        without="addresses come from SSL_set_fd, or are null; each call of a database server is probed",
        after=("bpf(2)",),
        commits=('6e6eda44b939 "sock: add tracepoint for send recv length" (6.3)',),
    ),
    Feature(
        "bpf_loop",
        use="copy a single call of up to 64 MiB",
        needs="Linux 5.17",
        do="run Linux 5.17 or newer",
        probe=trials.helper(trial.LOOP),
        without="what a single call has beyond 1 MiB is lost, and said to be",
        after=("bpf(2)",),
        commits=('e6f2dd0f8067 "bpf: Add bpf_loop helper" (5.17)',),
    ),
    Feature(
        "bpf_for_each_map_elem",
        use="close the connections of a process that has ended",
        needs="Linux 5.13",
        do="run Linux 5.13 or newer",
        probe=trials.helper(trial.FOR_EACH_MAP_ELEM),
        without="such connections are not shown as closed",
        after=("bpf(2)",),
        commits=('69c087ba6225 "bpf: Add bpf_for_each_map_elem() helper" (5.13)',),
    ),
    Feature(
        "memory iterators",
        use="know which files programs have mapped, and which of them are the same file",
        needs="Linux 5.12",
        do="run Linux 5.12 or newer",
        probe=mappings.iterator,
        after=("bpf(2)", "BTF"),
        commits=(
            '3a7b35b899de "bpf: Introduce task_vma bpf_iter" (5.12)',
            'f0d74c4da1f0 "bpf: Parameterize task iterators." (6.1)',
        ),
    ),
    Feature(
        "news of mappings",
        use="watch files that programs begin to use while the capture runs",
        needs="CONFIG_PERF_EVENTS=y, and a seccomp profile that allows perf_event_open(2)",
        do="allow perf_event_open(2) (a container: --privileged)",
        probe=mappings.news,
        without="only files that were in use or installed at the start are watched",
        after=("CAP_PERFMON",),
    ),
    Feature(
        "cgroup v2",
        use="know the addresses of TLS that goes through memory, by the handshake; watch one group of programs",
        needs="a mounted cgroup2 file system, all of it",
        do="mount -t cgroup2 none /sys/fs/cgroup",
        probe=machine.mounted("cgroup2"),
        without="such addresses are null; --cgroup_path and --container cannot be used",
    ),
    Feature(
        "the sender of a packet",
        use="tell a program's own handshake from one that a proxy passes on",
        needs="Linux 6.10",
        do="run Linux 6.10 or newer",
        probe=trials.helper(trial.GET_CURRENT_PID_TGID, trial.CGROUP_SKB),
        without="handshakes are not used: addresses of TLS that goes through memory are null",
        after=("bpf(2)",),
        commits=(
            'eb166e522c77 "bpf: Allow helper bpf_get_[ns_]current_pid_tgid() for all prog types" (6.10)',
        ),
    ),
    PROCESS_NUMBERS,
    Feature(
        "tracefs",
        use="nothing: uprobes are made through perf or bpf(2)",
        needs="a mount, only on kernels without either",
        do="mount -t tracefs none /sys/kernel/tracing",
        probe=machine.tracefs,
        without="nothing changes where uprobes can be had at all",
    ),
    Feature(
        "sandboxed programs",
        use="watch programs under a seccomp filter",
        needs="on x86-64 a kernel before 6.11 or from 6.14 on, or its fix in a stable release",
        do="run Linux 6.14 or newer, or watch other programs only (--pid, --uid, --cgroup_path)",
        probe=children.return_probes_in_sandboxes,
        without="a program whose filter allows only known system calls may be killed when a call returns",
        commits=(
            'ff474a78cef5 "uprobe: Add uretprobe syscall to speed up return probe" (6.11)',
            'cf6cb56ef244 "seccomp: passthrough uretprobe systemcall without filtering" (6.14)',
        ),
    ),
    Feature(
        "shadow stacks",
        use="watch programs that the processor guards against changed return addresses (CET)",
        needs="on x86-64 a kernel without them (before 6.6), or Linux 6.11, or its fix in a stable release",
        do="run Linux 6.11 or newer, or watch programs that were not built for them",
        probe=children.return_probes_with_shadow_stacks,
        without="a program with a shadow stack may be killed when a call returns",
        commits=('1713b63a07a2 "x86/shstk: Make return uprobe work with shadow stack" (6.11)',),
    ),
)
"""The kernel, and what it lets this process do."""

INSTALLATION = (
    Feature(
        "libssl",
        use="watch programs that use it from their first call on",
        needs="OpenSSL's shared library",
        do="install it if programs here are to use it",
        probe=rehearsal.libssl,
        without="programs that bring a library of their own are watched all the same, as they come",
    ),
    Feature(
        "inner functions",
        use="see each read and write once, at the cheapest place",
        needs="a library that can be followed by disassembly",
        do="report the library, please",
        probe=rehearsal.inner_functions,
        without="the public functions are probed: it costs more, and OpenSSL's own BIOs are not seen",
        after=("libssl",),
    ),
    Feature(
        "the BPF object",
        use="what runs in the kernel",
        needs="a complete build, and a verifier that agrees",
        do="run make bpf; if it stays, please report this line and the kernel",
        probe=rehearsal.load,
        after=("BTF", "bpf(2)", "a ring buffer"),
    ),
    Feature(
        "attaching",
        use="all of the above together",
        needs="all of the above",
        do="please report this line and the kernel",
        probe=rehearsal.attach,
        after=("the BPF object",),
    ),
)
"""What is Pellucid's own: no page lists it, but `pellucid doctor` tries it."""


def examine(features: Iterable[Feature]) -> Iterator[Finding]:
    """Try one row after the other; one that hangs on another row that is not there is not tried."""
    causes: dict[str, str] = {}
    for feature in features:
        cause = next((causes[name] for name in feature.after if name in causes), None)
        finding = (
            _try(feature) if cause is None else Finding(feature, "unchecked", f"not tried without {cause}")
        )
        if finding.state != "ok":
            causes[feature.name] = cause or feature.name
        yield finding


def _try(feature: Feature) -> Finding:
    try:
        return Finding(feature, "ok", feature.probe())
    except PellucidError as error:
        return Finding(feature, "missing" if feature.required else "warn", str(error))


def unsupported(feature: Feature) -> Unsupported:
    """The error that says that a row is not there."""
    return Unsupported(feature.name, feature.do)


def require(feature: Feature) -> None:
    """Raise `Unsupported` where a row that somebody asks for is not there."""
    if _try(feature).state != "ok":
        raise unsupported(feature)


def missing_requirement() -> Unsupported | None:
    """The first thing that the kernel lacks or forbids, to explain a failure; None if it has all.

    It takes 50 ms, so it is asked when something has failed, not before.
    """
    missing = (finding.feature for finding in examine(FEATURES) if finding.state == "missing")
    return next((unsupported(feature) for feature in missing), None)
