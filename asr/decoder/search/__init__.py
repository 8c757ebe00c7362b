"""The beam search.

settings.py          its settings
vocabulary.py        the words and phrases that it looks for
nbest.py             the search of an utterance, and its n-best hypotheses
_beam.pyx            the step of the beam
_candidates.pyx      what a step may continue with
_backpointers.pyx    how tokens arose
_tokens.pxd          a token
"""
