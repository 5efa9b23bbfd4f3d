"""An incremental image job over folders and datasets on real stores, whose times of change are their own."""

import io
import time

import pytest
from PIL import Image
from prepare.pictures import pixels
from pyspark.sql import SparkSession

from bigdata_ml.dataset import validate
from bigdata_ml.prepare import ImageJob, prepare_images
from bigdata_ml.storage import Location, locate

pytestmark = [pytest.mark.spark, pytest.mark.timeout(600)]


def draw(root: Location, number: int) -> None:
    stream = io.BytesIO()
    Image.fromarray(pixels(number, 4, 4, 3)).save(stream, "BMP")
    (root / f"{('a', 'b')[number % 2]}/{number}.bmp").write_bytes(stream.getvalue())


@pytest.mark.parametrize("store", ["hdfs", "webhdfs", "s3"])
def test_unchanged_files_are_known_by_the_stores_own_times(session: SparkSession, place: str) -> None:
    root = locate(f"{place}/raw")
    for number in range(8):
        draw(root, number)
    # Younger files would be read again.
    time.sleep(4)
    job = ImageJob(source=root.url, dataset=f"{place}/d", replace=True, incremental=True)
    assert prepare_images(session, job).provenance["incremental"]["read"] == 8
    (root / "a/0.bmp").delete()
    draw(root, 9)
    manifest = prepare_images(session, job)
    assert manifest.provenance["incremental"] == {"unchanged": 7, "new": 1, "changed": 0, "gone": 1, "read": 1}
    assert validate(f"{place}/d") == []
    assert manifest.content == prepare_images(session, ImageJob(source=root.url, dataset=f"{place}/full")).content
