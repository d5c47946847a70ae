"""Phone numbers: normalising what people typed, and asking who still answers."""
