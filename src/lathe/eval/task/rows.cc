#include "lathe/eval/task/rows.h"

#include <optional>

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/config/json_text.h"
#include "lathe/corpus/json_values.h"
#include "lathe/io/packed_file.h"

namespace lathe {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostRowBytes = size_t{64} << 20, kMostCsvBytes = size_t{1} << 30;

Json parsed(std::string_view text, const std::string& place) {
  try {
    return parse_json(text, place, {.error_kind = ErrorKind::kData});
  } catch (const Error& error) {
    fail(ErrorKind::kData, place, "the row that begins here cannot be read: {}", error.what());
  }
}

void read_json(TaskRows& all) {
  JsonValues values(PackedFile(all.file), kMostRowBytes);
  for (std::string_view text; values.next(text);) {
    const std::string place = fmt::format("{}:{}", all.file.string(), values.line_number());
    all.rows.push_back({parsed(text, place), values.line_number()});
    const Json& row = all.rows.back().fields;
    require(row.is_object(), ErrorKind::kData, place, "the row is {}, expected an object",
            row.type_name());
  }
}

// Records of RFC 4180: fields between commas, of which one between quotes may have commas and line ends, and quotes twice.
class CsvReader {
 public:
  CsvReader(std::string text, std::string where)
      : text_(std::move(text)), where_(std::move(where)) {
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
  }

  // nullopt at the end.
  std::optional<std::vector<std::string>> next() {
    while (at_ < text_.size() && (text_[at_] == '\n' || text_[at_] == '\r'))
      line_ += text_[at_++] == '\n';
    if (at_ == text_.size()) return std::nullopt;
    begin_ = line_;
    std::vector<std::string> fields;
    do {
      fields.push_back(at_ < text_.size() && text_[at_] == '"' ? quoted() : plain());
    } while (at_ < text_.size() && text_[at_] == ',' && ++at_ <= text_.size());
    return fields;
  }
  int64_t line() const { return begin_; }  // of the last record

 private:
  std::string plain() {
    const size_t end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
    std::string field = text_.substr(at_, end - at_);
    at_ = end;
    return field;
  }
  std::string quoted() {
    std::string field;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\n') ++line_;
      if (text_[at_] != '"') {
        field += text_[at_];
      } else if (at_ + 1 < text_.size() && text_[at_ + 1] == '"') {
        field += text_[at_++];
      } else {
        ++at_;
        return field + plain();
      }
    }
    fail(ErrorKind::kData, fmt::format("{}:{}", where_, begin_),
         "a quote is opened and never closed");
  }

  std::string text_, where_;
  size_t at_ = 0;
  int64_t line_ = 1, begin_ = 1;
};

void read_csv(TaskRows& all) {
  PackedFile file(all.file);
  std::string text;
  while (file.append_to(text))
    require(text.size() <= kMostCsvBytes, ErrorKind::kData, all.file.string(),
            "is larger than {} bytes", kMostCsvBytes);
  require(replace_invalid_utf8(text) == text, ErrorKind::kData, all.file.string(),
          "is not UTF-8; convert it, for example with iconv");
  CsvReader csv(std::move(text), all.file.string());
  const auto names = csv.next();
  if (!names) return;
  while (const auto fields = csv.next()) {
    require(fields->size() == names->size(), ErrorKind::kData,
            fmt::format("{}:{}", all.file.string(), csv.line()),
            "the record has {} fields, but the first one names {}", fields->size(), names->size());
    Json row = Json::object();
    for (size_t i = 0; i < names->size(); ++i) row[(*names)[i]] = (*fields)[i];
    all.rows.push_back({std::move(row), csv.line()});
  }
}

bool is_csv(std::filesystem::path name) {
  for (const char* packed : {".gz", ".zst"})
    if (name.extension() == packed) name.replace_extension();
  return name.extension() == ".csv";
}

}  // namespace

std::string TaskRows::place(size_t row) const {
  return fmt::format("{}:{}", file.string(), rows[row].line);
}

TaskRows read_task_rows(const std::filesystem::path& file) {
  TaskRows all{.file = file, .rows = {}};
  is_csv(file) ? read_csv(all) : read_json(all);
  require(!all.rows.empty(), ErrorKind::kData, file.string(), "has no rows");
  return all;
}

}  // namespace lathe
