"""Sockets, TLS and proxies; who may come in."""
