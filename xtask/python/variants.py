"""Writes a model in the forms that deployments give to TensorRT.

    variants.py MODEL FOLDER

NAME.onnx is the model itself, NAME+fp16.onnx the same in 16 bits with inputs and outputs in 32, as ONNX Runtime's
converter makes it. Where the batch is open, NAME+b1.onnx and NAME+b1+fp16.onnx have a batch of one.
"""

import argparse
import copy
import pathlib

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16


def open_batch(model):
    return any(not value.type.tensor_type.shape.dim[0].HasField("dim_value") for value in model.graph.input)


def with_batch_of_one(model):
    """A copy whose inputs have a batch of one; what else was known of shapes is dropped, as it names the open batch."""
    model = copy.deepcopy(model)
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    del model.graph.value_info[:]
    return model


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("model", type=pathlib.Path)
    options.add_argument("folder", type=pathlib.Path)
    options = options.parse_args()

    model = onnx.load(options.model)
    forms = {"": model}
    if open_batch(model):
        forms["+b1"] = with_batch_of_one(model)
    for name, form in list(forms.items()):
        forms[name + "+fp16"] = convert_float_to_float16(copy.deepcopy(form), keep_io_types=True)
    for name, form in forms.items():
        onnx.save(form, options.folder / f"{options.model.stem}{name}.onnx")


if __name__ == "__main__":
    main()
