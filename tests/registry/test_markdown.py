"""Sections of descriptions come and go; what others wrote there stays."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.markdown import replace_section

SECTION = "Passed every gate.\n\n| gate |\n| --- |\n| quality |"
MARKED = (
    "Passed every gate. <!-- assay: evidence -->\n\n"
    "| gate |\n| --- |\n| quality |\n\n<!-- assay: end of evidence -->\n"
)
CASES = {
    "nothing before": ("", MARKED),
    "training's text": ("Ranking.\n\nMore.", f"{MARKED}\nRanking.\n\nMore.\n"),
    "an older section": (f"{MARKED}\nRanking.", f"{MARKED}\nRanking.\n"),
    "a note above": (
        f"Mind the gap!\n\n{MARKED}\nRanking.",
        f"{MARKED}\nMind the gap!\n\nRanking.\n",
    ),
    "another section": (
        MARKED.replace("evidence", "history"),
        f"{MARKED}\n{MARKED.replace('evidence', 'history')}",
    ),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES.keys())
def test_section_is_put_on_top(before: str, after: str) -> None:
    assert replace_section(before, "evidence", SECTION) == after


@given(st.text(alphabet="ab \n|#", max_size=30), st.lists(st.sampled_from("xyz"), min_size=1))
def test_only_the_last_section_stays(text: str, sections: list[str]) -> None:
    written = text
    for section in sections:
        written = replace_section(written, "evidence", f"First.\n{section}")
    assert written == replace_section(text, "evidence", f"First.\n{sections[-1]}")
    assert replace_section(written, "evidence", f"First.\n{sections[-1]}") == written
