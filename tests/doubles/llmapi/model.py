"""A double of TensorRT-LLM's model.py for Triton's python backend, without the LLM behind it.

Speaks as triton_backend/all_models/llmapi/tensorrt_llm/1/model.py and helpers.py do (release 1.2):
one sequence a request, the whole text so far in every piece of a stream, an error for a stream
that is not decoupled, the prompt in front unless it is excluded. Its text counts words.
"""

import json

import numpy as np
import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


def scalar(request, name, default):
    tensor = pb_utils.get_input_tensor_by_name(request, name)
    return default if tensor is None else tensor.as_numpy().item()


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.decoupled = config["model_transaction_policy"]["decoupled"]

    def execute(self, requests):
        for request in requests:
            self.answer(request, request.get_response_sender())

    def answer(self, request, sender):
        streaming = scalar(request, "streaming", False)
        if streaming and not self.decoupled:
            error = pb_utils.TritonError("Streaming is only supported in decoupled mode.")
            sender.send(pb_utils.InferenceResponse(error=error), flags=FINAL)
            return
        prompt = pb_utils.get_input_tensor_by_name(request, "text_input").as_numpy()[0].decode()
        start = "" if scalar(request, "sampling_param_exclude_input_from_output", False) else prompt
        count = scalar(request, "sampling_param_max_tokens", 32)
        said = f"seed {scalar(request, 'sampling_param_seed', 0)}:"
        texts = [
            start + said + "".join(f" {word}" for word in range(at)) for at in range(count + 1)
        ]
        # "None" where it goes on: model.py sends str(output.finish_reason).
        reasons = [*["None"] * count, "length"]
        asked = scalar(request, "return_finish_reason", False)
        for text, reason in zip(texts, reasons, strict=True) if streaming else []:
            if reason == "None":
                sender.send(self.response(text, reason if asked else ""))
        sender.send(self.response(texts[-1], "length" if asked else ""), flags=FINAL)

    def response(self, text, reason):
        said = {"text_output": text, **({"finish_reason": reason} if reason else {})}
        tensors = [
            pb_utils.Tensor(name, np.asarray([value.encode()], dtype=np.object_))
            for name, value in said.items()
        ]
        return pb_utils.InferenceResponse(output_tensors=tensors)
