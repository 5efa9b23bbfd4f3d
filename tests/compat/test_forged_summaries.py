"""Bytes changed in `_common_metadata` and `_metadata` of Petastorm's: a named error or none, and no end of the interpreter."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tiny import write_plain

# In a process of its own, which a fault may end. Prints how many changes were refused.
CHANGES_EVERY_BYTE = """
import sys
from pathlib import Path
from bigdata_ml.compat.petastorm.errors import PetastormMetadataError
from bigdata_ml.compat.petastorm.etl.common_metadata import kept_keys
from bigdata_ml.compat.petastorm.etl.dataset_metadata import _summary_groups
from bigdata_ml.storage import locate
root, refused = Path(sys.argv[1]), 0
for name, read in (("_common_metadata", kept_keys), ("_metadata", _summary_groups)):
    data = (root / name).read_bytes()
    for place in range(4, len(data)):
        changed = bytearray(data)
        changed[place] ^= 0xFF
        (root / name).write_bytes(changed)
        try:
            read(locate(root))
        except PetastormMetadataError as error:
            assert name in str(error)
            refused += 1
    (root / name).write_bytes(data)
print(refused)
"""


def test_no_changed_byte_ends_the_interpreter(tmp_path: Path) -> None:
    table = pa.table({"id": [1, 2], "text": ["a", "b"]})
    root = write_plain(tmp_path / "plain", {"a.parquet": table})
    pq.write_metadata(table.schema.with_metadata({"dataset-toolkit.num_row_groups_per_file.v1": "{}"}), root / "_common_metadata")
    collected: list[pq.FileMetaData] = []
    pq.write_table(table, root / "a.parquet", metadata_collector=collected)
    collected[0].set_file_path("a.parquet")
    pq.write_metadata(table.schema, root / "_metadata", metadata_collector=collected)
    command = [sys.executable, "-c", CHANGES_EVERY_BYTE, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 100
