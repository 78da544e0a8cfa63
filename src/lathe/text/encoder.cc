// What is done to a text before pre-tokens are cut from it: added tokens are found in it, the text
// between them is normalised, and the added tokens that are meant for that are found there.
#include "lathe/text/text_stretches.h"
#include "lathe/text/tokenizer.h"
#include "lathe/text/tokenizer_data.h"

namespace lathe {

class Encoder::Impl {
 public:
  explicit Impl(const TokenizerData& data)
      : data_(data), text_encoder_(data.model->encoder(data.pre_tokenizer)) {}

  void encode(std::string_view text, const EncodeOptions& options, std::vector<int32_t>& out) {
    if (options.add_special_tokens) out.insert(out.end(), data_.prefix.begin(), data_.prefix.end());
    told_ = 0;
    progress_ = nullptr;
    if (options.progress) progress_ = [this, &options](size_t done) { tell(options, done); };
    stretches_.for_each(data_, text, options.special_as_text, [&](const TextStretch& stretch) {
      segment_begin_ = stretch.begin;
      if (progress_) progress_(0);
      if (stretch.id >= 0) return out.push_back(stretch.id);
      text_encoder_->encode(stretch.text, stretch.start, progress_, out);
    });
    if (options.add_special_tokens) out.insert(out.end(), data_.suffix.begin(), data_.suffix.end());
  }

 private:
  static constexpr size_t kProgressBytes = size_t{256} << 10;

  // `done` bytes of the present segment are encoded.
  void tell(const EncodeOptions& options, size_t done) {
    if (segment_begin_ + done < told_ + kProgressBytes) return;
    told_ = segment_begin_ + done;
    options.progress(told_);
  }

  const TokenizerData& data_;
  std::unique_ptr<TextEncoder> text_encoder_;
  TextStretches stretches_;
  TextEncoder::Progress progress_;
  size_t segment_begin_ = 0, told_ = 0;  // in the text: of the present segment, as last told
};

Encoder::Encoder(const TokenizerData& data) : impl_(std::make_unique<Impl>(data)) {}
Encoder::Encoder(Encoder&&) noexcept = default;
Encoder::~Encoder() = default;

void Encoder::encode(std::string_view text, const EncodeOptions& options,
                     std::vector<int32_t>& out) {
  impl_->encode(text, options, out);
}

}  // namespace lathe
