// Writes what torch.save writes, piece by piece, so that a test can get a piece wrong.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lathe::testing {

template <class T>
std::string bytes_of(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

struct ZipItem {
  std::string name, content;
  uint16_t method = 0, flags = 0;
};

// Stored entries; `zip64` writes sizes and places in the fields for large archives.
inline std::string make_zip(const std::vector<ZipItem>& items, bool zip64 = false) {
  std::string file, directory;
  const auto narrow = [&](uint64_t value) {
    return bytes_of(zip64 ? UINT32_MAX : static_cast<uint32_t>(value));
  };
  for (const ZipItem& item : items) {
    const auto size = static_cast<uint32_t>(item.content.size());
    const std::string common = bytes_of(item.flags) + bytes_of(item.method) + std::string(8, '\0');
    std::string extra;
    if (zip64)
      extra = bytes_of<uint16_t>(1) + bytes_of<uint16_t>(24) + bytes_of<uint64_t>(size) +
              bytes_of<uint64_t>(size) + bytes_of<uint64_t>(file.size());
    const auto name = static_cast<uint16_t>(item.name.size());
    directory += "PK\1\2" + std::string(4, '\0') + common + narrow(size) + narrow(size) +
                 bytes_of(name) + bytes_of(static_cast<uint16_t>(extra.size())) +
                 std::string(10, '\0') + narrow(file.size()) + item.name + extra;
    file += "PK\3\4" + std::string(2, '\0') + common + bytes_of(size) + bytes_of(size) +
            bytes_of(name) + std::string(2, '\0') + item.name + item.content;
  }
  const uint64_t at = file.size(), bytes = directory.size(), count = items.size();
  file += directory;
  if (zip64) {
    const uint64_t end64 = file.size();
    file += "PK\6\6" + bytes_of<uint64_t>(44) + std::string(12, '\0') + bytes_of(count) +
            bytes_of(count) + bytes_of(bytes) + bytes_of(at);
    file += "PK\6\7" + std::string(4, '\0') + bytes_of(end64) + bytes_of<uint32_t>(1);
  }
  const auto records = static_cast<uint16_t>(zip64 ? UINT16_MAX : count);
  return file + "PK\5\6" + std::string(4, '\0') + bytes_of(records) + bytes_of(records) +
         narrow(bytes) + narrow(at) + std::string(2, '\0');
}

// Instructions of a pickle.
inline std::string pickle_text(const std::string& text) {
  return fmt::format("X{}{}", bytes_of(static_cast<uint32_t>(text.size())), text);
}
inline std::string pickle_number(int64_t value) { return "\x8a\x08" + bytes_of(value); }
inline std::string pickle_numbers(const std::vector<int64_t>& values) {
  std::string text = "(";
  for (const int64_t v : values) text += pickle_number(v);
  return text + "t";
}
inline std::string pickle_global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}

struct PickledTensor {
  std::string name = "w", type = "FloatStorage", storage = "0";
  int64_t elements = 6, offset = 0;
  std::vector<int64_t> shape = {2, 3}, strides = {3, 1};
};
inline std::string pickle_value(const PickledTensor& t) {
  return pickle_global("torch._utils", "_rebuild_tensor_v2") + "((" + pickle_text("storage") +
         pickle_global("torch", t.type) + pickle_text(t.storage) + pickle_text("cpu") +
         pickle_number(t.elements) + "tQ" + pickle_number(t.offset) + pickle_numbers(t.shape) +
         pickle_numbers(t.strides) + "\x89" + pickle_global("collections", "OrderedDict") + ")RtR";
}
// A dictionary of what `items` push: a key and a value each.
inline std::string pickle_dict(const std::string& items) {
  return "\x80\x02" + pickle_global("collections", "OrderedDict") + ")R(" + items + "u.";
}
inline std::string pickle_state(const std::vector<PickledTensor>& tensors) {
  std::string items;
  for (const PickledTensor& t : tensors) items += pickle_text(t.name) + pickle_value(t);
  return pickle_dict(items);
}

// One tensor whose columns lie one behind the other.
inline std::string strided_pickle() {
  return pickle_state({{.offset = 1, .shape = {2, 2}, .strides = {1, 2}}});
}
// One parameter in place of a tensor.
inline std::string parameter_pickle() {
  return pickle_dict(pickle_text("p") + pickle_global("torch._utils", "_rebuild_parameter") + "(" +
                     pickle_value({.type = "HalfStorage"}) + "\x88" +
                     pickle_global("collections", "OrderedDict") + ")RtR");
}

// The whole file around a pickle, with one storage of six floats 0 … 5.
inline std::string torch_file(const std::string& pickle, bool zip64 = false) {
  std::string storage;
  for (int i = 0; i < 6; ++i) storage += bytes_of(static_cast<float>(i));
  return make_zip({{"a/data.pkl", pickle},
                   {"a/byteorder", "little"},
                   {"a/data/0", storage},
                   {"a/version", "3\n"}},
                  zip64);
}

}  // namespace lathe::testing
