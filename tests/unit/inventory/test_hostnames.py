import pytest

from rolecall.errors import ConfigError
from rolecall.inventory.hostnames import expand, split_port


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("web", ["web"]),
        ("web[1:3]", ["web1", "web2", "web3"]),
        ("web[08:10]", ["web08", "web09", "web10"]),
        ("web[01:10:4].org", ["web01.org", "web05.org", "web09.org"]),
        ("db-[a:c]", ["db-a", "db-b", "db-c"]),
        ("db-[a:e:2]", ["db-a", "db-c", "db-e"]),
        ("x[:2]", ["x0", "x1", "x2"]),
        ("r[1:2]n[a:b]", ["r1na", "r1nb", "r2na", "r2nb"]),
        ("2001:db8::[1:2]", ["2001:db8::1", "2001:db8::2"]),
        ("fe80::1%eth0", ["fe80::1%eth0"]),
    ],
)
def test_an_entry_stands_for_hosts(text, names):
    assert expand(text) == (names, None)


@pytest.mark.parametrize(
    ("text", "name", "port"),
    [
        ("web:22", "web", 22),
        ("192.0.2.1:22", "192.0.2.1", 22),
        ("[2001:db8::1]:22", "2001:db8::1", 22),
        ("[web]:22", "web", 22),
        ("w[1:2]:22", "w[1:2]", 22),
        ("2001:db8::1", "2001:db8::1", None),
        ("a/b:22", "a/b:22", None),
        ("web:ssh", "web:ssh", None),
    ],
)
def test_a_port_is_split_from_an_address_and_from_nothing_else(text, name, port):
    assert split_port(text) == (name, port)


@pytest.mark.parametrize(
    "text",
    [
        *("w[1]", "w[1:]", "w[1:2", "w[a:9]", "w[01:3]", "w[3:1]", "w[c:a]", "w[1:3:0]", "w[1-3]"),
        *("[::1]", "w[1:2:3:4]", "w[aa:bb]", "w[1:99999999]", "w[1:999][1:999]"),
    ],
)
def test_what_is_no_range_is_refused(text):
    with pytest.raises(ConfigError) as caught:
        expand(text)
    assert text in caught.value.message
