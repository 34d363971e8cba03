"""multiprocessing.Pipe and multiprocessing.Queue with values, as the documentation shows them.

    python3 -c <place.py, this file> <cpu>,<cpu>... ordinary|favoured|fifo

No CPU means any. `burst <samples> <ignored>` answers `samples <nanoseconds>...`: of each sample how long a value takes to
and fro over the pipe, and how long each of a stream through the queue.
"""

TURNS, STREAM, CAPACITY = 50, 500, 256


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
    take_place(cpu_list(sys.argv[1]), sys.argv[2])
    context = multiprocessing.get_context("fork")
    line, other = context.Pipe()
    queue, counts = context.Queue(CAPACITY), context.Queue(1)
    for target, args in (echo, (other,)), (count, (queue, counts)):
        context.Process(target=target, args=args, daemon=True).start()
    answer_bursts(lambda: (to_and_fro(line), stream(queue, counts)))
    end_children()


main()
