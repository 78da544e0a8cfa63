// The part of Python's pickle format in which torch.save writes a dictionary of tensors.
//
// A pickle is a program for a small stack machine that may call any function of the Python
// installation: opening one with Python's own reader runs whatever its author wanted. This reader
// executes nothing. It knows only the instructions that torch.save emits (protocol 2), and only the
// names that describe a tensor (kGlobals in torch_pickle.cc); everything else is refused by name.
// It produces descriptions: the elements of the storage that make up a tensor.
//
// Format: Lib/pickletools.py of CPython; torch/serialization.py, torch/_utils.py of PyTorch.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace lathe {

// Element (i, j, ..) is element offset + i·strides[0] + j·strides[1] + .. of the storage.
struct TorchView {
  std::string_view name;     // key of the dictionary
  std::string_view dtype;    // as in safetensors, "F32"
  std::string_view storage;  // its bytes are the archive's entry data/<storage>
  int64_t storage_elements = 0;
  int64_t offset = 0;
  std::vector<int64_t> shape, strides;  // of equal length, no element negative
};

// In the order of the dictionary, names unique; views into `pickle`. `where` names the file in
// errors. Throws kFormat for damage, other instructions, other names, values that are not tensors,
// and more than 100 MB or five million values. Memory is proportional to the pickle, and there is
// no recursion.
std::vector<TorchView> parse_torch_pickle(std::string_view pickle, std::string_view where);

}  // namespace lathe
