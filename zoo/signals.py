"""A stop that was asked for: the first signal lets the step in progress end, the second ends the process at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any, Self


class Signals:
    """Notes the first SIGINT or SIGTERM within its context; a second one raises KeyboardInterrupt.

    Outside the main thread, where Python delivers no signals, it notes nothing.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            raise KeyboardInterrupt
        self.received = number


@contextlib.contextmanager
def user_interrupts_only() -> Iterator[None]:
    """The user's Ctrl-C ends the block as ever; a KeyboardInterrupt that its code raises by itself is an error of it.

    Raises:
        RuntimeError: the code raised KeyboardInterrupt.
    """
    in_main = threading.current_thread() is threading.main_thread()  # only there does Python deliver signals
    handler = signal.getsignal(signal.SIGINT)
    ours = in_main and handler is signal.default_int_handler
    unknown = in_main and not ours and callable(handler)  # another's handler, which may well raise it for the user
    pressed = False

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        pressed = True
        signal.default_int_handler(number, frame)

    if ours:
        signal.signal(signal.SIGINT, press)
    try:
        yield
    except KeyboardInterrupt as error:
        if pressed or unknown:
            raise
        raise RuntimeError("KeyboardInterrupt, though nobody interrupted it") from error
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
