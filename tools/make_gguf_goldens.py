#!/usr/bin/env python3
"""Writes two files with the gguf package. tests/io/goldens/small.gguf: a value of every type, lists, and three tensors.
tests/io/goldens/blocks.gguf: tensors of every block type that Lathe reads, each beside its elements; the types that the
package can write are made of "source", the others of random bits.

Usage: tools/make_gguf_goldens.py, with gguf and numpy installed.
"""
import os

import gguf
import numpy as np

FOLDER = os.path.join(os.path.dirname(__file__), "..", "tests", "io", "goldens")
FILE, BLOCKS = os.path.join(FOLDER, "small.gguf"), os.path.join(FOLDER, "blocks.gguf")
WRITTEN = ["F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"]
READ = ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL"]


def source():
    """Rows of different kinds: normal numbers, one outlier, zeros and constants, tiny numbers, one sign."""
    r = np.random.default_rng(7)
    x = r.standard_normal((5, 256)).astype(np.float32)
    x[1, 17] = -40
    x[2, :64], x[2, 64:128] = 0, 0.3
    x[3] *= 1e-6
    x[4] = np.abs(x[4]) + 1
    return x


def random_blocks(kind):
    """Random bits, with scales (the f16 numbers of each layout) of ordinary size."""
    r = np.random.default_rng(int(kind))
    count, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = r.integers(0, 256, (4 * 256 // count, size), dtype=np.uint8)
    places = {"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,), "IQ4_NL": (0,)}[kind.name]
    for at in places:
        blocks[:, at : at + 2] = r.uniform(-0.1, 0.1, (len(blocks), 1)).astype(np.float16).view(np.uint8)
    return blocks.reshape(4, -1)


def make_blocks():
    w = gguf.GGUFWriter(BLOCKS, "none")
    x = source()
    w.add_tensor("source", x)
    for name in WRITTEN + READ:
        kind = gguf.GGMLQuantizationType[name]
        blocks = gguf.quants.quantize(x, kind) if name in WRITTEN else random_blocks(kind)
        w.add_tensor(name, blocks, raw_dtype=kind if name != "F16" else None)
        w.add_tensor(name + ".elements", gguf.quants.dequantize(blocks, kind))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def make_values():
    w = gguf.GGUFWriter(FILE, "llama")
    w.add_custom_alignment(64)
    w.add_uint8("t.u8", 200)
    w.add_int8("t.i8", -100)
    w.add_uint16("t.u16", 60000)
    w.add_int16("t.i16", -30000)
    w.add_uint32("t.u32", 4000000000)
    w.add_int32("t.i32", -2000000000)
    w.add_float32("t.f32", 0.5)
    w.add_bool("t.bool", True)
    w.add_string("t.text", "héllo")
    w.add_uint64("t.u64", 2**63 + 1)
    w.add_int64("t.i64", -(2**62))
    w.add_float64("t.f64", 1e300)
    w.add_array("t.texts", ["a", "", "▁wörld"])
    w.add_array("t.ints", [1, -2, 3])
    w.add_array("t.floats", [0.25, -1.5])
    w.add_array("t.bools", [True, False])
    w.add_array("t.lists", [[1, 2], [3]])
    w.add_array("t.bytes", bytes([1, 2, 255]))
    w.add_tensor("a.weight", np.arange(6, dtype=np.float32).reshape(2, 3))
    w.add_tensor("b.weight", np.arange(4, dtype=np.float16))
    blocks = gguf.quants.quantize(np.linspace(-1, 1, 64, dtype=np.float32).reshape(2, 32), gguf.GGMLQuantizationType.Q8_0)
    w.add_tensor("c.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    make_values()
    make_blocks()
