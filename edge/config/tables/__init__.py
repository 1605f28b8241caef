"""TOML without its meaning: files to tables, tables over tables, where a key stands, and tables to text."""
