"""How fast, how large, how soon: `rill benchmark`, `rill load`, `rill delays`.

Imports nothing, for start_up.py times imports.

table.py           what `rill benchmark` tells, one after another
speed.py           what a second of sound costs in each mode, chunk and precision; delays
stages.py          where that goes
memory.py          of one stream, of each further one, and over hours
start_up.py        a cold start and its parts
peers.py           other recognisers on the same recordings, each in a peer_process.py
load.py            many voices at once in real time
word_delay.py      how late the words of a corpus are told
fresh_process.py   Python processes that measure something
"""
