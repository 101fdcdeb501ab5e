"""What an inventory may be, and what is said of one that cannot be read."""

import json
import time

import pytest

from rolecall.errors import ConfigError
from rolecall.inventory import load_inventory
from rolecall.inventory.listing import graph, host_json, list_json
from tests.unit.inventory.support import load, write

VAULT = "$ANSIBLE_VAULT;1.1;AES256\n6162\n"


def refused(path, **options):
    with pytest.raises(ConfigError) as caught:
        load_inventory(path, **options)
    return caught.value


def test_a_layer_of_an_ini_file_knows_its_line(tmp_path):
    inventory = load(tmp_path, "# top\n[web]\na x=1\n\n[web:vars]\ny=2\n")
    where = {name: layer.where(name) for layer in inventory.layers("a") for name in layer.variables}
    assert where == {"x": f"{tmp_path}/hosts:3", "y": f"{tmp_path}/hosts:6"}


def test_variables_of_a_range_are_each_hosts(tmp_path):
    inventory = load(tmp_path, "all: {hosts: {'w[1:2]': {x: 1}}}\n", "hosts.yml")
    assert inventory.variables("w1") == inventory.variables("w2") == {"x": 1}
    assert inventory.layers("w2")[-1].where("x") == f"{tmp_path}/hosts.yml:1"


def test_a_file_without_an_ending_may_be_yaml(tmp_path):
    assert list(load(tmp_path, "web: {hosts: {a: }}\n").hosts) == ["a"]


def test_group_priority_decides_among_groups_of_one_depth_and_is_no_variable(tmp_path):
    text = "[a]\nh\n[b]\nh\n[a:vars]\nx=a\nansible_group_priority=2\n[b:vars]\nx=b\n"
    assert load(tmp_path, text).variables("h") == {"x": "a"}


def test_secrets_by_reference_are_listed_by_reference(tmp_path, monkeypatch):
    monkeypatch.setenv("TOKEN", "very secret")
    inventory = load(tmp_path, "all: {hosts: {h: {t: !env TOKEN, f: !file /x}}}\n", "hosts.yml")
    assert json.loads(host_json(inventory, "h")) == {"t": "!env TOKEN", "f": "!file /x"}
    assert "very secret" not in list_json(inventory)


def test_a_list_of_hosts_is_an_inventory(tmp_path):
    inventory = load_inventory(tmp_path / "a,b:22, c")
    assert [name.rpartition("/")[2] for name in inventory.hosts] == ["a", "b", "c"]
    assert inventory.variables("b") == {"ansible_port": 22}


def test_an_ad_hoc_host_is_in_all_alone(tmp_path):
    inventory = load(tmp_path, "[web]\na\n[all:vars]\nx=1\n").ad_hoc("new")
    assert inventory.variables("new") == {"x": 1}
    assert inventory.match("all") == ["a", "new"]
    assert inventory.ad_hoc("a") is inventory


def test_this_machine_is_there_unlisted(tmp_path):
    inventory = load(tmp_path, "[web]\na\n[all:vars]\nx=1\n")
    assert inventory.match("localhost") == ["localhost"] and inventory.match("all") == ["a"]
    assert inventory.variables("localhost") == {"x": 1, "ansible_connection": "local"}


