"""The part of ModelConfig that the controller knows, against the whole of it."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from tritonclient.grpc import model_config_pb2 as real

from rolecall.facts import Facts
from rolecall.resource import Observed, Refuse, Script
from rolecall.role import Host
from roles.engine.settings import Engine
from roles.model.settings import Model
from roles.python.settings import Python
from roles.repo.model_config import ENUMS, MESSAGES, problem
from roles.repo.rendered import ModelTree, tree
from roles.repo.settings import Repo

FULL = {
    "Reshape": real.ModelTensorReshape,
    "Input": real.ModelInput,
    "Output": real.ModelOutput,
    "TransactionPolicy": real.ModelTransactionPolicy,
    "Group": real.ModelInstanceGroup,
    "QueuePolicy": real.ModelQueuePolicy,
    "DynamicBatching": real.ModelDynamicBatching,
    "TensorName": real.ModelEnsembling.Step.InputMapEntry,
    "Step": real.ModelEnsembling.Step,
    "Scheduling": real.ModelEnsembling,
    "Parameter": real.ModelParameter,
    "ParameterEntry": real.ModelConfig.ParametersEntry,
    "Config": real.ModelConfig,
}


def test_names_numbers_and_types_are_tritons() -> None:
    assert set(FULL) == set(MESSAGES)
    for message, fields in MESSAGES.items():
        theirs = FULL[message].DESCRIPTOR.fields_by_name
        for name, number, kind in (field.split() for field in fields.split(",")):
            field = theirs[name]
            assert field.number == int(number), (message, name)
            repeated = field.is_repeated
            assert repeated == kind.endswith("*"), (message, name)
            plain = kind.rstrip("*")
            if plain in ENUMS:
                assert field.type == FieldDescriptor.TYPE_ENUM
            elif plain[0].isupper():
                expected = FULL[plain].DESCRIPTOR.fields_by_name
                assert set(field.message_type.fields_by_name) == set(expected), (message, name)
            else:
                assert field.type == getattr(FieldDescriptor, f"TYPE_{plain.upper()}")


def test_enumerations_are_tritons() -> None:
    for name, descriptor in (
        ("DataType", real.DataType.DESCRIPTOR),
        ("Kind", real.ModelInstanceGroup.Kind.DESCRIPTOR),
    ):
        values = {value.name: value.number for value in descriptor.values}
        assert values == {value: at for at, value in enumerate(ENUMS[name].split())}


def host(**settings: Any) -> Host:
    facts = Facts.parse(Observed.parse("arch=x86_64\nstate_dir=/srv/rolecall"))
    return Host(
        "h",
        facts,
        {
            "engine": Engine(),
            "model": Model(),
            "python": Python(),
            "repo": Repo(**settings),
        },
    )


@pytest.mark.parametrize(
    "settings", [{}, {"decoupled_mode": False, "max_batch_size": 1}, {"max_queue_size": 0}]
)
def test_everything_that_is_rendered_is_a_model_config(settings: dict[str, Any]) -> None:
    made = tree(host(**settings))
    configs = [text for path, text in made.files if path.endswith("config.pbtxt")]
    assert len(configs) == 5
    assert [problem(str(text)) for text in configs] == [""] * 5
    assert isinstance(made.apply(Observed.parse("current=")), Script)


@pytest.mark.parametrize(
    "text", ["max_batch_size: many", "nmae: 1", 'name: "x', "input { dims: a }"]
)
def test_what_is_no_model_config_is_not_installed(text: str) -> None:
    made = ModelTree("repo", "/srv", (("m/config.pbtxt", text), ("m/1/model.py", "")))
    refused = made.apply(Observed.parse("current="))
    assert isinstance(refused, Refuse)
    assert refused.reason.startswith("m/config.pbtxt is no ModelConfig: 1:")
