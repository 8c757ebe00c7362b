"""A damaged `about.json` is an error that names the file, what is wrong, and the remedy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from asr.acoustic.loading import load_engine
from asr.errors import ModelError
from asr.features.log_mel import MEL_BANDS
from asr.model_folder import BUNDLED_MODEL

ONNX = {
    "precision": "int8",
    "fingerprint": "onnx int8 1",
    "feature_mean": [0.5] * MEL_BANDS,
    "feature_deviation": [1.5] * MEL_BANDS,
}
# Words of Python's and numpy's own errors.
INTERNAL = re.compile(
    "Errno|object|Type|subscript|reshape|Expecting|codec|unpack|Buffer|dtype|int\\("
)


@pytest.fixture(params=["int8", "onnx"])
def about(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The description of an engine's files in a model."""
    folder = tmp_path / request.param
    folder.mkdir()
    (tmp_path / "config.json").symlink_to(BUNDLED_MODEL / "config.json")
    path = folder / "about.json"
    if request.param == "int8":
        (folder / "weights.bin").symlink_to(BUNDLED_MODEL / "int8" / "weights.bin")
        path.write_bytes((BUNDLED_MODEL / "int8" / "about.json").read_bytes())
    else:
        for name in ("streaming.onnx", "full.onnx", "weights.bin"):
            (folder / name).touch()  # read when they are first used
        path.write_text(json.dumps(ONNX))
    load_engine(tmp_path)
    return path


def problem(about: Path) -> str:
    """What the message says between the file and the remedy."""
    with pytest.raises(ModelError) as raised:
        load_engine(about.parent.parent)
    message = str(raised.value)
    assert message.startswith(f"{about}: "), message
    assert "rill export" in message and not INTERNAL.search(message.removeprefix(str(about)))
    return message.removeprefix(f"{about}: ").split(". ")[0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "damaged, it is not JSON"),
        (b'{"format": 1', "damaged, it is not JSON"),
        (b"\xff\xfe", "damaged, it is not JSON"),
        (b"[" * 100_000, "damaged, it is not JSON"),
        (b"[1, 2]", "damaged, it is not a table of names and values"),
    ],
)
def test_what_is_no_description(about: Path, content: bytes, said: str) -> None:
    about.write_bytes(content)
    assert problem(about) == said


def test_a_missing_file_and_a_folder_in_its_place(about: Path) -> None:
    about.unlink()
    assert problem(about) == "no such file"
    about.mkdir()
    assert problem(about) == "cannot be read (Is a directory)"


def test_each_field_is_needed_and_has_its_type(about: Path) -> None:
    described = json.loads(about.read_text())
    needed = {"int8": ("format", "fingerprint", "arrays"), "onnx": tuple(ONNX)}[about.parent.name]
    for name in needed:
        kept = {key: value for key, value in described.items() if key != name}
        about.write_text(json.dumps(kept))
        assert problem(about) == f"damaged, it lacks {name}"
        about.write_text(json.dumps(kept | {name: None}))
        assert problem(about).startswith(f"damaged, {name} is not a")


@pytest.mark.parametrize(
    "numbers", [[1.0], [None] * MEL_BANDS, [1e300] * MEL_BANDS, [10**400] * 80]
)
def test_numbers_of_the_frames(about: Path, numbers: list[Any]) -> None:
    if about.parent.name == "int8":
        pytest.skip("its numbers are arrays")
    about.write_text(json.dumps(ONNX | {"feature_mean": numbers}))
    assert problem(about) == f"damaged, feature_mean is not {MEL_BANDS} numbers"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=3), values),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=JSON, data=st.data())
def test_any_place_of_an_array(about: Path, value: Any, data: st.DataObject) -> None:
    """Start, type or shape of an array, or all of them, are something else."""
    if about.parent.name == "onnx":
        pytest.skip("it has no arrays")
    whole = (BUNDLED_MODEL / "int8" / "about.json").read_text()
    described = json.loads(whole)
    name = data.draw(st.sampled_from(sorted(described["arrays"])))
    part = data.draw(st.sampled_from([None, 0, 1, 2]))
    place = described["arrays"][name]
    changed = value if part is None else [*place[:part], value, *place[part + 1 :]]
    assume(json.dumps(changed) != json.dumps(place))
    described["arrays"][name] = changed
    about.write_text(json.dumps(described))
    assert problem(about).startswith("damaged, ")
    about.write_text(whole)
