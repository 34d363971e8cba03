"""The Python subjects: multiprocessing.Queue as shipped, and pickle protocol 5 out of band over a pipe.

    python3 -c <place.py, this file> queue|oob <elements> <producer cpu> <consumer cpu> ordinary|favoured|fifo

An empty CPU means any. Each line `pass <value>` on stdin fills the array with the value, hands it to a second process,
has it summed there, and answers `passed <start> <filled> <got> <read>`, all CLOCK_MONOTONIC nanoseconds.
"""

import fcntl
import pickle
import struct

import numpy

SETTLE_NS = 300_000
PIPE_BYTES = 1 << 20


class Queue:
    """As the documentation shows it."""

    def __init__(self, context):
        self.queue = context.Queue()

    def send(self, array):
        self.queue.put(array)

    def recv(self):
        return self.queue.get()


class OutOfBand:
    """The best a pipe can do: the data leave from the array and arrive in the array."""

    def __init__(self, _context):
        self.source, self.sink = os.pipe()
        fcntl.fcntl(self.sink, fcntl.F_SETPIPE_SZ, PIPE_BYTES)

    def send(self, array):
        buffers = []
        head = pickle.dumps(array, protocol=5, buffer_callback=buffers.append)
        (data,) = (buffer.raw() for buffer in buffers)
        os.write(self.sink, struct.pack("=QQ", len(head), len(data)) + head)
        while data:
            data = data[os.write(self.sink, data) :]

    def recv(self):
        head_bytes, data_bytes = struct.unpack("=QQ", self.read_into(bytearray(16)))
        head = self.read_into(bytearray(head_bytes))
        data = numpy.empty(data_bytes, dtype=numpy.uint8)
        self.read_into(data)
        return pickle.loads(head, buffers=[data])

    def read_into(self, buffer):
        left = memoryview(buffer)
        while left:
            count = os.readv(self.source, [left])
            if count == 0:
                raise EOFError("the producer has closed the pipe")
            left = left[count:]
        return buffer


def consume(carrier, stamps, cpus, priority):
    take_place(cpus, priority)
    while True:
        array = carrier.recv()
        got = now_ns()
        total = float(array.sum())
        read = now_ns()
        length = len(array)
        # Giving the memory back takes a while, and the next subject's turn comes with the answer.
        del array
        stamps.send((got, read, length, total))


def main():
    kind, elements, priority = sys.argv[1], int(sys.argv[2]), sys.argv[5]
    producers, consumers = map(cpu_list, sys.argv[3:5])
    take_place(producers, priority)
    context = multiprocessing.get_context("fork")
    carrier = {"queue": Queue, "oob": OutOfBand}[kind](context)
    answers, stamps = context.Pipe(duplex=False)
    context.Process(target=consume, args=(carrier, stamps, consumers, priority), daemon=True).start()
    array = numpy.zeros(elements)
    for request, *rest in requests():
        if request != "pass":
            refuse(request)
        value = float(rest[0])
        time.sleep(SETTLE_NS / 1e9)
        start = now_ns()
        array.fill(value)
        filled = now_ns()
        carrier.send(array)
        got, read, length, total = answers.recv()
        if (length, total) != (elements, value * elements):
            sys.exit(f"expected {elements} x {value}, read {length}: {total}")
        print("passed", start, filled, got, read, flush=True)
    end_children()


main()
