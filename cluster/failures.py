"""What is raised when a cluster does not come up."""

__all__ = ["ClusterFailed"]


class ClusterFailed(Exception):
    """Something that the cluster needs is missing, or a daemon failed; the text has its last lines."""
