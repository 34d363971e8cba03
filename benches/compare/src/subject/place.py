"""What the Python subjects have in common: `python.rs` puts it before the script of each."""

import ctypes
import multiprocessing
import os
import sys
import time

PR_SET_PDEATHSIG, SIGKILL = 1, 9

now_ns = time.perf_counter_ns  # CLOCK_MONOTONIC on Linux, the same in every process


def cpu_list(text):
    """The CPUs of an argument `<cpu>,<cpu>...`; none means any."""
    return [int(cpu) for cpu in text.split(",") if cpu]


def take_place(cpus, priority):
    """Binds this process, and those that it starts, to its CPUs, its priority and its parent's life."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if cpus:
        os.sched_setaffinity(0, cpus)
    if priority == "favoured":
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    if priority == "fifo":
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))


def requests():
    """What the benchmark asks for, in words, until it wants no more."""
    print("ready", flush=True)
    for line in iter(sys.stdin.readline, ""):
        words = line.split()
        if words == ["quit"]:
            return
        yield words


def refuse(request):
    sys.exit(f"this subject cannot {request}")


def answer_bursts(all_ways):
    """Answers `burst <samples> <ignored>` with `samples <nanoseconds>...`, a sample of each way a time."""
    for request, *rest in requests():
        if request != "burst":
            refuse(request)
        times = []
        for _ in range(int(rest[0])):
            times += all_ways()
        print("samples", *times, flush=True)


def end_children():
    for process in multiprocessing.active_children():
        process.kill()
        process.join()
