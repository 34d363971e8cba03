"""The same as kmeans.rs, with numpy and multiprocessing; the points lie in shared memory, as the documentation advises.

    python3 kmeans.py POINTS.npy [CLUSTERS [ROUNDS [WORKERS]]]
"""

import json
import multiprocessing
import os
import sys
from multiprocessing import shared_memory

os.environ.setdefault("OMP_NUM_THREADS", "1")  # the workers are what is parallel

import numpy as np  # noqa: E402

PARTS_PER_WORKER = 4
shared = None


def attach(name, shape):
    """The initializer of a worker."""
    global shared
    memory = shared_memory.SharedMemory(name)
    shared = memory, np.ndarray(shape, np.float64, memory.buf)


def assign(job):
    """Gives each point of a part to the centre that is nearest."""
    centres, start, end = job
    points = shared[1][start:end]
    distances = (centres * centres).sum(axis=1) - 2.0 * (points @ centres.T)
    nearest = distances.argmin(axis=1)
    counts = np.bincount(nearest, minlength=len(centres))
    axes = range(points.shape[1])
    sums = [np.bincount(nearest, weights=points[:, axis], minlength=len(centres)) for axis in axes]
    return np.stack(sums, axis=1), counts


def main():
    path, *numbers = sys.argv[1:]
    defaults = [16, 10, len(os.sched_getaffinity(0))]
    clusters, rounds, workers = [int(number) for number in numbers] + defaults[len(numbers):]
    loaded = np.load(path)
    memory = shared_memory.SharedMemory(create=True, size=loaded.nbytes)
    try:
        points = np.ndarray(loaded.shape, np.float64, memory.buf)
        points[:] = loaded
        del loaded
        parts = workers * PARTS_PER_WORKER
        cuts = [len(points) * part // parts for part in range(parts + 1)]
        centres = points[:clusters].copy()
        with multiprocessing.Pool(workers, attach, (memory.name, points.shape)) as pool:
            for _ in range(rounds):
                jobs = [(centres, *cut) for cut in zip(cuts, cuts[1:])]
                results = pool.map(assign, jobs, chunksize=1)
                totals = sum(sums for sums, _ in results)
                sizes = sum(counts for _, counts in results)
                filled = sizes > 0
                centres[filled] = totals[filled] / sizes[filled, None]
        print(json.dumps({"sizes": sizes.tolist(), "centres": centres.tolist()}))
    finally:
        del points
        memory.close()
        memory.unlink()


if __name__ == "__main__":
    main()
