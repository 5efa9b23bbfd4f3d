"""A program that ends itself, without any clean-up, at its n-th call that changes what lies in a store."""

__all__ = ["REPLACES_AND_ENDS"]

# Arguments: the dataset's URL, and n.
REPLACES_AND_ENDS = """
import os, signal, sys
left = int(sys.argv[2])
def counted(call):
    def wrapped(*args, **kwargs):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **kwargs)
    return wrapped
import bigdata_ml.storage.exchange as exchange
from bigdata_ml.storage.location import Location
for name in ("write_bytes", "move", "delete"):
    setattr(Location, name, counted(getattr(Location, name)))
os.replace, os.link = counted(os.replace), counted(os.link)
exchange._put_object = counted(exchange._put_object)
from tiny import replace_dataset
replace_dataset(sys.argv[1], 9)
print("done", flush=True)
"""
