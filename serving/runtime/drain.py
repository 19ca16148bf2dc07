"""Stop taking connections without resetting those that clients have already opened.

Closing a listening socket resets every connection that the kernel has completed and nobody has
accepted yet, with the request its client has just sent. So new ones are kept out first: a packet
filter on the socket drops their SYN. The client's kernel sends it again a second later, and is then
refused.
"""

import ctypes
import logging
import os
import socket
import struct
from collections.abc import Iterable

logger = logging.getLogger(__name__)

SO_ATTACH_FILTER = 26  # <asm-generic/socket.h>; Python does not name it
TCP_FLAGS = 13  # offset in the TCP header, where the filter of a TCP socket starts
SYN = 0x02
# Classic BPF (linux/filter.h): code, jump if true, jump if false, constant.
DROP_SYN = (
    (0x30, 0, 0, TCP_FLAGS),  # load the flags
    (0x45, 0, 1, SYN),  # SYN set?
    (0x06, 0, 0, 0),  # yes: drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # no: let all of it pass
)


def refuse_new_connections(listeners: Iterable[int]) -> None:
    """Let no new connection reach these file descriptors; those that wait to be accepted stay."""
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in DROP_SYN)
    memory = ctypes.create_string_buffer(program)
    pointer = struct.pack("HP", len(DROP_SYN), ctypes.addressof(memory))
    for listener in listeners:
        try:
            with socket.socket(fileno=os.dup(listener)) as same:
                same.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, pointer)
        except OSError as error:  # a sandbox without it; connections are then as safe as elsewhere
            logger.info("connections may be reset while stopping: %s", error)
