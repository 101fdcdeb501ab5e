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
        for text in texts[:-1] if streaming else []:
            sender.send(self.response(text))
        sender.send(self.response(texts[-1]), flags=FINAL)

    def response(self, text):
        tensor = pb_utils.Tensor("text_output", np.asarray([text.encode()], dtype=np.object_))
        return pb_utils.InferenceResponse(output_tensors=[tensor])
