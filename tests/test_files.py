"""Files are whole or not there: killed writers, full disks, names that cannot be."""

from __future__ import annotations

import json
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from zoo import files
from zoo.errors import RunError

WRITER = """
import sys
from pathlib import Path
from zoo import files
number = 0
print("ready", flush=True)
while True:
    number += 1
    files.write(Path(sys.argv[1]), bytes([number % 256]) * 3_000_000)
"""


def test_kill_at_50_moments_leaves_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    draw = random.Random(0)
    for _ in range(50):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(draw.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        if path.exists():
            data = path.read_bytes()
            assert len(data) == 3_000_000
            assert len(set(data)) == 1
    assert path.exists()
    files.sweep(tmp_path)
    assert not list(tmp_path.glob(f"{files.STAGED}*"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs (run as root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_the_old_file_and_no_litter(small_disk: Path) -> None:
    path = small_disk / "weights"
    files.write(path, b"old" * 100)
    with pytest.raises(RunError, match=r"cannot write .*weights: no space is left.*untouched"):
        files.write(path, bytes(3_000_000))
    assert path.read_bytes() == b"old" * 100
    assert [entry.name for entry in small_disk.iterdir()] == ["weights"]


def test_a_file_size_limit_is_a_full_disk_too(tmp_path: Path) -> None:
    path = tmp_path / "w"
    files.write(path, b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(RunError, match="no space is left"):
            files.write(path, bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old"


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot write .*file/x"):
        files.write(tmp_path / "file" / "x", b"")


def test_json_has_no_nan(tmp_path: Path) -> None:
    files.write_json(tmp_path / "j", {"a": [float("nan"), 1.5], "b": (float("-inf"), "ü")})
    assert json.loads((tmp_path / "j").read_text()) == {"a": [None, 1.5], "b": [None, "ü"]}
    assert files.read_json(tmp_path / "j")["b"] == [None, "ü"]
    (tmp_path / "j").write_text("{")
    with pytest.raises(RunError, match="cannot read"):
        files.read_json(tmp_path / "j")
