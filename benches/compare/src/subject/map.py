"""multiprocessing.Manager().dict(), as the documentation shows it.

    python3 -c <this file> <cpu>,<cpu>... ordinary|favoured|fifo

No CPU means any. `burst <samples> <ignored>` answers `samples <nanoseconds>...`: of each sample how long setting, getting
and adding one takes, per entry. Adding one is `d[k] += 1` under a lock: without it an addition of somebody else is lost.
"""

import ctypes
import multiprocessing
import os
import sys
import time

PR_SET_PDEATHSIG, SIGKILL = 1, 9
ENTRIES = 100

now_ns = time.perf_counter_ns  # CLOCK_MONOTONIC on Linux


def take_place(cpus, priority):
    """Binds this process, and the server that it starts, to its CPUs, its priority and its parent's life."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if cpus:
        os.sched_setaffinity(0, cpus)
    if priority == "favoured":
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    if priority == "fifo":
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))


def timed(each):
    start = now_ns()
    for key in range(ENTRIES):
        each(key)
    return (now_ns() - start) / ENTRIES


def sample(entries, lock, number):
    def put(key):
        entries[key] = key + number

    def get(key):
        if entries[key] != key + number:
            sys.exit(f"{key + number} is not under {key}")

    def add(key):
        with lock:
            entries[key] += 1

    return timed(put), timed(get), timed(add)


def main():
    take_place({int(cpu) for cpu in sys.argv[1].split(",") if cpu}, sys.argv[2])
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        entries, lock = manager.dict(), context.Lock()
        number = 0
        print("ready", flush=True)
        for line in iter(sys.stdin.readline, ""):
            request, *rest = line.split()
            if request == "quit":
                break
            if request != "burst":
                sys.exit(f"a dict cannot {request}")
            times = []
            for _ in range(int(rest[0])):
                number += 1
                times += sample(entries, lock, number)
            print("samples", *times, flush=True)


main()
