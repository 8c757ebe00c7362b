"""Trains the network that puts punctuation marks and capitals into recognised words."""
