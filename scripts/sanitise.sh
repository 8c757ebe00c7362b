#!/usr/bin/env bash
# Builds the compiled parts with bounds checks and the address and undefined-behaviour sanitisers
# into build/sanitised, and runs the decoder's tests and fuzzers on them:
#
#     scripts/sanitise.sh [examples for each fuzzer, default 100]
#
# Needs gcc with libasan. Changes nothing outside build/sanitised. PYTHON is an interpreter with Rill's
# dev extra; Cython is installed into a separate environment.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=$(realpath -s "${PYTHON:-.venv/bin/python}")
folder=$PWD/build/sanitised

mkdir -p "$folder"
test -x "$folder/tools/bin/python" || "$PYTHON" -m venv "$folder/tools"
"$folder/tools/bin/python" -m pip install --disable-pip-version-check -q 'cython>=3' 'setuptools>=77'

# A copy of the sources, so that the ordinary build is not changed.
mkdir -p "$folder/source"
for part in asr streaming training tests; do
    rm -rf "$folder/source/$part"
    cp -r "$part" "$folder/source/"
done
cp setup.py pyproject.toml README.md LICENSE "$folder/source/"
cd "$folder/source"
find asr -name "*.so" -delete -o -name "*.c" -delete
sed -i 's/boundscheck=False/boundscheck=True, nonecheck=True/; s/initializedcheck=False/initializedcheck=True/' $(find asr -name "*.pyx")
RILL_SANITISE=1 "$folder/tools/bin/python" setup.py -q build_ext --inplace

# The interpreter is built without the sanitisers, so their libraries must be loaded first. Leaks are
# not detected: Python and numpy keep memory until the process ends.
export LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so) $(gcc -print-file-name=libstdc++.so)"
export ASAN_OPTIONS=detect_leaks=0:halt_on_error=1:abort_on_error=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export PYTHONPATH=$PWD RILL_FUZZ_EXAMPLES=${1:-100}
"$PYTHON" -X faulthandler -m pytest -p no:cacheprovider \
    tests/asr/decoder/test_beam_inputs.py tests/asr/decoder/test_settings.py tests/asr/decoder/test_damaged_files.py \
    tests/asr/decoder/test_beam.py tests/asr/lexicon/test_trie.py tests/asr/decoder/test_long_phrases.py \
    tests/streaming/test_damaged_states.py tests/asr/decoder/test_greedy.py tests/asr/decoder/test_grammar.py \
    tests/asr/lexicon/test_cache.py tests/asr/features/test_extreme_samples.py
