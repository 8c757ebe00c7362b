"""The layouts that speech corpora come in: each is walked to recordings with their transcripts.

    LibriSpeech       speaker/chapter/speaker-chapter-utterance.EXT, speaker-chapter.trans.txt
    LJ Speech         metadata.csv (id|text|normalised text) and wavs/id.EXT
    Common Voice      a .tsv file with the columns client_id, path, sentence, and clips/ beside it
    a plain folder    talk.EXT with talk.txt or talk.EXT.txt beside it; the speaker is the folder

EXT is any that Rill reads. A recording without a transcript is found too, with the reason why it
cannot be used; but not in the clips of Common Voice, of which each .tsv file names a part.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from asr.audio import SOUND_SUFFIXES
from asr.errors import DataError
from asr.text.normalise import normalise
from training.data.transcripts import read_lines, read_text, without_tags

HINT = (
    "LibriSpeech's layout (*.trans.txt), LJ Speech's (metadata.csv), a .tsv file of Common Voice, "
    "or recordings with a .txt beside each"
)
# Texts that lie beside recordings and are of none.
_ABOUT = {
    "about", "authors", "books", "changelog", "changes", "chapters", "contents", "copying", "info",
    "licence", "license", "metadata", "notes", "notice", "readme", "sources", "speakers",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What a corpus says of one utterance; nothing is checked yet but the layout."""

    id: str
    recording: Path | None  # None when it is not where it should be
    text: str
    speaker: str
    problem: str | None = None  # why it cannot be used, where the layout already tells


