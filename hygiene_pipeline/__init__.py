"""Keeps a medical practice's CRM true: what is stale, what is right, who may say so, and how it is written back."""
