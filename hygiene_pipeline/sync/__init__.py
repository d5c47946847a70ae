"""Writing back to the CRM: the outbox of changes and the messages that win numbers back."""
