#include "lathe/io/packed_file.h"

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstring>

#include "lathe/base/error.h"
#include "lathe/io/descriptor.h"

namespace lathe {
namespace {

constexpr size_t kInputBytes = 64 << 10;
constexpr std::string_view kGzipMagic = "\x1F\x8B\x08";
constexpr std::string_view kZstdMagic = "\x28\xB5\x2F\xFD";
constexpr std::string_view kSkippableMagic = "\x2A\x4D\x18";  // behind a byte 0x50 to 0x5F

bool is_zstd(std::string_view bytes) {
  if (bytes.starts_with(kZstdMagic)) return true;
  return bytes.size() >= 4 && (static_cast<uint8_t>(bytes[0]) & 0xF0) == 0x50 &&
         bytes.substr(1).starts_with(kSkippableMagic);
}

}  // namespace

// The bytes of the file as they are, with a window to look into.
class PackedFile::Input {
 public:
  explicit Input(const std::filesystem::path& path)
      : path_(path),
        file_(open_to_read(path)),
        buffer_(std::make_unique_for_overwrite<char[]>(kInputBytes)) {}

  std::string_view pending() const { return {buffer_.get() + begin_, end_ - begin_}; }
  void consume(size_t n) { begin_ += n; }

  // Adds to pending(), which must not fill the window; false at the end of the file.
  bool fill() {
    if (begin_ > 0) std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    const size_t got = read_some(file_, {buffer_.get() + end_, kInputBytes - end_}, path_);
    end_ += got;
    file_bytes_ += static_cast<int64_t>(got);
    return got > 0;
  }

  // At least `n` bytes in pending(), fewer only at the end of the file.
  std::string_view need(size_t n) {
    while (pending().size() < n && fill()) {
    }
    return pending();
  }

  // Past the window, for large reads.
  size_t read_directly(std::span<char> out) {
    const size_t got = read_some(file_, out, path_);
    file_bytes_ += static_cast<int64_t>(got);
    return got;
  }

  [[noreturn]] void fail_truncated(std::string_view kind) const {
    fail(ErrorKind::kFormat, path_.string(),
         "ends after {} bytes in the middle of its {} data; it is truncated; copy or download it "
         "again",
         file_bytes_, kind);
  }
  [[noreturn]] void fail_damaged(std::string_view kind, std::string_view why) const {
    fail(ErrorKind::kFormat, path_.string(),
         "holds damaged {} data near byte {} ({}); copy or download it again", kind,
         file_bytes_ - static_cast<int64_t>(pending().size()), why);
  }

  int64_t file_bytes() const { return file_bytes_; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  Descriptor file_;
  std::unique_ptr<char[]> buffer_;
  size_t begin_ = 0, end_ = 0;
  int64_t file_bytes_ = 0;
};

class PackedFile::Unpacker {
 public:
  explicit Unpacker(Input& input) : input_(input) {}
  virtual ~Unpacker() = default;
  // `out` is not empty; 0 at the end of the content.
  virtual size_t read(std::span<char> out) = 0;

 protected:
  Input& input_;
};

class PackedFile::Plain : public Unpacker {
 public:
  using Unpacker::Unpacker;
  size_t read(std::span<char> out) override {
    const std::string_view pending = input_.pending();
    if (pending.empty()) return input_.read_directly(out);
    const size_t n = std::min(out.size(), pending.size());
    std::memcpy(out.data(), pending.data(), n);
    input_.consume(n);
    return n;
  }
};

class PackedFile::Gzip : public Unpacker {
 public:
  explicit Gzip(Input& input) : Unpacker(input) {
    constexpr int kGzipOnly = 16;
    require(::inflateInit2(&stream_, MAX_WBITS + kGzipOnly) == Z_OK, ErrorKind::kDevice,
            input.path().string(), "cannot be unpacked: zlib has no memory");
  }
  ~Gzip() override { ::inflateEnd(&stream_); }

  size_t read(std::span<char> out) override {
    out = out.first(std::min<size_t>(out.size(), size_t{1} << 30));  // zlib counts in 32 bits
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    while (!ended_ && stream_.avail_out == out.size()) step();
    return out.size() - stream_.avail_out;
  }

 private:
  void step() {
    const std::string_view in = input_.need(1);
    if (in.empty()) input_.fail_truncated("gzip");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
    stream_.avail_in = static_cast<uInt>(in.size());
    const int status = ::inflate(&stream_, Z_NO_FLUSH);
    input_.consume(in.size() - stream_.avail_in);
    if (status == Z_STREAM_END) return next_member();
    if (status != Z_OK && status != Z_BUF_ERROR)
      input_.fail_damaged("gzip", stream_.msg != nullptr ? stream_.msg : "inflate stopped");
  }

