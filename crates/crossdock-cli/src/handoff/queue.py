"""multiprocessing.Queue as its documentation shows it, carrying one numpy array to another process.

    python3 -c <this file> <dtype> <rounds> file <path>
    python3 -c <this file> <dtype> <rounds> made <elements> <period>

Prints one line of JSON with the versions, and one per round; nothing without numpy. All times are of CLOCK_MONOTONIC.
"""

import importlib.util
import json
import multiprocessing
import multiprocessing.connection
import os
import platform
import sys
import threading
import time

WARM_UP = 1_000


def now_ns():
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def load(numpy, dtype, source, args):
    if source == "file":
        return numpy.load(args[0])
    elements, period = map(int, args)
    step = numpy.arange(period)
    if dtype == "bool":
        pattern = step % 2 == 1
    elif dtype.startswith("complex"):
        pattern = (step - 1j * step).astype(dtype)
    else:
        pattern = step.astype(dtype)
    array = numpy.empty(elements, dtype)
    whole = elements - elements % period
    array[:whole].reshape(-1, period)[:] = pattern
    array[whole:] = pattern[: elements - whole]
    return array


def exact_sum(numpy, array):
    """The sum as text: modulo 2^64 if integer, in double precision if not."""
    if array.dtype.kind == "c":
        total = complex(array.sum(dtype=numpy.complex128))
        return [repr(total.real), repr(total.imag)]
    if array.dtype.kind == "f":
        return [repr(float(array.sum(dtype=numpy.float64)))]
    return [str(int(array.sum()) % 2**64)]


def end_with_parent():
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)


def consume(queue, answers):
    threading.Thread(target=end_with_parent, daemon=True).start()
    import numpy

    while (array := queue.get()) is not None:
        got_ns = now_ns()
        array.sum()
        read_ns = now_ns()
        answers.send((got_ns, read_ns, exact_sum(numpy, array), array.shape))
        del array


def main():
    dtype, rounds, source, *args = sys.argv[1:]
    if importlib.util.find_spec("numpy") is None:
        return
    # Forked before numpy is there: numpy may start threads.
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    answers, answering = context.Pipe(duplex=False)
    consumer = context.Process(target=consume, args=(queue, answering), daemon=True)
    consumer.start()
    answering.close()

    import numpy

    print(json.dumps({"python": platform.python_version(), "numpy": numpy.__version__}), flush=True)
    array = load(numpy, dtype, source, args)
    queue.put(array.ravel("K")[:WARM_UP].copy())
    answers.recv()
    for _ in range(int(rounds)):
        gave_ns = now_ns()
        queue.put(array)
        got_ns, read_ns, total, shape = answers.recv()
        if shape != array.shape:
            sys.exit(f"sent an array of shape {array.shape}, got one of {shape}")
        answer = {"hop_ns": got_ns - gave_ns, "until_sum_ns": read_ns - gave_ns, "sum": total}
        print(json.dumps(answer), flush=True)
    queue.put(None)
    consumer.join()


main()
