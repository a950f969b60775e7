"""Parses a model with TensorRT for RTX and builds engines of it, on a machine without a GPU.

    tensorrt_rtx.py PACKAGES MODEL [--plugins LIBRARY] [--profile MIN OPT MAX] [ARCHITECTURE ...]

PACKAGES is the folder of the packages tensorrt_rtx_cu13_libs and tensorrt_rtx_cu13_bindings. Sizes that are open are
given to a profile: MIN, OPT and MAX are the batches (default 1 2 4), open heights and widths are 112, 224 and 336, which
suit patches of 14 and of 16 pixels. Prints one line of JSON.
"""

import argparse
import collections
import ctypes
import json
import os
import sys
import time

# The parser loads the builder by its name without a version, which the package does not have.
LIBRARIES = ("libtensorrt_rtx.so.1", "libtensorrt_onnxparser_rtx.so.1")
SIZES = (112, 224, 336)
DOMAIN = "ai.ailurus"


def load(packages):
    folder = os.path.join(packages, "tensorrt_rtx_libs")
    for name in LIBRARIES:
        ctypes.CDLL(os.path.join(folder, name), mode=ctypes.RTLD_GLOBAL)
    sys.path.insert(0, packages)
    import tensorrt_rtx_bindings as trt

    return trt


def operators(path):
    """How many nodes of each AiluRus operator the file has."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    return dict(collections.Counter(n.op_type for n in model.graph.node if n.domain == DOMAIN))


def logger(trt, messages):
    class Logger(trt.ILogger):
        def __init__(self):
            trt.ILogger.__init__(self)

        def log(self, severity, message):
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                messages.append(message)

    return Logger()


def profile_shapes(name, shape, batches):
    """Least, usual and greatest shape of an input with open sizes; None if there is no telling."""
    if any(d < 0 for d in shape[1:]) and len(shape) != 4:
        return None
    which = lambda at, axis: batches[at] if axis == 0 else SIZES[at]
    return [[which(at, axis) if d < 0 else d for axis, d in enumerate(shape)] for at in range(3)]


def profile(trt, builder, network, batches):
    """A profile for the open inputs; False if one of them is not understood, None if there are none."""
    made = None
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        if all(d >= 0 for d in tensor.shape):
            continue
        shapes = profile_shapes(tensor.name, list(tensor.shape), batches)
        if shapes is None:
            return False
        made = made or builder.create_optimization_profile()
        made.set_shape(tensor.name, *shapes)
    return made


def build(trt, builder, network, architecture, made):
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, architecture), 0)
    if made is not None:
        config.add_optimization_profile(made)
    start = time.monotonic()
    plan = builder.build_serialized_network(network, config)
    return {"bytes": plan.nbytes if plan else None, "seconds": round(time.monotonic() - start, 2)}


def plugin_layers(trt, network):
    """The layers that are plugins. They have the names of the nodes they were made from."""
    layers = (network.get_layer(i) for i in range(network.num_layers))
    return [layer for layer in layers if layer.type == trt.LayerType.PLUGIN_V3]


def type_name(tensor):
    return str(tensor.dtype).split(".")[-1]


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("packages")
    options.add_argument("model")
    options.add_argument("--plugins")
    options.add_argument("--profile", nargs=3, type=int, default=(1, 2, 4))
    options.add_argument("architectures", nargs="*")
    options = options.parse_intermixed_args()

    trt = load(options.packages)
    messages = []
    log = logger(trt, messages)
    builder = trt.Builder(log)
    if options.plugins:
        builder.get_plugin_registry().load_library(options.plugins)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    report = {"parsed": parser.parse_from_file(options.model), "operators": operators(options.model), "engines": {}}
    report["errors"] = [parser.get_error(i).desc() for i in range(parser.num_errors)]
    if report["parsed"]:
        report["layers"] = network.num_layers
        layers = plugin_layers(trt, network)
        report["plugins"] = [layer.name for layer in layers]
        # What each computes in: the type of its first input.
        report["elements"] = {layer.name: type_name(layer.get_input(0)) for layer in layers}
        report["inputs"] = {(t := network.get_input(i)).name: list(t.shape) for i in range(network.num_inputs)}
        report["outputs"] = {
            (t := network.get_output(i)).name: [type_name(t), list(t.shape)]
            for i in range(network.num_outputs)
        }
        made = profile(trt, builder, network, options.profile)
        if made is False:
            report["errors"].append("no profile for the open sizes of an input")
        else:
            for architecture in options.architectures:
                report["engines"][architecture] = build(trt, builder, network, architecture, made)
    report["messages"] = messages
    print(json.dumps(report))


if __name__ == "__main__":
    main()
