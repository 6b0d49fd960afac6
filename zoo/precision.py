"""Which arithmetic trains faster on this machine: measured once, remembered, and the same ever after."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import platform
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from zoo import files, layers
from zoo.environment import cache_folder
from zoo.errors import RunError

KINDS = ("float32", "float32-channels-last", "bfloat16")
"""The last two lay images out with their channels last, which is what bfloat16 convolutions are fast with."""
MUST_WIN = 1.05
"""What is not float32 is taken only if it is this much faster: near a draw, the plainest is the better bargain."""
REPEATS = 5


def choose(model: nn.Module, loss: Callable[[nn.Module, Any], Any], batch: Any, device: torch.device) -> str:
    """The one of `KINDS` that trains this model on this batch fastest; "float32" unless another clearly wins.

    Not every machine computes every model in bfloat16 (an LSTM needs AVX-512 on a CPU); what fails does not win.

    A verdict is kept in the cache folder, keyed by the machine, torch, the thread count, the model's shapes and the
    batch's, so that the same training on the same machine always uses the same arithmetic. Random state is restored.
    """
    if device.type not in ("cpu", "cuda"):
        return "float32"
    shapes = [tuple(tensor.shape) for tensor in (*model.parameters(), *batch) if isinstance(tensor, Tensor)]
    machine = (platform.processor(), _cpu_name(), torch.__version__, torch.get_num_threads())
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    key = hashlib.sha256(repr((machine, name, type(model).__qualname__, shapes)).encode()).hexdigest()[:16]
    path = cache_folder() / "probes.json"
    known = _remembered(path)
    if key not in known:
        seconds = {KINDS[0]: _seconds(model, loss, batch, device, KINDS[0])}
        for kind in KINDS[1:]:
            if kind == "bfloat16" or any(parameter.ndim == 4 for parameter in model.parameters()):
                with contextlib.suppress(RuntimeError):
                    seconds[kind] = _seconds(model, loss, batch, device, kind)
        fastest = min(seconds, key=lambda kind: seconds[kind])
        known[key] = fastest if seconds[KINDS[0]] > MUST_WIN * seconds[fastest] else KINDS[0]
        try:
            files.write_json(path, {**_remembered(path), **known})
        except RunError:
            return known[key]  # a cache that cannot be written costs a probe the next time, nothing else
    return known[key]


def prepare(model: nn.Module, precision: str) -> None:
    """Lays the weights out for the arithmetic."""
    if precision != "float32":
        layers.channels_last(model)


def _remembered(path: Any) -> dict[str, str]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return {key: value for key, value in known.items() if value in KINDS}
    except (OSError, ValueError, AttributeError):
        return {}


def _seconds(model: nn.Module, loss: Any, batch: Any, device: torch.device, precision: str) -> float:
    """The shortest of a few forward and backward passes of a copy of the model."""
    trial = copy.deepcopy(model).train()
    prepare(trial, precision)
    best = float("inf")
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for _ in range(REPEATS):
            begun = time.perf_counter()
            with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                value = loss(trial, batch)
            (value["loss"] if isinstance(value, dict) else value).backward()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            best = min(best, time.perf_counter() - begun)
    return best


def _cpu_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            return next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "")
    except OSError:
        return ""
