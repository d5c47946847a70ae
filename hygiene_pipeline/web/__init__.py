"""What others reach over HTTP, one module a door."""
