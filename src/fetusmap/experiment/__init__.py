"""The paper's experiment: cohort, six networks, eight rows, ours, and the peers."""
