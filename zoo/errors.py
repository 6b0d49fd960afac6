"""What can go wrong, one exception a kind; each message says what was given, what was expected, what to type next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ZooError(Exception):
    """Anything that a user, a file or a network can cause. The command line prints it and exits with `exit_code`."""

    exit_code = 1


class UnknownNameError(ZooError):
    """A model, tag, data set, plugin, run or option that does not exist."""

    def __init__(self, kind: str, given: str, known: Iterable[str], hint: str = "") -> None:
        known = sorted(known)
        message = f"unknown {kind} {given!r}."
        if near := nearest(given, known):
            message += f" Did you mean {near!r}?"
        if known:
            message += f" Known: {', '.join(known)}."
        super().__init__(f"{message} {hint}".rstrip())


class ConfigError(ZooError):
    """A config key or value that the model's recipe does not allow."""


class DatasetError(ZooError):
    """A data set that is missing, cannot be fetched, or is not what it should be."""


class InputError(ZooError):
    """A file that a user handed to predict, and that cannot be read as what the model takes."""


class PluginError(ZooError):
    """A plugin that cannot be loaded, or whose hook failed or broke the contract."""

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message


class CatalogError(ZooError):
    """A registry.toml that cannot be read or breaks its format."""


class AddressError(ZooError):
    """An address of a published file or folder that is none, or that must not be followed."""


class TransferError(ZooError):
    """A file that could not be fetched or sent: the network, the server or the disk at the other end said no."""


class OfflineError(TransferError):
    """Something that is not here and may not be fetched, as ZOO_OFFLINE or --offline says."""


class CacheError(ZooError):
    """A cache that cannot be written or read."""


class WeightsError(ZooError):
    """Weights that are refused."""


class WeightsCorruptError(WeightsError):
    """A file that is not a sound safetensors file."""


class HashMismatchError(WeightsError):
    """A file whose bytes are not the ones that were published."""


class WeightsMismatchError(WeightsError):
    """Tensors that do not fit the model: names, shapes, dtypes; or are not finite."""


class RunError(ZooError):
    """A run folder that cannot be created, written, read or resumed."""


class TrainingError(ZooError):
    """Training that cannot go on, such as a loss that is not finite."""


class InterruptedRunError(ZooError):
    """Training stopped by a signal, after a valid checkpoint was written."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number


class ExportError(ZooError):
    """An export that cannot be written, or that does not compute what the original does."""


def nearest(given: str, known: Iterable[str]) -> str | None:
    """The known name that is most like what was given, if any is like it at all."""
    by_folded = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(given.casefold(), by_folded, n=1, cutoff=0.55)
    return by_folded[found[0]] if found else None