  // Members follow one another; zeros behind the last are padding (of tapes and block devices).
  void next_member() {
    while (!input_.need(1).empty() && input_.pending()[0] == '\0') input_.consume(1);
    ended_ = input_.pending().empty();
    if (ended_) return;
    if (!input_.need(kGzipMagic.size()).starts_with(kGzipMagic))
      input_.fail_damaged("gzip", "something else follows the compressed data");
    ::inflateReset(&stream_);
  }

  z_stream stream_ = {};
  bool ended_ = false;
};

class PackedFile::Zstd : public Unpacker {
 public:
  explicit Zstd(Input& input) : Unpacker(input), stream_(::ZSTD_createDStream()) {
    require(stream_ != nullptr, ErrorKind::kDevice, input.path().string(),
            "cannot be unpacked: zstd has no memory");
  }
  ~Zstd() override { ::ZSTD_freeDStream(stream_); }

  // The library itself goes from frame to frame and past skippable ones, and refuses windows of
  // more than 128 MiB.
  size_t read(std::span<char> out) override {
    ZSTD_outBuffer to = {out.data(), out.size(), 0};
    while (to.pos == 0) {
      const std::string_view pending = input_.need(1);
      ZSTD_inBuffer from = {pending.data(), pending.size(), 0};
      const size_t left = ::ZSTD_decompressStream(stream_, &to, &from);
      if (::ZSTD_isError(left)) fail_to_unpack(left);
      input_.consume(from.pos);
      if (to.pos > 0 || !pending.empty()) {
        frame_ended_ = left == 0;
        continue;
      }
      if (!frame_ended_) input_.fail_truncated("zstd");
      return 0;
    }
    return to.pos;
  }

 private:
  [[noreturn]] void fail_to_unpack(size_t result) const {
    const ZSTD_ErrorCode code = ::ZSTD_getErrorCode(result);
    require(code != ZSTD_error_frameParameter_windowTooLarge, ErrorKind::kFormat,
            input_.path().string(),
            "was packed by zstd with a window of more than 128 MiB (--long); pack it again without "
            "that option");
    require(
        code != ZSTD_error_dictionary_wrong, ErrorKind::kFormat, input_.path().string(),
        "was packed by zstd with a dictionary, which is not available; pack it again without one");
    input_.fail_damaged("zstd", ::ZSTD_getErrorName(result));
  }

  ZSTD_DStream* stream_;
  bool frame_ended_ = true;
};

PackedFile::PackedFile(const std::filesystem::path& path) : input_(std::make_unique<Input>(path)) {
  const std::string_view head = input_->need(4);
  if (head.starts_with(kGzipMagic))
    unpacker_ = std::make_unique<Gzip>(*input_);
  else if (is_zstd(head))
    unpacker_ = std::make_unique<Zstd>(*input_);
  else
    unpacker_ = std::make_unique<Plain>(*input_);
}

PackedFile::PackedFile(PackedFile&&) noexcept = default;
PackedFile::~PackedFile() = default;

size_t PackedFile::read(std::span<char> out) {
  if (out.empty()) return 0;
  if (ahead_begin_ == ahead_.size()) return unpacker_->read(out);
  const size_t n = ahead_.copy(out.data(), out.size(), ahead_begin_);
  ahead_begin_ += n;
  if (ahead_begin_ == ahead_.size()) std::string().swap(ahead_);
  if (ahead_.empty()) ahead_begin_ = 0;
  return n;
}

bool PackedFile::append_to(std::string& buffer) {
  constexpr size_t kStep = 64 << 10;
  const size_t old = buffer.size();
  buffer.resize(old + kStep);
  const size_t got = read({buffer.data() + old, kStep});
  buffer.resize(old + got);
  return got > 0;
}

std::string_view PackedFile::peek(size_t n) {
  ahead_.erase(0, ahead_begin_);
  ahead_begin_ = 0;
  while (ahead_.size() < n) {
    const size_t old = ahead_.size();
    ahead_.resize(n);
    const size_t got = unpacker_->read({ahead_.data() + old, n - old});
    ahead_.resize(old + got);
    if (got == 0) break;
  }
  return std::string_view(ahead_).substr(0, n);
}

int64_t PackedFile::file_bytes() const { return input_->file_bytes(); }
const std::filesystem::path& PackedFile::path() const { return input_->path(); }

}  // namespace lathe