def walk_corpus(path: str | Path) -> list[Found]:
    """All utterances of a corpus, in the order of their names.

    Args:
        path: a folder in one of the layouts, or a .tsv file of Common Voice.

    Raises:
        DataError: it does not exist or is in none of the layouts.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: no such folder")
    if path.is_file():
        if path.suffix != ".tsv":
            raise DataError(f"{path}: a file; give {HINT}")
        return _each_once(_common_voice(path))
    folders = _files_by_folder(path)
    if transcripts := [file for files in folders.values() for file in files if _is_list(file)]:
        found = [one for transcript in transcripts for one in _librispeech(transcript, folders)]
        found += _plain_folder(path, folders, {one.recording for one in found if one.recording})
    elif (path / "metadata.csv").is_file():
        found = _lj_speech(path, folders)
        found += _without_text(path, folders, {one.recording for one in found if one.recording})
    else:
        found = _plain_folder(path, folders, set())
        if not any(one.recording and one.text for one in found):
            raise DataError(f"{path}: no corpus in it: expected {HINT}")
    return _each_once(found)


def transcripts_of(place: Path) -> dict[str, str]:
    """What is said in a recording, or in those of a folder, by their paths: as far as a corpus's
    layout or a .txt beside a recording tells it."""
    if place.is_file():
        beside = place.with_suffix(".txt")
        return {str(place): without_tags(read_text(beside))[0]} if beside.is_file() else {}
    try:
        found = walk_corpus(place)
    except DataError:
        return {}
    return {
        str(one.recording): without_tags(one.text)[0]
        for one in found
        if one.recording and not one.problem
    }


def _librispeech(transcript: Path, folders: dict[Path, list[Path]]) -> Iterator[Found]:
    recordings = _recordings(folders[transcript.parent])
    for line in read_lines(transcript):
        name, *text = line.strip().split(maxsplit=1)[:2] or [""]
        if name:
            yield Found(name, recordings.get(name), "".join(text), name.split("-")[0])


def _lj_speech(folder: Path, folders: dict[Path, list[Path]]) -> list[Found]:
    """The first column is an id, a file's name or its path; the last one has numbers written
    out. In a list of two columns a | belongs to the text."""
    recordings = {
        _name(file, folder): file
        for files in folders.values()
        for file in _recordings(files).values()
    }
    rows = [line.split("|") for line in read_lines(folder / "metadata.csv")]
    rows = [row for row in rows if row[0].strip()]
    widths = Counter(map(len, rows))
    width = max(widths, key=lambda n: (widths[n], -n), default=0)
    found = []
    for first, *texts in rows:
        name = first.strip().replace("\\", "/").removeprefix("./")
        bare = name
        if Path(name).suffix.lower() in SOUND_SUFFIXES:
            bare = Path(name).with_suffix("").as_posix()
        recording = recordings.get(f"wavs/{bare}") or recordings.get(bare)
        problem = None
        if len(texts) >= width > 2:
            problem = f"another number of columns: {len(texts) + 1}, not {width}; a | in the text?"
        elif len(texts) >= width and not _written_twice(texts):
            texts = ["|".join(texts)]
        id = bare.removeprefix("wavs/")
        speaker = id.split("-")[0] if "-" in id else folder.name
        found.append(Found(id, recording, texts[-1] if texts else "", speaker, problem))
    return found


def _written_twice(texts: list[str]) -> bool:
    """A text, and the same with numbers written out? Else a | in it has made two of one."""
    if len(texts) != 2:
        return False
    one, other = (set(normalise(text).split()) for text in texts)
    return 2 * len(one & other) >= max(1, min(len(one), len(other)))


def _common_voice(table: Path) -> list[Found]:
    clips = table.parent / "clips"
    header, *lines = read_lines(table)
    columns = header.split("\t")
    wanted = ("client_id", "path", "sentence")
    if missing := sorted(set(wanted) - set(columns)):
        raise DataError(f"{table}: no column {', '.join(missing)}; is it Common Voice's?")
    speaker, path, sentence = map(columns.index, wanted)
    found = []
    for number, line in enumerate(lines, start=2):
        row = line.split("\t")
        if row == [""]:
            continue
        # Votes and ages behind the sentence may be left out; a column too many is a tab in it.
        problem = None
        if len(row) > len(columns) or len(row) <= max(speaker, path, sentence):
            problem = (
                f"another number of columns: {len(row)}, not {len(columns)}, in line {number}"
                + ("; a tab in the sentence?" if len(row) > len(columns) else "")
            )
        row += [""] * len(columns)
        clip = clips / row[path]
        if not clip.suffix:  # older releases leave it out
            clip = clip.with_suffix(".mp3") if row[path] else clips / f"line {number}"
        recording = clip if clip.is_file() else None
        found.append(Found(clip.stem, recording, row[sentence], row[speaker][:16], problem))
    return found


def _plain_folder(folder: Path, folders: dict[Path, list[Path]], taken: set[Path]) -> list[Found]:
    """Recordings with a text of the same name; texts without a recording; recordings without a
    text, except those that are `taken`."""
    found = []
    for place, files in folders.items():
        recordings = {
            file.name: file
            for file in files
            if file.suffix.lower() in SOUND_SUFFIXES and file not in taken
        }
        by_stem = {Path(name).stem: file for name, file in recordings.items()}
        for transcript in files:
            if transcript.suffix.lower() != ".txt" or _is_list(transcript):
                continue
            recording = recordings.get(transcript.stem) or by_stem.get(transcript.stem)
            if recording is None and transcript.stem.lower() in _ABOUT:
                continue
            name = _name(recording or transcript, folder)
            try:
                text, problem = read_text(transcript), None
            except DataError as error:
                text, problem = "", f"unreadable text: {error}"
            found.append(Found(name, recording, text, place.name, problem))
    texts_taken = taken | {one.recording for one in found if one.recording}
    return found + _without_text(folder, folders, texts_taken)


def _without_text(folder: Path, folders: dict[Path, list[Path]], taken: set[Path]) -> list[Found]:
    names_taken = {file.with_suffix("") for file in taken}
    return [
        Found(
            _name(file, folder),
            file,
            "",
            place.name,
            f"another recording of the same name is taken: not {file.name}"
            if file.with_suffix("") in names_taken
            else "no text",
        )
        for place, files in folders.items()
        for file in files
        if file.suffix.lower() in SOUND_SUFFIXES and file not in taken
    ]


def _each_once(found: list[Found]) -> list[Found]:
    """A recording that is named several times is taken once where all say the same, else not at
    all: which text is right is not known."""
    texts: defaultdict[Path, list[str]] = defaultdict(list)
    for one in found:
        if one.recording and not one.problem:
            texts[one.recording].append(normalise(one.text))
    checked, seen = [], set()
    for one in found:
        said = texts.get(one.recording, []) if one.recording and not one.problem else []
        if len(set(said)) > 1:
            one = replace(one, problem=f"several texts for one recording: {len(said)}")
        elif said and one.recording in seen:
            one = replace(one, problem=f"named several times: {len(said)} times, taken once")
        elif said:
            seen.add(one.recording)
        checked.append(one)
    return checked


def _files_by_folder(folder: Path) -> dict[Path, list[Path]]:
    """All files below a folder in the order of their names, without those of macOS that only look
    like recordings (._talk.mp3)."""
    folders: dict[Path, list[Path]] = {}
    walked: set[str] = set()  # a link may lead back to where it lies
    for place, below, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in walked:
            below.clear()
            continue
        walked.add(real)
        files = [Path(place, name) for name in sorted(names) if not name.startswith("._")]
        if files:
            folders[Path(place)] = files
    return dict(sorted(folders.items()))


def _recordings(files: Iterable[Path]) -> dict[str, Path]:
    """The sound files among some by their names without extension."""
    return {file.stem: file for file in files if file.suffix.lower() in SOUND_SUFFIXES}


def _is_list(file: Path) -> bool:
    return file.name.endswith(".trans.txt")


def _name(file: Path, folder: Path) -> str:
    return file.relative_to(folder).with_suffix("").as_posix()
