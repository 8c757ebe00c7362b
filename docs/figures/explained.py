"""Pictures of `rill explain` on the bundled recording: the gates, what is carried, how long."""

from __future__ import annotations

from functools import partial

from _style import HERE

from asr import Recognizer
from asr.introspection.explanation import explain
from asr.introspection.figures import pictures
from asr.model_folder import BUNDLED_MODEL
from streaming.recordings import transcribe_streaming

BLOCK = 4

recognizer = Recognizer.load(engine="torch")
streaming_pass = partial(transcribe_streaming, second_pass=False)
explanation = explain(recognizer, BUNDLED_MODEL / "demo.flac", "streaming", streaming_pass)
for picture in pictures(explanation, BLOCK - 1):
    if picture.name != "posteriors":
        path = HERE / f"explain-{picture.name}.png"
        picture.figure.savefig(path, dpi=110, facecolor="white")
        print(path.relative_to(HERE.parents[1]))
