"""multiprocessing.Pool and concurrent.futures.ProcessPoolExecutor with an empty task, as the documentation shows them.

    python3 -c <this file> <cpu>,<cpu>... ordinary|favoured|fifo

No CPU means any. `burst <samples> <ignored>` answers `samples <nanoseconds>...`: of each sample how long a task takes to and
fro with 1 worker, each of many that are called one by one with 2 workers, and each of a map; first of Pool, then of the
executor.
"""

import concurrent.futures
import ctypes
import multiprocessing
import os
import sys
import time

PR_SET_PDEATHSIG, SIGKILL = 1, 9
TURNS, MANY = 20, 200

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


def next_number(number):
    return number + 1


def timed(count, each):
    start = now_ns()
    if list(each(count)) != list(range(1, count + 1)):
        sys.exit("some results are wrong")
    return (now_ns() - start) / count


def of_pool(one, two):
    return (
        timed(TURNS, lambda count: (one.apply(next_number, (number,)) for number in range(count))),
        timed(MANY, lambda count: [result.get() for result in [two.apply_async(next_number, (n,)) for n in range(count)]]),
        timed(MANY, lambda count: two.map(next_number, range(count))),
    )


def of_executor(one, two):
    return (
        timed(TURNS, lambda count: (one.submit(next_number, number).result() for number in range(count))),
        timed(MANY, lambda count: [result.result() for result in [two.submit(next_number, n) for n in range(count)]]),
        # In chunks as long as those of Pool.map.
        timed(MANY, lambda count: two.map(next_number, range(count), chunksize=count // 8)),
    )


def main():
    take_place({int(cpu) for cpu in sys.argv[1].split(",") if cpu}, sys.argv[2])
    context = multiprocessing.get_context("fork")
    executor = concurrent.futures.ProcessPoolExecutor
    with context.Pool(1) as one, context.Pool(2) as two, executor(1, context) as single, executor(2, context) as double:
        # Executors start their workers when they are needed.
        double.submit(next_number, 0).result()
        print("ready", flush=True)
        for line in iter(sys.stdin.readline, ""):
            request, *rest = line.split()
            if request == "quit":
                break
            if request != "burst":
                sys.exit(f"a pool cannot {request}")
            times = []
            for _ in range(int(rest[0])):
                times += of_pool(one, two) + of_executor(single, double)
            print("samples", *times, flush=True)


main()
