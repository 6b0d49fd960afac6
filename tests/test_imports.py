"""The direction of imports, and what a quick command must not import: from the source, and from fresh processes."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

HEAVY = {"torch", "torchvision", "torch_geometric", "huggingface_hub", "sklearn", "matplotlib"}
OWNERS = {
    "pluggy": {"zoo/registry.py"},
    "tomllib": {"zoo/catalog.py", "zoo/cli/shared.py"},
    "safetensors": {"zoo/weights.py"},
    "torchvision": {"zoo/datasets/torchvision.py"},
    "sklearn": {"zoo/datasets/digits.py"},
    "matplotlib": {"zoo/report.py", "zoo/hookspecs.py", "zoo/pictures.py", "zoo/graphtasks.py"},
    "onnxruntime": {"zoo/exports.py"},
    "rich": {"zoo/cli/progress.py"},
    "filelock": {"zoo/runs.py", "zoo/cache.py"},
    "huggingface_hub": {"zoo/hub.py"},
    "pyarrow": {"zoo/embedding.py"},
    "fsspec": {"zoo/storage.py"},
    "networkx": {"zoo/graphfiles.py"},
    "torch_geometric": {"zoo/datasets/graphs.py"},
}
LAYERS = [
    {"errors", "environment", "progress", "generators", "sparse"},
    {"config", "files", "shapes", "addresses", "layers", "components", "pictures", "graphs", "classification"},
    {"spec", "entries", "download", "storage", "images", "graphfiles", "graphnet"},
    {"datasets", "weights", "batches", "processes", "examine", "optimization", "signals", "hub"},
    {"registry", "runs", "checkpoint", "precision", "cache", "publications", "graphsets"},
    {"hookspecs", "catalog", "engine", "report"},
    {"listing", "pulling", "checking", "graphtasks"},
    {"loading", "pushing"},
    {"embedding", "evaluation", "exports"},
    {"training"},
    {"crossval"},
    {"cli", "__main__"},
]


def imports(path: Path) -> list[tuple[str, bool]]:
    """(module, whether only for types or only within a function) of every import in a file."""
    found: list[tuple[str, bool]] = []

    def visit(node: ast.AST, late: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                found.extend((alias.name, late) for alias in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module:
                found.extend(
                    (f"{child.module}.{a.name}" if child.module == "zoo" else child.module, late) for a in child.names
                )
            guarded = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
            visit(child, late or guarded or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)))

    visit(ast.parse(path.read_text()), False)
    return found


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def test_imports_point_one_way() -> None:
    level = {name: number for number, names in enumerate(LAYERS) for name in names}
    for path in sources("zoo"):
        name = path.relative_to(ROOT / "zoo").parts[0].removesuffix(".py")
        if name == "__init__":
            continue
        for module, late in imports(path):
            part = module.split(".")[1] if module.startswith("zoo.") else None
            if part in level and not late and part != name:
                assert level[part] <= level[name], f"{path}: imports zoo.{part}, which lies above it"


def test_the_core_never_imports_a_plugin_and_plugins_never_each_other() -> None:
    plugins = {path.name for path in (ROOT / "plugins").iterdir() if path.is_dir() and path.name.startswith("zoo_")}
    assert "zoo_cnn_mnist" in plugins
    for path in sources("zoo"):
        assert not plugins & {module.split(".")[0] for module, _ in imports(path)}, path
    for path in sources("plugins"):
        own = path.relative_to(ROOT / "plugins").parts[0]
        assert not (plugins - {own}) & {module.split(".")[0] for module, _ in imports(path)}, path


@pytest.mark.parametrize("library", OWNERS)
def test_one_outside_library_one_file(library: str) -> None:
    users = {str(p.relative_to(ROOT)) for p in sources("zoo") if any(m.split(".")[0] == library for m, _ in imports(p))}
    assert users <= OWNERS[library]


def test_plugins_import_no_torch_at_their_top() -> None:
    for path in (ROOT / "plugins").glob("*/plugin.py"):
        top = {module.split(".")[0] for module, late in imports(path) if not late}
        assert not top & HEAVY, path


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["list"],
        ["list", "--json"],
        ["info", "cnn-mnist"],
        ["plugins", "list"],
        ["runs"],
        ["cache", "list"],
        ["cache", "verify"],
        ["cache", "prune"],
        ["registry", "check", "--help"],
        ["push", "--help"],
        ["data", "list"],
        ["data", "where"],
        ["train", "--help"],
        ["evaluate", "--help"],
    ],
    ids=" ".join,
)
def test_quick_commands_import_nothing_slow(arguments: list[str]) -> None:
    script = (
        "import sys, json, atexit\n"
        "atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
        f"sys.argv = ['zoo', *{arguments!r}]\nfrom zoo.cli import main\nmain()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(json.loads(done.stderr.splitlines()[-1]))


def test_import_zoo_imports_next_to_nothing_and_offers_all() -> None:
    script = "import sys; import zoo; print(len([m for m in sys.modules if m.partition('.')[0] == 'zoo']))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"
    import zoo

    for name in zoo.__all__:
        assert getattr(zoo, name) is not None, name
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        zoo.lode  # noqa: B018
