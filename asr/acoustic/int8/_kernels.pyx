# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The kernels of kernels.h on numpy arrays."""

import numpy as np

from libc.stdint cimport int8_t, int32_t, uint8_t


cdef extern from "kernels.h" nogil:
    ctypedef struct Weights:
        Py_ssize_t inputs, outputs
        const int8_t *panels
        const int32_t *middles
        const float *scales
        const float *biases

    ctypedef struct Rows:
        Py_ssize_t members, steps, of_member, of_step

    ctypedef struct Kernels:
        const char *name
        void (*quantise)(Rows, Py_ssize_t, const float *, const float *, uint8_t *) noexcept nogil
        void (*linear)(const Weights *, Rows, const uint8_t *, float *) noexcept nogil
        int (*lstm)(
            const Weights *, Py_ssize_t, Py_ssize_t, int, const float *, float *, float *, float *
        ) noexcept nogil
        void (*norm)(
            Py_ssize_t, Py_ssize_t, const float *, const float *, const float *, float *
        ) noexcept nogil
        void (*log_softmax)(
            Py_ssize_t, Py_ssize_t, Py_ssize_t, const float *, float *
        ) noexcept nogil

    const Kernels *kernels(const char *name)


cdef const Kernels *_chosen = kernels(NULL)


def instruction_set():
    """Name of the kernels in use: avx512, avx2 or any."""
    return _chosen.name.decode()


def use_instruction_set(name):
    """Use these kernels from now on, in the whole process. Raises ValueError when the CPU has none
    of that name."""
    global _chosen
    cdef const Kernels *found = kernels(name.encode())
    if found == NULL:
        raise ValueError(f"this CPU has no kernels of the name {name}")
    _chosen = found


cdef class Product:
    """Weights of a product, which the four arrays of asr/acoustic/int8/weights.py hold."""

    cdef Weights _weights
    cdef object _arrays  # which the pointers point into

    def __init__(
        self,
        const int8_t[:, :, :, ::1] panels,
        const int32_t[::1] middles,
        const float[::1] scales,
        const float[::1] biases,
    ):
        outputs = panels.shape[0] * 64
        if not (
            panels.shape[2] == 64
            and panels.shape[3] == 4
            and outputs == len(middles) == len(scales) == len(biases)
            and outputs
            and panels.shape[1]
        ):
            raise ValueError("the shapes of the arrays differ")
        self._arrays = panels, middles, scales, biases
        self._weights = Weights(
            panels.shape[1] * 4, outputs, &panels[0, 0, 0, 0], &middles[0], &scales[0], &biases[0]
        )

    def linear(self, const uint8_t[:, :, ::1] x, Py_ssize_t steps, Py_ssize_t step_width):
        """The linear layer's float32 [members, steps, outputs], the padded ones too.

        Step t of a member reads as many numbers as the product has inputs, from the number
        t * step_width on: steps may overlap, as those of a row convolution.

        Args:
            x: [members, any, width], as `quantised` returns it.
        """
        cdef Py_ssize_t members = x.shape[0], of_member = x.shape[1] * x.shape[2]
        if steps and (steps - 1) * step_width + self._weights.inputs > of_member:
            raise ValueError("the steps reach beyond the input")
        out = np.empty((members, steps, self._weights.outputs), np.float32)
        cdef float[:, :, ::1] its = out
        cdef Rows rows = Rows(members, steps, of_member, step_width)
        if steps and members:
            with nogil:
                _chosen.linear(&self._weights, rows, &x[0, 0, 0], &its[0, 0, 0])
        return out

    def lstm(self, const float[:, :, ::1] gates, hidden, cell, bint reverse=False):
        """All steps of an LSTM whose recurrent weights this product holds.

        Args:
            gates: [members, steps, outputs], the input's part, with the biases.
            hidden, cell: float32 [members, cells], before the first step.
            reverse: from the last step to the first.

        Returns:
            h of all steps [members, steps, cells], the last h and the last c [members, cells].
        """
        hidden, cell = hidden.copy(), cell.copy()
        cdef float[:, ::1] h = hidden, c = cell
        cdef Py_ssize_t members = gates.shape[0], steps = gates.shape[1]
        if not (
            h.shape[0] == c.shape[0] == members
            and h.shape[1] == c.shape[1] == self._weights.inputs
            and gates.shape[2] == self._weights.outputs == 4 * h.shape[1]
        ):
            raise ValueError("the shapes of the arrays differ")
        out = np.empty((members, steps, h.shape[1]), np.float32)
        cdef float[:, :, ::1] its = out
        cdef int done = 1
        if steps and members:
            with nogil:
                done = _chosen.lstm(
                    &self._weights, members, steps, reverse, &gates[0, 0, 0], &h[0, 0], &c[0, 0],
                    &its[0, 0, 0],
                )
        if not done:
            raise MemoryError
        return out, hidden, cell


def quantised(const float[:, :, ::1] x, const float[::1] units=None):
    """uint8 [members, steps, width] with 128 as zero: x times the units (127 without), rounded to
    the nearest and at most 127 away from zero. The width is a multiple of 16."""
    cdef Py_ssize_t members = x.shape[0], steps = x.shape[1], width = x.shape[2]
    if width % 16 or (units is not None and len(units) != width):
        raise ValueError("the width is no multiple of 16, or not that of the units")
    out = np.empty((members, steps, width), np.uint8)
    cdef uint8_t[:, :, ::1] its = out
    cdef const float *of_units = NULL if units is None else &units[0]
    if members and steps:
        _chosen.quantise(
            Rows(members, steps, steps * width, width), width, &x[0, 0, 0], of_units, &its[0, 0, 0]
        )
    return out


def layer_norm(const float[:, :, ::1] x, const float[::1] scale, const float[::1] bias):
    """A LayerNorm over the last axis, float32 of the shape of x. The width is a multiple of 16."""
    cdef Py_ssize_t width = x.shape[2], rows = x.shape[0] * x.shape[1]
    if width % 16 or not width == len(scale) == len(bias):
        raise ValueError("the width is no multiple of 16, or not that of scale and bias")
    out = np.empty((x.shape[0], x.shape[1], width), np.float32)
    cdef float[:, :, ::1] its = out
    if rows:
        _chosen.norm(rows, width, &x[0, 0, 0], &scale[0], &bias[0], &its[0, 0, 0])
    return out


def log_softmax(const float[:, :, ::1] x, Py_ssize_t width):
    """Log-probabilities float32 [members, steps, width] of the first `width` scores of each row."""
    cdef Py_ssize_t rows = x.shape[0] * x.shape[1]
    if not 0 < width <= x.shape[2]:
        raise ValueError("the width is not that of the scores")
    out = np.empty((x.shape[0], x.shape[1], width), np.float32)
    cdef float[:, :, ::1] its = out
    if rows:
        _chosen.log_softmax(rows, x.shape[2], width, &x[0, 0, 0], &its[0, 0, 0])
    return out
