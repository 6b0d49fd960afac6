"""torchvision's data sets, also where its compiled extension does not load. The only file that knows torchvision.

A CPU-only torch beside the package index's torchvision fails at import with "operator torchvision::nms does not exist":
the extension wants CUDA's libraries. The data sets are plain Python; declaring the two missing operators first is
enough for them. Nothing is declared where the extension loads.
"""

from __future__ import annotations

import importlib
import sys
from functools import cache
from typing import Any

import torch

SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[torch.library.Library] = []  # a library's operators live as long as it does


@cache
def torchvision_datasets() -> Any:
    """The module `torchvision.datasets`.

    Raises:
        ImportError, RuntimeError: torchvision is missing or broken in another way.
    """
    try:
        return importlib.import_module("torchvision.datasets")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for schema in SCHEMAS:
        library.define(schema)  # type: ignore[no-untyped-call]
    _declared.append(library)
    return importlib.import_module("torchvision.datasets")
