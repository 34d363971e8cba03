"""multiprocessing.Manager().dict(), as the documentation shows it.

    python3 -c <place.py, this file> <cpu>,<cpu>... ordinary|favoured|fifo

No CPU means any. `burst <samples> <ignored>` answers `samples <nanoseconds>...`: of each sample how long setting, getting
and adding one takes, per entry. Adding one is `d[k] += 1` under a lock: without it an addition of somebody else is lost.
"""

import itertools

ENTRIES = 100


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
    take_place(cpu_list(sys.argv[1]), sys.argv[2])
    context = multiprocessing.get_context("fork")
    with context.Manager() as manager:
        entries, lock, numbers = manager.dict(), context.Lock(), itertools.count(1)
        answer_bursts(lambda: sample(entries, lock, next(numbers)))


main()
