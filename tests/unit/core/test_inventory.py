import pytest

from rolecall.errors import ConfigError
from rolecall.inventory import load_inventory

HOSTS = """
all:
  vars: {who: all-inline, a: 1}
  children:
    gpu:
      hosts: {gpu-01: , gpu-02: {who: host-inline}, gpu-03: }
      vars: {who: gpu-inline}
    eu:
      children:
        paris:
          hosts: {gpu-02: , gpu-03: , web: }
          vars: {who: paris-inline}
      vars: {who: eu-inline}
    empty:
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "hosts.yaml").write_text(HOSTS)
    return tmp_path


def put(folder, name, text):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def refused(folder):
    with pytest.raises(ConfigError) as caught:
        load_inventory(folder)
    return caught.value


def test_a_host_is_in_its_groups_and_theirs_most_general_first(folder):
    inventory = load_inventory(folder)
    assert [group.name for group in inventory.groups_of("gpu-02")] == ["all", "eu", "gpu", "paris"]
    assert [group.name for group in inventory.groups_of("web")] == ["all", "eu", "paris"]
    assert inventory.groups["paris"].depth == 2


def test_deeper_groups_win_and_the_host_wins_over_all(folder):
    inventory = load_inventory(folder)
    assert inventory.variables("gpu-01")["who"] == "gpu-inline"
    assert inventory.variables("gpu-03")["who"] == "paris-inline"
    assert inventory.variables("gpu-02")["who"] == "host-inline"
    assert inventory.variables("web")["a"] == 1


def test_precedence_from_the_weakest_to_the_strongest_is_ansibles(folder):
    put(folder, "group_vars/all.yaml", "who: all-file\n")
    put(folder, "group_vars/gpu.yml", "who: gpu-file\n")
    put(folder, "group_vars/paris/one.yaml", "who: paris-one\n")
    put(folder, "group_vars/paris/sub/two.yaml", "who: paris-two\n")
    put(folder, "host_vars/gpu-02.yaml", "who: host-file\n")
    layers = load_inventory(folder).layers("gpu-02")
    assert [layer.variables.get("who") for layer in layers] == [
        "all-inline",
        "eu-inline",
        "gpu-inline",
        "paris-inline",
        "all-file",
        "gpu-file",
        "paris-one",
        "paris-two",
        "host-inline",
        "host-file",
    ]


def test_variables_may_lie_in_a_folder_or_in_a_file_without_a_suffix(folder):
    put(folder, "host_vars/web/a.yaml", "a: 5\n")
    put(folder, "host_vars/web/b.yml", "b: 6\n")
    put(folder, "host_vars/web/notes.txt", "not: [yaml")
    put(folder, "group_vars/eu", "c: 7\n")
    variables = load_inventory(folder).variables("web")
    assert (variables["a"], variables["b"], variables["c"]) == (5, 6, 7)


def test_a_layer_knows_where_its_variables_stand(folder):
    path = put(folder, "group_vars/gpu.yaml", "\nrole:\n  key: 1\n")
    inventory = load_inventory(folder)
    (layer,) = inventory.groups["gpu"].files
    assert layer.where("role", "key") == f"{path}:3"
    (inline,) = inventory.groups["eu"].inline
    assert inline.where("who") == f"{folder}/hosts.yaml:13"


@pytest.mark.parametrize(
    ("pattern", "hosts"),
    [
        ("all", ["gpu-01", "gpu-02", "gpu-03", "web"]),
        ("gpu", ["gpu-01", "gpu-02", "gpu-03"]),
        ("web", ["web"]),
        ("eu", ["gpu-02", "gpu-03", "web"]),
        ("gpu:&eu", ["gpu-02", "gpu-03"]),
        ("gpu:&eu:!gpu-03", ["gpu-02"]),
        ("!gpu-03:gpu", ["gpu-01", "gpu-02"]),
        ("gpu-01,web", ["gpu-01", "web"]),
        ("gpu-*", ["gpu-01", "gpu-02", "gpu-03"]),
        ("p*", ["gpu-02", "gpu-03", "web"]),
        ("~gpu-0[12]", ["gpu-01", "gpu-02"]),
        ("!gpu", ["web"]),
        ("&gpu:!eu", ["gpu-01"]),
        ("empty", []),
        ("zz*", []),
    ],
)
def test_a_pattern_names_hosts(folder, pattern, hosts):
    assert load_inventory(folder).match(pattern) == hosts


@pytest.mark.parametrize("pattern", ["nobody", "gpu:nobody", "!nobody", "&", "~[", "~(gpu"])
def test_a_pattern_that_names_nothing_there_could_be_is_refused(folder, pattern):
    with pytest.raises(ConfigError):
        load_inventory(folder).match(pattern)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n", "mapping of groups"),
        ("all: 3\n", "hosts.yaml:1: group all must be a mapping"),
        ("all:\n  host: {}\n", "hosts.yaml:2: a group has no 'host'"),
        ("all:\n  hosts: [a, b]\n", "hosts.yaml:2: hosts must be a mapping"),
        ("a: {children: {b: }}\nb: {children: {a: }}\n", "its own child"),
        ("a: {children: {a: }}\n", "its own child"),
        ("a: {children: {all: }}\n", "its own child"),
    ],
)
def test_what_is_no_inventory_is_refused_with_its_place(tmp_path, text, words):
    (tmp_path / "hosts.yaml").write_text(text)
    assert words in refused(tmp_path).message


def test_a_missing_inventory_is_refused(tmp_path):
    assert f"{tmp_path}/hosts.yaml does not exist" in refused(tmp_path).message


def test_variables_that_are_no_mapping_are_refused(folder):
    path = put(folder, "group_vars/gpu.yaml", "- a\n")
    assert refused(folder).message.startswith(f"{path}: ")
