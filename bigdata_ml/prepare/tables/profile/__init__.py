"""The profile of a table, and the rules it suggests."""
