"""The log as its readers see it: monitoring, experiments and retraining."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet

_FILES = "date=*/hour=*/predictions-*.parquet"
_PARTITIONS = pa.schema([("date", pa.string()), ("hour", pa.int32())])


def dataset(folder: str | Path) -> pyarrow.dataset.Dataset:
    """The log of one model, all versions of it: a tensor that a version does not have is null in its rows.

    `date` and `hour` are columns too, and a filter on them reads only the files that it needs.
    """
    files = [str(path) for path in sorted(Path(folder).glob(_FILES))]
    schemas = [pyarrow.parquet.read_schema(path) for path in files]
    schema = pa.unify_schemas([*schemas, _PARTITIONS], promote_options="permissive")
    hive = pyarrow.dataset.partitioning(_PARTITIONS, flavor="hive")
    return pyarrow.dataset.dataset(
        files, schema=schema, format="parquet", partitioning=hive, partition_base_dir=str(folder)
    )
