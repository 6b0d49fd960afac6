"""What a plugin's source says of it before any of it is imported: does it parse, which hooks, whose contract?"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.errors import nearest
from zoo.spec import API_VERSION


def hooks() -> tuple[frozenset[str], frozenset[str]]:
    """Names of the hooks that a plugin must have, and of those that it may have."""
    from zoo import hookspecs

    known = frozenset(name for name in vars(hookspecs) if name.startswith("zoo_"))
    return known - hookspecs.OPTIONAL, hookspecs.OPTIONAL


def misspelt(names: list[str]) -> str:
    """A sentence about hooks that do not exist, empty if all do."""
    required, optional = hooks()
    unknown = sorted(set(names) - required - optional)
    hints = [
        f"{name} (did you mean {near}?)" if (near := nearest(name, required | optional)) else name for name in unknown
    ]
    return f"no such hook: {', '.join(hints)}" if hints else ""


def read(module: str) -> tuple[str, str]:
    """(state, reason) of a plugin from its source alone; "installed" where nothing is wrong."""
    trees: list[ast.Module] = []
    try:
        for path in _sources(module):
            trees.append(ast.parse(path.read_bytes(), str(path)))
    except (ImportError, SyntaxError, ValueError, OSError) as error:
        return "broken", f"{type(error).__name__}: {error}"
    for tree in trees:
        made_for = _assigned(tree, "api_version")
        if made_for is not None and made_for != API_VERSION:
            needs = f"it needs plugin contract {made_for}, this zoo has {API_VERSION}"
            return "incompatible", f"{needs}: update {'zoo' if made_for > API_VERSION else 'the plugin'}"
    if not trees:
        return "installed", ""
    names = _top_level_names(trees[-1])
    if wrong := misspelt([name for name in names if name.startswith("zoo_")]):
        return "broken", wrong
    if "*" not in names and (missing := sorted(hooks()[0] - names)):
        return "broken", f"lacks {', '.join(missing)}"
    return "installed", ""


def code_digest(module: str) -> str:
    """sha256 over the Python files of a module's package, so that a resumed run can tell whether its code changed."""
    total = hashlib.sha256()
    for path in sorted({file for source in _sources(module) for file in source.parent.glob("*.py")}):
        total.update(f"{path.name}\0".encode() + path.read_bytes())
    return total.hexdigest()


def _sources(module: str) -> Iterator[Path]:
    """The source files of a module's packages and of the module itself, outermost first; imports nothing."""
    path = None
    parts = module.partition(":")[0].split(".")
    for depth in range(len(parts)):
        name = ".".join(parts[: depth + 1])
        specs = (finder.find_spec(name, path) for finder in sys.meta_path if hasattr(finder, "find_spec"))
        spec = next((spec for spec in specs if spec is not None), None)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {name!r}")
        path = spec.submodule_search_locations
        if spec.origin and spec.origin.endswith(".py"):
            yield Path(spec.origin)


def _assigned(tree: ast.Module, name: str) -> Any:
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        value = getattr(node, "value", None)
        if isinstance(value, ast.Constant) and any(isinstance(t, ast.Name) and t.id == name for t in targets):
            return value.value
    return None


def _top_level_names(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names
