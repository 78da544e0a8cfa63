#include "lathe/eval/task/rows.h"

#include "lathe/base/error.h"
#include "lathe/base/utf8.h"
#include "lathe/config/json_text.h"
#include "lathe/corpus/json_values.h"
#include "lathe/eval/task/data_files.h"
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

struct RowReader {
  const std::filesystem::path& file;
  const std::optional<std::string>& records;
  std::vector<TaskRow>& rows;

  void add(Json fields, int64_t line) {
    require(fields.is_object(), ErrorKind::kData, place(line), "the row is {}, expected an object",
            fields.type_name());
    rows.push_back({std::move(fields), line});
  }
  void add_records(Json whole, int64_t line) {
    require(whole.is_object() && whole.contains(*records) && whole[*records].is_array(),
            ErrorKind::kData, place(line), "has no list '{}', which records names", *records);
    for (Json& each : whole[*records]) add(std::move(each), line);
  }
  std::string place(int64_t line) const { return fmt::format("{}:{}", file.string(), line); }
};

void read_json(RowReader& to) {
  JsonValues values(PackedFile(to.file), kMostRowBytes);
  for (std::string_view text; values.next(text);) {
    const int64_t line = values.line_number();
    Json value = parsed(text, to.place(line));
    to.records ? to.add_records(std::move(value), line) : to.add(std::move(value), line);
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

void read_csv(RowReader& to) {
  require(!to.records, ErrorKind::kConfig, to.file.string(), "records is for JSON, not for CSV");
  PackedFile file(to.file);
  std::string text;
  while (file.append_to(text))
    require(text.size() <= kMostCsvBytes, ErrorKind::kData, to.file.string(),
            "is larger than {} bytes", kMostCsvBytes);
  require(replace_invalid_utf8(text) == text, ErrorKind::kData, to.file.string(),
          "is not UTF-8; convert it, for example with iconv");
  CsvReader csv(std::move(text), to.file.string());
  const auto names = csv.next();
  if (!names) return;
  while (const auto fields = csv.next()) {
    require(fields->size() == names->size(), ErrorKind::kData, to.place(csv.line()),
            "the record has {} fields, but the first one names {}", fields->size(), names->size());
    Json row = Json::object();
    for (size_t i = 0; i < names->size(); ++i) row[(*names)[i]] = (*fields)[i];
    to.add(std::move(row), csv.line());
  }
}

bool is_csv(std::filesystem::path name) {
  for (const char* packed : {".gz", ".zst"})
    if (name.extension() == packed) name.replace_extension();
  return name.extension() == ".csv";
}

}  // namespace

std::string TaskRows::place(size_t row) const {
  return fmt::format("{}:{}", files[rows[row].file].string(), rows[row].line);
}

TaskRows read_task_rows(const std::filesystem::path& file,
                        const std::optional<std::string>& records) {
  TaskRows all{.file = file, .files = {}, .rows = {}};
  std::vector<DataFile> files = data_files(file);
  if (files.empty()) files.push_back({.file = file});  // the error of a file that is missing
  for (const DataFile& each : files) {
    const size_t first = all.rows.size();
    RowReader reader{each.file, records, all.rows};
    is_csv(each.file) ? read_csv(reader) : read_json(reader);
    for (size_t row = first; row < all.rows.size(); ++row) {
      all.rows[row].file = all.files.size();
      all.rows[row].fields.update(each.fields);
    }
    require(all.rows.size() > first, ErrorKind::kData, each.file.string(), "has no rows");
    all.files.push_back(each.file);
  }
  return all;
}

}  // namespace lathe
