"""Corpora: what is found, what is left out and why; the cache of their features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE, read_audio
from asr.errors import DataError
from asr.features.log_mel import log_mel
from training.corpora.corpus import find_corpus, read_utterances, write_utterances
from training.data.feature_cache import FeatureCache, write_feature_cache

SENTENCES = {
    "1-1-0000": "GOOD MORNING",
    "1-1-0001": "IT'S 5 O'CLOCK",
    "1-1-0002": "",
    "1-1-0003": "NO RECORDING OF IT",
    "1-1-0004": "TOO SHORT",
    "1-1-0005": "NOT SOUND AT ALL",
    "1-1-0006": "THIS IS FAR TOO MANY WORDS FOR A RECORDING OF HALF A SECOND TO HOLD",
}


@pytest.fixture
def corpus_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus" / "1" / "1"
    folder.mkdir(parents=True)
    lines = [f"{name} {text}" for name, text in SENTENCES.items()]
    (folder / "1-1.trans.txt").write_text("\n".join(lines) + "\n")
    random = np.random.default_rng(0)
    for name, seconds in (("0000", 2), ("0001", 2), ("0002", 2), ("0004", 0.1), ("0006", 0.5)):
        sound = random.standard_normal(int(seconds * SAMPLE_RATE)) * 0.1
        soundfile.write(folder / f"1-1-{name}.flac", sound, SAMPLE_RATE)
    (folder / "1-1-0005.flac").write_text("no sound")
    return tmp_path / "corpus"


def test_every_utterance_is_used_or_named(corpus_folder: Path) -> None:
    corpus = find_corpus(corpus_folder)
    assert [utterance.id for utterance in corpus.utterances] == ["1-1-0000"]
    assert corpus.utterances[0].text == "good morning"
    reasons = {name: reason.split(":")[0] for name, reason in corpus.left_out}
    assert reasons == {
        "1-1-0001": "characters outside the alphabet",
        "1-1-0002": "empty text",
        "1-1-0003": "no recording",
        "1-1-0004": "too short or too long",
        "1-1-0005": "unreadable audio",
        "1-1-0006": "too many words for its length",
    }
    assert "1 empty text" in corpus.summary()


def test_no_corpus_is_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        find_corpus(tmp_path / "nowhere")
    (tmp_path / "README.txt").write_text("no recording beside it")
    with pytest.raises(DataError, match="no corpus in it: expected LibriSpeech"):
        find_corpus(tmp_path)
    with pytest.raises(DataError, match="a file; give"):
        find_corpus(tmp_path / "README.txt")


def write_noise(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE) * 0.1
    soundfile.write(path, sound, SAMPLE_RATE)


def test_lj_speech_is_read(tmp_path: Path) -> None:
    for name in ("LJ001-0001", "LJ001-0003"):
        write_noise(tmp_path / "wavs" / f"{name}.wav")
    lines = [
        "LJ001-0001|Printing, in 1455|Printing, in fourteen fifty-five",
        "LJ001-0002|lost|lost",
        "LJ001-0003|plain\u2028",
    ]
    (tmp_path / "metadata.csv").write_text("\n".join(lines), encoding="utf-8")
    corpus = find_corpus(tmp_path)
    assert [(u.id, u.text, u.speaker) for u in corpus.utterances] == [
        ("LJ001-0001", "printing in fourteen fifty five", "LJ001"),
        ("LJ001-0003", "plain", "LJ001"),
    ]
    assert corpus.left_out == [("LJ001-0002", "no recording")]


def test_common_voice_is_read(tmp_path: Path) -> None:
    for name in ("a.mp3", "b.mp3"):
        write_noise(tmp_path / "clips" / name)
    rows = [
        "client_id\tpath\tsentence\tup_votes",
        'someone-with-a-long-id\ta.mp3\t"Stop!" she said.\t2',
        "other\tb\tWell\t",
        "other\tlost.mp3\tLost\t1",
        "short row",
    ]
    (tmp_path / "train.tsv").write_text("\n".join(rows), encoding="utf-8")
    corpus = find_corpus(tmp_path / "train.tsv")
    assert [(u.id, u.text, u.speaker) for u in corpus.utterances] == [
        ("a", "stop she said", "someone-with-a-l"),
        ("b", "well", "other"),
    ]
    assert [reason.split(":")[0] for _, reason in corpus.left_out] == [
        "no recording",
        "another number of columns",
    ]
    (tmp_path / "other.tsv").write_text("id\ttext\n")
    with pytest.raises(DataError, match="no column client_id, path, sentence"):
        find_corpus(tmp_path / "other.tsv")


def test_a_plain_folder_is_read(tmp_path: Path) -> None:
    for place in ("anna/one.flac", "ben/one.OGG", "ben/untold.wav"):
        write_noise(tmp_path / place)
    (tmp_path / "anna" / "one.txt").write_text("\ufeffHello\nthere", encoding="utf-8")
    (tmp_path / "ben" / "one.txt").write_text("Good-bye")
    (tmp_path / "ben" / "README.txt").write_text("who ben is")
    assert [(u.id, u.text, u.speaker) for u in find_corpus(tmp_path).utterances] == [
        ("anna/one", "hello there", "anna"),
        ("ben/one", "good bye", "ben"),
    ]


def test_recordings_are_found_from_another_place(
    corpus_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(corpus_folder.parent)
    corpus = find_corpus(corpus_folder.name)
    monkeypatch.chdir(tmp_path)
    assert all(Path(utterance.audio).is_file() for utterance in corpus.utterances)


def test_the_cache_holds_the_features(corpus_folder: Path, tmp_path: Path) -> None:
    corpus = find_corpus(corpus_folder)
    left_out = write_feature_cache(corpus, tmp_path / "cache", workers=1)
    assert len(left_out) == 6
    assert (tmp_path / "cache" / "left_out.tsv").read_text().count("\n") == 6
    cache = FeatureCache(tmp_path / "cache")
    assert cache.utterances == corpus.utterances
    sound = read_audio(corpus.utterances[0].audio)
    np.testing.assert_allclose(cache.frames(0), log_mel(sound), atol=1e-2)
    mean, deviation = cache.mean_and_deviation()
    np.testing.assert_allclose(mean, cache.frames(0).mean(0), atol=1e-3)
    np.testing.assert_allclose(deviation, cache.frames(0).std(0), atol=1e-3)


def test_a_corpus_prepared_again_has_no_teacher(corpus_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "posteriors.f16").write_bytes(b"of another corpus")
    write_feature_cache(find_corpus(corpus_folder), tmp_path / "cache", workers=1)
    assert not (tmp_path / "cache" / "posteriors.f16").exists()


def test_a_truncated_cache_is_reported(corpus_folder: Path, tmp_path: Path) -> None:
    write_feature_cache(find_corpus(corpus_folder), tmp_path / "cache", workers=1)
    frames = tmp_path / "cache" / "frames.f16"
    frames.write_bytes(frames.read_bytes()[:-160])
    with pytest.raises(DataError, match="do not fit together"):
        FeatureCache(tmp_path / "cache")


def test_utterances_are_read_as_written(tmp_path: Path, corpus_folder: Path) -> None:
    utterances = find_corpus(corpus_folder).utterances
    write_utterances(utterances, tmp_path / "u.jsonl")
    assert read_utterances(tmp_path / "u.jsonl") == utterances
    (tmp_path / "u.jsonl").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        read_utterances(tmp_path / "u.jsonl")
