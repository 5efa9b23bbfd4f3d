"""What the readers read: arguments, URLs, schemas, predicates, the order, and passes over it."""
