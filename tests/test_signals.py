"""Ctrl-C is the user's alone, whatever the process was started with."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

SCRIPT = """
import os, signal, sys
from zoo.signals import user_interrupts_only
try:
    with user_interrupts_only():
        if sys.argv[1] == "user":
            os.kill(os.getpid(), signal.SIGINT)
        else:
            raise KeyboardInterrupt
except RuntimeError:
    print("its own")
except KeyboardInterrupt:
    print("the user's")
assert signal.getsignal(signal.SIGINT) in (signal.default_int_handler, signal.SIG_IGN)
"""


@pytest.mark.parametrize(
    ("who", "ignored", "words"),
    [("code", False, "its own"), ("code", True, "its own"), ("user", False, "the user's")],
    ids=["raised", "raised where signals are ignored", "pressed"],
)
def test_an_interrupt_that_nobody_asked_for_is_an_error(who: str, ignored: bool, words: str) -> None:
    def start() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.SIG_DFL)

    command = [sys.executable, "-c", SCRIPT, who]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=start, env=os.environ, timeout=60)
    assert done.stdout.strip() == words, done.stderr
