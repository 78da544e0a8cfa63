// The files of llama-imatrix.
//
// GGUF, `general.type` "imatrix": for each matrix NAME the sums of squares NAME.in_sum2 [experts,
// columns] and how many rows they are of, NAME.counts [experts, 1].
//
// The older list: i32 entries, and for each i32 length and name, i32 calls, i32 count and count f32,
// which are sums over the calls.

#include <cmath>
#include <cstring>

#include "lathe/base/error.h"
#include "lathe/io/gguf.h"
#include "lathe/io/mapped_file.h"
#include "lathe/model/gguf/importance.h"
#include "lathe/model/stored_weights.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";

void check_numbers(const fs::path& path, const std::string& name, std::span<const float> x) {
  for (const float v : x)
    require(std::isfinite(v) && v >= 0, ErrorKind::kFormat, path.string(),
            "'{}' has the value {}, expected squares; make the imatrix anew", name, v);
}

Importances read_gguf_imatrix(const fs::path& path) {
  const auto file = std::make_shared<const GgufReader>(path);
  Importances out;
  for (const ArraySpan& sums : file->arrays()) {
    if (!sums.name.ends_with(kSums)) continue;
    const std::string name = sums.name.substr(0, sums.name.size() - kSums.size());
    const ArraySpan* counts = file->find(name + std::string(kCounts));
    require(counts != nullptr, ErrorKind::kFormat, path.string(), "has '{}' without '{}{}'",
            sums.name, name, kCounts);
    const Tensor values = stored_tensor(sums, file).to(DType::kF32);
    const Tensor rows = stored_tensor(*counts, file).to(DType::kF32);
    const int64_t parts = rows.numel();
    require(parts > 0 && values.numel() % parts == 0, ErrorKind::kFormat, path.string(),
            "'{}' has {} values for {} counts", sums.name, values.numel(), parts);
    std::vector<float>& importance = out[name];
    for (int64_t i = 0; i < values.numel(); ++i) {
      const float count = rows.data<float>()[i / (values.numel() / parts)];
      importance.push_back(count > 0 ? values.data<float>()[i] / count : 1.0f);
    }
    check_numbers(path, sums.name, importance);
  }
  return out;
}

class ListReader {
 public:
  ListReader(std::span<const std::byte> bytes, std::string where)
      : bytes_(bytes), where_(std::move(where)) {}

  std::span<const std::byte> take(size_t count, const char* what) {
    require(count <= bytes_.size(), ErrorKind::kFormat, where_,
            "ends within {}; it is damaged, or no file of llama-imatrix", what);
    const auto part = bytes_.first(count);
    bytes_ = bytes_.subspan(count);
    return part;
  }
  size_t count(const char* what) {
    int32_t value = 0;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    require(value >= 0, ErrorKind::kFormat, where_, "{} is {}; it is no file of llama-imatrix",
            what, value);
    return static_cast<size_t>(value);
  }

 private:
  std::span<const std::byte> bytes_;
  std::string where_;
};

Importances read_list(const fs::path& path, std::span<const std::byte> bytes) {
  ListReader in(bytes, path.string());
  Importances out;
  const size_t entries = in.count("the number of entries");
  for (size_t i = 0; i < entries; ++i) {
    const auto name_bytes = in.take(in.count("the length of a name"), "a name");
    const std::string name(reinterpret_cast<const char*>(name_bytes.data()), name_bytes.size());
    const size_t calls = std::max<size_t>(1, in.count("a number of calls"));
    const size_t count = in.count("a number of values");
    const auto values = in.take(count * sizeof(float), "values");
    std::vector<float>& importance = out[name];
    importance.resize(count);
    std::memcpy(importance.data(), values.data(), values.size());
    for (float& v : importance) v /= static_cast<float>(calls);
    check_numbers(path, name, importance);
  }
  return out;
}

}  // namespace

Importances read_imatrix(const fs::path& path) {
  const MappedFile file(path);
  Importances out = is_gguf(file.bytes()) ? read_gguf_imatrix(path) : read_list(path, file.bytes());
  require(!out.empty(), ErrorKind::kFormat, path.string(),
          "has no sums of squares; expected a file that llama-imatrix wrote");
  return out;
}

}  // namespace lathe
