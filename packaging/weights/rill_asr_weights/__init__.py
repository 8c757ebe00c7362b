"""The bundled model's weights in floating point: `weights.safetensors` beside this file.

Recognition reads the 8-bit weights of the package rill-asr. Training, `rill explain` and
`rill export` read these.
"""
