"""What carries a message to a patient: one adapter a vendor behind one small protocol."""
