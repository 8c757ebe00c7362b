"""Experiments whose figures the docs show: `python -m training.experiments`."""
