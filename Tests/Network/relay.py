"""Carries frames between two network interfaces, late and not all of them: what tc's netem does, where there is none.

relay.py FIRST SECOND [--delay MILLISECONDS] [--loss SHARE]

Frames keep their order. SIGUSR1 breaks the TCP connections: for a second, the first segment with data of each direction
and connection becomes a reset. Ends when it is killed.
"""

import argparse
import collections
import random
import select
import signal
import socket
import time

ETHERTYPE_ALL = 3
SOL_PACKET, PACKET_VNET_HDR = 263, 15
# Before each frame: what the sender left to the network card to do (checksum, cutting into segments). It is passed on
# as it came, so that the receiver sees the frame as over a wire of its own.
OFFLOAD_HEADER = 10
TCP, RESET, PUSH = 6, 0x04, 0x08


def open_interface(name):
    interface = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE_ALL))
    interface.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    interface.bind((name, ETHERTYPE_ALL))
    interface.setblocking(False)
    return interface


def connection(frame):
    """Addresses and ports of a TCP segment with data over IPv4, and where its flags are; None for other frames."""
    packet = OFFLOAD_HEADER + 14
    if frame[packet - 2 : packet] != b"\x08\x00" or frame[packet + 9] != TCP:
        return None
    segment = packet + 4 * (frame[packet] & 15)
    data = segment + 4 * (frame[segment + 12] >> 4)
    if packet + int.from_bytes(frame[packet + 2 : packet + 4], "big") <= data:
        return None
    return frame[packet + 12 : packet + 20] + frame[segment : segment + 4], segment + 13


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("interfaces", nargs=2)
    parser.add_argument("--delay", type=float, default=0)
    parser.add_argument("--loss", type=float, default=0)
    options = parser.parse_args()
    interfaces = [open_interface(name) for name in options.interfaces]
    chance = random.Random(1)
    waiting = collections.deque()
    broken = set()
    resets_until = 0.0

    def start_resets(*_):
        nonlocal resets_until
        broken.clear()
        resets_until = time.monotonic() + 1

    signal.signal(signal.SIGUSR1, start_resets)
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            _, target, frame = waiting.popleft()
            try:
                target.send(frame)
            except OSError:
                pass  # The interface is down or its queue full: the frame is lost, as on a wire.
        patience = max(0, waiting[0][0] - now) if waiting else None
        for source in select.select(interfaces, [], [], patience)[0]:
            try:
                frame, address = source.recvfrom(1 << 17)
            except OSError:
                continue
            if address[2] == socket.PACKET_OUTGOING or chance.random() < options.loss:
                continue
            now = time.monotonic()
            if now < resets_until:
                found = connection(frame)
                if found and found[0] not in broken:
                    broken.add(found[0])
                    frame = bytearray(frame)
                    frame[found[1]] = frame[found[1]] & ~PUSH | RESET
            waiting.append((now + options.delay / 1000, interfaces[source is interfaces[0]], bytes(frame)))


if __name__ == "__main__":
    main()
