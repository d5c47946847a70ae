"""Policy is data: the shipped YAML, the models that check it, and the tables SQL joins. No thresholds in code."""
