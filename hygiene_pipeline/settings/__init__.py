"""The parts of a practice file that say how a source system or a vendor is reached, one module a part."""
