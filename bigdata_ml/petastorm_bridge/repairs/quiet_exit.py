"""Leaving a reader printed "Cache cleanup complete." to stdout, where a program's own output goes, cache or not."""

from types import ModuleType
from typing import Any


def mend(module: ModuleType) -> None:
    """Clean the cache, where there is one, without a word; `cleanup_cache()` called by hand still says so."""
    local_disk_cache = module.LocalDiskCache

    def leave(self: Any, *_: Any) -> None:
        self.stop()
        self.join()
        if isinstance(self.cache, local_disk_cache):
            try:
                self.cache.cleanup()
            except (OSError, AttributeError) as error:
                module.logger.warning("the cache could not be removed: %s", error)

    module.Reader.__exit__ = leave
