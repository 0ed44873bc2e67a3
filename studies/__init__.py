"""Measurements behind every statement about speed. Run them all with `make bench`."""
