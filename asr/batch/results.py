"""Writes the results of a batch as files, and decides beforehand what is to be written.

A result that Rill wrote from the same recording with the same settings is not made again, so that a
batch that was interrupted goes on when it is started again. A file that Rill did not write, or that
was edited since (asr/batch/ledger.py), is not overwritten.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Any, Literal

from asr.batch.finding import STDIN
from asr.batch.jobs import Summary
from asr.batch.ledger import Ledger, Origin, checksum
from asr.batch.places import places, with_ending
from asr.errors import ConfigError
from asr.formats import EXTENSIONS, FormatOptions, render
from asr.formats.rendering import CAPTIONS, DEFAULT_OPTIONS
from asr.transcript import Transcript

Existing = Literal["continue", "skip", "overwrite"]


class State(Enum):
    """What a result's place holds."""

    missing = auto()
    current = auto()  # of this recording, with these settings
    outdated = auto()  # by Rill, of a recording or of settings that have changed
    edited = auto()  # by Rill, of this recording with these settings, and edited since
    edited_and_outdated = auto()
    unknown = auto()  # by somebody else


@dataclass(frozen=True)
class Output:
    """Where results go, and in which formats."""

    folder: Path | None  # beside each recording if None
    formats: tuple[str, ...]
    options: FormatOptions = DEFAULT_OPTIONS
    existing: Existing = "continue"


