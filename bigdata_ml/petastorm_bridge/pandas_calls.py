"""Routes the calls by which three of Petastorm's modules go to pandas and back through `pandas_frames.py`.

What `to_pandas` returns depends on the pandas that is installed, and Arrow's classes take no other method: so these modules'
source is compiled with the calls replaced. Lines keep their numbers.
"""

import ast
from types import CodeType
from typing import Any

__all__ = ["MODULES", "compile_routed", "targets"]

MODULES = frozenset({"petastorm.arrow_reader_worker", "petastorm.etl.rowgroup_indexing", "petastorm.py_dict_reader_worker"})

_TO_PANDAS = "_bridge_to_pandas"
_FROM_PANDAS = "_bridge_table_from_pandas"


def targets() -> dict[str, Any]:
    """Return what the replaced calls name, for the module's globals."""
    from bigdata_ml.petastorm_bridge import pandas_frames

    return {_TO_PANDAS: pandas_frames.to_pandas, _FROM_PANDAS: pandas_frames.table_from_pandas}


def compile_routed(source: bytes, path: str) -> CodeType:
    """Compile a module with its calls routed."""
    tree = ast.fix_missing_locations(_Route().visit(ast.parse(source, path)))
    return compile(tree, path, "exec", dont_inherit=True)


class _Route(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        if not isinstance(node.func, ast.Attribute):
            return node
        owner = node.func.value
        match node.func.attr:
            case "to_pandas":
                return _call(_TO_PANDAS, [owner, *node.args], node)
            case "from_pandas" if ast.unparse(owner) == "pa.Table":
                return _call(_FROM_PANDAS, node.args, node)
            case "merge" if ast.unparse(owner) == "pd":
                # pandas 3 never copies, and warns of the argument.
                node.keywords = [keyword for keyword in node.keywords if keyword.arg != "copy"]
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        """Leave out `frame[erase_mask] = None`: pandas 3 refuses it for integers, and those rows are dropped two lines on."""
        if ast.unparse(node.targets[0]).endswith("[erase_mask]"):
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)  # type: ignore[return-value] # a statement stays one


def _call(name: str, args: list[ast.expr], instead_of: ast.Call) -> ast.expr:
    return ast.copy_location(ast.Call(ast.Name(name, ast.Load()), args, instead_of.keywords), instead_of)
