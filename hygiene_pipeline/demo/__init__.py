"""The simulated practice: a world, what each system would know of it, and the planted truth."""
