"""The loop: exact resume, exact repetition, stops and failures, and every switch of the config doing what it says."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo import checkpoint, generators, optimization, runs, weights
from zoo.config import Config
from zoo.errors import ConfigError, InterruptedRunError, RunError, TrainingError
from zoo.runs import Run

EPOCHS, STEPS = 4, 24  # 24 steps in all: 48 examples in batches of 8


class Recipe(Config):
    epochs: int = zoo.field(default=EPOCHS, doc="", ge=1)
    batch_size: int = zoo.field(default=8, doc="", ge=1)
    lr: float = zoo.field(default=0.05, doc="", gt=0)
    ema_decay: float = zoo.field(default=0.9, doc="", ge=0, lt=1)
    precision: Literal["auto", "float32", "bfloat16"] = zoo.field(default="float32", doc="")


SPEC = zoo.ModelSpec("toy", "test", "a toy", Recipe, ("toy",), ())


def noisy(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Augmentation that draws from all three global generators."""
    return x + 0.1 * torch.randn_like(x) + 0.1 * random.gauss(0, 1) + 0.1 * float(np.random.randn()), y


def toy_loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    x, y = batch
    logits = model(x)
    return {"loss": nn.functional.cross_entropy(logits, y), "accuracy": (logits.argmax(1) == y).float().mean()}


def toy_run(folder: Path, resuming: bool = False, **values: Any) -> Run:
    run = Run(SPEC, Recipe(**values), zoo.DatasetInfo("toy", (5,)), folder=folder, resuming=resuming)
    folder.mkdir(parents=True, exist_ok=True)
    generators.seed_everything(0)
    run.model = nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))
    return run


