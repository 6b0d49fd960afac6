"""Files in folders of any kind: on disk, in S3, wherever fsspec reaches. The only file that knows fsspec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec

from zoo import progress
from zoo.errors import TransferError

CHUNK = 1 << 20


def fetch(url: str, path: Path, size: int) -> None:
    """Copies a file to `path`, at most `size` bytes and one more, so that a longer one is noticed.

    Raises:
        TransferError: it is not there, or the place cannot be reached.
        OSError: `path` cannot be written.
    """
    system, name = _open(url)
    try:
        source = system.open(name, "rb")
    except Exception as error:  # each kind of place raises its own
        raise _failed("read", url, error) from error
    with source, path.open("wb") as file:
        while file.tell() <= size:
            try:
                chunk = source.read(min(CHUNK, size + 1 - file.tell()))
            except Exception as error:
                raise _failed("read", url, error) from error
            if not chunk:
                break
            file.write(chunk)
            progress.tell(url, file.tell(), size)


def read(url: str, largest: int) -> bytes | None:
    """A small file's content, or None where there is none.

    Raises:
        TransferError: the place cannot be reached, or the file is larger than `largest` bytes.
    """
    system, name = _open(url)
    try:
        with system.open(name, "rb") as file:
            data: bytes = file.read(largest + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:
        raise _failed("read", url, error) from error
    if len(data) > largest:
        raise TransferError(f"{url}: more than {largest} bytes; nothing that the zoo publishes there is that long.")
    return data


def write(url: str, source: Path) -> None:
    """Copies a file to its place, whole: on disk beside it first, then renamed; object stores do so by themselves.

    Raises:
        TransferError: the place cannot be written.
    """
    system, name = _open(url)
    local = "file" in (system.protocol if isinstance(system.protocol, tuple) else (system.protocol,))
    staged = f"{name}.staged" if local else name
    try:
        system.makedirs(system._parent(name), exist_ok=True)
        with source.open("rb") as reader, system.open(staged, "wb") as writer:
            while chunk := reader.read(CHUNK):
                writer.write(chunk)
                progress.tell(url, reader.tell(), source.stat().st_size)
        if staged != name:
            system.mv(staged, name)
    except Exception as error:
        raise _failed("write", url, error) from error


def _open(url: str) -> tuple[Any, str]:
    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(url)
    except ImportError as error:
        scheme = url.partition(":")[0]
        raise TransferError(f"{url}: {error}. Next: pip install 'plugin-zoo[{scheme}]'") from error
    except Exception as error:
        raise _failed("open", url, error) from error
    return found


def _failed(verb: str, url: str, error: Exception) -> TransferError:
    return TransferError(f"cannot {verb} {url}: {str(error) or type(error).__name__}.")
