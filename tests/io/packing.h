// Text packed as gzip and zstd pack it.
#pragma once

#include <zlib.h>
#include <zstd.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace lathe::testing {

// One gzip member.
inline std::string gzip_packed(std::string_view text) {
  z_stream stream = {};
  if (::deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("deflateInit2 failed");
  std::string out(::deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int status = ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  if (status != Z_STREAM_END) throw std::runtime_error("deflate failed");
  return out;
}

// One zstd frame.
inline std::string zstd_packed(std::string_view text) {
  std::string out(::ZSTD_compressBound(text.size()), '\0');
  const size_t size = ::ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3);
  if (::ZSTD_isError(size)) throw std::runtime_error(::ZSTD_getErrorName(size));
  out.resize(size);
  return out;
}

}  // namespace lathe::testing
