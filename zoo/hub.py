"""The Hugging Face Hub: one file down, a set of files up, each failure in plain words. Only here is its client known.

The client checks sizes only, follows links and takes whatever lies in a folder: so what comes down is hashed by whoever
asked for it, what goes up is a list of files, and what arrived is compared with what was sent.
The token comes from the client's own places, and is never handed on, kept or shown.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo import files, progress
from zoo.addresses import Address
from zoo.entries import Entry
from zoo.environment import offline
from zoo.errors import OfflineError, TransferError, ZooError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

MAIN = "main"
LOGIN = "Next: hf auth login, or set HF_TOKEN"


def resolve(address: Address) -> Address:
    """The address with the commit that its branch points to now.

    Raises:
        TransferError: there is no such repository or revision, it may not be read, or the Hub cannot be reached.
    """
    if address.pinned:
        return address
    try:
        commit = _api().repo_info(address.place, revision=address.revision or MAIN, timeout=20).sha
    except Exception as error:
        raise _explained(error, address) from error
    return Address("hf", address.place, str(commit), address.path)


def fetch(address: Address, path: Path, most: int) -> None:
    """Downloads one file of a commit to `path`; its content is not verified here, but no more bytes are taken.

    Raises:
        TransferError: see `resolve`; or there is no such file, or it is longer.
        OSError: `path` cannot be written.
    """
    if offline():
        raise OfflineError(f"{address}: nothing may be fetched (ZOO_OFFLINE, --offline).")
    import huggingface_hub

    beside = path.with_name(f"{path.name}.d")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        found = huggingface_hub.hf_hub_download(
            address.place,
            address.path,
            revision=address.revision,
            local_dir=beside,
            token=_token(),
            library_name="plugin-zoo",
            tqdm_class=_bar(str(address), most),
        )
        Path(found).replace(path)
    except Exception as error:
        if _of_the_disk(error):
            raise
        raise _explained(error, address) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def read(address: Address, largest: int) -> bytes | None:
    """A small file's content, or None where the commit has none.

    Raises:
        TransferError: see `fetch`; or it is larger than `largest` bytes.
    """
    try:
        found = _api().get_paths_info(address.place, [address.path], revision=address.revision)
    except Exception as error:
        raise _explained(error, address) from error
    if not found:
        return None
    with tempfile.TemporaryDirectory() as folder:
        fetch(address, path := Path(folder) / "file", largest)
        return path.read_bytes()


def push(sent: Mapping[str, Path], address: Address, message: str, private: bool) -> Address:
    """Commits exactly these files to a repository, which is created if need be, and returns the commit.

    A commit that changes nothing is not made. One whose answer was lost is found, not made twice.

    Raises:
        TransferError: not logged in, not allowed, changed by someone else meanwhile, or not arrived as it was sent.
    """
    if offline():
        raise OfflineError(f"{address}: nothing may be sent (ZOO_OFFLINE, --offline).")
    branch = address.revision or MAIN
    try:
        if _token() is None:
            raise TransferError(f"cannot push to {address}: you are not logged in. {LOGIN}.")
        api = _api()
        api.create_repo(address.place, private=private or None, exist_ok=True)
        if private and not api.repo_info(address.place).private:
            raise TransferError(f"{address} exists and is public; --private was given. Nothing was sent.")
        if branch != MAIN:
            api.create_branch(address.place, branch=branch, exist_ok=True)
        with _bars_on_a_terminal_only():
            commit = _commit(api, sent, address.place, branch, message)
        _compare(api, sent, address.place, commit)
    except Exception as error:
        raise _explained(error, address) from error
    return Address("hf", address.place, commit)


def card_metadata(entry: Entry, task: str) -> str:
    """The YAML that the Hub reads at the top of a model card: task, licence, library, and each figure as a result."""
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type=task,
            dataset_type=entry.dataset,
            dataset_name=entry.dataset,
            dataset_split="test",
            metric_type=name,
            metric_value=claim.value,
        )
        for name, claim in entry.metrics.items()
    ]
    data = ModelCardData(
        model_name=entry.model,
        license=entry.license.lower(),
        library_name="plugin-zoo",
        pipeline_tag=task,
        datasets=[entry.dataset],
        metrics=list(entry.metrics),
        tags=["plugin-zoo", entry.model],
        eval_results=results or None,
    )
    return str(data.to_yaml()).strip()


def _commit(api: HfApi, sent: Mapping[str, Path], repository: str, branch: str, message: str) -> str:
    from huggingface_hub import CommitOperationAdd
    from huggingface_hub.errors import HfHubHTTPError

    for attempt in (1, 2):
        head = str(api.repo_info(repository, revision=branch).sha)
        # Made anew each time: the client changes them. Sorted, so that the same files are the same request.
        operations = [CommitOperationAdd(name, str(sent[name])) for name in sorted(sent)]
        try:
            made = api.create_commit(
                repository, operations, commit_message=message, revision=branch, parent_commit=head
            )
            return str(made.oid)
        except HfHubHTTPError as error:
            if error.response.status_code < 500 or attempt == 2:
                raise
            # The commit may have been made though its answer was lost: the next round finds nothing left to commit.
            time.sleep(1)
    raise AssertionError("unreachable")


def _compare(api: HfApi, sent: Mapping[str, Path], repository: str, commit: str) -> None:
    """The Hub's own hashes of a commit beside those of the files that were sent."""
    there = {item.path: item for item in api.get_paths_info(repository, list(sent), revision=commit)}
    for name, path in sent.items():
        item: Any = there.get(name)
        lfs = getattr(item, "lfs", None)
        got = lfs.sha256 if lfs else getattr(item, "blob_id", None)
        if got != (files.sha256(path) if lfs else _git_hash(path.read_bytes())):
            raise TransferError(f"hf://{repository}@{commit}: {name} did not arrive as it was sent. Next: push again.")


