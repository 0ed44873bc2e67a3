"""Other people's tools on the experiment's cohort; see the README here. Not part of `make`."""
