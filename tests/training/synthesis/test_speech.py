"""A corpus of synthetic speech: resumable, in a layout that training reads; and the vocoder against
the same network written plainly."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.nn import functional as F

from asr.audio import SAMPLE_RATE, Samples
from asr.errors import DataError
from training.corpora.corpus import find_corpus
from training.synthesis import speech as synthesis
from training.synthesis.kokoro import read_voices
from training.synthesis.vocoder import DILATIONS, STFT_HOP, STFT_SIZE, Vocoder

SENTENCES = ["one two three", "too short", "four five six seven", " ".join(["long"] * 23)]


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    path = tmp_path / "voices.npz"
    np.savez(path, **{name: np.zeros((510, 1, 256), np.float16) for name in ("af_x", "jm_y")})
    return path


@pytest.fixture
def texts(tmp_path: Path) -> list[Path]:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(SENTENCES))
    return [path]


class Hum:
    """Stands in for the synthesiser, whose weights are no part of the project."""

    def speak(self, sentence: str, voice: np.ndarray, speed: float) -> Samples:
        seconds = np.arange(int(SAMPLE_RATE * len(sentence) / 10 / speed)) / SAMPLE_RATE
        return (2 * np.sin(2 * np.pi * 100 * speed * seconds)).astype(np.float32)


@pytest.fixture
def humming(monkeypatch: pytest.MonkeyPatch) -> None:
    styles = {name: np.zeros((510, 1, 256), np.float32) for name in ("af_x", "jm_y")}
    monkeypatch.setattr(synthesis, "_synthesiser", lambda weights, voices: (Hum(), styles))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_spoken_can_be_trained_on(
    humming: None, texts: list[Path], voices: Path, tmp_path: Path
) -> None:
    reported: list[float] = []
    made = synthesis.write_synthetic_corpus(
        texts, tmp_path / "spoken", "kokoro.onnx", voices, 0.01, progress=reported.append
    )
    assert made >= 0.01 and reported == sorted(reported) and reported[-1] == made
    corpus = find_corpus(tmp_path / "spoken")
    assert not corpus.left_out
    assert {utterance.text for utterance in corpus.utterances} == {SENTENCES[0], SENTENCES[2]}
    assert sum(u.seconds for u in corpus.utterances) == pytest.approx(3600 * made, rel=1e-3)
    assert len({utterance.speaker for utterance in corpus.utterances}) > 1
    sound, rate = soundfile.read(corpus.utterances[0].audio)
    assert rate == SAMPLE_RATE and np.abs(sound).max() < 0.95


def test_a_run_that_was_cut_off_goes_on(
    humming: None, texts: list[Path], voices: Path, tmp_path: Path
) -> None:
    def speak(folder: str, hours: float) -> dict[str, bytes]:
        where = tmp_path / folder
        synthesis.write_synthetic_corpus(texts, where, "k", voices, hours, workers=2)
        return contents(where)

    unbroken = speak("unbroken", 0.02)
    half = speak("broken", 0.01)
    assert half.items() < unbroken.items()
    # Cut off between a recording and its transcript, and within a recording.
    transcript = max((tmp_path / "broken").rglob("*.txt"))
    transcript.unlink()
    transcript.with_suffix(".flac").write_bytes(b"fLaC")
    assert speak("broken", 0.02) == unbroken


def test_a_text_without_sentences_of_that_length(voices: Path, tmp_path: Path) -> None:
    text = tmp_path / "short.txt"
    text.write_text("too short\n")
    with pytest.raises(DataError, match="no sentence of 3 to 22 words"):
        synthesis.write_synthetic_corpus([text], tmp_path / "out", "k", voices, 0.01)


@pytest.mark.parametrize("content", [b"", b"no voices", None])
def test_voices_that_are_none(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "voices.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match="voices"):
        read_voices(path)


def test_weights_that_are_none(texts: list[Path], voices: Path, tmp_path: Path) -> None:
    weights = tmp_path / "kokoro.onnx"
    weights.write_bytes(b"not a network")
    with pytest.raises(DataError, match="kokoro"):  # of the library, where it is not installed
        synthesis.write_synthetic_corpus(texts, tmp_path / "out", weights, voices, 0.01)


def random_weights(seed: int = 0) -> dict[str, np.ndarray]:
    """A narrow network of Kokoro's make: 6 channels of content, 8 within, then 6 and 4."""
    random = np.random.default_rng(seed)
    weights: dict[str, np.ndarray] = {}

    def kernel(name: str, *shape: int, bias: int | None = None) -> None:
        scale = 1 / math.sqrt(shape[1] * shape[2])
        weights[f"{name}.weight"] = random.normal(0, scale, shape)
        weights[f"{name}.bias"] = random.normal(0, 0.1, bias or shape[0])

    def style(name: str, channels: int) -> None:
        weights[f"{name}.fc.weight"] = random.normal(0, 0.1, (128, 2 * channels))
        weights[f"{name}.fc.bias"] = random.normal(0, 0.1, 2 * channels)

    def block(name: str, inside: int, outside: int) -> None:
        kernel(f"{name}.conv1", outside, inside, 3)
        kernel(f"{name}.conv2", outside, outside, 3)
        weights[f"{name}.conv1x1.weight"] = random.normal(0, 0.3, (outside, inside, 1))
        style(f"{name}.norm1", inside)
        style(f"{name}.norm2", outside)

    def residual(name: str, channels: int, width: int) -> None:
        for number in range(3):
            for half in "12":
                kernel(f"{name}.convs{half}.{number}", channels, channels, width)
                style(f"{name}.adain{half}.{number}", channels)
                weights[f"{name}.alpha{half}.{number}"] = random.uniform(0.5, 2, (1, channels, 1))

    kernel("F0_conv", 1, 1, 3)
    kernel("N_conv", 1, 1, 3)
    kernel("asr_res.0", 3, 6, 1)
    block("encode", 8, 8)
    for number in range(4):
        block(f"decode.{number}", 13, 8)
    kernel("decode.3.pool", 13, 1, 3)
    for stage, (inside, channels, factor) in enumerate([(8, 6, 10), (6, 4, 6)]):
        kernel(f"generator.ups.{stage}", inside, channels, 2 * factor, bias=channels)
        kernel(f"generator.noise_convs.{stage}", channels, 22, 1 if stage else 12)
        residual(f"generator.noise_res.{stage}", channels, 11 if stage else 7)
        for branch, width in enumerate((3, 7, 11)):
            residual(f"generator.resblocks.{3 * stage + branch}", channels, width)
    kernel("generator.conv_post", 22, 4, 7)
    weights["generator.m_source.l_linear.weight"] = random.normal(0, 1, (9, 1))
    weights["generator.m_source.l_linear.bias"] = np.zeros(1)
    return {name: array.astype(np.float32) for name, array in weights.items()}


