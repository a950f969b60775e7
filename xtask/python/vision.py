"""What the evaluation and the figure share: sessions, images in, maps out."""
import numpy as np
import onnxruntime as ort
from PIL import Image

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


def session(model, plugin=None, threads=0):
    """An ONNX Runtime session on the CPU for a file or its bytes; 0 threads leaves the number to it."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Threads that spin on after a run would slow down whichever session runs next.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    if plugin:
        options.register_custom_ops_library(plugin)
    return ort.InferenceSession(model if isinstance(model, bytes) else str(model), options, providers=["CPUExecutionProvider"])


def input_size(s, default):
    """Height and width the model asks for, or a default where they are free."""
    h, w = s.get_inputs()[0].shape[2:]
    return (h, w) if isinstance(h, int) and isinstance(w, int) else default


def tensor(image, size):
    """An image as the models take it."""
    a = np.asarray(image.convert("RGB").resize(size[::-1], Image.BILINEAR), np.float32) / 255
    return ((a - MEAN) / STD).transpose(2, 0, 1)[None].copy()


def run(s, x):
    """The first output as f32."""
    i = s.get_inputs()[0]
    if "float16" in i.type:
        x = x.astype(np.float16)
    return s.run([s.get_outputs()[0].name], {i.name: x})[0].astype(np.float32)
