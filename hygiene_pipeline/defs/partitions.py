"""A practice is a partition: one YAML file in the practices folder, one warehouse."""

import dagster as dg

from hygiene_pipeline.folders import Folders
from hygiene_pipeline.practice import practice_ids

practices = dg.StaticPartitionsDefinition(practice_ids(Folders().practices))
WAREHOUSE_POOL = "warehouse"
OWNERS = ["team:data"]
