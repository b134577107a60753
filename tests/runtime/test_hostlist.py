"""Slurm's host lists: the forms that other parsers get wrong, bad input, and the way back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddplint.runtime.hostlist import MOST_HOSTS, HostlistError, compress, expand, expand_counts


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("node0", "node0"),
        ("a1,b2", "a1 b2"),
        ("node[1-2],gpu[3-4]", "node1 node2 gpu3 gpu4"),
        ("login,node[1-2]", "login node1 node2"),
        ("rack[0-1]n[0-1]", "rack0n0 rack0n1 rack1n0 rack1n1"),
        ("node[1-2]-ib", "node1-ib node2-ib"),
        ("node[1]", "node1"),
        ("node[099-101]", "node099 node100 node101"),
        ("node[9-10]", "node9 node10"),
        ("node[3,1]", "node3 node1"),
        ("node[01-03,7,10-11]", "node01 node02 node03 node7 node10 node11"),
        ("node[99-101]", "node99 node100 node101"),
        ("node[098,1]", "node098 node1"),
        ("r[1-2]c[01,3]-ib.example.org,x", "r1c01-ib.example.org r1c3-ib.example.org r2c01-ib.example.org "
         "r2c3-ib.example.org x"),
        (" a , b ", "a b"),
        ("a,a", "a a"),
    ],
)  # fmt: skip
def test_expand(text: str, hosts: str) -> None:
    assert expand(text) == tuple(hosts.split())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no name"),
        ("a,,b", "no name"),
        ("a,", "no name"),
        ("node[1-2", "not closed"),
        ("node1]", "without an opening"),
        ("node[1-[2]]", "inside a bracket"),
        ("node[]", "neither a number nor a range"),
        ("node[a-b]", "neither a number nor a range"),
        ("node[1-2-3]", "neither a number nor a range"),
        ("node[1-]", "neither a number nor a range"),
        ("node[2-1]", "backwards"),
        ("node 1", "blank"),
        ("(null), scontrol: error", "blank"),
        ("n[0-999999999]", "more than"),
        ("n[0-999][0-999][0-999]", "more than"),
    ],
)
def test_bad_lists_say_why(text: str, reason: str) -> None:
    with pytest.raises(HostlistError, match=reason) as error:
        expand(text)
    assert repr(text) in str(error.value)


def test_bounds() -> None:
    assert len(expand(f"n[1-{MOST_HOSTS}]")) == MOST_HOSTS
    with pytest.raises(HostlistError, match="more than"):
        expand(f"n[1-{MOST_HOSTS}],m")


@pytest.mark.parametrize(
    ("hosts", "text"),
    [
        ("node1 node2 node3", "node[1-3]"),
        ("node09 node10", "node[09-10]"),
        ("node9 node10", "node[9-10]"),
        ("node3 node1", "node[3,1]"),
        ("login node0 node1 gpu3", "login,node[0-1],gpu3"),
        ("a1-ib a2-ib", "a[1-2]-ib"),
        ("", ""),
    ],
)
def test_compress(hosts: str, text: str) -> None:
    assert compress(hosts.split()) == text


@pytest.mark.parametrize("name", ["", "a b", "a,b", "n[1]"])
def test_names_that_no_list_can_hold(name: str) -> None:
    with pytest.raises(HostlistError):
        compress([name])


NAMES = st.one_of(
    # Few prefixes, so that neighbours often form a range; and whatever a host may be called.
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["node", "gpu-", "r1c", ""]),
        st.one_of(st.integers(0, 12).map(str), st.integers(0, 120).map("{:03}".format)),
        st.sampled_from(["", "-ib", ".example.org"]),
    ),
    st.from_regex(r"[a-zA-Z0-9._-]+", fullmatch=True),
)


@given(st.lists(NAMES, min_size=1, max_size=40))
def test_round_trip(hosts: list[str]) -> None:
    assert expand(compress(hosts)) == tuple(hosts)


@given(st.integers(0, 1100), st.integers(1, 60), st.integers(1, 5))
def test_a_row_of_hosts_is_one_range(first: int, count: int, width: int) -> None:
    hosts = [f"n{number:0{width}}" for number in range(first, first + count)]
    text = compress(hosts)
    assert text.count(",") == 0
    assert expand(text) == tuple(hosts)


@given(st.text("nab[]-,(x) 0129", max_size=20))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        hosts = expand(text)
    except HostlistError:
        return
    assert expand(compress(hosts)) == hosts


@pytest.mark.parametrize(
    ("text", "counts"), [("4", (4,)), ("4(x2),3", (4, 4, 3)), ("1,2", (1, 2)), ("7,1", (7, 1)), ("2(x1)", (2,))]
)
def test_counts(text: str, counts: tuple[int, ...]) -> None:
    assert expand_counts(text) == counts


@pytest.mark.parametrize("text", ["", "4(2)", "4(x2", "a", "-1", "4(x999999999)"])
def test_bad_counts(text: str) -> None:
    with pytest.raises(ValueError, match="list of counts"):
        expand_counts(text)
