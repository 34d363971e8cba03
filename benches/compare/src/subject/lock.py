"""multiprocessing.Lock around a counter in shared memory, as the documentation shows it.

    python3 -c <place.py, this file> <processes> <cpu>,<cpu>... ordinary|favoured|fifo

No CPU means any. `burst <samples> <ignored>` answers `samples <nanoseconds>...`, each a mean over turns that nobody
else is after. `contend <ignored> <start> <end>` has every process take turns between two time stamps of
CLOCK_MONOTONIC and answers `contended <start> <end> <turns>`. `total` answers `total <turns>`.
"""

TURNS_PER_SAMPLE = 1000
TURNS_PER_LOOK = 16


def take_turns(lock, counter, turns):
    for _ in range(turns):
        with lock:
            counter.value += 1


def alone(lock, counter, samples):
    before, times = counter.value, []
    for _ in range(samples):
        start = now_ns()
        take_turns(lock, counter, TURNS_PER_SAMPLE)
        times.append((now_ns() - start) / TURNS_PER_SAMPLE)
    if counter.value - before != samples * TURNS_PER_SAMPLE:
        sys.exit(f"{samples * TURNS_PER_SAMPLE} turns were taken, {counter.value - before} counted")
    return times


def contend(lock, counter, wanted, cpus, priority):
    """One of the processes."""
    take_place(cpus, priority)
    while True:
        first, last = wanted.recv()
        time.sleep(max(0, first - now_ns()) / 1e9)
        start = end = now_ns()
        turns = 0
        while end < last:
            take_turns(lock, counter, TURNS_PER_LOOK)
            turns += TURNS_PER_LOOK
            end = now_ns()
        wanted.send((start, end, turns))


def main():
    processes, priority = int(sys.argv[1]), sys.argv[3]
    cpus = cpu_list(sys.argv[2])
    context = multiprocessing.get_context("fork")
    lock, counter = context.Lock(), context.RawValue(ctypes.c_uint64)
    workers = []
    for index in range(processes if processes > 1 else 0):
        # As many processes as CPUs: each has one to itself.
        own = [cpus[index]] if len(cpus) == processes else cpus
        here, there = context.Pipe()
        context.Process(target=contend, args=(lock, counter, there, own, priority), daemon=True).start()
        workers.append(here)
    take_place(cpus, priority)
    for request, *rest in requests():
        if request == "burst":
            print("samples", *alone(lock, counter, int(rest[0])), flush=True)
        elif request == "contend":
            for worker in workers:
                worker.send((int(rest[1]), int(rest[2])))
            starts, ends, turns = zip(*(worker.recv() for worker in workers))
            print("contended", min(starts), max(ends), sum(turns), flush=True)
        elif request == "total":
            with lock:
                print("total", counter.value, flush=True)
        else:
            refuse(request)
    end_children()


main()
