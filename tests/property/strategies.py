"""What a careless or hostile user puts into names, contents and targets."""

from hypothesis import strategies as st

_HOSTILE = [
    "'",
    '"',
    "$(touch owned)",
    "`touch owned`",
    "${HOME}",
    "\\",
    "\\n",
    "\n",
    " ",
    "\t",
    "-",
    "--",
    "*",
    "?",
    "[a]",
    "~",
    "#",
    ";",
    "&",
    "|",
    "<",
    ">",
    "(",
    ")",
    "!",
    "=",
    "%s",
    "@@",
    "\r",
    "\x01",
    "\x7f",
    "é",
    "日本",
    "🎈",
    "\udcff",
    "a",
    "RC_STATS",
    "RC_END_OF_ROOT",
]

#: Any text that a shell word can carry: hostile pieces in any order.
values = st.lists(st.sampled_from(_HOSTILE), max_size=8).map("".join)

#: Names of files: not empty, not the folder itself or the one above, no slash.
names = (
    st.lists(st.sampled_from(_HOSTILE), min_size=1, max_size=8)
    .map("".join)
    .filter(lambda name: name not in {".", ".."} and len(name.encode("utf-8", "replace")) < 200)
)

#: Whole contents of files.
contents = st.one_of(values, st.binary(max_size=100), values.map(lambda text: text + "\n\n"))
