"""One file over https: resumed where it was cut, tried again within bounds, never longer than announced."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

from zoo import progress
from zoo.errors import TransferError

TRIES = 5
"""In a row without one new byte."""
TIMEOUT = 20.0
"""Seconds without an answer or a byte."""
LONGEST_WAIT = 30.0
"""Seconds between two tries, whatever the server asks for."""
PATIENCE, SLOWEST = 300.0, 10_000
"""Seconds for everything, and bytes a second on top: one that sends a byte at a time does not hold us for ever."""
CHUNK = 1 << 20


def fetch(url: str, path: Path, size: int) -> None:
    """Downloads `size` bytes to `path`; what is there already is taken for the beginning. Nothing is verified here.

    Raises:
        TransferError: the server refuses, answers with something else, or cannot be reached.
        OSError: the file cannot be written.
    """
    failures, most = 0, _size(path)
    deadline = time.monotonic() + PATIENCE + size / SLOWEST
    while (have := _size(path)) < size:
        reason, wait = _try(url, path, size)
        if not reason:
            continue
        failures = 1 if _size(path) > most else failures + 1
        most = max(most, _size(path))
        if failures >= TRIES or time.monotonic() > deadline:
            raise TransferError(f"cannot fetch {url}: {reason}; tried {failures} times. Next: try again later.")
        time.sleep(min(wait if wait is not None else 0.25 * 2**failures, LONGEST_WAIT))
    if have > size:
        raise TransferError(f"{url}: got more than the {size} bytes that were published.")


def _try(url: str, path: Path, size: int) -> tuple[str, float | None]:
    """One request; ("", None) when the connection ended well, or a reason to try again and the wait asked for."""
    have = _size(path)
    headers = {"User-Agent": "plugin-zoo", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as response:
            _refuse_a_page(url, response.headers)
            continued = response.status == 206 and response.headers.get("Content-Range", "").startswith(
                f"bytes {have}-"
            )
            with path.open("ab" if continued else "wb") as file:
                while chunk := response.read(CHUNK):
                    file.write(chunk)
                    progress.tell(url, file.tell(), size)
                    if file.tell() > size:
                        return "", None
    except urllib.error.HTTPError as error:
        return _refused(url, path, error)
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", "") or error or type(error).__name__), None
    return ("", None) if _size(path) >= size else ("the connection was cut", None)


def _refused(url: str, path: Path, error: urllib.error.HTTPError) -> tuple[str, float | None]:
    """What a status means: worth another try, or the end."""
    if error.code == 416:  # the beginning on disk is longer than the file at the other end
        path.unlink(missing_ok=True)
        return "the server has less than what was begun", 0.0
    if error.code in (408, 429) or error.code >= 500:
        asked = error.headers.get("Retry-After", "")
        return f"the server answers {error.code} {error.reason}", float(asked) if asked.isdigit() else None
    meaning = {401: "it asks for a login", 403: "access is forbidden", 404: "there is no such file", 410: "it is gone"}
    raise TransferError(f"cannot fetch {url}: {meaning.get(error.code, error.reason)} (HTTP {error.code}).") from error


def _refuse_a_page(url: str, headers: Message) -> None:
    if headers.get_content_type() == "text/html":
        raise TransferError(
            f"{url} answers with a web page instead of the file: a login page of this network, perhaps. "
            "Next: open it in a browser, then try again."
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
