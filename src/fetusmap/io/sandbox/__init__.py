"""Decoding of untrusted files in a bounded child process."""
