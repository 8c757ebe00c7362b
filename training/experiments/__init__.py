"""Small studies whose figures the docs show; `python -m training.experiments` runs them."""
