"""Other libraries' interfaces, served by this one's reader and loader."""
