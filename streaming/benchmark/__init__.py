"""Speed, memory and delays: `rill benchmark`, `rill load`, `rill delays`.

Imports nothing, because start_up.py measures imports.

table.py           the measurements of `rill benchmark`
speed.py           the cost of a second of audio in each mode, chunk length and precision; delays
stages.py          the cost of each stage
memory.py          of one stream, of each further one, and over hours
start_up.py        a cold start and its parts
peers.py           other recognisers on the same recordings, each in a peer_process.py
decoders.py        own beam search, flashlight and greedy on the same emissions
load.py            many streams in real time
socket_load.py     the same against a running server
custom_words.py    the cost of custom words
word_delay.py      the delay of the words of a corpus
fresh_process.py   measurements in a fresh Python process
"""
