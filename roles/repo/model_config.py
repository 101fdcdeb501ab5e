"""Triton's ModelConfig, as far as our own templates use it, to check them on the controller.

The full message comes with tritonclient, which is too much for a controller. What stands here is
names, numbers and types of triton-inference-server/common, protobuf/model_config.proto (r24.10);
a test compares them with tritonclient's. An unknown name is an error, as it is for Triton.
"""

from __future__ import annotations

from functools import cache
from typing import Any

_TYPES = (
    "TYPE_INVALID TYPE_BOOL TYPE_UINT8 TYPE_UINT16 TYPE_UINT32 TYPE_UINT64 TYPE_INT8 TYPE_INT16 "
    "TYPE_INT32 TYPE_INT64 TYPE_FP16 TYPE_FP32 TYPE_FP64 TYPE_STRING TYPE_BF16"
)

ENUMS = {"DataType": _TYPES, "Kind": "KIND_AUTO KIND_GPU KIND_CPU KIND_MODEL"}

#: Message: field, number, type; ``*`` repeated; a capital is a message or an enumeration.
MESSAGES = {
    "Reshape": "shape 1 int64*",
    "Input": (
        "name 1 string, data_type 2 DataType, dims 4 int64*, reshape 5 Reshape, "
        "allow_ragged_batch 7 bool, optional 8 bool"
    ),
    "Output": "name 1 string, data_type 2 DataType, dims 3 int64*, reshape 5 Reshape",
    "TransactionPolicy": "decoupled 1 bool",
    "Group": "name 1 string, count 2 int32, gpus 3 int32*, kind 4 Kind",
    "QueuePolicy": "max_queue_size 4 uint32",
    "DynamicBatching": (
        "preferred_batch_size 1 int32*, max_queue_delay_microseconds 2 uint64, "
        "default_queue_policy 6 QueuePolicy"
    ),
    "TensorName": "key 1 string, value 2 string",
    "Step": (
        "model_name 1 string, model_version 2 int64, input_map 3 TensorName*, "
        "output_map 4 TensorName*"
    ),
    "Scheduling": "step 1 Step*",
    "Parameter": "string_value 1 string",
    "ParameterEntry": "key 1 string, value 2 Parameter",
    "Config": (
        "name 1 string, platform 2 string, max_batch_size 4 int32, input 5 Input*, "
        "output 6 Output*, instance_group 7 Group*, dynamic_batching 11 DynamicBatching, "
        "parameters 14 ParameterEntry*, ensemble_scheduling 15 Scheduling, backend 17 string, "
        "model_transaction_policy 19 TransactionPolicy"
    ),
}


def problem(text: str, *, further: bool = False) -> str:
    """Why ``text`` is no ModelConfig, with line and column; empty if it is one.

    ``further``: fields that are not listed here are read too, and taken for right.
    """
    from google.protobuf import text_format

    try:
        text_format.Parse(text, _message()(), allow_unknown_field=further)
    except text_format.ParseError as error:
        return str(error)
    return ""


@cache
def _message() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="rolecall_model_config.proto", package="rolecall", syntax="proto3"
    )
    for enum, values in ENUMS.items():
        added = file.enum_type.add(name=enum)
        for number, value in enumerate(values.split()):
            added.value.add(name=value, number=number)
    field_types: Any = descriptor_pb2.FieldDescriptorProto
    for message, fields in MESSAGES.items():
        described = file.message_type.add(name=message)
        for name, place, kind in (field.split() for field in fields.split(",")):
            repeated, plain = kind.endswith("*"), kind.rstrip("*")
            field = described.field.add(
                name=name,
                number=int(place),
                label=field_types.LABEL_REPEATED if repeated else field_types.LABEL_OPTIONAL,
            )
            if plain[0].isupper():
                field.type_name = f".rolecall.{plain}"
                named = field_types.TYPE_ENUM if plain in ENUMS else field_types.TYPE_MESSAGE
                field.type = named
            else:
                field.type = getattr(field_types, f"TYPE_{plain.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("rolecall.Config"))
