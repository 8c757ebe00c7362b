"""An exported model without Rill: numpy, soundfile and onnxruntime alone. Prints the phones heard.

rill export --engine onnx --output runs/onnx
python docs/examples/plain_onnxruntime.py runs/onnx talk-16khz-mono.flac
"""

import json
import sys
from itertools import groupby
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile

PHONES = (  # noqa: SIM905
    "- AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V "
    "W Y Z ZH"
).split()
PER_STEP, CONTEXT, CHUNK_STEPS = 4, 2, 3  # 10 ms frames in a step, seen on either side, in a chunk

folder = Path(sys.argv[1])
about = json.loads((folder / "about.json").read_text())
samples, rate = soundfile.read(sys.argv[2], dtype="float32")
assert rate == 16_000 and samples.ndim == 1

windows = np.lib.stride_tricks.sliding_window_view(samples, 400)[::160]
spectrum = np.fft.rfft(windows * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)))
filters = np.load(Path(__file__).parents[2] / "asr" / "features" / "mel_filters.npz")["slaney_80"]
log_mel = np.log(np.maximum(np.abs(spectrum) ** 2 @ filters, 1e-8))
frames = ((log_mel - about["feature_mean"]) / about["feature_deviation"]).astype(np.float32)
frames = np.pad(frames, ((CONTEXT, 0), (0, 0)))  # before the first frame there is nothing

session = onnxruntime.InferenceSession(folder / "streaming.onnx")
names = [value.name for value in session.get_inputs() if value.name not in ("frames", "after")]
width = about["network"]["hidden"]
state = {name: np.zeros((1, 0, width) if "waiting" in name else (1, width), "f4") for name in names}
nothing = np.zeros((1, 0, width), np.float32)  # "after" is the look-ahead at the very end: silence
heard = []
for start in range(0, len(frames) - 2 * CONTEXT - CHUNK_STEPS * PER_STEP, CHUNK_STEPS * PER_STEP):
    chunk = frames[None, start : start + CHUNK_STEPS * PER_STEP + 2 * CONTEXT]
    phones, _, *carried = session.run(None, {"frames": chunk, "after": nothing} | state)
    state = dict(zip(names, carried, strict=True))  # h and c of each block, and what waits
    heard += phones[0].argmax(-1).tolist()
print(*(PHONES[token] for token, _ in groupby(heard) if token))