def test_this_machine_under_another_name_is_that_host(tmp_path):
    assert load(tmp_path, "127.0.0.1\n").match("localhost") == ["127.0.0.1"]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("hosts", "[web]\na b\n", "hosts:2: after a host come its variables"),
        ("hosts", "[web]\na b='x\n", "hosts:2: No closing quotation"),
        ("hosts", "[web]\na[1:\n", "hosts:2: 'a[1:' is not a host name"),
        ("hosts", "[web:foo]\n", "hosts:1: a group has no section 'foo'"),
        ("hosts", "[we b]\n", "hosts:1: [we b] is not the head"),
        ("hosts", "[web:vars]\nx\n", "hosts:2: a variable is set as name=value"),
        ("hosts", "\n[web:vars]\nx=1\n", "hosts:2: group web has no section"),
        ("hosts", "[web:children]\ndb\n", "hosts:2: group db has no section"),
        ("hosts", "[a:children]\na\n", "hosts:2: group a is its own child"),
        ("hosts", "[a:children]\nb\n[b:children]\na\n", "its own child: a → b → a"),
        ("hosts", "[a]\n[a:vars]\nansible_group_priority=x\n", "hosts:3: ansible_group_priority"),
        ("hosts", "---\nweb:\n  hosts: [\n", "hosts:4:1: "),
        ("hosts", VAULT, "hosts: this is encrypted with Ansible Vault"),
        ("h.yml", "a: {hosts: {h: {x: !vault abc}}}\n", "h.yml:1:20: unknown tag !vault"),
        ("h.yml", "a: {hosts: {1: }}\n", "h.yml:1: the host's name 1 must be quoted"),
        ("h.yml", "1: {}\n", "h.yml:1: the group's name 1 must be quoted"),
        ("h.yml", "a: {hosts: {h: 3}}\n", "h.yml:1: the variables of host h must be"),
        ("h.yml", "plugin: aws_ec2\n", "h.yml:1: this configures Ansible's inventory plugin"),
        ("h.toml", "[a.hosts]\n", "not TOML"),
        ("hosts", "#!/bin/sh\n", "chmod"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, name, text, words):
    (tmp_path / name).write_text(text)
    error = refused(tmp_path / name)
    assert words in f"{error.message}\n{error.hint}"
    assert str(tmp_path) in error.message


def test_a_missing_inventory_is_refused(tmp_path):
    assert "does not exist" in refused(tmp_path / "none").message


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo no >&2; echo why >&2; exit 3", "failed with status 3: no / why"),
        ("exit 3", "failed with status 3 and said nothing"),
        ("echo hello", "printed 'hello', which is not JSON"),
        (":", "printed nothing"),
        ("echo '[]'", "not a mapping"),
        ("""echo '{"g": {"hosts": "a"}}'""", "g.hosts must be a list"),
        ("""echo '{"g": {"hosts": [1]}}'""", "g.hosts: 1 must be a text"),
        ("""echo '{"g": {"vars": []}}'""", "g.vars must be a mapping"),
        ("""echo '{"_meta": {}}'""", "_meta.hostvars must be a mapping"),
        ("""echo '{"_meta": {"hostvars": {"a": 1}}, "g": {"hosts": ["a"]}}'""", "hostvars.a must"),
        ("kill -9 $$", "failed with status -9"),
    ],
)
def test_what_a_program_does_wrong_is_said(tmp_path, script, words):
    write(tmp_path, {"program": f"#!/bin/sh\n{script}\n"})
    assert words in refused(tmp_path / "program").message


def test_a_program_that_hangs_is_ended_with_all_it_started(tmp_path):
    write(tmp_path, {"program": "#!/bin/sh\nsleep 60 & sleep 60\n"})
    began = time.monotonic()
    assert "did not answer within 0.5 s" in refused(tmp_path / "program", timeout=0.5).message
    assert time.monotonic() - began < 10


def test_a_program_whose_interpreter_is_missing_is_named(tmp_path):
    write(tmp_path, {"program": "#!/no/such/interpreter\n"})
    assert "cannot be run" in refused(tmp_path / "program").message


@pytest.mark.parametrize("pattern", ["", ",", "&", "a:!", "nobody", "~[", "~(", "a[0", "all[7]"])
def test_a_pattern_that_cannot_be_meant_is_refused(tmp_path, pattern):
    with pytest.raises(ConfigError):
        load(tmp_path, "a\nb\n").match(pattern)


def test_commas_and_colons_may_be_mixed(tmp_path):
    inventory = load(tmp_path, "[x]\na\n[y]\nb\n[z]\nc\nb\n2001:db8::1\n")
    assert inventory.match("x:y,z:!y") == ["a", "c", "2001:db8::1"]
    assert inventory.match("2001:db8::1,x") == ["2001:db8::1", "a"]


def test_one_host_is_asked_for_by_name_or_pattern(tmp_path):
    inventory = load(tmp_path, "a x=1\nb\n")
    assert json.loads(host_json(inventory, "a")) == {"x": 1}
    for pattern in ("all", "all:!all", "c"):
        with pytest.raises(ConfigError):
            host_json(inventory, pattern)


def test_a_graph_begins_where_it_is_asked_to(tmp_path):
    inventory = load(tmp_path, "[a]\nh\n[b:children]\na\n")
    assert graph(inventory, "b") == "@b:\n  |--@a:\n  |  |--h"
    with pytest.raises(ConfigError):
        graph(inventory, "c")
