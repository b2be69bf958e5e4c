"""`make kernels`: the same user space under other kernels, in QEMU (virtme-ng, without KVM where there is none).

Kernels are Debian's packages of the suites that apt knows here; each is unpacked into a cache and booted
with this machine's own files. Emulation is slow: PELLUCID_TEST_SLOWNESS stretches what tests wait for.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CACHE = Path(os.environ.get("PELLUCID_TEST_CACHE", Path.home() / ".cache" / "pellucid-tests")) / "kernels"
TESTS = ("tests/kernel/test_first_look.py", "tests/kernel/test_fallbacks.py")
OLDEST = (5, 15)
INSIDE = """
cd {root}
ip link set lo up
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
export PELLUCID_TEST_SLOWNESS=10
{python} -m pellucid doctor > {out} 2>&1
{python} -m pytest -q -p no:cacheprovider {tests} >> {out} 2>&1
echo "status $?" >> {out}
"""


def packages() -> list[str]:
    """The newest image package of each kernel series that apt knows and Pellucid supports."""
    listing = subprocess.run(
        ["apt-cache", "search", "--names-only", r"^linux-image-[0-9.]+-[0-9]+(\+deb[0-9]+)?-amd64$"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    newest: dict[tuple[int, ...], tuple[tuple[int, ...], str]] = {}
    for name in re.findall(r"^(\S+)", listing, re.MULTILINE):
        version = tuple(map(int, re.findall(r"\d+", name.removesuffix("-amd64"))))
        if version[:2] >= OLDEST:
            newest[version[:2]] = max(newest.get(version[:2], ((), "")), (version, name))
    return [name for _, name in sorted(newest.values())]


def unpacked(package: str) -> tuple[Path, str]:
    """The kernel image of a package and its release; its modules are put where the kernel looks for them."""
    folder = CACHE / package
    if not (folder / "boot").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        subprocess.run(
            ["apt-get", "download", "-qq", package], cwd=folder, check=True, stderr=subprocess.DEVNULL
        )
        (archive,) = folder.glob("*.deb")
        subprocess.run(["dpkg-deb", "-x", archive, folder], check=True)
        archive.unlink()
    (image,) = (folder / "boot").glob("vmlinuz-*")
    release = image.name.removeprefix("vmlinuz-")
    modules = Path("/lib/modules", release)
    if not modules.exists():
        shutil.copytree(folder / "lib/modules" / release, modules, symlinks=True)
        subprocess.run(["depmod", release], check=True)
    return image, release


def passes(image: Path, release: str) -> bool:
    """Boot the kernel, run the tests in it, and show what they said."""
    out, script = ROOT / "build" / f"kernel-{release}.log", ROOT / "build" / "inside.sh"
    out.unlink(missing_ok=True)
    script.write_text(INSIDE.format(root=ROOT, python=sys.executable, tests=" ".join(TESTS), out=out))
    vng = [Path(sys.executable).parent / "vng", "--run", image, "--memory", "2G", "--cpus", "2", "--rw",
           "--force-9p", *([] if Path("/dev/kvm").exists() else ["--disable-kvm"])]  # fmt: skip
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(
        [*vng, "--", f"bash {script}"],
        check=False,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    said = out.read_text() if out.exists() else "the kernel did not boot"
    print(f"--- {release}\n{said}", flush=True)
    return said.endswith("status 0\n")


def main() -> int:
    """Every kernel in turn; 0 when all pass."""
    chosen = sys.argv[1:] or packages()
    if not chosen:
        sys.exit("apt knows no kernel image: run apt-get update")
    failed = [package for package in chosen if not passes(*unpacked(package))]
    print(
        f"{len(chosen) - len(failed)} of {len(chosen)} kernels pass"
        + "".join(f"\nfailed: {at}" for at in failed)
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