class ResultWriter:
    """The files of a batch: `to_do` says which recordings are to be transcribed, a call writes the
    results of one."""

    def __init__(
        self,
        output: Output,
        paths: Sequence[str],
        sources: Sequence[str],
        settings: dict[str, Any] | None = None,
    ) -> None:
        """Raises ConfigError when the folder cannot be made or the recordings have no place.

        Args:
            paths: as they were given; recordings below a folder of them keep their place below it.
            sources: all recordings.
            settings: what shapes the words.
        """
        if output.folder is not None:
            try:
                output.folder.mkdir(parents=True, exist_ok=True)
            except FileExistsError:
                raise ConfigError(f"--output {output.folder}: a file; give a folder") from None
            except OSError as error:
                raise ConfigError(f"--output {output.folder}: {error.strerror}") from None
        self._output, self._settings = output, settings or {}
        self._ledgers: dict[Path, Ledger] = {}
        self._sources = list(dict.fromkeys(sources))
        self._origins = {source: _origin(source) for source in self._sources}
        before, taken = self._earlier_places()
        self._places = places(self._sources, paths, output.folder, before, taken)
        self._to_write: dict[str, list[str]] = {}
        self._refused: dict[str, list[str]] = {}  # why others are not, of these recordings

    def to_do(self, summary: Summary) -> list[str]:
        """The recordings to transcribe; all others are named in the summary."""
        return [source for source in self._sources if self._is_to_do(source, summary)]

    def __call__(self, source: str, transcript: Transcript) -> None:
        """Write the results of a recording.

        Raises:
            ConfigError: some cannot or may not be written; the others are.
        """
        problems = list(self._refused.get(source, ()))
        for name in self._to_write.get(source, self._output.formats):
            try:
                self._write(source, name, transcript)
            except ConfigError as error:
                problems.append(str(error))
        if problems:
            raise ConfigError("; ".join(problems))

    def _is_to_do(self, source: str, summary: Summary) -> bool:
        formats = self._output.formats
        if self._output.existing == "overwrite" or source == STDIN:
            self._to_write[source] = list(formats)
        elif self._output.existing == "skip":
            self._to_write[source] = [name for name in formats if not self._exists(source, name)]
            if not self._to_write[source]:
                summary.skipped.append(source)
                return False
        elif not self._has_to_be_written(source, summary):
            return False
        if problem := self._unwritable(source):
            summary.failures.append(problem)
            return False
        return True

    def _has_to_be_written(self, source: str, summary: Summary) -> bool:
        formats = self._output.formats
        states = {name: self._state(source, name) for name in formats}
        refused = {State.unknown, State.edited_and_outdated}
        problems = [
            _refusal(self._file(source, name), states[name])
            for name in formats
            if states[name] in refused
        ]
        kept = [
            f"{self._file(source, name)}, which was edited"
            for name in formats
            if states[name] is State.edited
        ]
        self._to_write[source] = [
            name for name in formats if states[name] in (State.missing, State.outdated)
        ]
        summary.kept += kept
        if self._to_write[source]:
            self._refused[source] = problems
        elif problems:
            summary.failures.append(f"{source}: {'; '.join(problems)}")
        elif damage := self._damage(source):
            summary.failures.append(f"done before, but damaged: {damage}")
        else:
            summary.done_before.append(source)
        return bool(self._to_write[source])

    def _unwritable(self, source: str) -> str | None:
        """Why nothing can be written beside a recording, before hours are spent on it."""
        parent = self._places[source].parent
        if self._output.folder is None and parent.is_dir() and not os.access(parent, os.W_OK):
            return f"{source}: nothing may be written into its folder; give --output"
        return None

    def _write(self, source: str, name: str, transcript: Transcript) -> None:
        target = self._file(source, name)
        # Whoever finds a transcript finds all of it: a full disk leaves none.
        part = target.with_name(f".rill-{os.getpid()}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            text = render(transcript, name, source, self._output.options)
            replaceable = target.is_file() and os.access(target, os.W_OK)
            if target.exists() and not replaceable:  # a pipe, or what may not be written
                target.write_text(text, encoding="utf-8")
                return
            try:
                part.write_text(text, encoding="utf-8")
                self._ledger(target).add(
                    target,
                    text,
                    self._origins[source],
                    self._places[source],
                    settings=self._fingerprint(name),
                    damage=transcript.damage,
                )
                part.replace(target.resolve())
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigError(f"{target}: could not be written ({error.strerror})") from None

    def _state(self, source: str, name: str) -> State:
        target = self._file(source, name)
        if not target.exists() or not target.is_file():  # a pipe takes what it gets
            return State.missing
        results = self._ledger(target).results(target)
        if not results:
            return State.unknown
        origin, last = self._origins[source], results[-1]
        same_recording = origin.is_same_recording(last.origin)
        is_current = (
            same_recording
            and (origin.bytes, origin.changed_ns) == (last.bytes, last.changed_ns)
            and last.settings == self._fingerprint(name)
        )
        try:
            found = checksum(target.read_bytes())
        except OSError:
            return State.unknown
        if found == last.sha256:
            return State.current if is_current else State.outdated
        if any(found == result.sha256 for result in results):
            return State.outdated  # a run was interrupted between its ledger and its file
        return State.edited if is_current else State.edited_and_outdated

    def _damage(self, source: str) -> str | None:
        """Why the results of a recording end early, with its name."""
        for name in self._output.formats:
            target = self._file(source, name)
            for result in self._ledger(target).results(target)[-1:]:
                if result.damage is not None:
                    named = source in result.damage
                    return result.damage if named else f"{source}: {result.damage}"
        return None

    def _exists(self, source: str, name: str) -> bool:
        return self._file(source, name).exists()

    def _file(self, source: str, name: str) -> Path:
        return with_ending(self._places[source], EXTENSIONS[name])

    def _ledger(self, target: Path) -> Ledger:
        return self._ledger_of(self._output.folder or target.parent)

    def _ledger_of(self, folder: Path) -> Ledger:
        if folder not in self._ledgers:
            self._ledgers[folder] = Ledger(folder)
        return self._ledgers[folder]

    def _earlier_places(self) -> tuple[dict[str, Path], frozenset[Path]]:
        """Where the recordings' results were written before, and where those of others are."""
        before: dict[str, Path] = {}
        taken: set[Path] = set()
        by_name: dict[str, list[str]] = {}
        for source, origin in self._origins.items():
            by_name.setdefault(os.path.basename(origin.source), []).append(source)
        folders = (
            {Path(source).parent for source in self._sources if source != STDIN}
            if self._output.folder is None
            else {self._output.folder}
        )
        for folder in folders:
            for result in self._ledger_of(folder).latest():
                place = folder / result.place
                mine = [
                    source
                    for source in by_name.get(os.path.basename(result.source), [])
                    if self._origins[source].is_same_recording(result.origin)
                ]
                if mine:
                    before[mine[0]] = place
                elif os.path.exists(result.source):
                    taken.add(place)
        return before, frozenset(taken)

    def _fingerprint(self, name: str) -> str:
        """A checksum of all that shapes a file of this format."""
        options = self._output.options
        shapes: dict[str, Any] = {"settings": self._settings, "format": name}
        if name in CAPTIONS:
            shapes["rules"] = asdict(options.rules)
        if name == "txt":
            shapes["times"] = options.times
        if name == "vtt":
            shapes["word_times"] = options.word_times
        return checksum(json.dumps(shapes, sort_keys=True).encode())


def _origin(source: str) -> Origin:
    return Origin(STDIN) if source == STDIN else Origin.of(source)


def _refusal(target: Path, state: State) -> str:
    why = (
        "was not written by Rill"
        if state is State.unknown
        else "was edited, and its recording or the settings have changed since it was written"
    )
    return f"{target} {why}; it is kept. Give --overwrite, or another --output"
