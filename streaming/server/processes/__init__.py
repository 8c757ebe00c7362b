"""Several processes behind one port: `rill serve --processes N`.

    front ── accepts connections, hands each to the least loaded worker, supervises
      │
      ├── template ── loads the model once, and forks the workers, which share its memory
      │      ├── worker ── serves the connections that it is handed (running.py)
      │      └── worker
      │
      └── template ── the next one, while SIGHUP restarts the server

The front holds no model and does no recognition. It keeps a duplicate of every connection, so that
clients of a killed worker get an error. Workers and templates answer its questions, and one that
does not is killed (`heartbeat.py`). The template has no threads, because it forks. Streams of
all workers are counted in shared memory (`slots.py`), and the metrics are summed over files
(prometheus-client's multiprocess mode).
"""
