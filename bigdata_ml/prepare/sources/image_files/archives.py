"""Read images in tar and zip archives without unpacking them to disk."""

from pyspark.sql import SparkSession

from bigdata_ml.errors import JobRefused
from bigdata_ml.prepare.sources.image_files.archive_index import ARCHIVES, STREAMED, ArchiveIndex, ListedMembers
from bigdata_ml.prepare.sources.image_files.archive_stream import StreamedArchives
from bigdata_ml.prepare.sources.image_files.files import ImageFiles, LabelFile, labelled
from bigdata_ml.prepare.sources.packed import READ, packs_for, packs_of, unpacked
from bigdata_ml.storage import Location, list_tree, locate

__all__ = ["archives", "is_archive"]


def is_archive(name: str) -> bool:
    """Whether a file name has the ending of an archive."""
    return name.lower().endswith(ARCHIVES)


def archives(spark: SparkSession, url: str, *, label_from: str | LabelFile = "folder") -> ImageFiles:
    """Return the files in an archive, or in all archives of a folder, at any depth.

    The path of a member is `ARCHIVE!/PATH`. Links in a tar are read as their targets. Hidden members (`.…`, `_…`, as in
    `__MACOSX`) are skipped and counted. Many tasks read a plain tar or a zip, one task reads a compressed tar.

    Args:
        spark: the session.
        url: the archive (.tar, .tar.gz, .tgz, .tar.bz2, .tar.xz, .zip) or a folder of them.
        label_from: as for `images`.

    Raises:
        JobRefused: no archive, no file in the archives, or an archive that is unreadable, encrypted or packed by an unknown
            method. An unreadable member has an `obstacle`, and the others are read: one of more than 1 GiB (512 MiB if
            deflated, 64 MiB in a compressed tar), a broken link, a damaged one.
    """
    root = locate(url)
    names, passed_over = _names(root)
    indexed: list[ListedMembers] = []
    for members in spark.sparkContext.parallelize(names, len(names)).flatMap(ArchiveIndex(root)).collect():
        if isinstance(members, str):
            raise JobRefused(members)
        indexed.append(members)
    files = sum(members.files for members in indexed)
    if not files:
        raise JobRefused(f"{root.url}: the archives hold no files")
    # Repacked, so that many small archives need few tasks.
    size = sum(members.size for members in indexed)
    stretches = (stretch for members in indexed for stretch in unpacked(members.places))
    unread = packs_of(spark, packs_for(spark, stretches, files=files, size=size))
    rows = unread.read()
    streamed = [name for name in names if (name or root.name).lower().endswith(STREAMED)]
    if streamed:
        urls = spark.sparkContext.parallelize([(name,) for name in streamed], len(streamed))
        rows = rows.union(spark.createDataFrame(urls, "name string").mapInArrow(StreamedArchives(root), READ))
    return ImageFiles(
        rows=labelled(spark, rows, label_from),
        files=files,
        bytes=size,
        passed_over={**passed_over, "hidden": passed_over["hidden"] + sum(members.hidden for members in indexed)},
        packs=None if streamed else unread,
        label_from=label_from,
    )


def _names(root: Location) -> tuple[list[str], dict[str, int]]:
    """Return the archives below `root` (itself as an empty name), and the number of skipped files by reason."""
    if root.is_file():
        return [""], {"hidden": 0}
    if not root.is_directory():
        raise JobRefused(f"{root.url}: no archive there; one ends in {', '.join(ARCHIVES)}")
    tree = list_tree(root)
    visible = tree.visible
    entries = [entry for entry in visible if is_archive(entry.path)]
    for entry in entries:
        if entry.obstacle:
            raise JobRefused(f"{root.url}/{entry.path}: {entry.obstacle}; mend it or take it away")
    names = [entry.path for entry in entries if not entry.same_as]
    if not names:
        raise JobRefused(f"{root.url}: no archive there; one ends in {', '.join(ARCHIVES)}")
    return names, {
        "hidden": len(tree.files) - len(visible),
        "other_ending": len(visible) - len(entries),
        "linked_again": len(entries) - len(names) + len(tree.linked_again),
    }
