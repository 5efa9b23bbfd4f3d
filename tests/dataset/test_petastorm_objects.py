import time

import pytest

from bigdata_ml.dataset.petastorm.indexes import indexes_of
from bigdata_ml.dataset.petastorm.inert_pickle import Call, Mapping, Name, Values
from bigdata_ml.dataset.petastorm.objects import schema_of

FIELD = Name("petastorm.unischema", "UnischemaField")


def test_a_shape_that_many_fields_share_is_refused_before_it_is_walked() -> None:
    shape, begin = (1,) * 20_000, time.perf_counter()
    fields = [Call(FIELD, (f"f{number}", Name("numpy", "int8"), shape, None, False)) for number in range(20_000)]
    pairs = Mapping([(field.arguments[0], field) for field in fields])
    with pytest.raises(ValueError, match="the shape of field 'f0' is not a tuple of up to 32"):
        schema_of(Call(Name("petastorm.unischema", "Unischema"), (), Mapping([("_name", "S"), ("_fields", pairs)])))
    assert time.perf_counter() - begin < 5


def test_row_groups_that_many_values_and_indexes_share_are_walked_once() -> None:
    groups, begin = Values(list(range(20_000))), time.perf_counter()
    data = Mapping([(number, groups) for number in range(20_000)])
    kind = Name("petastorm.etl.rowgroup_indexers", "SingleFieldIndexer")
    one = Call(kind, (), Mapping([("_column_name", "id"), ("_index_data", data)]))
    found = indexes_of(Mapping([(f"index{number}", one) for number in range(1000)]))
    assert len(found) == 1000
    assert found["index7"].row_groups == tuple(range(20_000))
    assert time.perf_counter() - begin < 10
