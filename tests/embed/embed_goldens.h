// What tools/make_embed_goldens.py wrote: tiny models, texts, and what other libraries make of them.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "io/temp_folder.h"
#include "lathe/io/json_file.h"
#include "lathe/io/safetensors.h"
#include "lathe/model/load_model.h"
#include "lathe/text/tokenizer.h"
#include "paths.h"

namespace lathe::testing {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

inline fs::path embed_goldens() { return tests_folder() / "embed" / "goldens"; }

inline Tensor expected(const std::string& name) {
  static const SafetensorsReader reader(embed_goldens() / "expected.safetensors");
  const ArraySpan* array = reader.find(name);
  require(array != nullptr, ErrorKind::kFormat, "golden", "no '{}'", name);
  Tensor t(Shape(std::span<const int64_t>(array->shape)),
           array->dtype == "I32" ? DType::kI32 : DType::kF32);
  std::copy(array->bytes.begin(), array->bytes.end(), t.raw());
  return t;
}

inline std::vector<int32_t> expected_ids(const std::string& name) {
  const Tensor ids = expected(name);
  const auto span = ids.span<int32_t>();
  return {span.begin(), span.end()};
}

inline std::vector<std::string> golden_texts() {
  return read_json_file(embed_goldens() / "texts.json")["texts"].get<std::vector<std::string>>();
}

inline void expect_near(const Tensor& got, const Tensor& want, double tolerance = 2e-5) {
  ASSERT_EQ(got.shape(), want.shape());
  const auto a = got.to_vector(), b = want.to_vector();
  for (size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], tolerance) << i;
}

// A copy of the folder sentence/ that a test may change.
class SentenceFolder {
 public:
  SentenceFolder() : path_(folder_ / "model") {
    fs::copy(embed_goldens() / "sentence", path_, fs::copy_options::recursive);
  }
  const fs::path& path() const { return path_; }
  void write(const std::string& file, const Json& value) const {
    fs::create_directories((path_ / file).parent_path());
    write_json_file(path_ / file, value);
  }
  Json read(const std::string& file) const { return read_json_file(path_ / file); }
  // The file with these keys set.
  void change(const std::string& file, const Json& keys) const {
    Json whole = read(file);
    whole.update(keys);
    write(file, whole);
  }
  // Modules behind the Transformer: {type, path}.
  void modules(const std::vector<std::pair<std::string, std::string>>& behind) const {
    Json list = Json::array();
    list.push_back({{"idx", 0},
                    {"name", "0"},
                    {"path", ""},
                    {"type", "sentence_transformers.models.Transformer"}});
    for (const auto& [type, path] : behind)
      list.push_back({{"idx", list.size()},
                      {"name", std::to_string(list.size())},
                      {"path", path},
                      {"type", "sentence_transformers.models." + type}});
    write("modules.json", list);
  }

 private:
  TempFolder folder_;
  fs::path path_;
};

}  // namespace lathe::testing
