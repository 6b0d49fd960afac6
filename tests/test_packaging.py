"""The wheel: what a user gets who never sees this repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from conftest import ROOT, install


def test_the_wheel_carries_code_registry_and_weights(tmp_path: Path) -> None:
    site = install(ROOT, tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": site}
    script = "import zoo.catalog, zoo_cnn_mnist as p; print(zoo.__file__, p.__file__, zoo.catalog.location())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert all(path.startswith(site) for path in done.stdout.split())
    command = [sys.executable, "-m", "zoo", "evaluate", "cnn-mnist:digits", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["agrees"] is True
    assert (Path(site) / "zoo" / "py.typed").is_file()
