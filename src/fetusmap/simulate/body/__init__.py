"""The fetus: sizes, posture and solids, in its own frame."""
