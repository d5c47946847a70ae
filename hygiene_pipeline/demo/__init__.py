"""The simulated practice: a world that moves day by day, the files its systems drop, and the truth."""
