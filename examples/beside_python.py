"""Runs two examples beside the same programs in Python, compares their results, and says how long each took.

    python3 examples/beside_python.py [--text FILE] [--points N] [--rounds N] [--json]

Needs numpy, and the examples built: cargo build --release -p crossdock-examples --examples. Each program is run as often as
`--rounds` says, in turn with its counterpart; a time is that of the whole program, its start included, and the median counts.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TEXT_BYTES = 200_000_000


def run(command):
    """The result of a program, and its seconds."""
    start = time.perf_counter()
    done = subprocess.run([str(part) for part in command], check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout), time.perf_counter() - start


def some_text(folder):
    """Real text: what Rust sources cargo has fetched, one after the other."""
    home = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
    path, size = folder / "text", 0
    with path.open("wb") as text:
        for source in sorted((home / "registry" / "src").rglob("*.rs")):
            size += text.write(source.read_bytes())
            if size >= TEXT_BYTES:
                break
    if size == 0:
        sys.exit(f"there is no text below {home}/registry/src: give one with --text")
    return path


def some_points(folder, count):
    """Points around 16 centres, in 8 dimensions."""
    import numpy as np

    random = np.random.default_rng(7)
    centres = random.uniform(-10, 10, (16, 8))
    points = centres[random.integers(0, 16, count)] + random.normal(0, 2, (count, 8))
    path = folder / "points.npy"
    np.save(path, points)
    return path


def is_close(ours, theirs):
    """Whether two results are the same, but for the order in which numbers were added."""
    if isinstance(ours, dict):
        return ours.keys() == theirs.keys() and all(is_close(ours[key], theirs[key]) for key in ours)
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(is_close, ours, theirs))
    if isinstance(ours, float):
        return abs(ours - theirs) <= 1e-9 * max(1.0, abs(theirs))
    return ours == theirs


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=pathlib.Path, help="a large text file")
    parser.add_argument("--points", type=int, default=1_000_000, help="points for k-means")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each program")
    parser.add_argument("--programs", type=pathlib.Path, default=HERE.parent / "target/release/examples")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each example")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        inputs = {
            "words": options.text or some_text(folder),
            "kmeans": some_points(folder, options.points),
        }
        for name, path in inputs.items():
            ours, theirs = [], []
            for _ in range(options.rounds):
                result, seconds = run([options.programs / name, path])
                ours.append(seconds)
                expected, seconds = run([sys.executable, HERE / f"{name}.py", path])
                theirs.append(seconds)
                if not is_close(result, expected):
                    sys.exit(f"{name}: {result} is not {expected}")
            ours, theirs = statistics.median(ours), statistics.median(theirs)
            report = {"example": name, "bytes": path.stat().st_size, "crossdock_s": ours, "python_s": theirs}
            if options.json:
                print(json.dumps(report))
            else:
                size = f"{report['bytes'] / 1e6:.0f} MB"
                print(f"{name:8} {size:>8}  crossdock {ours:6.2f} s  Python {theirs:6.2f} s  {theirs / ours:5.1f} x, same results")


if __name__ == "__main__":
    main()
