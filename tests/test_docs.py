"""Pages that are made from the code are as the code is now."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from pellucid.attach.features import FEATURES

TOOLS = Path(__file__).parent.parent / "tools"
spec = importlib.util.spec_from_file_location("kernel_table", TOOLS / "kernel_table.py")
kernel_table = importlib.util.module_from_spec(spec)
spec.loader.exec_module(kernel_table)


def test_the_table_of_kernels_is_fresh():
    """docs/kernels.md has the table that tools/kernel_table.py writes now."""
    page = kernel_table.PAGE.read_text()
    assert page == kernel_table.fresh(page), "run tools/kernel_table.py"


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_every_feature_is_in_the_table(feature):
    """A feature's row and its commits are on the page."""
    page = kernel_table.PAGE.read_text()
    assert f"\n| {feature.name} | " in page
    for commit in feature.commits:
        assert commit in page


def test_a_page_without_its_marks_is_refused():
    """A page whose marks were lost is not overwritten."""
    with pytest.raises(ValueError, match="has lost the marks"):
        kernel_table.fresh("# Kernels\n")
