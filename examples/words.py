"""The same as words.rs, with multiprocessing.

    python3 words.py FILE [WORKERS]
"""

import collections
import json
import multiprocessing
import os
import re
import sys

PARTS_PER_WORKER = 8
SHOWN = 10
WORD = re.compile(rb"[a-z]+")
LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


def count(job):
    """Counts the words that begin in a part of the text: runs of ASCII letters, in lower case."""
    path, start, end = job
    with open(path, "rb") as file:
        before = b""
        if start:
            file.seek(start - 1)
            before = file.read(1)
        text = file.read(end - start)
        # The last word may end in the next part.
        while text and text[-1] in LETTERS and (more := file.read(1)):
            text += more
    text = text.lower()
    if before and before[0] in LETTERS:
        text = text.lstrip(b"abcdefghijklmnopqrstuvwxyz")
    return collections.Counter(WORD.findall(text))


def main():
    path = sys.argv[1]
    workers = int(sys.argv[2]) if len(sys.argv) > 2 else len(os.sched_getaffinity(0))
    size, parts = os.path.getsize(path), workers * PARTS_PER_WORKER
    cuts = [size * part // parts for part in range(parts + 1)]
    totals = collections.Counter()
    with multiprocessing.Pool(workers) as pool:
        for counts in pool.imap_unordered(count, [(path, *cut) for cut in zip(cuts, cuts[1:])]):
            totals.update(counts)
    most = sorted(totals.items(), key=lambda pair: (-pair[1], pair[0]))[:SHOWN]
    most = [[word.decode(), number] for word, number in most]
    print(json.dumps({"words": totals.total(), "different": len(totals), "most": most}))


if __name__ == "__main__":
    main()
