"""What all tests share: the command line as a process of its own, folders of their own, plugins really installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import Hub

import zoo
from zoo.environment import data_folder

ROOT = Path(__file__).parent.parent
Cli = Callable[..., subprocess.CompletedProcess[str]]

TOKEN = "hf_CANARYcanaryCANARY"
"""Looked for in everything that is left behind."""

# A digits run of the real cnn-mnist that takes a second: the same layers, but few and narrow.
TINY = ["--set", "channels=[4,4]", "--set", "kernels=[4,4]", "--set", "strides=[2,2]", "--set", "paddings=[0,0]"]
TINY += ["--set", "pools=[1,1]", "--set", "image_size=22", "--set", "precision=float32"]


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the user's caches and settings, and each works in its own folder."""
    folder = tmp_path_factory.mktemp("user")
    if "ZOO_DATA" not in os.environ:
        monkeypatch.setenv("ZOO_DATA", str(data_folder()))
    monkeypatch.setenv("ZOO_CACHE", str(folder / "cache"))
    monkeypatch.setenv("ZOO_CONFIG", str(folder / "config"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("ZOO_DEBUG", raising=False)
    (folder / "work").mkdir()
    monkeypatch.chdir(folder / "work")


@pytest.fixture
def cli() -> Cli:
    """Runs `zoo ...` as a user would; `expect` is the exit code."""

    def run(*arguments: str, expect: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "zoo", *arguments],
            capture_output=True,
            text=True,
            timeout=300,
            env={**os.environ, **environment},
        )
        assert done.returncode == expect, f"zoo {' '.join(arguments)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def json_of(cli: Cli) -> Callable[..., Any]:
    """The JSON that `zoo ... --json` prints as its last line."""

    def run(*arguments: str, **environment: str) -> Any:
        return json.loads(cli(*arguments, "--json", **environment).stdout.splitlines()[-1])

    return run


@pytest.fixture(scope="session")
def perceptron_site(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with examples/zoo-perceptron installed by pip; on PYTHONPATH it is as if installed beside the zoo."""
    return install(ROOT / "examples" / "zoo-perceptron", tmp_path_factory.mktemp("perceptron"))


def install(project: Path, target: Path) -> str:
    """pip installs a project into a folder."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--target", str(target), str(project)], check=True, capture_output=True, timeout=120)
    return str(target)


@pytest.fixture
def perceptron(perceptron_site: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The installed example plugin, for child processes."""
    monkeypatch.setenv("PYTHONPATH", perceptron_site)
    return perceptron_site


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the real cnn-mnist, small."""
    tiny = {"channels": (4,), "kernels": (4,), "strides": (2,), "paddings": (0,), "pools": (1,), "image_size": 22}
    config = {**tiny, "epochs": 1, "precision": "float32"}
    trained = zoo.train("cnn-mnist", "digits", config=config, out=tmp_path_factory.mktemp("runs"))
    assert trained is not None
    return trained.run


@pytest.fixture(scope="session", autouse=True)
def _hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The server, before any test: the client reads its address when it is first imported."""
    assert "huggingface_hub" not in sys.modules
    with Hub() as hub:
        os.environ.update(hub.environment(tmp_path_factory.mktemp("hub")))
        yield hub


@pytest.fixture
def hub(_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """A Hub on loopback, empty, for this process and its children; the user is "me"."""
    _hub.clear()
    _hub.tokens({TOKEN: "me"})
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return _hub


def in_child(work: Callable[[], object]) -> int:
    """Runs work in a forked process, which has everything imported; its exit code."""
    process = os.fork()
    if process == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}".encode())
            os._exit(9)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


@pytest.fixture
def mnist() -> None:
    """Skips where there is no MNIST."""
    from zoo import datasets

    if not datasets.spec("mnist").present:
        pytest.skip("needs MNIST: set ZOO_DATA to a folder that holds MNIST/raw/, or run: zoo data fetch mnist")
