import pytest

from rolecall.errors import ConfigError
from rolecall.template import pbtxt, render


def template(folder, text):
    path = folder / "t.j2"
    path.write_text(text)
    return path


def test_a_template_is_rendered_as_it_stands(tmp_path):
    path = template(tmp_path, " {% for n in names %}<{{ n }}>{% endfor %} \nend\n\n")
    assert render(path, names=["a", "&"]) == " <a><&> \nend\n\n"


@pytest.mark.parametrize("use", ["{{ gone }}", "{% if gone %}{% endif %}", "{{ here.gone }}"])
def test_a_missing_variable_is_refused_with_its_place(tmp_path, use):
    path = template(tmp_path, f"one\n\n{use}\n")
    with pytest.raises(ConfigError) as caught:
        render(path, here={})
    assert caught.value.message.startswith(f"{path}:3: ")
    assert "gone" in caught.value.message
    assert "group_vars" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["one\n{% if %}", "one\n{{ a", "one\n{{ 1 + 'a' }}", "a\n{{ 1/0 }}"]
)
def test_a_wrong_template_is_refused_with_its_place(tmp_path, text):
    path = template(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        render(path)
    assert caught.value.message.startswith(f"{path}:2: ")


def test_a_missing_template_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no template .*none"):
        render(tmp_path / "none")


def test_pbtxt_escapes_what_would_end_a_string(tmp_path):
    path = template(tmp_path, 'value: "{{ value | pbtxt }}"')
    assert render(path, value='a"b\\c\nd\te') == 'value: "a\\"b\\\\c\\nd\\te"'
    assert pbtxt(3) == "3"
