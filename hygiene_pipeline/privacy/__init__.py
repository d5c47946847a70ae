"""Keys, roles, published databases and redaction: what keeps PHI where it belongs."""
