"""How fast, how large, how soon: `rill benchmark`. Imports nothing, for start_up.py times imports.

table.py           all of it, one after another
speed.py           what a second of sound costs in each mode, chunk and precision; delays
stages.py          where that goes
memory.py          of one stream, of each further one, and over hours
start_up.py        a cold start and its parts
peers.py           other recognisers on the same recordings, each in a peer_process.py
fresh_process.py   Python processes that measure something
"""
