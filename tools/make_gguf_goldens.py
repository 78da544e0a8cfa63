#!/usr/bin/env python3
"""Writes tests/io/goldens/small.gguf with the gguf package: a value of every type, lists, and three tensors.

Usage: tools/make_gguf_goldens.py, with gguf and numpy installed.
"""
import os

import gguf
import numpy as np

FILE = os.path.join(os.path.dirname(__file__), "..", "tests", "io", "goldens", "small.gguf")


def main():
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
    main()
