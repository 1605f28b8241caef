"""The loop of tutorials: MediaPipe on every frame, the age model on every face, no tracking."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2

from bench.peers.common import held, measured, open_model
from edge.preprocess import resize
from edge.vision.crops import cut_face
from edge.vision.detect.mediapipe import MediaPipeDetector


def main(clip: str) -> None:
    images = held(Path(clip))
    detector = MediaPipeDetector("far", 0.5)
    bundle, backend = open_model()
    detector.detect(images[0])
    with measured("tutorial loop", images) as found:
        for image in images:
            faces = detector.detect(image)
            for box in faces.xyxy:
                crop = cut_face(image, box, bundle.crop_scale, bundle.input_size)
                backend.infer(resize(crop, bundle.input_size)[None])
            found["faces"] += len(faces)
    detector.close()
    backend.close()


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main(sys.argv[1])
