"""multiprocessing.Pool and concurrent.futures.ProcessPoolExecutor with an empty task, as the documentation shows them.

    python3 -c <place.py, this file> <cpu>,<cpu>... ordinary|favoured|fifo

No CPU means any. `burst <samples> <ignored>` answers `samples <nanoseconds>...`: of each sample how long a task takes to and
fro with 1 worker, each of many that are called one by one with 2 workers, and each of a map; first of Pool, then of the
executor.
"""

import concurrent.futures

TURNS, MANY = 20, 200


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
    take_place(cpu_list(sys.argv[1]), sys.argv[2])
    context = multiprocessing.get_context("fork")
    executor = concurrent.futures.ProcessPoolExecutor
    with context.Pool(1) as one, context.Pool(2) as two, executor(1, context) as single, executor(2, context) as double:
        # Executors start their workers when they are needed.
        double.submit(next_number, 0).result()
        answer_bursts(lambda: of_pool(one, two) + of_executor(single, double))


main()
