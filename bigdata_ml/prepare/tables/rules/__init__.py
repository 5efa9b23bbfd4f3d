"""Rules for tables: their model, their YAML, and how they are applied."""
