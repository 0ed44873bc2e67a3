"""The command line: one small file per command; they parse, call and print."""
