"""Settings from YAML files and `key=value` overrides."""

from __future__ import annotations

import difflib
import warnings
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from asr.errors import ConfigError
from training.configs import FOLDER, Kind, bundled_names
from training.configs.types import StrictModel

RENAMED = {
    "full_mode_every": "offline_every",
    "variant_share": "copy_share",
    "least_count": "min_count",
}

Settings = TypeVar("Settings", bound=StrictModel)


def config_path(path: Path | None, name: str | None, kind: Kind) -> Path | None:
    """The YAML file that a command is given: `path`, or the bundled one of `--config-name`.

    Raises:
        ConfigError: both are given, or no bundled file of this kind has this name.
    """
    if name is None:
        return path
    if path is not None:
        raise ConfigError(f"{path} and --config-name {name}: give one of them")
    names = bundled_names(kind)
    if name not in names:
        there = f"there is {names[0]}" if len(names) == 1 else f"there are {', '.join(names)}"
        what = "belongs to another command" if name in bundled_names() else "no such bundled file"
        raise ConfigError(f"--config-name {name}: {what}; {there}")
    return FOLDER / f"{name}.yaml"


def required_config(path: Path | None, name: str | None, kind: Kind) -> Path:
    """As `config_path`; raises ConfigError if neither is given, too."""
    found = config_path(path, name, kind)
    if found is None:
        names = bundled_names(kind)
        one = names[0] if len(names) == 1 else f"with one of {', '.join(names)}"
        raise ConfigError(f"give a YAML file, or --config-name {one}")
    return found


def read_settings(
    kind: type[Settings], path: str | Path | None, overrides: list[str] | None = None
) -> Settings:
    """A YAML file with `key=value` overrides (`objective.ctc_phones=0.5`) on top; without a file
    the overrides alone.

    Raises:
        ConfigError: no such file, not YAML, an unknown key (with the nearest valid name), a value
            of the wrong kind.
    """
    settings = _read_yaml(Path(path)) if path else {}
    _rename(settings)
    for override in overrides or []:
        key, equals, value = override.partition("=")
        if not equals:
            raise ConfigError(f"'{override}': expected key=value")
        *sections, name = key.split(".")
        name = _new_name(name)
        place: Any = settings
        for section in sections:
            if place.get(section) is None:  # `augmentation: null`, say
                place[section] = {}
            place = place[section]
            if not isinstance(place, dict):
                raise ConfigError(
                    f"{override!a}: {section} is one setting and has no settings in it"
                )
        try:
            place[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"{override!a}: not a value ({_in_one_line(error)})") from None
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        place = f"{path}: " if path else ""
        raise ConfigError(f"{place}{_explain(kind, error)}") from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        settings = yaml.safe_load(_existing(path).read_text())
    except FileNotFoundError:
        near = f"; did you mean --config-name {path.stem}?" if path.stem in bundled_names() else ""
        raise ConfigError(f"{path}: no such file{near}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: not readable as YAML ({_in_one_line(error)})") from None
    if not isinstance(settings, dict):
        raise ConfigError(f"{path}: expected settings, one `key: value` a line")
    return settings


def _existing(path: Path) -> Path:
    """The file, or the bundled one where release 0.1 had it: configs/NAME.yaml."""
    bundled = FOLDER / path.name
    if path.parent.name == "configs" and not path.exists() and bundled.exists():
        warnings.warn(
            f"{path} comes with the package: --config-name {path.stem}",
            DeprecationWarning,
            stacklevel=4,
        )
        return bundled
    return path


def _new_name(name: str) -> str:
    """A setting's name of today; warns of one of release 0.1."""
    new = RENAMED.get(name, name)
    if new != name:
        warnings.warn(f"the setting {name} is called {new}", DeprecationWarning, stacklevel=4)
    return new


def _rename(settings: dict[str, Any]) -> None:
    """Replace the setting names of release 0.1, with a warning."""
    for name in list(settings):
        value = settings[name]
        if (new := _new_name(name)) != name:
            del settings[name]
            settings.setdefault(new, value)
        if isinstance(value, dict):
            _rename(value)


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _explain(kind: type[BaseModel], error: ValidationError) -> str:
    messages = []
    for problem in error.errors():
        *sections, name = (str(part) for part in problem["loc"] or ["settings"])
        place = ".".join([*sections, name])
        if problem["type"] != "extra_forbidden":
            messages.append(f"{place}: {problem['msg']}")
            continue
        fields: Any = kind.model_fields
        for section in sections:
            default = getattr(fields.get(section), "default", None)
            fields = getattr(type(default), "model_fields", {})
        near = difflib.get_close_matches(name, fields, 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        messages.append(f"unknown setting '{place}'{hint}")
    return "; ".join(messages)
