"""Row groups from storage, verified and read ahead."""
