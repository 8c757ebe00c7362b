"""Custom words and languages of requests."""
