"""Tiny pictures that all differ: on HDFS as files, in one tar, in one SequenceFile; made without a local file each."""

import asyncio
import hashlib
import importlib
import io
import multiprocessing
import os
import struct
import tarfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["named_bytes", "named_pictures", "pictures_in", "to_hdfs", "to_sequence_file", "to_tar"]

CLASSES = 10
_SIDE, _GRID = 32, 8
# A file takes half a second, most of it waiting: the NameNode is asked again until the DataNode has told it of the block.
# Of four times as many at once, a DataNode of 256 MiB of heap drops some.
_WRITERS = 256
_SYNC_BYTES = 2000 * 20


def picture(number: int) -> bytes:
    """Return a JPEG of 32 × 32 pixels, some 1.2 KB: soft noise of its own, so that no two look alike."""
    grid = np.random.default_rng(number).integers(0, 256, (_GRID, _GRID, 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(grid).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=85)
    return stream.getvalue()


def path_of(number: int) -> str:
    """Return `class/number.jpg`."""
    return f"{number % CLASSES}/{number:07d}.jpg"


def named_pictures(numbers: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes of pictures, made by as many processes as there are cores."""
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        yield from pool.imap(_named, numbers, chunksize=500)


def _named(number: int) -> tuple[str, bytes]:
    return path_of(number), picture(number)


def named_bytes(numbers: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes that are as large as pictures but none, for what only reads them: they are made in no time."""
    for number in numbers:
        yield path_of(number), hashlib.shake_128(path_of(number).encode()).digest(700 + number % 600)


def to_tar(place: Path, pictures: Iterable[tuple[str, bytes]]) -> None:
    """Write pictures as one tar."""
    with tarfile.open(place, "w") as archive:
        for path, data in pictures:
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
            # Kept by the module for names that are asked for later.
            archive.members = []  # type: ignore[attr-defined]


def pictures_in(place: Path) -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes of the pictures in a tar."""
    with tarfile.open(place) as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]
            file = archive.extractfile(member)
            yield member.name, file.read() if file else b""


def to_sequence_file(place: Path, pictures: Iterable[tuple[str, bytes]]) -> None:
    """Write pictures as one uncompressed SequenceFile, version 6: the key a Text, the value a BytesWritable."""
    sync = os.urandom(16)
    with place.open("wb") as file:
        file.write(b"SEQ\x06" + _text(b"org.apache.hadoop.io.Text") + _text(b"org.apache.hadoop.io.BytesWritable"))
        file.write(b"\0\0" + struct.pack(">I", 0) + sync)
        last = file.tell()
        for path, data in pictures:
            if file.tell() > last + _SYNC_BYTES:
                file.write(struct.pack(">i", -1) + sync)
                last = file.tell()
            key, value = _text(path.encode()), struct.pack(">I", len(data)) + data
            file.write(struct.pack(">II", len(key) + len(value), len(key)) + key + value)


def _text(data: bytes) -> bytes:
    """Return a Hadoop Text of fewer than 128 bytes: its length in one byte, then the bytes."""
    if len(data) > 127:
        raise ValueError(f"texts must have fewer than 128 bytes here, got {len(data)}")
    return bytes([len(data)]) + data


def to_hdfs(url: str, root: str, pictures: Iterable[tuple[str, bytes]]) -> None:
    """Write pictures as files below `root` of the HDFS at `url`, each with one replica."""
    asyncio.run(_write_all(url, root, pictures))


async def _write_all(url: str, root: str, pictures: Iterable[tuple[str, bytes]]) -> None:
    native = importlib.import_module("hdfs_native")
    client, options = native.AsyncClient(url), native.WriteOptions(overwrite=True, replication=1)

    async def write(path: str, data: bytes) -> None:
        writer = await client.create(f"{root}/{path}", options)
        await writer.write(data)
        await writer.close()

    rest = iter(pictures)
    while some := list(islice(rest, _WRITERS)):
        await asyncio.gather(*(write(path, data) for path, data in some))
