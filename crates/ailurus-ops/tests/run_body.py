"""Runs operator bodies in ONNX Runtime.

Reads cases from the JSON file argv[1] and writes their results to the JSON file argv[2]. A case holds a function body
as plain data, the opset of the model around it, and its inputs; tensors travel as hexadecimal little-endian bytes.
With "repeat" > 0 the case is also timed with "threads" threads.
"""

import json
import sys
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

DTYPES = {"f32": np.float32, "f16": np.float16, "f64": np.float64, "i32": np.int32, "i64": np.int64, "bool": np.bool_}
DOMAIN = "ai.ailurus"


def tensor(spec):
    return np.frombuffer(bytes.fromhex(spec["data"]), DTYPES[spec["dtype"]]).reshape(spec["dims"])


def attribute(name, spec):
    (kind, value), = spec.items()
    if kind == "tensor":
        value = onnx.numpy_helper.from_array(tensor(value))
    elif kind == "floats":
        value = [float(v) for v in value]
    return helper.make_attribute(name, value)


def function(case):
    body = case["body"]
    nodes = []
    for node in body["nodes"]:
        proto = helper.make_node(node["op_type"], node["inputs"], node["outputs"])
        proto.attribute.extend(attribute(name, spec) for name, spec in node["attributes"])
        nodes.append(proto)
    imports = [helper.make_opsetid("", body["opset"])]
    return helper.make_function(DOMAIN, case["op"], body["inputs"], body["outputs"], nodes, imports)


def model(case, inputs):
    body = case["body"]
    # Dimensions stay symbolic, as in a model with a dynamic batch.
    infos = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), [f"{n}_{a}" for a in range(v.ndim)])
        for n, v in inputs.items()
    ]
    element = {"f32": TensorProto.FLOAT, "f16": TensorProto.FLOAT16, "i32": TensorProto.INT32}
    rank = {"index": 2, "anchor": 2, "size": 2, "y": 3}
    if case["op"] == "AilurusGridKMeans":
        rank = {"z": 3, "index": 3, "weight": 3}
    outputs = [
        helper.make_tensor_value_info(o["name"], element[o["dtype"]], [f"out_{o['name']}_{a}" for a in range(rank[o["name"]])])
        for o in case["outputs"]
    ]
    node = helper.make_node(case["op"], body["inputs"], body["outputs"], domain=DOMAIN, plugin_namespace="ailurus")
    graph = helper.make_graph([node], "case", infos, outputs)
    imports = [helper.make_opsetid("", case["model_opset"]), helper.make_opsetid(DOMAIN, 1)]
    built = helper.make_model(graph, opset_imports=imports, functions=[function(case)], ir_version=8)
    onnx.checker.check_model(built)
    return built


def run(case):
    inputs = {i["name"]: tensor(i) for i in case["inputs"]}
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = case.get("threads", 1)
    repeat = case.get("repeat", 0)
    if case.get("profile"):
        options.enable_profiling = True
        options.profile_file_prefix = case["profile"]
    built = model(case, inputs)
    session = ort.InferenceSession(built.SerializeToString(), options, providers=["CPUExecutionProvider"])
    outputs = session.run(None, inputs)
    result = {"outputs": [{"dims": list(o.shape), "data": o.tobytes().hex()} for o in outputs]}
    wall, cpu = [], []
    for _ in range(repeat):
        start = time.perf_counter(), time.process_time()
        session.run(None, inputs)
        wall.append(time.perf_counter() - start[0])
        cpu.append(time.process_time() - start[1])
    if repeat:
        # On a busy machine the processor time of a single thread is the steadier number.
        result["ms"] = [1e3 * min(wall), 1e3 * min(cpu)]
    if case.get("profile"):
        session.end_profiling()
    return result


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        cases = json.load(file)
    results = []
    for case in cases:
        try:
            results.append(run(case))
        except Exception as error:  # every failure is a result: the test compares it
            results.append({"error": f"{type(error).__name__}: {error}"})
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        json.dump(results, file)


if __name__ == "__main__":
    if sys.argv[1:] == ["--versions"]:
        print(json.dumps({"onnx": onnx.__version__, "onnxruntime": ort.__version__}))
    else:
        main()
