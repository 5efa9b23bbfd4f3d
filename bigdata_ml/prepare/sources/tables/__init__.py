"""Sources of tables: Parquet, ORC, Hive, JDBC, text files."""
