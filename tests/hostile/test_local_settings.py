"""local.settings.json and what stands in it: an error names the file and the setting."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perdure.local.errors import HostError
from perdure.local.settings import apply_values, read_local_settings

HOSTILE = {
    "nothing": "",
    "list": "[]",
    "deep": '{"Values":{"a":' + "[" * 1_000_000,
    "deep and complete": '{"Values":{"a":' + '{"a":' * 3_000 + "1" + "}" * 3_002,
    "digits": '{"Values":{"a":' + "9" * 5_000 + "}}",
    "no UTF-8": b"\xff\xfe\x00",
    "values are a list": '{"Values":[1]}',
    "a value is an object": '{"Values":{"a":{}}}',
    "NUL in a value": '{"Values":{"a":"x\\u0000y"}}',
    "NUL in a name": '{"Values":{"a\\u0000b":"x"}}',
    "a lone surrogate in a value": '{"Values":{"a":"\\ud800"}}',
    "a lone surrogate in a name": '{"Values":{"\\udfff":"x"}}',
    "an equals sign in a name": '{"Values":{"a=b":"x"}}',
    "no name": '{"Values":{"":"x"}}',
    "port": '{"Host":{"LocalHttpPort":99999}}',
    "no port": '{"Host":{"LocalHttpPort":NaN}}',
    "encrypted": '{"IsEncrypted":true}',
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file(tmp_path, case):
    content = HOSTILE[case]
    (tmp_path / "local.settings.json").write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(HostError, match=r"local\.settings\.json") as refused:
        read_local_settings(tmp_path)
    assert len(str(refused.value)) < 1_000


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.dictionaries(
        st.text(st.characters(codec=None), max_size=9), st.text(st.characters(codec=None)) | st.floats()
    )
)
def test_whatever_is_read_can_be_set_in_the_environment(tmp_path, monkeypatch, values):
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": values}))
    try:
        read = read_local_settings(tmp_path)
    except HostError:
        return
    with monkeypatch.context() as patch:
        for name in read.values:
            patch.delenv(name, raising=False)
        assert apply_values(read, os.environ) == []
        assert all(os.environ[name] == text for name, text in read.values.items())
        for name in read.values:
            os.environ.pop(name, None)
