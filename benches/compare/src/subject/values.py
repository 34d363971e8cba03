"""multiprocessing.Pipe and multiprocessing.Queue with values, as the documentation shows them.

    python3 -c <this file> <cpu>,<cpu>... ordinary|favoured|fifo

No CPU means any. `burst <samples> <ignored>` answers `samples <nanoseconds>...`: of each sample how long a value takes to
and fro over the pipe, and how long each of a stream through the queue.
"""

import ctypes
import multiprocessing
import os
import sys
import time

PR_SET_PDEATHSIG, SIGKILL = 1, 9
TURNS, STREAM, CAPACITY = 50, 500, 256

now_ns = time.perf_counter_ns  # CLOCK_MONOTONIC on Linux


def take_place(cpus, priority):
    """Binds this process, and those that it starts, to its CPUs, its priority and its parent's life."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if cpus:
        os.sched_setaffinity(0, cpus)
    if priority == "favoured":
        os.setpriority(os.PRIO_PROCESS, 0, -20)
    if priority == "fifo":
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))


def item(number):
    """The same as every other subject's."""
    return {"number": number, "name": f"item {number:07}", "numbers": [float(number)] * 16}


def echo(line):
    while True:
        line.send(line.recv())


def count(queue, counts):
    total = 0
    while True:
        found = queue.get()
        if found is None:
            counts.put(total)
            total = 0
        else:
            total += found["number"]


def to_and_fro(line):
    start = now_ns()
    for number in range(TURNS):
        line.send(item(number))
        if line.recv() != item(number):
            sys.exit(f"item {number} came back changed")
    return (now_ns() - start) / TURNS


def stream(queue, counts):
    start = now_ns()
    for number in range(STREAM):
        queue.put(item(number))
    queue.put(None)
    if counts.get() != STREAM * (STREAM - 1) // 2:
        sys.exit("some items are missing")
    return (now_ns() - start) / STREAM


def main():
    take_place({int(cpu) for cpu in sys.argv[1].split(",") if cpu}, sys.argv[2])
    context = multiprocessing.get_context("fork")
    line, other = context.Pipe()
    queue, counts = context.Queue(CAPACITY), context.Queue(1)
    for target, args in (echo, (other,)), (count, (queue, counts)):
        context.Process(target=target, args=args, daemon=True).start()
    print("ready", flush=True)
    for request in iter(sys.stdin.readline, ""):
        word, *rest = request.split()
        if word == "quit":
            break
        if word != "burst":
            sys.exit(f"values cannot {word}")
        times = []
        for _ in range(int(rest[0])):
            times += to_and_fro(line), stream(queue, counts)
        print("samples", *times, flush=True)
    for process in multiprocessing.active_children():
        process.kill()
        process.join()


main()
