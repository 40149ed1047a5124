"""What this machine is, and how much memory it has to spare."""

from __future__ import annotations

import platform
from contextlib import suppress
from pathlib import Path


def machine_name(n_threads: int) -> str:
    """Return what a measurement of speed holds for.

    Parameters
    ----------
    n_threads : int
        Threads for evaluation.

    Returns
    -------
    str
        The processor and the threads.
    """
    processor = platform.processor() or platform.machine()
    with suppress(OSError):  # Linux alone has it; elsewhere the name above says it
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    return f"{processor}|{n_threads} threads"


def available_memory() -> int | None:
    """Return how much memory is available to this process.

    Returns
    -------
    int or None
        Bytes, the limit of a container heeded; None where the system does not say.
    """
    available = None
    with suppress(OSError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                available = 1024 * int(line.split()[1])
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # there is no limit where it reads "max"
        limit = int((group / "memory.max").read_text(encoding="ascii"))
        used = int((group / "memory.current").read_text(encoding="ascii"))
        available = min(available or limit, max(0, limit - used))
    return available
