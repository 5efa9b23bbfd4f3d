"""Sources of images: folders, archives, SequenceFiles, raw pixels."""
