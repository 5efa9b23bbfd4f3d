"""The table job: rules, joins, labels, columns, report."""
