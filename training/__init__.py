"""From labelled faces to the model bundle that the boxes run."""

import os

# Before any module here, or tf2onnx, imports ONNX Runtime; see edge/inference/__init__.py.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
