"""Read CSV and JSON: rows, types, encodings."""
