"""Roboflow `inference`'s InferencePipeline with `supervision`'s ByteTrack around the same detector and model.

The pipeline decodes by itself, so its figures include decoding. It downloads nothing: the logic is our own.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import supervision as sv
from inference import InferencePipeline

from bench.peers.common import held, measured, open_model
from edge.preprocess import resize
from edge.vision.crops import cut_face
from edge.vision.detect.mediapipe import MediaPipeDetector


def main(clip: str) -> None:
    frames = len(held(Path(clip)))
    detector = MediaPipeDetector("far", 0.5)
    bundle, backend = open_model()
    detector.detect(np.zeros((720, 1280, 3), np.uint8))
    tracker = sv.ByteTrack(frame_rate=25)
    visitors: set[int] = set()

    def look(batch: list[Any]) -> list[dict[str, int]]:
        found = []
        for frame in batch:
            faces = detector.detect(frame.image)
            tracked = tracker.update_with_detections(
                sv.Detections(faces.xyxy, confidence=faces.score, class_id=np.zeros(len(faces), int))
            )
            visitors.update(map(int, tracked.tracker_id))
            for box in tracked.xyxy:
                crop = cut_face(frame.image, box.astype(np.float32), bundle.crop_scale, bundle.input_size)
                backend.infer(resize(crop, bundle.input_size)[None])
            found.append({"faces": len(faces)})
        return found

    with measured("Roboflow inference + supervision", [], frames) as found:

        def count(predictions: Any, _: Any) -> None:  # noqa: ANN401 - one or a list of them
            for one in predictions if isinstance(predictions, list) else [predictions]:
                found["faces"] += one["faces"]

        pipeline = InferencePipeline.init_with_custom_logic(
            video_reference=clip, on_video_frame=look, on_prediction=count
        )
        pipeline.start()
        pipeline.join()
        found["visitors"] = len(visitors)
    detector.close()
    backend.close()


if __name__ == "__main__":
    main(sys.argv[1])
