# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Mel energies and their logarithms, the same to the bit on every CPU.

numpy's products and logarithms depend on the CPU's instruction set in their last bits. Here each sum
has one order, and the logarithm is that of logarithm.h.
"""

import numpy as np


cdef extern from "logarithm.h" nogil:
    float natural_logarithm(float x)


def log_energies(
    const float[:, ::1] real,
    const float[:, ::1] imaginary,
    const float[:, ::1] filters,
    const int[::1] starts,
    const int[::1] widths,
    float lowest,
):
    """float32 [frames, bands]: the logarithm of each band's energy, at least that of `lowest`.

    Args:
        real, imaginary: spectrum [frames, frequencies].
        filters: [bands, widest], the weights of each band's frequencies from its first one on.
        starts, widths: [bands] each band's first frequency, and their number.
    """
    cdef Py_ssize_t frames = real.shape[0], frequencies = real.shape[1]
    cdef Py_ssize_t bands = filters.shape[0], t, band, k, start
    cdef float energy
    if not (
        imaginary.shape[0] == frames
        and imaginary.shape[1] == frequencies
        and len(starts) == len(widths) == bands
    ):
        raise ValueError("the shapes of the arrays differ")
    for band in range(bands):
        if not (
            0 <= starts[band] <= frequencies - widths[band] and 0 <= widths[band] <= filters.shape[1]
        ):
            raise ValueError("a band reaches beyond the spectrum")
    power = np.empty(frequencies, np.float32)
    found = np.empty((frames, bands), np.float32)
    cdef float[::1] of_frame = power
    cdef float[:, ::1] its = found
    with nogil:
        for t in range(frames):
            for k in range(frequencies):
                of_frame[k] = real[t, k] * real[t, k] + imaginary[t, k] * imaginary[t, k]
            for band in range(bands):
                energy, start = 0, starts[band]
                for k in range(widths[band]):
                    energy += of_frame[start + k] * filters[band, k]
                its[t, band] = natural_logarithm(energy if energy > lowest else lowest)
    return found
