import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perdure.storage.azure.keys import from_key, key_range, to_folder, to_key

ids = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from("~/\\#?%+'.\x00\x1f\x7f\x80\x9f\ufffe\uffff\ud7ff\ue000\U0010ffff🐁 "),
    ),
    max_size=256,
)
FORBIDDEN = re.compile(r"[/\\#?%+'\x00-\x1f\x7f-\x9f\ufffe\uffff]")


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize(
    ("instance_id", "key"),
    [
        ("order-1.v2@x:y", "order-1.v2@x:y"),
        ("a/b\\c#d?e%f+g'h", "a~sb~bc~hd~qe~pf~ug~ah"),
        ("~s", "~~s"),
        ("a\nb\x00", "a~␊b~␀"),
        ("\x7f\x85", "~␡~Å"),
        ("🐁", "🐁"),
    ],
)
def test_escapes_read_well(instance_id, key):
    assert to_key(instance_id) == key


@given(ids)
@example("/" * 256)
@example("🐁" * 256)
def test_a_key_is_legal_fits_and_comes_back(instance_id):
    key = to_key(instance_id)

    assert FORBIDDEN.search(key) is None
    assert units(key) <= 512
    assert from_key(key) == instance_id


@given(ids, ids)
def test_a_prefix_of_an_id_is_a_prefix_of_its_key(first, second):
    assert to_key(first + second) == to_key(first) + to_key(second)


@given(ids.filter(bool), ids)
@example("a.", "")
@example("~", "x")
@example("\ud7ff", "\U0010ffff")
def test_the_range_of_a_prefix_holds_all_its_keys(prefix, rest):
    first, end = key_range(prefix)

    for order in (lambda text: text.encode("utf-16-be"), lambda text: text.encode("utf-32-be")):
        assert order(first) <= order(to_key(prefix + rest))
        assert end is None or order(to_key(prefix + rest)) < order(end)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("abc", ("abc", "abd")),
        ("a.", ("a.", "a0")),
        ("~", ("~~", "~\u00a0")),
        ("a🐁", ("a🐁", "b")),
        ("🐁", ("🐁", None)),
    ],
)
def test_the_range_of_a_prefix_is_as_narrow_as_it_can_be(prefix, expected):
    assert key_range(prefix) == expected


@given(ids.filter(bool), ids.filter(bool))
@example("a.", "a~d")
@example(".", "..")
def test_folders_are_apart_and_never_end_with_a_dot(first, second):
    assert (to_folder(first) == to_folder(second)) is (first == second)
    assert not to_folder(first).endswith((".", "/"))
    assert units(to_folder(first)) <= 512
