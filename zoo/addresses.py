"""Where published files lie, as text: package:, hf://, https://, file: and what fsspec knows. Parsed, never fetched."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from zoo.errors import AddressError

COMMIT = re.compile(r"[0-9a-f]{40}")
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?")
"""Names of models and tags: so no two differ only in case or in Unicode's composition."""
FORMS = "package:NAME/file, hf://owner/name@commit/file, https://host/file, file:/folder/file or s3://bucket/file"

_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_RESERVED = {"con", "prn", "aux", "nul"}
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@dataclass(frozen=True)
class Address:
    """One place of a file, or of a folder where `path` is empty."""

    scheme: str
    """"package", "hf", "https", "file", or a protocol of fsspec such as "s3"."""
    place: str
    """The package, owner/name on the Hub, or for all others the whole address."""
    revision: str = ""
    """On the Hub: a commit or a branch."""
    path: str = ""
    """In a package or on the Hub: the file."""

    @property
    def pinned(self) -> bool:
        """Whether what it names on the Hub can never change."""
        return COMMIT.fullmatch(self.revision) is not None

    def join(self, name: str) -> Address:
        """A file in this folder."""
        check_name(name)
        if self.scheme == "hf":
            return Address("hf", self.place, self.revision, name)
        return Address(self.scheme, f"{self.place.rstrip('/')}/{name}")

    def __str__(self) -> str:
        if self.scheme == "package":
            return f"package:{self.place}/{self.path}"
        if self.scheme == "hf":
            return f"hf://{self.place}" + (f"@{self.revision}" if self.revision else "") + f"/{self.path}".rstrip("/")
        return self.place


def is_address(text: str) -> bool:
    """Whether a text is meant as an address and not as the name of a model or a run."""
    return "://" in text or text.startswith(("file:", "package:"))


def source(text: str) -> Address:
    """The address of one published file, as registry.toml lists it; one on the Hub names a commit.

    Raises:
        AddressError: it is none, or names what could change or lie outside its place.
    """
    if text.startswith("package:"):
        package, _, path = text.removeprefix("package:").partition("/")
        if not package.isidentifier():
            raise AddressError(f"{text!r}: {package!r} is no package. Expected {FORMS}.")
        return Address("package", package, "", check_name(path))
    if text.startswith("hf://"):
        address = _hub(text)
        if not address.pinned:
            raise AddressError(f"{text!r}: expected a commit of 40 hexadecimal digits after @, which cannot change.")
        check_name(address.path)
        return address
    return _other(text)


def folder(text: str) -> Address:
    """The address of a folder to push to or pull from: hf://owner/name[@revision], file:DIR, or fsspec's.

    Raises:
        AddressError: it is none.
    """
    if text.startswith("hf://"):
        address = _hub(text)
        if address.path:
            raise AddressError(f"{text!r}: expected hf://owner/name or hf://owner/name@revision, without a file.")
        return address
    address = _other(text)
    if address.scheme not in ("file", "memory") and not re.fullmatch(r"\w+://[^/]+/.+", text):
        raise AddressError(f"{text!r}: expected a folder, such as s3://bucket/folder.")
    if address.scheme == "https":
        raise AddressError(f"{text!r}: expected hf://owner/name, file:DIR or s3://bucket/folder.")
    return address


def check_name(name: str) -> str:
    """The name of a file inside a folder, unless it could lie outside of it or mean something to a system.

    Raises:
        AddressError: it is empty, absolute, has "..", a hidden part, a backslash, a colon, or is not plain ASCII.
    """
    parts = name.split("/")
    if len(name) > 200 or any(
        not _PART.fullmatch(part) or part.endswith(".") or part.split(".")[0].casefold() in _RESERVED for part in parts
    ):
        raise AddressError(f"{name!r} is no name of a published file: expected plain letters, digits, . _ - and /.")
    return name


def _hub(text: str) -> Address:
    owner, _, rest = text.removeprefix("hf://").partition("/")
    before, at, after = rest.partition("@")
    name, _, path = (after if at else before).partition("/")
    name, revision = (before, name) if at else (name, "")
    if not (_OWNER.fullmatch(owner) and _OWNER.fullmatch(name) and ".." not in owner + name):
        raise AddressError(f"{text!r}: expected hf://owner/name, in plain ASCII.")
    if at and not (_PART.fullmatch(revision) and ".." not in revision):
        raise AddressError(f"{text!r}: {revision!r} is no revision; expected a branch, a tag or a commit.")
    return Address("hf", f"{owner}/{name}", revision, path)


def _other(text: str) -> Address:
    scheme, colon, rest = text.partition(":")
    if any(ord(character) < 33 or ord(character) == 127 for character in text) and scheme != "file":
        raise AddressError(f"{text!r}: blanks and control characters have no place in an address.")
    if scheme == "file":
        path = Path(rest.removeprefix("//") if rest.startswith("///") else rest)
        if not rest or "\0" in rest or ".." in path.parts:
            raise AddressError(f"{text!r}: expected file:/folder/file, without ..")
        return Address("file", f"file://{path.absolute()}")
    if not colon or not rest.startswith("//") or not re.fullmatch(r"[a-z][a-z0-9]+", scheme):
        raise AddressError(f"{text!r} is no address. Expected {FORMS}.")
    parts = urlsplit(text)
    if not parts.hostname or parts.username or parts.password or ".." in parts.path.split("/"):
        raise AddressError(f"{text!r}: expected {scheme}://host/path, without a name or a password.")
    if scheme == "http" and parts.hostname not in _LOOPBACK:
        raise AddressError(f"{text!r}: expected https://; plain http is for this machine only.")
    return Address("https" if scheme == "http" else scheme, text)
