import pytest

from perdure.local.routes import parse_template, split_path


def match(template, path):
    return parse_template(template).match(split_path(path))


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("orders", "/orders", {}),
        ("orders", "/ORDERS/", {}),
        ("orders", "/orders/1", None),
        ("", "/", {}),
        ("/orders/{id}", "/orders/7", {"id": "7"}),
        ("orders/{id}", "/orders", None),
        ("orders/{id?}", "/orders", {}),
        ("orders/{id=9}", "/orders", {"id": "9"}),
        ("orders/{id=9}", "/orders/1", {"id": "1"}),
        ("{*rest}", "/", {}),
        ("files/{*rest}", "/files/a/b%20c", {"rest": "a/b c"}),
        ("files/{**rest}", "/files", {}),
        ("files/{*rest=x}", "/files", {"rest": "x"}),
        ("a/{id}/b", "/a/x%2Fy/b", {"id": "x/y"}),
        ("a/{id}", "/a/%F0%9F%98%80+%25", {"id": "😀+%"}),
        ("a/{id}", "/a/x/y", None),
        ("files/{name}.{ext}", "/files/a.tar.gz", {"name": "a.tar", "ext": "gz"}),
        ("files/{name}.{ext}", "/files/readme", None),
        ("v{major}-x", "/V12-X", {"major": "12"}),
        ("{{x}}/{id}", "/{x}/1", {"id": "1"}),
    ],
)
def test_matching(template, path, expected):
    assert match(template, path) == expected


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        ("int", ["1", "-5", "2147483647"], ["x", "1.5", "2147483648", "\uff11"]),
        ("long", ["2147483648"], ["9223372036854775808"]),
        ("bool", ["true", "FALSE"], ["1"]),
        ("alpha", ["abc"], ["a1", "ä"]),
        ("guid", ["cd2c1638-1638-72d5-1638-deadbeef1638"], ["cd2c"]),
        ("datetime", ["2026-01-01", "2026-01-01T10:00:00"], ["today"]),
        ("decimal", ["1.5"], ["x"]),
        ("double", ["1e3"], ["x"]),
        ("float", ["1e3"], ["x"]),
        ("minlength(2)", ["ab"], ["a"]),
        ("maxlength(2)", ["ab"], ["abc"]),
        ("length(2)", ["ab"], ["a", "abc"]),
        ("length(1,3)", ["a", "abc"], ["abcd"]),
        ("min(3)", ["3"], ["2", "x"]),
        ("max(3)", ["3"], ["4"]),
        ("range(1,3)", ["1", "3"], ["0", "4"]),
        (r"regex(^(\d{{3}}):x$)", ["123:x"], ["12:x"]),
        ("required", ["x"], []),
        ("int:min(2)", ["2"], ["1"]),
    ],
)
def test_constraints(constraint, good, bad):
    template = parse_template(f"x/{{id:{constraint}}}/y")
    for value in good:
        assert template.match(["x", value, "y"]) == {"id": value}
    for value in bad:
        assert template.match(["x", value, "y"]) is None


def test_a_constraint_may_be_optional_or_have_a_default():
    assert match("x/{id:int?}", "/x") == {}
    assert match("x/{id:int?}", "/x/a") is None
    assert match("x/{id:int=4}", "/x") == {"id": "4"}
    assert match("x/{*rest:maxlength(3)}", "/x/abcd") is None


@pytest.mark.parametrize(
    ("template", "complaint"),
    [
        ("a//b", "two slashes"),
        ("{a}{b}", "character between"),
        ("{a}/{A}", "appears twice"),
        ("{a?}/b", "the last one"),
        ("{*a}/b", "the last one"),
        ("x{*a}", "the last one"),
        ("{a", "no partner"),
        ("a}", "no partner"),
        ("{}", "has no name"),
        ("{a:foo}", "is unknown"),
        ("{a:length(x)}", "wrong arguments"),
        ("{a:length(1}", "brackets"),
        ("{a?b}", "makes no sense"),
    ],
)
def test_malformed_templates_are_refused(template, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_template(template)


def test_the_more_specific_template_comes_first():
    ordered = ["a/b", "a/x{y}", "a/{id:int}", "a/{id}", "a/{id}/c", "a/{*rest:alpha}", "a/{*rest}", "{x}"]
    mixed = [ordered[place] for place in (3, 0, 7, 5, 1, 6, 4, 2)]
    by_precedence = sorted(mixed, key=lambda text: parse_template(text).precedence)
    assert by_precedence == ordered