def toy_batches(size: int = 8, run: Run | None = None) -> zoo.Batches:
    """With a run, its progress changes the examples."""

    def transform(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return noisy(x * (1 + run.progress) if run else x, y)

    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(48, 5, generator=generator), torch.randint(0, 3, (48,), generator=generator)
    return zoo.Batches(x, y, batch_size=size, transform=transform)


def train(folder: Path, resuming: bool = False, stop_at: int | None = None, **values: Any) -> dict[str, Tensor]:
    """The weights of a run; stopped by a real signal after a step if asked."""
    run = toy_run(folder, resuming, **values)

    def stop(event: zoo.Event) -> None:
        if event.kind == "step" and event.step == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    run.listeners.append(stop)
    zoo.fit(run, toy_loss, toy_batches(run=run))
    return {name: tensor.clone() for name, tensor in run.model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def log(folder: Path) -> list[dict[str, Any]]:
    return [{key: value for key, value in line.items() if key != "seconds"} for line in runs.read_log(folder)]


def saved(folder: Path) -> dict[str, Tensor]:
    """The tensors of a run's weights file."""
    return weights.read(folder / runs.WEIGHTS)[0]


def test_the_same_seed_gives_the_same_weights_and_log(tmp_path: Path) -> None:
    assert same(train(tmp_path / "a"), train(tmp_path / "b"))
    assert log(tmp_path / "a") == log(tmp_path / "b")
    other = toy_run(tmp_path / "c")
    other.seed = 1
    zoo.fit(other, toy_loss, toy_batches(run=other))
    assert not same(train(tmp_path / "d"), other.model.state_dict())


@pytest.mark.parametrize("stop_at", [1, 5, 6, 7, 18, 23])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
def test_a_stopped_run_resumes_bit_by_bit(tmp_path: Path, stop_at: int, optimizer: str) -> None:
    whole = train(tmp_path / "whole", optimizer=optimizer)
    with pytest.raises(InterruptedRunError, match=f"after step {stop_at} of {STEPS}.*\n.*zoo train --resume") as caught:
        train(tmp_path / "cut", stop_at=stop_at, optimizer=optimizer)
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert same(train(tmp_path / "cut", resuming=True, optimizer=optimizer), whole)
    assert log(tmp_path / "cut") == log(tmp_path / "whole")


MUTATIONS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "optimizer": lambda patch: patch.setattr(torch.optim.AdamW, "load_state_dict", lambda self, state: None),
    "schedule": lambda patch: patch.setattr(
        torch.optim.lr_scheduler.OneCycleLR, "load_state_dict", lambda s, state: None
    ),
    "random": lambda patch: patch.setattr(generators, "set_random_state", lambda state, device: None),
    "torch": lambda patch: patch.setattr(torch, "set_rng_state", lambda state: None),
    "numpy": lambda patch: patch.setattr(np.random, "set_state", lambda state: None),
    "python": lambda patch: patch.setattr(random, "setstate", lambda state: None),
    "average": lambda patch: patch.setattr(
        checkpoint, "_under", lambda p, t, old=checkpoint._under: old("model." if p == "average." else p, t)
    ),
    "order": lambda patch: patch.setattr(generators, "mix", lambda seed, epoch: seed + 99),
}


@pytest.mark.parametrize("left_out", MUTATIONS)
def test_leaving_out_any_part_of_the_state_would_be_noticed(
    tmp_path: Path, left_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(tmp_path / "whole")
    with pytest.raises(InterruptedRunError):
        train(tmp_path / "cut", stop_at=10)
    MUTATIONS[left_out](monkeypatch)
    assert not same(train(tmp_path / "cut", resuming=True), whole)


def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    with pytest.raises(InterruptedRunError):
        train(tmp_path / "cut", stop_at=14)
    _, newest = sorted((tmp_path / "cut/checkpoints").glob("*.safetensors"))
    data = bytearray(newest.read_bytes())
    data[-100] ^= 1  # the file stays well formed: only the digest tells
    newest.write_bytes(data)
    said: list[str] = []
    run = toy_run(tmp_path / "cut", resuming=True)
    run.listeners.append(lambda event: said.append(event.message))
    zoo.fit(run, toy_loss, toy_batches(run=run))
    assert same(run.model.state_dict(), whole)
    assert log(tmp_path / "cut") == log(tmp_path / "whole")
    assert any(newest.name in text and "digest" in text and "step 12" in text for text in said)


def test_no_sound_checkpoint_is_an_error_that_names_each(tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError):
        train(tmp_path, stop_at=14)
    for path in (tmp_path / "checkpoints").glob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunError, match=r"(?s)no checkpoint to resume from.*step-00000014.*step-00000012.*zoo train"):
        train(tmp_path, resuming=True)


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    run = toy_run(tmp_path)
    calls = []

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        calls.append(1)
        value = toy_loss(model, batch)["loss"]
        return value * float("nan") if len(calls) == 15 else value

    with pytest.raises(TrainingError, match=r"loss is nan at step 15 of 24.*step-00000012.*\n.*--set lr"):
        zoo.fit(run, loss, toy_batches())
    _, facts, damaged = checkpoint.load(run.checkpoints)
    assert (facts["step"], damaged) == (12, [])


def test_weights_that_are_not_finite_never_reach_a_checkpoint(tmp_path: Path) -> None:
    run = toy_run(tmp_path, ema_decay=0.0)
    calls = []

    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        calls.append(1)
        if len(calls) == 12:  # the last step of the second epoch: a finite loss whose gradient is not
            bias = model.get_parameter("4.bias")
            return toy_loss(model, batch)["loss"] + (bias - bias.detach()).abs().sqrt().sum()
        return toy_loss(model, batch)["loss"]

    with pytest.raises(TrainingError, match=r"NaN or infinite at step 12.*step-00000006"):
        zoo.fit(run, loss, toy_batches())


def test_running_out_of_memory_is_an_error_with_advice(tmp_path: Path) -> None:
    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        return toy_loss(model, batch)["loss"] + torch.zeros(2**50).sum()

    with pytest.raises(TrainingError, match=r"out of memory at step 0.*\n.*batch_size"):
        zoo.fit(toy_run(tmp_path), loss, toy_batches())


def test_an_epoch_of_one_step_is_logged_once_and_heard_as_a_step_too(tmp_path: Path) -> None:
    run, heard = toy_run(tmp_path, epochs=3), list[zoo.Event]()
    run.listeners.append(heard.append)
    zoo.fit(run, toy_loss, toy_batches(48))
    lines = [json.loads(line)["kind"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == ["epoch"] * 3
    assert [set(event.values) >= {"loss", "lr"} for event in heard if event.kind == "step"] == [True] * 3


def test_arithmetic_that_this_machine_lacks_is_an_error_with_advice(tmp_path: Path) -> None:
    def loss(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Tensor:
        logits = model(batch[0])
        return torch.complex(logits, logits).abs().mean()  # which needs full precision, as the LSTM does on some CPUs

    zoo.fit(toy_run(tmp_path / "auto", precision="auto"), loss, toy_batches())
    with pytest.raises(TrainingError, match=r"no bfloat16 here at step 0: .*\n.*precision=auto"):
        zoo.fit(toy_run(tmp_path / "asked", precision="bfloat16"), loss, toy_batches())


def test_a_full_disk_stops_training_and_the_older_checkpoint_still_resumes(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("needs the right to mount a tmpfs (run as root)")
    try:
        run = toy_run(disk / "run")

        def fill(event: zoo.Event) -> None:
            if event.kind == "epoch" and event.epoch == 2:
                room = os.statvfs(disk)
                (disk / "filler").write_bytes(bytes(room.f_bavail * room.f_frsize - 4096))

        run.listeners.append(fill)
        with pytest.raises(RunError, match="no space is left"):
            zoo.fit(run, toy_loss, toy_batches(run=run))
        (disk / "filler").unlink()
        resumed = train(disk / "run", resuming=True)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert same(resumed, train(tmp_path / "whole"))


def test_switches_of_the_config_do_what_they_say(tmp_path: Path) -> None:
    plain = train(tmp_path / "plain")
    switches: list[dict[str, Any]] = [{"ema_decay": 0.0}, {"grad_clip": 0.01}, {"weight_decay": 0.5}]
    switches += [{"schedule": "constant"}, {"schedule": "cosine"}]
    for number, values in enumerate(switches):
        assert not same(train(tmp_path / str(number), **values), plain), values
    rates = [line["lr"] for line in log(tmp_path / "3") if line["kind"] == "step"]
    assert set(rates) == {0.05}
    rates = [line["lr"] for line in log(tmp_path / "plain") if line["kind"] == "step"]
    assert max(rates) == pytest.approx(0.05, rel=0.05)
    assert rates[0] < 0.01
    assert rates[-1] < 0.001
    with pytest.raises(ConfigError, match="optimizer"):
        Recipe(optimizer="adma")  # type: ignore[arg-type]


def test_the_average_follows_the_weights(tmp_path: Path) -> None:
    run = toy_run(tmp_path)
    seen: list[Tensor] = []
    weight_now = run.model.get_parameter("0.weight")
    run.listeners.append(lambda event: seen.append(weight_now.detach().clone()) if event.kind == "step" else None)
    start = weight_now.detach().clone()
    zoo.fit(run, toy_loss, toy_batches(run=run))
    expected = start.double()
    for step, weight in enumerate(seen, 1):
        expected = expected.lerp(weight.double(), 1 - min(0.9, (1 + step) / (10 + step)))
    torch.testing.assert_close(weight_now.double(), expected, rtol=0, atol=1e-6)


def test_only_plain_numbers_of_a_validation_are_logged(tmp_path: Path) -> None:
    found = {"accuracy": 1, "by_class": {"a": 0.5}, "collapsed": False}
    zoo.fit(toy_run(tmp_path), toy_loss, toy_batches(), lambda: found)
    last = [line for line in log(tmp_path) if line["kind"] == "epoch"][-1]
    assert {name: value for name, value in last.items() if name.startswith("val_")} == {"val_accuracy": 1.0}


def test_a_last_listener_that_fails_is_heard_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = toy_run(tmp_path)

    def fail(event: zoo.Event) -> None:
        raise ZeroDivisionError(event.kind)

    run.listeners.append(fail)
    zoo.fit(run, toy_loss, toy_batches(run=run))
    assert "a listener failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("steps", [1, 2, 4, 9, 24])
def test_the_rate_climbs_to_its_peak_and_falls_in_however_few_steps(steps: int) -> None:
    config = zoo.Config(warmup=0.2, lr=0.5)  # of 5 steps, a fifth is exactly one
    optimizer = optimization.optimizer(nn.Linear(2, 2), config)
    schedule = optimization.scheduler(optimizer, config, steps)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert steps < 2 or max(rates) > 0.35
    assert steps < 3 or rates[-1] < 0.3


def test_biases_and_norms_do_not_decay() -> None:
    optimizer = optimization.optimizer(toy_run(Path("x")).model, Recipe(weight_decay=0.3))
    assert [(group["weight_decay"], len(group["params"])) for group in optimizer.param_groups] == [(0.3, 2), (0.0, 4)]


@pytest.mark.parametrize("shape", [(6, 20), (20, 6), (8, 3, 3, 3), (4, 6, 2, 2)])
def test_muon_moves_matrices_as_torchs_own_does(shape: tuple[int, ...]) -> None:
    weight, flat = nn.Parameter(torch.randn(shape)), nn.Parameter(torch.empty(0))
    flat.data = weight.detach().flatten(1).clone()
    config = zoo.Config(optimizer="muon", lr=0.1, weight_decay=0.5, momentum=0.8)
    ours = optimization.optimizer(nn.ParameterList([weight]), config)
    theirs = torch.optim.Muon(
        [flat], lr=0.1, weight_decay=0.5, momentum=0.8, ns_steps=3, adjust_lr_fn="match_rms_adamw"
    )
    for _ in range(3):
        start, flat.grad = flat.detach().clone(), torch.randn_like(flat)
        weight.grad = flat.grad.clone().view(shape)
        ours.step()
        theirs.step()  # type: ignore[no-untyped-call]
        # torch's own iterates in bfloat16, and the differences of the steps add up.
        assert (weight.flatten(1) - flat).norm() < 0.1 * (flat - start).norm()


def test_muon_moves_all_else_as_adamw_does() -> None:
    start, gradient = torch.randn(2, 5)
    moved = []
    for config in (zoo.Config(optimizer="muon"), zoo.Config(optimizer="adamw")):
        bias = nn.Parameter(start.clone())
        bias.grad = gradient.clone()
        optimization.optimizer(nn.ParameterList([bias]), config).step()
        moved.append(bias.detach())
    assert torch.equal(*moved)


def test_validation_changes_nothing_of_the_training(tmp_path: Path) -> None:
    run = toy_run(tmp_path / "validated")

    def validate() -> dict[str, float]:
        return {"draw": float(torch.rand(1)) + random.random()}

    zoo.fit(run, toy_loss, toy_batches(run=run), validate)
    assert same(run.model.state_dict(), train(tmp_path / "plain"))
    assert sum("val_draw" in line for line in log(tmp_path / "validated")) == EPOCHS


def test_score_joins_what_is_measured_in_order(tmp_path: Path) -> None:
    run = toy_run(tmp_path)
    x = torch.randn(23, 5)
    found = zoo.score(run, lambda model, batch: {"out": model(batch[0])}, zoo.Batches(x, batch_size=10, shuffle=False))
    torch.testing.assert_close(found["out"], run.model.eval()(x))
    assert not found["out"].requires_grad


# Real processes: what a user's terminal, a scheduler or a power cut does.


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "zoo", "train", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_steps(folder: Path, steps: int, process: subprocess.Popen[str]) -> Path:
    """The run folder, once its log shows that many lines."""
    for _ in range(6000):
        for path in folder.glob("*/*/metrics.jsonl"):
            if len(path.read_text().splitlines()) >= steps:
                return path.parent
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError("no step within a minute")


@pytest.fixture(scope="module")
def never_stopped(perceptron_site: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `zoo train perceptron` prints when nothing disturbs it; it is trained once for all tests."""
    folder = tmp_path_factory.mktemp("never-stopped")
    environment = {**os.environ, "PYTHONPATH": perceptron_site, "OMP_NUM_THREADS": "1", "ZOO_CACHE": str(folder)}
    command = [sys.executable, "-m", "zoo", "train", "perceptron", "--out", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.fixture
def whole(never_stopped: dict[str, Any], perceptron: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """As `never_stopped`, with the same choice of arithmetic for what this test trains."""
    monkeypatch.setenv("ZOO_CACHE", str(Path(never_stopped["run"]).parents[1]))
    return never_stopped


@pytest.mark.parametrize("seed", range(4))
def test_kill_9_at_a_random_step_then_resume_is_bitwise_equal(
    whole: dict[str, Any], json_of: Callable[..., Any], seed: int
) -> None:
    draw = random.Random(seed)
    process = start("perceptron", "--out", "killed", "--set", f"checkpoint_seconds={draw.choice([0, 0.05])}")
    folder = wait_for_steps(Path("killed"), draw.randrange(1, 180), process)
    time.sleep(draw.uniform(0, 0.05))
    process.kill()
    process.communicate()
    record, _ = runs.read(folder)
    assert record["state"] == "training"
    assert record["seconds"] > 0
    resumed = json_of("train", "--resume", str(folder))
    assert resumed["seconds"] > record["seconds"]
    assert resumed["metrics"] == whole["metrics"]
    assert same(saved(Path(resumed["run"])), saved(Path(whole["run"])))
    assert log(folder) == log(Path(whole["run"]))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_end_with_a_checkpoint_and_the_command_that_resumes(
    whole: dict[str, Any], json_of: Callable[..., Any], number: int, code: int
) -> None:
    process = start("perceptron", "--out", "stopped")
    folder = wait_for_steps(Path("stopped"), 20, process)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in said
    command = said.strip().splitlines()[-1]
    assert command == f"Next: zoo train --resume {folder}"
    assert runs.read(folder)[0]["state"] == "interrupted"
    assert json_of(*command.split()[2:])["sha256"] == whole["sha256"]


def test_a_second_ctrl_c_ends_at_once_and_the_run_still_resumes(
    whole: dict[str, Any], json_of: Callable[..., Any]
) -> None:
    process = start("perceptron", "--out", "twice", "--set", "checkpoint_seconds=0")
    folder = wait_for_steps(Path("twice"), 20, process)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume" in said
    json_of("train", "--resume", str(folder))
    assert same(saved(folder), saved(Path(whole["run"])))


def test_a_run_in_progress_is_not_resumed_twice(perceptron: str, cli: Callable[..., Any]) -> None:
    process = start("perceptron", "--out", "busy", "--epochs", "2000")
    folder = wait_for_steps(Path("busy"), 2, process)
    assert "another process" in cli("train", "--resume", str(folder), expect=1).stderr
    process.kill()
    process.communicate()


def test_resume_with_another_config_is_refused_and_with_other_versions_warned_of(
    perceptron: str, cli: Callable[..., Any], whole: dict[str, Any]
) -> None:
    process = start("perceptron", "--out", "changed")
    folder = wait_for_steps(Path("changed"), 20, process)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    said = cli("train", "--resume", str(folder), "--epochs", "11", "--seed", "3", expect=1).stderr
    assert "epochs was 10, is 11" in said
    assert "seed was 0, is 3" in said
    record = json.loads((folder / "run.json").read_text())
    record["environment"]["versions"]["torch"] = "2.0.0"
    record["code"] = "0" * 64
    (folder / "run.json").write_text(json.dumps(record))
    said = cli("train", "--resume", str(folder), "--epochs", "10").stderr
    assert "torch was 2.0.0, is " in said
    assert "the plugin's code was 0000" in said
    assert "is finished" in cli("train", "--resume", str(folder), expect=1).stderr


def test_two_processes_train_as_one_with_the_same_global_batch(perceptron: str) -> None:
    values = ["--set", "dropout=0.0", "--set", "precision=float32", "--epochs", "3", "--set", "ema_decay=0.9"]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "zoo"]
    for out, launch in (("two", command), ("one", [sys.executable, "-m", "zoo"])):
        arguments = ["train", "perceptron", *values, "--out", out, "--json"]
        done = subprocess.run([*launch, *arguments], capture_output=True, text=True, timeout=240)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count('"sha256"') == 1
        assert done.stderr.count("epoch 1/3") == 1
    (two,), (one,) = (list(Path(out).glob("*/*")) for out in ("two", "one"))
    ours = saved(two)
    for name, tensor in saved(one).items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-3, atol=1e-5)
    assert [line["step"] for line in log(two)] == [line["step"] for line in log(one)]
    epochs = [[line["loss"] for line in log(folder) if line["kind"] == "epoch"] for folder in (one, two)]
    assert epochs[1] == pytest.approx(epochs[0], rel=1e-4)
    assert runs.read(two)[0]["world"] == 2


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are named in /proc, on Linux only")
def test_no_thread_of_the_group_outlives_training(perceptron: str) -> None:
    # One that still holds a tensor when the interpreter ends aborts the process.
    Path("script.py").write_text(
        "import os, zoo\n"
        "zoo.train('perceptron', config={'epochs': 1})\n"
        "names = [open(f'/proc/self/task/{task}/comm').read() for task in os.listdir('/proc/self/task')]\n"
        "assert not [name for name in names if 'gloo' in name], names\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "script.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
