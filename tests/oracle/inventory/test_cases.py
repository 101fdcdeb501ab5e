"""Inventories written by hand, read by Ansible's own programs and by ours."""

import json
import subprocess
from pathlib import Path

import pytest

from rolecall.errors import ConfigError
from rolecall.inventory import load_inventory
from rolecall.inventory.listing import graph, host_json, list_json
from tests.oracle.inventory.conftest import CASES
from tests.oracle.inventory.order import is_fixed, matched

ROOT = Path(__file__).parents[3]

INVENTORIES = (
    "shop/hosts",
    "shop",
    "fleet/hosts.yaml",
    "several",
    "several/03-cloud",
    "several/nested",
    "program/ask-each-host",
    "ini/values.ini",
    "ini/crlf",
    "json/hosts.json",
    "alike/hosts",
    "a,b:22,[2001:db8::1]:2200,x[1:2]",
    "alone,",
)

PATTERNS = Path(__file__).with_name("patterns.txt").read_text().split()


def source(inventory):
    return inventory if "," in inventory else str(CASES / inventory)


def ours(inventory, *arguments):
    """What ``./inv inventory`` prints, the real program."""
    done = subprocess.run(
        [str(ROOT / "inv"), "inventory", "--inventory", source(inventory), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("inventory", INVENTORIES)
@pytest.mark.parametrize("what", ["--list", "--graph"])
def test_the_programs_print_the_same(ansible, inventory, what):
    theirs = ansible.run("ansible-inventory", "-i", source(inventory), what)
    assert not theirs.refused, theirs.err
    assert ours(inventory, what) == theirs.out


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_every_host_has_the_same_variables(ansible, inventory):
    read = load_inventory(Path(source(inventory)))
    assert read.hosts
    for host in read.hosts:
        theirs = ansible.ask("ansible-inventory", "-i", source(inventory), "--host", host)
        assert not theirs.refused, theirs.err
        assert host_json(read, host) + "\n" == theirs.out


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_every_group_has_the_same_graph(ansible, inventory):
    read = load_inventory(Path(source(inventory)))
    for group in read.groups:
        theirs = ansible.ask("ansible-inventory", "-i", source(inventory), "--graph", group)
        assert graph(read, group) + "\n" == theirs.out


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_patterns_name_the_same_hosts(ansible, inventory):
    read = load_inventory(Path(source(inventory)))
    in_order = all(is_fixed(read, group) for group in read.groups)
    for pattern, theirs in zip(PATTERNS, ansible.match(source(inventory), PATTERNS), strict=True):
        found = matched(read, pattern)
        if isinstance(found, ConfigError):
            # Of a name that is not there Ansible warns, and goes on without it.
            assert theirs is None or "is neither a host nor a group" in found.message, pattern
            continue
        assert theirs is not None, pattern
        if in_order:
            assert found == theirs, pattern
        elif "[" not in pattern or pattern.startswith("~"):
            assert sorted(found) == sorted(theirs), pattern


@pytest.mark.parametrize("pattern", ["all", "web:&front", "web[0:1]", "~web.*", "!web"])
def test_the_program_that_runs_tasks_agrees(ansible, pattern):
    path = CASES / "shop" / "hosts"
    theirs = ansible.run("ansible", "-i", str(path), pattern, "--list-hosts").out.split()[2:]
    assert sorted(load_inventory(path).match(pattern)) == sorted(theirs)


def test_the_host_option_prints_what_ansible_prints(ansible):
    path = str(CASES / "fleet" / "hosts.yaml")
    theirs = ansible.run("ansible-inventory", "-i", path, "--host", "gpu-02")
    assert ours("fleet/hosts.yaml", "--host", "gpu-02") == theirs.out


def test_the_listing_is_an_inventory_of_its_own(ansible, tmp_path):
    """What ``--list`` prints is what an inventory program prints, for Ansible and for us."""
    printed = list_json(load_inventory(CASES / "fleet" / "hosts.yaml"))
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{printed}\nEND\n")
    program.chmod(0o755)
    theirs = ansible.ask("ansible-inventory", "-i", str(program), "--list")
    again = list_json(load_inventory(program))
    assert again + "\n" == theirs.out
    assert json.loads(again) == json.loads(printed)
