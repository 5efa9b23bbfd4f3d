"""Pictures that are drawn from the code are those that it draws now."""

import importlib.util
from pathlib import Path

PICTURES = Path(__file__).parents[2] / "docs/pictures"


def test_the_picture_of_the_order_is_drawn_from_the_order_there_is() -> None:
    specification = importlib.util.spec_from_file_location("picture_of_the_order", PICTURES / "order.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    assert module.drawing() == (PICTURES / "order.svg").read_text(), "run python docs/pictures/order.py"
