from pathlib import Path

import pytest

from rolecall.errors import ConfigError
from rolecall.inventory import Become, Connection, connection, load_inventory
from rolecall.inventory.connection import ClusterAddress
from rolecall.yamlfile import SecretReference
from tests.unit.inventory.support import load, write


def of(folder, line):
    return connection(load(folder, f"h {line}\n"), "h")


def test_a_host_of_which_nothing_is_said_is_reached_by_its_name(tmp_path):
    assert of(tmp_path, "") == Connection("h", "ssh", "h")


def test_every_name_of_ansible_is_understood(tmp_path):
    line = "ansible_host=192.0.2.1 ansible_port=2222 ansible_user=ops ansible_timeout=5"
    line += " ansible_ssh_private_key_file=/k ansible_password=pw ansible_become=yes"
    line += " ansible_become_user=admin ansible_become_password=bp ansible_connection=smart"
    assert of(tmp_path, line) == Connection(
        name="h",
        kind="ssh",
        host="192.0.2.1",
        port=2222,
        user="ops",
        password="pw",
        key_file=Path("/k"),
        timeout=5.0,
        become=Become(True, "admin", "bp"),
    )


def test_passwords_are_not_shown(tmp_path):
    found = of(tmp_path, "ansible_password=hidden1 ansible_become_pass=hidden2")
    assert "hidden" not in repr(found)


def test_passwords_may_be_given_by_reference(tmp_path):
    text = "all: {hosts: {h: {ansible_become_password: !env SUDO}}}\n"
    found = connection(load(tmp_path, text, "h.yml"), "h")
    assert found.become.password == SecretReference("env", "SUDO")


def test_options_of_ssh_are_read_and_unknown_ones_told(tmp_path):
    line = "ansible_ssh_common_args='-J ops@bastion:22 -o UserKnownHostsFile=/k1 -C'"
    line += " ansible_ssh_extra_args='-oStrictHostKeyChecking=no -o \"ConnectTimeout 9\" -p 24'"
    found = of(tmp_path, line)
    assert (found.proxy_jump, found.known_hosts) == ("ops@bastion:22", (Path("/k1"),))
    assert (found.timeout, found.port) == (9.0, 24)
    assert found.ignored == ("-C", "stricthostkeychecking=no")


def test_a_port_behind_the_name_gives_way_to_a_variable(tmp_path):
    inventory = load(tmp_path, "a:22\nb:22 ansible_port=23\n")
    assert [connection(inventory, host).port for host in "ab"] == [22, 23]


def test_localhost_is_local_unless_told_otherwise(tmp_path):
    write(tmp_path, {"hosts": "localhost\n", "others": "localhost ansible_connection=ssh\n"})
    assert connection(load_inventory(tmp_path / "hosts"), "localhost").kind == "local"
    assert connection(load_inventory(tmp_path / "others"), "localhost").kind == "ssh"
    unlisted = load_inventory(tmp_path / "a,b")
    assert connection(unlisted, "127.0.0.1").kind == "local"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ansible_port=x", "ansible_port: must be a port"),
        ("ansible_port=70000", "must be a port"),
        ("ansible_port=True", "must be a port"),
        ("ansible_user=[1]", "ansible_user: must be a text"),
        ("ansible_host='{{ ip }}'", "ansible_host is a template"),
        ("ansible_connection=docker", "must be one of local, ssh"),
        ("ansible_become_method=doas", "must be one of sudo"),
        ("ansible_become=perhaps", "must be yes or no"),
        ("ansible_timeout=soon", "must be a number of seconds"),
        ("ansible_ssh_common_args='-o \"x'", "ansible_ssh_common_args: No closing quotation"),
        ("ansible_ssh_common_args='-p x'", "must be a port"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(tmp_path, line, words):
    with pytest.raises(ConfigError) as caught:
        of(tmp_path, line)
    assert caught.value.message.startswith(f"{tmp_path}/hosts:1: ")
    assert words in caught.value.message


def test_a_context_makes_a_host_a_cluster(tmp_path):
    line = "k8s_context=mine k8s_namespace=llm k8s_kubeconfig=~/kube"
    found = of(tmp_path, line)
    assert found == Connection(
        "h",
        "cluster",
        "h",
        cluster=ClusterAddress("mine", "llm", Path("~/kube").expanduser()),
    )
    assert of(tmp_path, "k8s_context=mine").cluster == ClusterAddress("mine")
    assert of(tmp_path, "").cluster is None


@pytest.mark.parametrize(
    ("line", "said", "way_out"),
    [
        ("k8s_contxt=a", "there is no variable k8s_contxt", "k8s_context, k8s_namespace"),
        ("k8s_namespace=a", "k8s_context is not", "names the context"),
        ("k8s_context=a k8s_namespace=../../x", "must be a namespace: up to 63", ""),
        ("k8s_kubeconfig=a", "k8s_context is not", "names the context"),
        ("k8s_context=a ansible_connection=ssh", "ansible_connection is set", "leave one"),
        ("k8s_context='{{ a }}'", "k8s_context is a template", "write the value itself"),
        ("k8s_context=[1]", "k8s_context: must be a text", ""),
    ],
)
def test_what_makes_no_cluster_is_refused_with_its_place(tmp_path, line, said, way_out):
    with pytest.raises(ConfigError) as error:
        of(tmp_path, line)
    assert said in error.value.message
    assert "hosts" in error.value.message
    assert way_out in (error.value.hint or "")