class PlainVocoder:
    """The same network in float32, one operation after another as the papers have them."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.w = {name: torch.from_numpy(array) for name, array in weights.items()}

    def convolve(self, x: torch.Tensor, name: str, **how: int) -> torch.Tensor:
        return F.conv1d(x, self.w[f"{name}.weight"], self.w.get(f"{name}.bias"), **how)

    def styled(self, x: torch.Tensor, name: str, voice: torch.Tensor) -> torch.Tensor:
        both = voice @ self.w[f"{name}.fc.weight"] + self.w[f"{name}.fc.bias"]
        gamma, beta = both[:, :, None].chunk(2, dim=1)
        return (1 + gamma) * F.instance_norm(x) + beta

    def residual(self, x: torch.Tensor, name: str, voice: torch.Tensor) -> torch.Tensor:
        for number, dilation in enumerate(DILATIONS):
            y = x
            for half, spread in (("1", dilation), ("2", 1)):
                y = self.styled(y, f"{name}.adain{half}.{number}", voice)
                alpha = self.w[f"{name}.alpha{half}.{number}"]
                y = y + torch.sin(alpha * y) ** 2 / alpha
                kernel = f"{name}.convs{half}.{number}"
                padding = spread * (self.w[f"{kernel}.weight"].shape[-1] - 1) // 2
                y = self.convolve(y, kernel, padding=padding, dilation=spread)
            x = x + y
        return x

    def block(self, x: torch.Tensor, name: str, voice: torch.Tensor, doubled: bool) -> torch.Tensor:
        straight = F.interpolate(x, scale_factor=2, mode="nearest") if doubled else x
        y = F.leaky_relu(self.styled(x, f"{name}.norm1", voice), 0.2)
        if doubled:
            pool, bias = self.w[f"{name}.pool.weight"], self.w[f"{name}.pool.bias"]
            y = F.conv_transpose1d(y, pool, bias, 2, 1, 1, groups=y.shape[1])
        y = self.convolve(y, f"{name}.conv1", padding=1)
        y = F.leaky_relu(self.styled(y, f"{name}.norm2", voice), 0.2)
        y = self.convolve(y, f"{name}.conv2", padding=1)
        return (y + self.convolve(straight, f"{name}.conv1x1")) / math.sqrt(2)

    def __call__(
        self,
        content: np.ndarray,
        pitch: np.ndarray,
        loudness: np.ndarray,
        style: np.ndarray,
        source: torch.Tensor,
    ) -> torch.Tensor:
        voice, x = torch.from_numpy(style), torch.from_numpy(content)
        curves = [
            self.convolve(torch.from_numpy(one)[:, None], name, stride=2, padding=1)
            for one, name in ((pitch, "F0_conv"), (loudness, "N_conv"))
        ]
        rest = self.convolve(x, "asr_res.0")
        x = self.block(torch.cat([x, *curves], 1), "encode", voice, False)
        for number in range(4):
            together = torch.cat([x, rest, *curves], 1)
            x = self.block(together, f"decode.{number}", voice, number == 3)
        window = torch.hann_window(STFT_SIZE)
        spectrum = torch.stft(source, STFT_SIZE, STFT_HOP, window=window, return_complex=True)
        harmonics = torch.cat([spectrum.abs(), spectrum.angle()], 1)
        for stage, factor in enumerate((10, 6)):
            y = self.convolve(
                harmonics,
                f"generator.noise_convs.{stage}",
                stride=1 if stage else 6,
                padding=0 if stage else 3,
            )
            y = self.residual(y, f"generator.noise_res.{stage}", voice)
            name = f"generator.ups.{stage}"
            up, bias = self.w[f"{name}.weight"], self.w[f"{name}.bias"]
            x = F.conv_transpose1d(F.leaky_relu(x, 0.1), up, bias, factor, factor // 2)
            x = (F.pad(x, (1, 0), mode="reflect") if stage else x) + y
            branches = [
                self.residual(x, f"generator.resblocks.{3 * stage + k}", voice) for k in range(3)
            ]
            x = sum(branches) / 3
        x = self.convolve(F.leaky_relu(x), "generator.conv_post", padding=3)
        spectrum = x[:, :11].exp() * torch.exp(1j * x[:, 11:].sin())
        return torch.istft(spectrum, STFT_SIZE, STFT_HOP, window=window)[0]


def test_the_vocoder_is_the_network_written_plainly() -> None:
    random = np.random.default_rng(5)
    frames = 20
    content = random.normal(0, 1, (1, 6, frames)).astype(np.float32)
    pitch = np.repeat([[0.0, 120.0, 150.0, 0.0]], frames // 2, axis=1).astype(np.float32)
    loudness = random.normal(0, 1, (1, 2 * frames)).astype(np.float32)
    style = random.normal(0, 1, (1, 128)).astype(np.float32)
    weights = random_weights()
    vocoder = Vocoder(weights)
    torch.manual_seed(2)
    sound = vocoder(content, pitch, loudness, style)
    torch.manual_seed(2)
    source = vocoder.source(torch.from_numpy(pitch))
    expected = PlainVocoder(weights)(content, pitch, loudness, style, source).numpy()
    assert sound.shape == expected.shape == (600 * frames,)
    assert np.corrcoef(sound, expected)[0, 1] > 0.99  # bfloat16 has three digits


def test_the_source_has_the_pitch() -> None:
    vocoder = Vocoder(random_weights())
    source = vocoder.source(torch.full((1, 80), 200.0))[0].numpy()
    spectrum = np.abs(np.fft.rfft(source * np.hanning(len(source))))
    hertz = np.fft.rfftfreq(len(source), 1 / 24_000)
    loudest = np.sort(hertz[np.argsort(spectrum)[-9:]])
    assert all(min(abs(f - 200 * k) for k in range(1, 10)) < 3 for f in loudest)
    quiet = vocoder.source(torch.zeros(1, 80))[0].numpy()
    assert np.abs(quiet).std() < np.abs(source).std()
