"""torchaudio's CTC decoder in place of the own beam search.

decoder.py    words, times, confidences and alternatives
search.py     the only importer of torchaudio and flashlight-text
"""
