"""Ctrl-C and SIGTERM, heeded where nothing is half done."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Request:
    """Whether somebody asked to stop, and whether this is a good moment."""

    asked = False
    heeded = False


_request = _Request()


@contextmanager
def postponed() -> Iterator[None]:
    """Keep signals for the next `heeded` moment, until the block ends.

    Inside a call to the store one would leave a transaction open, and with it a lock that keeps
    even the run's end from being written.
    """
    before = [signal.signal(each, _ask) for each in SIGNALS]
    try:
        yield
    finally:
        for each, handler in zip(SIGNALS, before, strict=True):
            signal.signal(each, handler)
        _request.asked = False


@contextmanager
def heeded() -> Iterator[None]:
    """A moment to stop at, with KeyboardInterrupt: it waits or computes, and writes nothing."""
    _request.heeded = True
    try:
        if _request.asked:
            raise KeyboardInterrupt
        yield
    finally:
        _request.heeded = False


def _ask(*_: object) -> None:
    _request.asked = True
    if _request.heeded:
        raise KeyboardInterrupt
