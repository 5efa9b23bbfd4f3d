"""What an incremental image job knows of its source, so that it reads only new files."""
