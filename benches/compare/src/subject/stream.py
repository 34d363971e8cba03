"""Records of 64 bytes through multiprocessing.Queue, as the documentation shows it.

    python3 -c <place.py, this file> <senders> <receivers> <batch> <cpu>,<cpu>... ordinary|favoured|fifo

No CPU means any. A message is the bytes of as many records as are a batch. `stream <total> <first> <start>` has every
sender send its share of so many records, numbered from `first` on, from a time stamp of CLOCK_MONOTONIC on, and
answers `streamed`, then `<start> <end> <sum>` of each sender and of each receiver.
"""

import struct

CAPACITY = 256  # records
SENDER_SHIFT = 48
RECORD = struct.Struct("=8Q")


def record(sender, seq):
    """The same words as every other subject's."""
    base = sender << SENDER_SHIFT
    words = (base + seq, base + 2 * seq, base + 3 * seq, base + 4 * seq, base + 5 * seq, base + 6 * seq)
    return RECORD.pack(sender, *words, base + 7 * seq)


def send_all(queue, sender, batch, first, count, start):
    time.sleep(max(0, start - now_ns()) / 1e9)
    begun = now_ns()
    for seq in range(first, first + count, batch):
        queue.put(b"".join([record(sender, one) for one in range(seq, seq + batch)]))
    ended = now_ns()
    return begun, ended, sum((sender + 1) * seq for seq in range(first, first + count))


def recv_all(queue, last, count):
    begun, total = now_ns(), 0
    while count:
        message = queue.get()
        for at in range(0, len(message), RECORD.size):
            found = message[at : at + RECORD.size]
            sender, word = struct.unpack_from("=2Q", found)
            seq = word - (sender << SENDER_SHIFT)
            if found != record(sender, seq) or seq <= last.get(sender, 0):
                sys.exit(f"after {last} came {found}")
            last[sender] = seq
            total += (sender + 1) * seq
            count -= 1
    return begun, now_ns(), total


def send_wanted(queue, wanted, stand, sender, batch):
    """One of the sending processes."""
    take_place(*stand)
    while True:
        wanted.send(send_all(queue, sender, batch, *wanted.recv()))


def recv_wanted(queue, wanted, stand):
    """One of the receiving processes."""
    take_place(*stand)
    last = {}
    while True:
        _first, count, _start = wanted.recv()
        wanted.send(recv_all(queue, last, count))


def main():
    senders, receivers, batch = map(int, sys.argv[1:4])
    cpus, priority = cpu_list(sys.argv[4]), sys.argv[5]
    context = multiprocessing.get_context("fork")
    queue = context.Queue(CAPACITY // batch)
    ends = []
    for index in range(senders + receivers):
        # One sender and one receiver have a CPU each; more of them share all.
        own = [cpus[index]] if senders + receivers == len(cpus) == 2 else cpus
        here, there = context.Pipe()
        stand = (own, priority)
        target, args = (send_wanted, (queue, there, stand, index, batch)) if index < senders else (recv_wanted, (queue, there, stand))
        context.Process(target=target, args=args, daemon=True).start()
        ends.append(here)
    take_place(cpus, "ordinary")
    for request, *rest in requests():
        if request != "stream":
            refuse(request)
        total, first, start = map(int, rest)
        for index, end in enumerate(ends):
            end.send((first, total // (senders if index < senders else receivers), start))
        stamps = [stamp for end in ends for stamp in end.recv()]
        print("streamed", *stamps, flush=True)
    end_children()


main()