def _git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _api() -> HfApi:
    from huggingface_hub import HfApi

    if offline():
        raise OfflineError("the Hub may not be asked (ZOO_OFFLINE, --offline).")
    return HfApi(token=_token(), library_name="plugin-zoo")


def _token() -> str | None:
    """The client's own token.

    Raises:
        TransferError: it has characters that no token has, which the client would print when it fails to send it.
    """
    from huggingface_hub import get_token

    token = get_token()
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise TransferError(f"the token of the Hub holds blanks or control characters: it is not used. {LOGIN}.")
    return token


@contextlib.contextmanager
def _bars_on_a_terminal_only() -> Iterator[None]:
    """The client draws its bars into files and pipes too."""
    from huggingface_hub import utils

    bars: Any = utils
    if sys.stderr.isatty() or bars.are_progress_bars_disabled():
        yield
        return
    bars.disable_progress_bars()
    try:
        yield
    finally:
        bars.enable_progress_bars()


def _bar(what: str, most: int) -> Any:
    """A progress bar for the client that shows nothing, tells the zoo's listener, and stops what is too long."""
    from tqdm.auto import tqdm

    class Bar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.so_far, self.whole = int(kwargs.get("initial") or 0), int(kwargs.get("total") or 0)
            super().__init__(*args, **{**kwargs, "disable": True})
            self.update(0)

        def update(self, n: float | None = 1) -> None:
            self.so_far += int(n or 0)
            if max(self.so_far, self.whole) > most:
                raise TransferError(f"{what}: it is longer than the {most} bytes that were expected.")
            progress.tell(what, self.so_far, self.whole)

    return Bar


def _explained(error: Exception, address: Address) -> ZooError:
    """The client's exceptions, told apart."""
    from huggingface_hub import errors

    if isinstance(error, ZooError):
        return error
    cause = error.__cause__
    if isinstance(error, (errors.LocalEntryNotFoundError, RuntimeError)) and isinstance(cause, Exception):
        return _explained(cause, address)  # the client's own words for "it did not work"
    if isinstance(error, errors.HFValidationError):
        return TransferError(f"{address}: the Hub does not take this name: {error}")
    if isinstance(error, errors.OfflineModeIsEnabled):
        return OfflineError(f"{address}: nothing may be fetched (HF_HUB_OFFLINE).")
    status = getattr(response := getattr(error, "response", None), "status_code", None)
    if isinstance(error, errors.GatedRepoError):
        what = f"access has to be asked for on its page: {_page(response, address)}. Then: hf auth login"
    elif isinstance(error, errors.RepositoryNotFoundError):
        what = f"there is no such repository, or it is private and your token may not read it. {LOGIN}"
    elif isinstance(error, errors.RevisionNotFoundError):
        what = f"the repository has no revision {address.revision!r}. Next: look at {_page(response, address)}"
    elif isinstance(error, errors.EntryNotFoundError) and status == 404:
        what = "the repository has no such file in this revision"
    elif isinstance(error, (errors.FileMetadataError, ValueError)):
        what = (
            "what answers is not the Hub: a login page of this network, perhaps, or a proxy. "
            "Next: open the Hub in a browser, then try again"
        )
    elif status == 401:
        what = f"the Hub does not know your token. {LOGIN}"
    elif status == 403:
        what = "your token may not do this: it needs the role 'write', for a name that is yours"
    elif status == 404:
        what = "there is nothing there (HTTP 404, and not in the Hub's own words: a proxy, perhaps)"
    elif status in (409, 412):
        what = "someone else changed the repository meanwhile; nothing of yours was committed. Next: push again"
    elif status == 429:
        what = "the Hub asks for fewer requests (HTTP 429). Next: wait a few minutes"
    elif status is not None:
        what = f"the Hub answers HTTP {status}. Next: try again later"
    else:
        what = f"the Hub cannot be reached ({type(error).__name__}). Next: look at the network, or work --offline"
    return TransferError(f"{address}: {what}.")


def _of_the_disk(error: Exception) -> bool:
    """Whether it is about a file here; the client's own exceptions are OSErrors too, without a file or a number."""
    full = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
    return isinstance(error, OSError) and (error.filename is not None or error.errno in full)


def _page(response: Any, address: Address) -> str:
    url = getattr(getattr(response, "request", None), "url", None)
    return f"{url.scheme}://{url.host}/{address.place}" if url is not None else address.place
