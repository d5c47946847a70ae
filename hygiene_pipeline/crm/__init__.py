"""CRM adapters behind one small protocol: read contacts, compare-and-set, undo."""
