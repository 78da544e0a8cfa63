// PyTorch's files of weights, pytorch_model.bin: a zip archive whose entry data.pkl describes the
// tensors (io/torch_pickle.h) and whose entries data/0, data/1, … are the storages that they are
// views of. Nothing in the file is executed. Reading only: Lathe writes safetensors.
//
// Format: torch/serialization.py of PyTorch, from release 1.6 on.
#pragma once

#include <deque>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "lathe/io/array_reader.h"

namespace lathe {

// Memory of arrays whose elements are not in row-major order in the file.
using ArrayCopies = std::deque<std::vector<std::byte>>;

// The arrays of one file held in memory, in the order of its dictionary. They point into `file`, or
// into `copies` where a tensor was saved transposed. Several may share bytes. `where` names the
// file in errors. Throws kFormat for everything that is not such a file: older and other formats,
// damaged archives and pickles, views that reach outside their storage or have more elements,
// storages that are missing or shorter than they say, big-endian files. Copies never take more
// memory than the file has bytes.
std::vector<ArraySpan> parse_torch_file(std::span<const std::byte> file, std::string_view where,
                                        ArrayCopies& copies);

// A file, a sharded set through its index, or a folder holding pytorch_model.bin or
// pytorch_model.bin.index.json.
class TorchReader : public ArrayReader {
 public:
  static constexpr std::string_view kFileName = "pytorch_model.bin";

  // Errors as ArrayReader::read() and parse_torch_file().
  explicit TorchReader(const std::filesystem::path& path);

 private:
  ArrayCopies copies_;
};

}  // namespace lathe
