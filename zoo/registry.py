"""Entry points to plugins: finds them without importing them, and loads exactly the one that is asked for.

The only file that knows pluggy.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from zoo import examine, files, signals
from zoo.addresses import SLUG
from zoo.environment import allowed_plugins, config_folder
from zoo.errors import PluginError, UnknownNameError, ZooError
from zoo.spec import ModelSpec

if TYPE_CHECKING:
    from types import ModuleType

T = TypeVar("T")

hookspec = pluggy.HookspecMarker("zoo")
hookimpl = pluggy.HookimplMarker("zoo")

GROUP = "zoo.plugins"
TRACKERS = "zoo.trackers"
DOCTOR_SECONDS = 120


@dataclass(frozen=True)
class Plugin:
    """One entry point and what is known of it.

    `state` is "installed" (nothing found wrong without importing it), "ok" (loaded), "broken", "incompatible",
    "clash" or "disabled"; `reason` says why where something is wrong.
    """

    name: str
    distribution: str
    version: str
    module: str
    state: str
    reason: str = ""

    @property
    def usable(self) -> bool:
        """Whether it may be loaded."""
        return self.state in ("installed", "ok")

    def __str__(self) -> str:
        return f"plugin {self.name!r} ({self.distribution} {self.version}, {self.module})"


@dataclass(frozen=True)
class Model:
    """A loaded plugin: its description, and a way to call its hooks and nobody else's."""

    plugin: Plugin
    spec: ModelSpec

    def has(self, hook: str) -> bool:
        """Whether the plugin implements the hook."""
        return hook in _implemented(self.plugin.name)

    def call(self, hook: str, **arguments: Any) -> Any:
        """The result of one hook of this plugin.

        Raises:
            ZooError: as the hook raised it.
            PluginError: anything else that the hook raised, with the plugin and the hook named.
        """
        try:
            return _call(self.plugin.name, hook, **arguments)
        except ZooError:
            raise
        except Exception as error:
            raise PluginError(
                f"{self.plugin}: {hook} raised {type(error).__name__}: {error}\n"
                "This is a fault of the plugin; ZOO_DEBUG=1 shows where. Nothing that was saved before is touched."
            ) from error

    def expect(self, hook: str, kind: type[T], **arguments: Any) -> T:
        """As `call`, for a hook that must return a certain type.

        Raises:
            PluginError: also where it returned something else.
        """
        found = self.call(hook, **arguments)
        if not isinstance(found, kind):
            raise PluginError(f"{self.plugin}: {hook} returned {type(found).__name__}, expected {kind.__name__}.")
        return found


@cache
def plugins() -> tuple[Plugin, ...]:
    """Every entry point of the group, in order of name; imports no plugin's code."""
    found = sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, _owner(entry)))
    return tuple(_examine(entry, [other for other in found if other.name == entry.name]) for entry in found)


def find(name: str) -> Plugin:
    """The one plugin that owns the name; imports nothing.

    Raises:
        UnknownNameError: no plugin has that name.
        PluginError: the plugin is broken, incompatible or disabled, or two distributions claim the name.
    """
    known = plugins()
    plugin = next((plugin for plugin in known if plugin.name == name), None)
    if plugin is None:
        raise UnknownNameError("model", name, {plugin.name for plugin in known}, "See: zoo list")
    if not plugin.usable:
        raise PluginError(f"{plugin} is {plugin.state}: {plugin.reason}")
    return plugin


@cache
def load(name: str) -> Model:
    """Imports the one plugin that owns the name and checks it against the contract.

    Raises:
        UnknownNameError: no plugin has that name.
        PluginError: it cannot be imported, lacks a hook, misspells one, or describes itself wrongly.
    """
    plugin = find(name)
    try:
        return Model(replace(plugin, state="ok"), _register(plugin))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a plugin may raise anything, SystemExit included
        if _manager().has_plugin(name):
            _manager().unregister(name=name)
        reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
        raise PluginError(
            f"{plugin} is broken: {reason}\nNext: tell its author, or: zoo plugins disable {name}", reason
        ) from error


def models() -> Iterator[tuple[Plugin, ModelSpec | None]]:
    """Every plugin with its description, loaded one at a time; None and a reason where it cannot be had."""
    for plugin in plugins():
        if not plugin.usable:
            yield plugin, None
            continue
        try:
            model = load(plugin.name)
        except PluginError as error:
            yield replace(plugin, state="broken", reason=error.reason), None
        else:
            yield model.plugin, model.spec


def trackers() -> list[tuple[str, Any]]:
    """(name, `zoo_on_event`) of each tracker, loaded one at a time; an error stands for one that cannot be loaded."""
    found: list[tuple[str, Any]] = []
    for entry in entry_points(group=TRACKERS):
        try:
            found.append((entry.name, _import(entry.value).zoo_on_event))
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            found.append((entry.name, PluginError(f"tracker {entry.name!r} ({_owner(entry)}) is broken: {error!r}")))
    return found


