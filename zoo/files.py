"""Files that are either whole or not there: written beside their place, synced, then renamed into it."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.errors import RunError

STAGED = ".staged-"
"""Prefix of files that are being written; one that is left over belongs to a process that was killed."""


@contextlib.contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; it takes the place of `path` when the block ends, and vanishes if it fails.

    Raises:
        RunError: the disk is full, the folder cannot be written, or the name is too long; `path` is as it was.
    """
    temporary = path.with_name(f"{STAGED}{secrets.token_hex(4)}-{path.name}"[:200])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        settle(temporary, path)
    except OSError as error:
        advice = "Choose another folder: --out DIR."
        raise RunError(f"cannot write {path}: {reason(error)} {advice} What was there before is untouched.") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def settle(temporary: Path, path: Path) -> None:
    """Gives a finished file its name, once its bytes are on the disk."""
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)


def write(path: Path, data: bytes | str) -> None:
    """Writes a whole file.

    Raises:
        RunError: see `staged`.
    """
    with staged(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


def write_json(path: Path, value: Any) -> None:
    """Writes JSON that a person can read too. Numbers that are not finite become null, as JSON has none.

    Raises:
        RunError: see `staged`.
    """
    write(path, json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """The JSON in a file.

    Raises:
        RunError: the file is missing, unreadable or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"cannot read {path}: {error}.") from error


def sweep(folder: Path) -> None:
    """Removes what a killed process left half-written in a folder that no other process writes to."""
    for path in folder.glob(f"{STAGED}*"):
        path.unlink(missing_ok=True)


def finite(value: Any) -> Any:
    """The value with NaN and infinities replaced by None, in lists and mappings too."""
    if isinstance(value, dict):
        return {str(key): finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def sha256(path: Path) -> str:
    """The hash of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def reason(error: OSError) -> str:
    """Why a file could not be written or read, in a sentence."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "no space is left."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "no permission."
    return f"{error.strerror or error}."
