"""TensorRT engines: `engine build`."""
