r"""Instance ids as partition keys and as folders of blob names: injective, case-sensitive, prefixes kept.

A key has at most 1 KiB of UTF-16, which is 512 code units, and no `/ \ # ?` and no control characters; `%`, `+` and
`'` are allowed, but tools trip over them ("Understanding the Table service data model"). Each such character becomes
`~` and one more, so that the longest id still fits: 256 characters of two code units each. All others stand for
themselves, and since each character is escaped by itself, ids with a common prefix have keys with a common prefix.
"""

from __future__ import annotations

import re

_NAMED = {"~": "~", "/": "s", "\\": "b", "#": "h", "?": "q", "%": "p", "+": "u", "'": "a", "\ufffe": "e", "\uffff": "f"}
# control characters: Unicode has a picture of each C0 control; C1 controls become the letters 0x40 further on
_C0 = {chr(code): chr(0x2400 + code) for code in range(0x20)}
_C1 = {chr(code): chr(0x40 + code) for code in range(0x80, 0xA0)}
_CODES = _NAMED | _C0 | {"\x7f": "\u2421"} | _C1
_ESCAPES = str.maketrans({character: f"~{code}" for character, code in _CODES.items()})
_CHARACTERS = {code: character for character, code in _CODES.items()}
_ESCAPED = re.compile("~(.)")
_BEFORE_SURROGATES = "\ud7ff"


def to_key(instance_id: str) -> str:
    """Return the partition key of an instance."""
    return instance_id.translate(_ESCAPES)


def from_key(key: str) -> str:
    """Return the id of the instance whose partition key this is."""
    return _ESCAPED.sub(lambda escaped: _CHARACTERS[escaped[1]], key)


def to_folder(instance_id: str) -> str:
    """Return the path segment under which an instance's blobs stand: its key, but with no dot at the end.

    Azure advises against segments that end with a dot, and URLs give `.` and `..` a meaning.
    """
    key = to_key(instance_id)
    return f"{key[:-1]}~d" if key.endswith(".") else key


def from_folder(folder: str) -> str:
    """Return the id of the instance under whose blobs' path segment this is."""
    return _ESCAPED.sub(lambda escaped: "." if escaped[1] == "d" else _CHARACTERS[escaped[1]], folder)


def key_range(id_prefix: str) -> tuple[str, str | None]:
    """Return bounds of the keys of all ids that begin with `id_prefix`: the first, and one that is greater than all.

    The range may hold other keys too. It holds in UTF-16 order, which Azure uses, as well as in code point order:
    that is why the upper bound ends with a character below the surrogates, and is None if the prefix has none.
    """
    key = to_key(id_prefix)
    end = key
    while end:
        last, end = end[-1], end[:-1]
        if last < _BEFORE_SURROGATES:
            following = chr(ord(last) + 1)
            while following in _CODES:
                following = chr(ord(following) + 1)
            return key, end + following
    return key, None