def doctor(plugin: Plugin) -> Plugin:
    """The plugin's state after loading it in a process of its own, which may crash or hang without harm."""
    if not plugin.usable:
        return plugin
    script = "import sys, json; from zoo import registry; print('\\n' + json.dumps(registry.diagnose(sys.argv[1])))"
    try:
        done = subprocess.run(
            [sys.executable, "-c", script, plugin.name],
            capture_output=True,
            text=True,
            timeout=DOCTOR_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return replace(plugin, state="broken", reason=f"did not load within {DOCTOR_SECONDS} s")
    try:
        state, reason = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        state, reason = "broken", f"loading it ended the process with code {done.returncode}"
    return replace(plugin, state=state, reason=reason)


def diagnose(name: str) -> tuple[str, str]:
    """(state, reason) of a plugin after loading it here; `doctor` calls it in a fresh process."""
    try:
        load(name)
    except PluginError as error:
        return "broken", error.reason
    slow = sorted({"torch", "torchvision", "torch_geometric", "sklearn", "matplotlib"} & set(sys.modules))
    return "ok", f"imports {', '.join(slow)} at its top, which slows zoo list down" if slow else ""


def disabled() -> set[str]:
    """Names of the plugins that the user disabled."""
    path = config_folder() / "plugins.json"
    names = files.read_json(path) if path.exists() else []
    return {str(name) for name in names} if isinstance(names, list) else set()


def set_disabled(name: str, value: bool) -> None:
    """Disables or enables a plugin for this user, without importing it.

    Raises:
        UnknownNameError: no plugin has that name.
    """
    if name not in (known := {plugin.name for plugin in plugins()}):
        raise UnknownNameError("plugin", name, known)
    names = (disabled() | {name}) if value else (disabled() - {name})
    files.write_json(config_folder() / "plugins.json", sorted(names))
    plugins.cache_clear()


@cache
def _manager() -> pluggy.PluginManager:
    from zoo import hookspecs

    manager = pluggy.PluginManager("zoo")
    manager.add_hookspecs(hookspecs)
    return manager


def _register(plugin: Plugin) -> ModelSpec:
    manager = _manager()
    manager.register(_import(plugin.module), plugin.name)
    implemented = _implemented(plugin.name)
    if wrong := examine.misspelt(sorted(implemented)):
        raise PluginError(wrong)
    manager.check_pending()
    if missing := sorted(examine.hooks()[0] - implemented):
        raise PluginError(f"lacks {', '.join(missing)} (a hook is a function decorated with @zoo.hookimpl)")
    spec = _call(plugin.name, "zoo_model")
    if not isinstance(spec, ModelSpec):
        raise PluginError(f"zoo_model returned {type(spec).__name__}, expected zoo.ModelSpec")
    if spec.name != plugin.name:
        raise PluginError(f"zoo_model says name={spec.name!r}, the entry point says {plugin.name!r}: make them equal")
    return spec


def _implemented(name: str) -> set[str]:
    manager = _manager()
    return {caller.name for caller in manager.get_hookcallers(manager.get_plugin(name)) or []}


def _call(name: str, hook: str, **arguments: Any) -> Any:
    manager = _manager()
    others = [other for other in manager.get_plugins() if other is not manager.get_plugin(name)]
    return manager.subset_hook_caller(hook, others)(**arguments)


def _import(module: str) -> ModuleType:
    # What a plugin prints while it is imported must not mix with a command's JSON.
    with contextlib.redirect_stdout(sys.stderr), signals.user_interrupts_only():
        return importlib.import_module(module)


def _owner(entry: EntryPoint) -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else "unknown distribution"


def _examine(entry: EntryPoint, same_name: list[EntryPoint]) -> Plugin:
    distribution, version = (entry.dist.name, entry.dist.version) if entry.dist else ("unknown", "0")
    plugin = Plugin(entry.name, distribution, version, entry.value, "installed")
    if len(same_name) > 1:
        owners = " and ".join(sorted(_owner(other) for other in same_name))
        return replace(plugin, state="clash", reason=f"{owners} both claim {entry.name!r}: uninstall one of them")
    if entry.name in disabled():
        return replace(plugin, state="disabled", reason=f"by you; to undo: zoo plugins enable {entry.name}")
    if (allowed := allowed_plugins()) is not None and entry.name not in allowed:
        return replace(plugin, state="disabled", reason="ZOO_PLUGINS or --no-plugins does not name it")
    if not SLUG.fullmatch(entry.name):
        return replace(plugin, state="broken", reason="its name is not of lower-case letters, digits and . _ -")
    state, reason = examine.read(entry.value)
    return replace(plugin, state=state, reason=reason)
