"""A grammar of all texts that do not contain any of some words.

openvino-genai has no list of bad words, but it can hold generation to a grammar: before each
token is chosen, every token that would leave the grammar is given no probability. So the words
become an Aho-Corasick automaton, which knows after each character how much of which word has just
been written, and each of its states becomes a rule that leaves out the characters that would
complete a word. The ban is on text, not on tokens: it holds however a word is cut into tokens,
with or without a space before it, and as a part of a longer word.

Cost (openvino-genai 2026.4, 49152 tokens): about 7 ms for each character of the words, once for
each new list of words, during which the whole batch waits; none that can be measured per token.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from .errors import RequestError

MAX_CHARACTERS = 256
"""Together, in one request: bounds the pause of the batch to about two seconds."""

_LAST = 0x10FFFF
_SURROGATES = (0xD800, 0xDFFF)


@dataclass
class _State:
    after: dict[str, int] = field(default_factory=dict)
    fallback: int = 0
    forbidden: bool = False


def without_words(words: Iterable[str]) -> str:
    """The grammar, in the EBNF of xgrammar, of all texts without any of ``words``.

    Raises ``RequestError`` if the words are too many or too long.
    """
    needed = _minimal(words)
    total = sum(len(word) for word in needed)
    if total > MAX_CHARACTERS:
        raise RequestError(f"bad words: {total} characters together are more than {MAX_CHARACTERS}")
    states = _automaton(needed)
    lines = ["root ::= s0"]
    for number, state in enumerate(states):
        if not state.forbidden:
            lines.append(f"s{number} ::= {_alternatives(states, state)}")
    return "\n".join(lines)


def _minimal(words: Iterable[str]) -> list[str]:
    """Without words that contain another one: banning the shorter bans the longer too."""
    kept: list[str] = []
    for word in sorted(set(words), key=lambda word: (len(word), word)):
        if word and not any(shorter in word for shorter in kept):
            kept.append(word)
    return kept


def _automaton(words: list[str]) -> list[_State]:
    states = [_State()]
    for word in words:
        current = 0
        for character in word:
            following = states[current].after.get(character)
            if following is None:
                following = len(states)
                states[current].after[character] = following
                states.append(_State())
            current = following
        states[current].forbidden = True
    waiting = deque(states[0].after.values())
    while waiting:
        state = states[waiting.popleft()]
        fallback = states[state.fallback]
        state.forbidden = state.forbidden or fallback.forbidden
        for character, child in state.after.items():
            states[child].fallback = fallback.after.get(character, 0)
            waiting.append(child)
        for character, target in fallback.after.items():
            state.after.setdefault(character, target)
    return states


def _alternatives(states: list[_State], state: _State) -> str:
    choices = ['""']
    by_target: dict[int, list[str]] = {}
    for character, target in state.after.items():
        by_target.setdefault(target, []).append(character)
    for target, characters in by_target.items():
        if not states[target].forbidden:
            choices.append(f"[{''.join(_escaped(ord(c)) for c in sorted(characters))}] s{target}")
    choices.append(f"{_all_but(state.after)} s0")
    return " | ".join(choices)


def _all_but(characters: Iterable[str]) -> str:
    """A class of all characters but these, as ranges: xgrammar's ``[^...]`` is ASCII only."""
    ranges: list[str] = []
    start = 0
    holes = sorted({(ord(c), ord(c)) for c in characters} | {_SURROGATES})
    for first, last in [*holes, (_LAST + 1, _LAST + 1)]:
        if start < first:
            end = first - 1
            ranges.append(_escaped(start) if start == end else f"{_escaped(start)}-{_escaped(end)}")
        start = last + 1
    return f"[{''.join(ranges)}]"


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
