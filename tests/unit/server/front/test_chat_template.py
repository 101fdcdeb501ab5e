"""Chat templates are rendered as Hugging Face's transformers does."""

from __future__ import annotations

from typing import Any

import pytest

from roles.server.openai.front.chat_template import ConversationError, Template

QUESTION = [{"role": "user", "content": "Hi"}]

# Of Llama 2 (meta-llama/Llama-2-7b-chat-hf), shortened to what it checks and writes.
LLAMA_2 = """\
{% if messages[0]['role'] == 'system' %}\
{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}\
{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}\
{% for message in loop_messages %}\
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}\
{% endif %}\
{% if loop.index0 == 0 and system_message != false %}\
{% set content = '<<SYS>>\\n' + system_message + '\\n<</SYS>>\\n\\n' + message['content'] %}\
{% else %}{% set content = message['content'] %}{% endif %}\
{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}\
{% elif message['role'] == 'assistant' %}{{ ' ' + content.strip() + ' ' + eos_token }}\
{% endif %}{% endfor %}"""


def rendered(template: str, messages: Any = QUESTION, **further: Any) -> str:
    tokens = {"bos_token": "<s>", "eos_token": "</s>"}
    return Template(template, tokens).render(messages, further)


def test_special_tokens_and_earlier_messages_stand_in_the_text() -> None:
    conversation = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
    ]
    assert rendered(LLAMA_2, conversation) == (
        "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nHi [/INST] Hello </s><s>[INST] Bye [/INST]"
    )


def test_a_template_can_refuse_a_conversation() -> None:
    with pytest.raises(ConversationError, match="roles must alternate"):
        rendered(LLAMA_2, [{"role": "assistant", "content": "Hi"}])


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{% for m in messages %}\n  {% if true %}\nx\n  {% endif %}\n{% endfor %}", "x\n"),
        ("{% for m in [1, 2, 3] %}{% if m == 2 %}{% break %}{% endif %}{{ m }}{% endfor %}", "1"),
        ("{% for m in [1, 2] %}{% if m == 1 %}{% continue %}{% endif %}{{ m }}{% endfor %}", "2"),
        ("{% generation %}said{% endgeneration %}", "said"),
        ("{{ {'a': '<é>'} | tojson }}", '{"a": "<é>"}'),
        ("{% if tools is none and not documents %}none{% endif %}", "none"),
        ("{% if add_generation_prompt %}go{% endif %}", "go"),
        ("{{ undefined_thing }}.", "."),
        ("{{ strftime_now('%Y') | length }}", "4"),
    ],
)
def test_what_templates_rely_on_is_there(template: str, text: str) -> None:
    assert rendered(template) == text


def test_further_variables_reach_the_template() -> None:
    assert rendered("{{ enable_thinking }}", enable_thinking=False) == "False"


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{% for %}",
        "{{ 1 / 0 }}",
        "{{ messages[7].content.x }}",
    ],
)
def test_a_template_gets_no_further_than_its_text(template: str) -> None:
    with pytest.raises(ConversationError):
        rendered(template)


def test_the_template_may_stand_in_either_file() -> None:
    config = '{"bos_token": {"content": "<s>"}, "eos_token": "</s>", "chat_template": "inside"}'
    assert Template.read("", config) == Template(
        "inside", {"bos_token": "<s>", "eos_token": "</s>"}
    )
    assert Template.read("beside", config).text == "beside"
    several = '{"chat_template": [{"name": "default", "template": "d"}]}'
    assert Template.read("", several).text == "d"
    assert Template.read("", "").text == ""
