#!/usr/bin/env bash
# Builds into dist/ a wheel for each of Python 3.11, 3.12 and 3.13 that is there, the wheel of the
# floating-point weights and the source distribution; then installs each wheel into an empty
# environment without a compiler and transcribes the demo there:
#
#     scripts/build_wheels.sh [python3.12 ...]
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
pythons=("$@")
if [ ${#pythons[@]} = 0 ]; then
    for name in python3.11 python3.12 python3.13; do
        "$name" -c '' 2> /dev/null && pythons+=("$name")
    done
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf dist
mkdir -p dist

# A copy of what git knows, so that nothing of an earlier build gets in.
mkdir "$work/source"
git ls-files -z -co --exclude-standard | xargs -0 -I{} cp --parents {} "$work/source"
"${pythons[0]}" -m venv "$work/tools"
"$work/tools/bin/python" -m pip install --disable-pip-version-check -q build
for python in "${pythons[@]}"; do
    "$python" -m venv "$work/build-$(basename "$python")"
    "$work/build-$(basename "$python")/bin/python" -m pip install --disable-pip-version-check -q build
    "$work/build-$(basename "$python")/bin/python" -m build --wheel --outdir dist "$work/source" > "$work/log" 2>&1 || {
        tail -n 30 "$work/log" >&2
        exit 1
    }
done
cp asr/models/en-small/weights.safetensors "$work/source/packaging/weights/rill_asr_weights/"
"$work/tools/bin/python" -m build --wheel --outdir dist "$work/source/packaging/weights" > "$work/log" 2>&1
rm "$work/source/packaging/weights/rill_asr_weights/weights.safetensors"
"$work/tools/bin/python" -m build --sdist --outdir dist "$work/source" > "$work/log" 2>&1

# Each wheel in an environment that has neither this folder nor a compiler.
cp asr/models/en-small/demo.flac asr/models/en-small/demo.txt "$work"
cd "$work"
for python in "${pythons[@]}"; do
    "$python" -m venv "empty-$(basename "$python")"
    CC=/bin/false "empty-$(basename "$python")/bin/python" -m pip install --disable-pip-version-check -q \
        --only-binary :all: --find-links "$root/dist" -c "$root/constraints.txt" rill-asr
    said=$("empty-$(basename "$python")/bin/rill" transcribe demo.flac 2> /dev/null)
    echo "$python: $said"
    [ -n "$said" ]
done
ls -l "$root/dist"
