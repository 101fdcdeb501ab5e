"""Generated inventories, read by Ansible and by us."""

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from rolecall.errors import ConfigError
from rolecall.inventory.listing import graph, host_json, list_json
from tests.oracle.inventory.order import is_fixed, loaded, matched
from tests.oracle.inventory.strategies import Files, inventories, patterns

SUBSCRIPT = re.compile(r"\[[-0-9:]+\]")

compared = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("generated")


def written(files, folder):
    """Ansible keeps what it read by path, so every example has a path of its own."""
    return files.write(Path(tempfile.mkdtemp(dir=folder)))


@compared
@given(files=inventories(), pick=st.integers(0))
def test_the_listing_the_graph_and_a_host_are_ansibles(ansible, folder, files, pick):
    source = written(files, folder)
    theirs = ansible.ask("ansible-inventory", "-i", str(source), "--list")
    ours = loaded(source)
    if isinstance(ours, ConfigError):
        event("refused")
        assert theirs.refused, (ours.message, files)
        return
    assert not theirs.refused, (theirs.err, files)
    assert list_json(ours) + "\n" == theirs.out
    drawn = ansible.ask("ansible-inventory", "-i", str(source), "--graph")
    assert graph(ours) + "\n" == drawn.out
    hosts = [name for name in ours.hosts if name not in ours.groups]
    if hosts:
        host = hosts[pick % len(hosts)]
        one = ansible.ask("ansible-inventory", "-i", str(source), "--host", host)
        assert host_json(ours, host) + "\n" == one.out


@compared
@given(files=inventories(), chosen=st.lists(patterns(), min_size=5, max_size=20))
def test_patterns_name_the_hosts_that_they_name_in_ansible(ansible, folder, files, chosen):
    source = written(Files(files.source, {**files.texts}), folder)
    ours = loaded(source)
    if isinstance(ours, ConfigError):
        return
    in_order = all(is_fixed(ours, group) for group in ours.groups)
    event(f"order is sure: {in_order}")
    for pattern, theirs in zip(chosen, ansible.match(str(source), chosen), strict=True):
        mine = matched(ours, pattern)
        if isinstance(mine, ConfigError):
            # Of a name that is not there Ansible warns, and goes on without it.
            assert theirs is None or "is neither a host nor a group" in mine.message, pattern
            continue
        if in_order:
            assert mine == theirs, pattern
        elif not SUBSCRIPT.search(pattern):
            assert theirs is not None and sorted(mine) == sorted(theirs), pattern


@compared
@given(
    edges=st.lists(
        st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=8
    )
)
def test_rings_of_groups_are_refused_where_ansible_refuses_them(ansible, folder, edges):
    text = "".join(f"[{name}]\n" for name in "abcd")
    text += "".join(f"[{parent}:children]\n{child}\n" for parent, child in edges)
    source = written(Files("hosts", {"hosts": text}), folder)
    theirs = ansible.ask("ansible-inventory", "-i", str(source), "--graph")
    ours = loaded(source)
    if isinstance(ours, ConfigError):
        assert "its own child" in ours.message
        assert theirs.refused
    else:
        assert graph(ours) + "\n" == theirs.out
