#include "lathe/io/tensorboard.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>

#include "event.pb.h"
#include "lathe/base/error.h"
#include "lathe/io/crc32c.h"

namespace lathe {
namespace {

constexpr size_t kFlushBytes = 64 << 10;
constexpr int32_t kStringDtype = 7, kSessionStart = 1;

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

template <class T>
void append_little_endian(std::string& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(value >> (8 * i));
}

// The messages must be UTF-8; a cut multi-byte character of sample text must not end a run.
std::string valid_utf8(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xC2 && lead < 0xE0 ? 2
                          : lead >= 0xE0 && lead < 0xF0 ? 3
                          : lead >= 0xF0 && lead < 0xF5 ? 4
                                                        : 0;
    bool valid = length > 0 && i + length <= text.size();
    for (size_t k = 1; valid && k < length; ++k)
      valid = (static_cast<unsigned char>(text[i + k]) & 0xC0) == 0x80;
    out += valid ? text.substr(i, length) : std::string_view("\xEF\xBF\xBD");
    i += valid ? length : 1;
  }
  return out;
}

}  // namespace

TensorBoardWriter::TensorBoardWriter(const std::filesystem::path& folder, int64_t first_step) {
  static std::atomic<int> counter{0};
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail_to_write(folder, error.value());
  char host[256] = {};
  ::gethostname(host, sizeof(host) - 1);
  const double now = now_seconds();
  path_ =
      folder / fmt::format("events.out.tfevents.{:.0f}.{}.{}.{}", now, host, ::getpid(), counter++);
  file_ = Descriptor(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  if (!file_.is_open()) fail_to_write(path_, errno);
  proto::Event event;
  event.set_wall_time(now);
  event.set_file_version("brain.Event:2");
  append_record(event.SerializeAsString());
  event.set_step(first_step);
  event.mutable_session_log()->set_status(kSessionStart);
  append_record(event.SerializeAsString());
  flush();
}

TensorBoardWriter::~TensorBoardWriter() {
  try {
    flush();
  } catch (const Error&) {  // said in the header: a destructor cannot report it
  }
}

void TensorBoardWriter::scalar(std::string_view tag, int64_t step, double value) {
  proto::Event event;
  event.set_wall_time(now_seconds());
  event.set_step(step);
  auto* entry = event.mutable_summary()->add_value();
  entry->set_tag(valid_utf8(tag));
  entry->set_simple_value(static_cast<float>(value));
  append_record(event.SerializeAsString());
}

void TensorBoardWriter::text(std::string_view tag, int64_t step, std::string_view markdown) {
  proto::Event event;
  event.set_wall_time(now_seconds());
  event.set_step(step);
  auto* entry = event.mutable_summary()->add_value();
  entry->set_tag(valid_utf8(tag));
  entry->mutable_metadata()->mutable_plugin_data()->set_plugin_name("text");
  entry->mutable_tensor()->set_dtype(kStringDtype);
  entry->mutable_tensor()->mutable_tensor_shape()->add_dim()->set_size(1);
  entry->mutable_tensor()->add_string_val(valid_utf8(markdown));
  append_record(event.SerializeAsString());
}

void TensorBoardWriter::append_record(const std::string& message) {
  std::string length;
  append_little_endian(length, static_cast<uint64_t>(message.size()));
  buffer_ += length;
  append_little_endian(buffer_, masked_crc32c(length));
  buffer_ += message;
  append_little_endian(buffer_, masked_crc32c(message));
  if (buffer_.size() >= kFlushBytes) flush();
}

void TensorBoardWriter::flush() {
  write_all(file_, buffer_, path_);
  buffer_.clear();
}

}  // namespace lathe
