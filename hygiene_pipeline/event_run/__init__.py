"""Runs between nights: what arrived, whom it touches, and their rows made anew in every table that follows from it."""
