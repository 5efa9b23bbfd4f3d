"""The rules of a table: their model, their YAML and how they are applied."""
