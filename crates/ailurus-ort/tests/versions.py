"""Runs models in the ONNX Runtime of this Python, with our library: a request a line in, an answer a line out, as JSON.

    versions.py LIBRARY

The first line out is {"version": ...}. {"load": MODEL, "register": whether with the library} answers
{"session": N, "inputs": [...], "outputs": [...]};
{"run": N, "inputs": NPZ, "outputs": NPZ} answers {}; whatever fails answers {"error": TEXT}.
"""
import json
import sys

import numpy
import onnxruntime

sessions = []


def load(request):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if request["register"]:
        options.register_custom_ops_library(sys.argv[1])
    session = onnxruntime.InferenceSession(request["load"], options, providers=["CPUExecutionProvider"])
    sessions.append(session)
    return {
        "session": len(sessions) - 1,
        "inputs": [i.name for i in session.get_inputs()],
        "outputs": [o.name for o in session.get_outputs()],
    }


def run(request):
    session = sessions[request["run"]]
    with numpy.load(request["inputs"]) as arrays:
        outputs = session.run(None, dict(arrays))
    numpy.savez(request["outputs"], **{o.name: array for o, array in zip(session.get_outputs(), outputs)})
    return {}


def answer(request):
    try:
        return load(request) if "load" in request else run(request)
    except Exception as error:  # noqa: BLE001: every kind has to reach the test as text
        return {"error": str(error)}


def main():
    print(json.dumps({"version": onnxruntime.__version__}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
