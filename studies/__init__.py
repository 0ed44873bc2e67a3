"""Measurements whose results the documentation shows. `make bench` runs most of them."""
