"""Making acoustic models: corpora, the teacher, the training loop, evaluation."""
