"""What a client has to know of a served model, read from the files of a pod that serves it."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from rolecall.api import Host
from rolecall.cluster.target import ClusterTarget
from roles.k8s import pods
from roles.k8s.access import ready_pod, serving

if TYPE_CHECKING:
    from roles.server.chat import ChatFormat

# Whatever started Triton, its command line names the repository; the models there name the
# folders of the tokenizer and the engine, or the model of the LLM API.
_SCRIPT = r"""
repository=$(cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\0' '\n' |
  sed -n 's/^--model-repository=//p' | head -n 1)
show() { printf '\n%s %s\n' "$mark" "$1"; cat -- "$2" 2>/dev/null; }
show description "${repository%/*}/repository.json"
value() {
  tr '\n' ' ' <"$repository/$1/config.pbtxt" 2>/dev/null | sed -n \
    's/.*"'"$2"'" *value *:* *{ *string_value *: *"\([^"]*\)".*/\1/p'
}
for folder in "$(value tensorrt_llm gpt_model_path)" "$(value preprocessing tokenizer_dir)" \
  "$(sed -n "s/^model: *[\"']*\([^\"']*\)[\"']*$/\1/p" "$repository/tensorrt_llm/1/model.yaml" \
    2>/dev/null)"; do
  [ -n "$folder" ] || continue
  show template "$folder/chat_template.jinja"
  show config "$folder/tokenizer_config.json"
  [ -z "$with_tokenizer" ] || show tokenizer "$folder/tokenizer.json"
done
printf '\n%s end\n' "$mark"
"""


def description(target: ClusterTarget, host: Host) -> tuple[str, list[ChatFormat]]:
    """The text of the repository's ``repository.json``, and the formats that its folders have.

    Raises:
        RolecallError: no pod is ready, or commands may not be run in it.
    """
    from roles.server.talk import parse_format

    parts = _shown(target, host)
    texts = [text.rstrip("\n") for name, text in parts if name in ("template", "config")]
    about = next((text for name, text in parts if name == "description"), "")
    formats = [
        parse_format(template, config)
        for template, config in zip(texts[::2], texts[1::2], strict=True)
    ]
    return about, formats


def tokenizer(target: ClusterTarget, host: Host) -> str:
    """The text of the served model's tokenizer.json; empty where there is none.

    Raises:
        RolecallError: no pod is ready, or commands may not be run in it.
    """
    parts = _shown(target, host, with_tokenizer="yes")
    return next((text for name, text in parts if name == "tokenizer" and text.strip()), "")


def _shown(target: ClusterTarget, host: Host, with_tokenizer: str = "") -> list[tuple[str, str]]:
    """What the script shows: each text under its name."""
    pod = ready_pod(target, host, target.api.read([serving(host)])[0])
    mark = f"@@{secrets.token_hex(8)}"
    script = f"mark={mark}\nwith_tokenizer={with_tokenizer}\n{_SCRIPT}"
    said = target.api.execute(
        target.namespace,
        str(pod["metadata"]["name"]),
        next(pods.containers(pod)),
        ["/bin/sh", "-c", script],
    )
    parts = [part.partition("\n") for part in said.text.split(f"\n{mark} ")[1:]]
    return [(name, text) for name, _, text in parts]
