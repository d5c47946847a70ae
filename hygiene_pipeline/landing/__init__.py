"""What source systems drop into `landing/`, taken once and whole into the `raw` and `quarantine` schemas."""
